"""Which environment variables a dbt project reads: every `env_var('…')` in its files, by Jinja's own parser."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

import jinja2
import jinja2.nodes
import yaml

from dagster_defs.windows.budget import parse

_FUNCTION = "env_var"
_DBTS_OWN = "DBT_"  # dbt, and what is plugged into it, has options of that name
_WITH_JINJA = frozenset({".sql", ".yml", ".yaml", ".md", ".jinja"})
_YAML = frozenset({".yml", ".yaml"})
# What Python code needs to get at the environment.
_REACHES_IT = re.compile(r"\b(os|environ|getenv|subprocess|importlib|__import__|eval|exec|dotenv|decouple)\b")


@dataclass(frozen=True, slots=True)
class ReadVariables:
    """`names` are read by their name. `any_other`: a name that is computed, a Python model, or a file that cannot be
    read; then nobody knows of a variable that the project does not read it."""

    names: frozenset[str]
    any_other: bool = False

    @classmethod
    def in_files(cls, files: Iterable[Path]) -> Self:
        """What these files of one project read, its packages and its profile included."""
        names: set[str] = set()
        any_other = False
        for file in files:
            found = _read_by(file)
            any_other = any_other or found is None
            names |= found or set()
        return cls(frozenset(names), any_other)

    def may_be_read(self, name: str) -> bool:
        """Whether dbt, or the project, may take anything from the variable."""
        return self.any_other or name in self.names or name.upper().startswith(_DBTS_OWN)


def _read_by(file: Path) -> set[str] | None:
    """None if the file may read any variable."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    if file.suffix == ".py":
        return None if _REACHES_IT.search(text) else set()
    if file.suffix not in _WITH_JINJA or _FUNCTION not in text:
        return set()
    templates = _texts_in(text) if file.suffix in _YAML else [text]
    names: set[str] = set()
    for template in templates:
        found = list(_names_in(template))
        if None in found:
            return None
        names.update(name for name in found if name)
    return names


def env_vars_in(text: str) -> set[str]:
    """Names that `env_var('…')` asks for in a YAML text with Jinja in its values, as dbt reads it."""
    return {name for template in _texts_in(text) for name in _names_in(template) if name}


def _texts_in(text: str) -> list[str]:
    try:
        return list(_strings_in(yaml.safe_load(text)))
    except yaml.YAMLError:
        return [text]


def _strings_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for pair in value.items():
            for item in pair:
                yield from _strings_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings_in(item)


@cache
def _jinja_of_dbt() -> jinja2.Environment:
    """Which knows dbt's own blocks: macros, tests, materializations, documentation."""
    from dbt_common.clients.jinja import get_environment

    environment: jinja2.Environment = get_environment(None, capture_macros=True)
    return environment


def _names_in(template: str) -> Iterator[str | None]:
    """The names that are asked for; None for one that is computed, and for each other use of the function."""
    if _FUNCTION not in template:
        return
    try:
        tree = parse(_jinja_of_dbt(), template)
    except jinja2.TemplateSyntaxError:
        yield None  # dbt will say what is wrong with it
        return
    used = sum(node.name == _FUNCTION for node in tree.find_all(jinja2.nodes.Name))
    used += sum(node.attr == _FUNCTION for node in tree.find_all(jinja2.nodes.Getattr))
    used += sum(node.value == _FUNCTION for node in tree.find_all(jinja2.nodes.Const))
    for call in tree.find_all(jinja2.nodes.Call):
        if isinstance(call.node, jinja2.nodes.Name) and call.node.name == _FUNCTION:
            used -= 1
            first = call.args[0] if call.args else None
            named = isinstance(first, jinja2.nodes.Const) and isinstance(first.value, str)
            yield first.value if named else None  # type: ignore[union-attr]  # a Const
    if used:
        yield None
