"""The results of a walk through a script, and the ways of leaving a statement early."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dagster_defs.inventory.programs import Program


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
