"""What a dbt executable says about a project: its parse, and what its selections pick."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from dagster_defs.adapters.dbt.child import call, listed
from dagster_defs.adapters.dbt.executable import DbtExecutable
from dagster_defs.errors import DbtProjectUnreadable, DbtSelectionRefused

_AT_ONCE = 8  # most listings that run at the same time: each is a process with a manifest of its own
_LS = ("ls", "--output", "json", "--output-keys", "unique_id")
_NO_PACKAGES = "dbt deps"  # what dbt-core advises where packages are not installed


@dataclass(frozen=True, slots=True)
class ChildProject:
    """`flags`: those of every command in the project, `environment`: what it gets beside that of this process."""

    executable: DbtExecutable
    project_dir: Path
    flags: Sequence[str]
    environment: Mapping[str, str]

    def parse(self, *options: str) -> None:
        """Raises DbtProjectUnreadable."""
        arguments = ["parse", *options, *self.flags]
        _, reasons = call(self.executable, arguments, cwd=Path.cwd(), environment=self.environment)
        if reasons:
            reason = "; ".join(reasons)
            raise DbtProjectUnreadable(self.project_dir, reason, deps=_NO_PACKAGES in reason)

    def select_all(
        self, selections: Sequence[Sequence[str]], *options: str
    ) -> Iterator[list[str] | DbtSelectionRefused]:
        """The unique ids of each selection, sorted, or why dbt cannot read it. dbt lists one selection per start, so
        several are listed at the same time."""
        with ThreadPoolExecutor(min(_AT_ONCE, os.cpu_count() or 1), "dbt-ls") as pool:
            yield from pool.map(lambda arguments: self._select(arguments, options), selections)

    def _select(self, arguments: Sequence[str], options: Sequence[str]) -> list[str] | DbtSelectionRefused:
        words = [*_LS, *arguments, *options, *self.flags, "--no-write-json"]
        events, reasons = call(
            self.executable, words, cwd=self.project_dir.absolute(), environment=self.environment
        )
        if reasons:
            return DbtSelectionRefused(self.project_dir, arguments, "; ".join(reasons))
        return listed(events)
