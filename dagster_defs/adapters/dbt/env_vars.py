"""Which environment variables a dbt project reads: every `env_var('…')` in its files, by Jinja's own parser."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import Self

from dagster_defs.adapters.dbt.jinja import YAML, names_asked, templates_in, tree_of

_FUNCTION = "env_var"
_DBTS_OWN = "DBT_"  # dbt and its plug-ins have options with this prefix
_PYTHON = ".py"
_WITH_JINJA = YAML | {".sql", ".md", ".jinja"}
# What Python code needs to access the environment.
_REACHES_IT = re.compile(r"\b(os|environ|getenv|subprocess|importlib|__import__|eval|exec|dotenv|decouple)\b")


@dataclass(frozen=True, slots=True)
class ReadVariables:
    """`names`: variables read by name. `any_other`: there is a computed name, a Python model, or an unreadable file, so
    the project may read any variable; `by_code`: by Python code, which reads the environment of its process."""

    names: frozenset[str]
    any_other: bool = False
    by_code: bool = False

    @classmethod
    def in_files(cls, files: Iterable[Path]) -> Self:
        """What one project's files read, including its packages and profile."""
        names: set[str] = set()
        any_other = by_code = False
        for file in files:
            variables = _read_by(file)
            any_other = any_other or variables is None
            by_code = by_code or (variables is None and file.suffix == _PYTHON)
            names |= variables or set()
        return cls(frozenset(names), any_other, by_code)

    def may_be_asked(self, name: str) -> bool:
        """Whether `env_var()` alone may read the variable, as far as that is known."""
        return name in self.names or not self.by_code

    def may_be_read(self, name: str) -> bool:
        """Whether dbt or the project may read the variable."""
        return self.any_other or name in self.names or name.upper().startswith(_DBTS_OWN)


def _read_by(file: Path) -> set[str] | None:
    """None if the file may read any variable."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    if file.suffix == _PYTHON:
        return None if _REACHES_IT.search(text) else set()
    if file.suffix not in _WITH_JINJA or _FUNCTION not in text:
        return set()
    names: set[str] = set()
    for template in templates_in(text) if file.suffix in YAML else [text]:
        read = list(_names_in(template))
        if None in read:
            return None
        names.update(name for name in read if name)
    return names


def env_vars_in(text: str) -> set[str]:
    """Names that `env_var('…')` reads in YAML text with Jinja in its values, as dbt parses it."""
    return {name for template in templates_in(text) for name in _names_in(template) if name}


def variables_of(file: Path) -> frozenset[str]:
    """The same for a file; none if it cannot be read."""
    try:
        return frozenset(env_vars_in(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError):
        return frozenset()


def _names_in(template: str) -> Iterator[str | None]:
    if _FUNCTION in template:
        tree = tree_of(template)
        yield from [None] if tree is None else names_asked(tree, _FUNCTION)
