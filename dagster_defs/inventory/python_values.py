"""What is known of values and calls in Python code that is walked and never run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from string import Formatter
from typing import Any

from dagster_defs.windows.vocabulary import WINDOW_NAMES

CONTEXT = frozenset({*WINDOW_NAMES, "params", "dag_run", "ti", "task_instance", "macros"})
# What else Airflow's context has, with values that are not shown.
_UNSHOWN_CONTEXT = frozenset({
    "conf", "dag", "task", "var", "conn", "inlets", "outlets", "inlet_events", "outlet_events", "test_mode",
    "templates_dict", "expanded_ti_count", "map_index_template", "triggering_dataset_events",
    "triggering_asset_events", "task_reschedule_count", "try_number",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Jinja:
    """A value from the task's context, as the expression that a template would use for it."""

    expression: str


class Unknown:
    """A value that the source does not show."""


@dataclass(frozen=True, slots=True)
class PythonCall:
    """Words of a program, or a shell script. `raises`: whether its failure fails the callable."""

    words: tuple[str, ...]
    script: str | None
    raises: bool
    conditional: bool
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Invoked:
    """dbt in process: `dbtRunner().invoke([…])`; the words after `dbt`."""

    words: tuple[str, ...]
    raises: bool
    conditional: bool


@dataclass(frozen=True, slots=True)
class Returned:
    """A text that the callable returns; `conditional`: it may return another, or none."""

    text: str
    conditional: bool


@dataclass(frozen=True, slots=True)
class Visible:
    """Calls in source order, texts that the callable returns, and whether some use of dbt remains that cannot be
    seen."""

    calls: tuple[PythonCall | Invoked, ...] = ()
    returned: tuple[Returned, ...] = ()
    hidden: bool = False


class Context:
    """`**kwargs` or `**context`: what the operator passes, then Airflow's own context."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given

    def has(self, key: str) -> bool:
        """Whether a call with `**context` passes an argument of this name."""
        return key in self._given or key in CONTEXT or key in _UNSHOWN_CONTEXT

    def joined(self, more: Mapping[str, Any]) -> Context:
        return Context({**self._given, **more})

    def get(self, key: str, unknown: Any) -> Any:
        if key in self._given:
            return self._given[key]
        return Jinja(key) if key in CONTEXT else unknown


@dataclass(frozen=True, slots=True)
class Maybe:
    """A word that is present on some paths only."""

    word: str


def formatted(text: str, placed: list[str], named: Mapping[str, str]) -> str | None:
    """`"…{}…{name}".format(…)` with these texts; None if it lays out a value, or the text is no format."""
    made, automatic = "", 0
    try:
        parts = list(Formatter().parse(text))
    except ValueError:
        return None
    for literal, name, layout, conversion in parts:
        made += literal
        if name is None:
            continue
        if layout or conversion:
            return None
        place = automatic if name == "" else int(name) if name.isdigit() else len(placed)
        automatic += name == ""
        value = placed[place] if place < len(placed) else named.get(name)
        if value is None:
            return None
        made += value
    return made


def percent(text: str, values: list[str]) -> str | None:
    """`"…%s…" % values` with these texts; None if it lays out a value, or there are more or fewer of them."""
    parts = re.split(r"%([sd%])", text)
    wanted = [sign for sign in parts[1::2] if sign != "%"]
    if len(values) != len(wanted) or any("%" in part for part in parts[::2]):
        return None
    rest = iter(values)
    signs = ["%" if sign == "%" else next(rest) for sign in parts[1::2]]
    return "".join(chain.from_iterable(zip_longest(parts[::2], signs, fillvalue="")))


def names_dbt(text: str) -> bool:
    """Whether dbt is a word of a name, or begins or ends one: not in `DynamoDBToS3Operator`."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", text)
    return re.search(r"\bdbt|dbt\b", re.sub(r"[\W_\d]+", " ", apart), re.IGNORECASE) is not None
