"""The dbt projects of an estate, and which of them a task runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Protocol

from dagster_defs.inventory.arguments import SELECTING, Selection
from dagster_defs.inventory.models import ModelTime
from dagster_defs.inventory.records import UnitReading


class ProjectUnknown(Exception):
    """Which project a task runs is not known; the message says why, and what to write down."""


class Project(Protocol):
    """What the inventory needs of a dbt project; the adapter asks dbt."""

    def executed(
        self, selection: Selection, variables: Mapping[str, Any], environment: Mapping[str, str]
    ) -> Sequence[str]:
        """The unique ids that dbt would execute, given those of these variables that shape the project, and these
        environment variables. Raises SelectionRefused for this selection, DbtProjectUnreadable for all."""
        ...

    def may_be_shaped_by(self, variable: str) -> bool:
        """Whether another value of the variable may change the nodes or their tables."""
        ...

    def time_of(self, unique_id: str) -> ModelTime: ...

    def reads(self, variable: str) -> bool:
        """Whether the project may read an environment variable; true if that is not known."""
        ...


@dataclass(frozen=True)
class Projects:
    """At least one project, by its path; the paths name them in what is said.

    `named`: each one's name in its dbt_project.yml. `told`: the path of the project that a folder of Airflow's holds,
    according to the team.
    """

    by_path: Mapping[str, Project]
    named: Mapping[str, str] = field(default_factory=dict)
    told: Mapping[str, str] = field(default_factory=dict)

    @property
    def are_several(self) -> bool:
        return len(self.by_path) > 1

    def read(self, variable: str) -> bool:
        """Whether any of them may read an environment variable."""
        return any(project.reads(variable) for project in self.by_path.values())

    def path_of(self, unit: UnitReading) -> str:
        """The path of the project that the unit's dbt calls run in. Raises ProjectUnknown."""
        if not self.are_several:
            return next(iter(self.by_path))
        calls = [call for call in unit.invocations if call.selection.command in SELECTING]
        found = {self._path_at(call.folder) for call in calls}
        if len(found) > 1:
            raise ProjectUnknown(f"its dbt calls run in several projects: {', '.join(sorted(found))}")
        return next(iter(found), next(iter(self.by_path)))

    def _path_at(self, folder: str) -> str:
        """The project that stands for a folder of Airflow's: the one that the team says, or else the only one whose own
        folder, or whose name in dbt, is the folder's."""
        last = PurePosixPath(folder).name
        if told := self.told.get(folder.rstrip("/")):
            if told not in self.by_path:
                raise ProjectUnknown(
                    f"parity.yaml says {told} for {folder}, which is none of the projects given"
                )
            return told
        alike = list(self._alike(last)) if last else []
        if len(alike) == 1:
            return alike[0]
        projects, example = ", ".join(self.by_path), next(iter(self.by_path))
        if not folder:
            raise ProjectUnknown(
                f"it runs dbt in a folder that it does not name, so in one of {projects}: add --project-dir"
            )
        raise ProjectUnknown(
            f"it runs dbt in {folder}, and which of {projects} that is is not known. Say it in parity.yaml, such as "
            f'dbt_projects: {{"{folder}": {example}}}'
        )

    def _alike(self, name: str) -> Iterator[str]:
        for path in self.by_path:
            if name in (PurePosixPath(path).name, self.named.get(path)):
                yield path
