"""What a task sets in dbt's environment, as a mirror can carry it: templates, names that the deployment must set, and
what it can't."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dagster_defs.inventory.arguments import (
    compared_variables,
    harmless_variables,
    option_variables,
)
from dagster_defs.inventory.convention import Carrier, Convention, NamedWindow
from dagster_defs.inventory.holes import is_known
from dagster_defs.inventory.labels import names_a_run, window_names_in
from dagster_defs.inventory.masking import MASK, shown
from dagster_defs.inventory.records import Invocation

_SECRET = "DBT_ENV_SECRET"  # noqa: S105 - dbt's own prefix of secrets, not one of them
_KEPT_BY_AIRFLOW = re.compile(r"{[{%][^}]*\b(conn|var)\b")
_OF_THE_MACHINE = re.compile(r"\$[A-Za-z_{(]|`")
_BOUNDED = frozenset({Convention.HALF_OPEN, Convention.PREVIOUS_DAY})


@dataclass
class CarriedEnvironment:
    """`attributes` of the mirror; `templates` by what they stand for; `notes` need no action before a run."""

    env: dict[str, Any] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)
    templates: dict[str, str] = field(default_factory=dict)
    gaps: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    @property
    def attributes(self) -> dict[str, Any]:
        return {
            **({"env": self.env} if self.env else {}),
            **({"required_env": self.required} if self.required else {}),
        }


def environment_of(
    window: NamedWindow,
    calls: Sequence[Invocation],
    asks: Callable[[str], bool],
    of_profile: Collection[str] = (),
) -> CarriedEnvironment:
    """`asks`: whether dbt's `env_var()` may read a variable of this name. `of_profile`: those in the profile."""
    carried = CarriedEnvironment()
    bounds = _bounds(window)
    for name, texts in _texts(calls).items():
        text = texts[0]
        values = [value for call in calls for value in call.env_values(name)]
        if name in compared_variables() | harmless_variables():
            continue
        if name in option_variables():
            carried.gaps.append(f"the task sets {name} for dbt, which is an option: set the same for Dagster")
        elif not asks(name):
            carried.gaps.append(
                f"the task sets {name}, which code of the dbt project may read: set the same for Dagster"
            )
        elif name in of_profile and (window_names_in(text) or len(set(values)) > 1):
            carried.refusals.append(
                f"the task sets {name} to another value in each run, and dbt's profile reads it: where dbt writes "
                "would not be one place"
            )
        elif not _is_template(text) and len(set(values)) > 1:
            carried.gaps.append(
                f"the task sets {name} for dbt to another value in each window, the mirror does not"
            )
        elif names_a_run(text):
            carried.env[name] = text
            carried.notes.append(f"env: {name} names a run ({text}): under Dagster, Dagster's own")
        elif why := _why_not_here(name, text, values):
            carried.required.append(name)
            carried.notes.append(f"required_env: {name} {why}")
        else:
            if len(texts) > 1:
                carried.gaps.append(f"its dbt calls get different values of {name}; the mirror has the first")
            bound = bounds.get(name)
            carried.env[name] = {"template": text, "bound": bound} if bound else text
            carried.templates[f"the environment variable {name}"] = text
    return carried


def _is_template(text: str) -> bool:
    return "{{" in text or "{%" in text


def _texts(calls: Sequence[Invocation]) -> Mapping[str, list[str]]:
    """How each variable is written, without repetitions."""
    written: dict[str, list[str]] = {}
    for call in calls:
        for name, text in call.read_env.items():
            if text not in written.setdefault(name, []):
                written[name].append(text)
    return written


def _bounds(window: NamedWindow) -> dict[str | None, str]:
    if window.carrier is not Carrier.ENV or window.shape not in _BOUNDED:
        return {}
    return {window.start_name: "lower", window.end_name: "upper"}


def _why_not_here(name: str, text: str, values: Sequence[str]) -> str:
    """Why its value does not belong into a file, or is not known; empty if it does."""
    if name.startswith(_SECRET):
        return "is a secret to dbt"
    if _KEPT_BY_AIRFLOW.search(text):
        return f"comes from what Airflow keeps ({text})"
    # What a template renders to may look like a key, as a run's id does.
    written = [text] if _is_template(text) else [text, *values]
    if any(MASK in value for value in values) or any(shown(name, value) == MASK for value in written):
        return "looks like a secret"
    if not is_known(text) or not all(map(is_known, values)):
        return "has a value that is not in the inventory"
    if not _is_template(text) and _OF_THE_MACHINE.search(text):
        return f"comes from where the task runs ({text})"
    return ""
