"""The results of a walk through a script, and the ways of leaving a statement early."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dagster_defs.inventory.programs import Program
from dagster_defs.older_python import StrEnum


@dataclass(frozen=True, slots=True)
class ShellCall:
    """A dbt call, or a program that hides what it runs. `arguments` are the words after `dbt`."""

    program: Program
    env: Mapping[str, str]
    cwd: str
    site: tuple[int, ...]

    @property
    def key(self) -> tuple[object, ...]:
        return self.site, self.program


@dataclass(frozen=True, slots=True)
class SideUse:
    """A program beside dbt, on one walk. `said`: how an unseen one is named, else empty; `calls`: how many calls of dbt
    came before it; `apart`: it is part of a pipeline, a substitution or a redirection."""

    site: tuple[int, ...]
    words: tuple[str, ...]
    env: Mapping[str, str]
    said: str
    calls: int
    apart: bool
    cwd: str

    @property
    def key(self) -> tuple[object, ...]:
        return "side", self.site


class Place(StrEnum):
    """Where a program beside dbt runs."""

    BEFORE = "before"
    BETWEEN = "between"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class SideCommand:
    """A program that a task runs beside dbt. `may_fail`: the task goes on as if it had succeeded. `why_not`: why a
    mirror cannot run it as it stands; `said`: how it is named."""

    place: Place
    words: tuple[str, ...]
    env: Mapping[str, str]
    said: str
    may_fail: bool = False
    why_not: str = ""


class Exit(Exception):
    def __init__(self, status: int) -> None:
        self.status = status


class Return(Exit):
    pass


class Break(Exception):
    pass


class Continue(Exception):
    pass


class NeverEnds(Exception):
    """A loop that waits for something that never comes on this path."""
