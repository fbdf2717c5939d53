"""Where a rehearsal writes: its own folder, with two dbt targets inside it, and nothing else.

Everything here keeps a rehearsal from touching anything else: see docs/decisions/0011-rehearsal.md.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.adapters.files.own_folder import InUse, NotOurs, OwnFolder
from dagster_defs.errors import DbtProjectUnreadable, NoRehearsal, NotComparable
from dagster_defs.parity import Side
from dagster_defs.settings import Settings, process_environment

_MARK = ".parity-rehearsal"  # marks a folder that may be emptied


@dataclass(frozen=True)
class RehearsalFolder:
    """The folder, and the dbt target of each side of a rehearsal."""

    settings: Settings

    @property
    def folder(self) -> Path:
        return self.settings.rehearsal_dir

    @property
    def targets(self) -> Mapping[Side, str]:
        return {
            Side.LEGACY: self.settings.rehearsal_target,
            Side.CANDIDATE: self.settings.rehearsal_candidate_target,
        }

    @property
    def variables(self) -> dict[str, str]:
        """The variables that make the project's two sides those of the rehearsal."""
        return {
            "PARITY_REHEARSAL_DIR": str(self.folder),
            "PARITY_LEGACY_TARGET": self.targets[Side.LEGACY],
            "PARITY_CANDIDATE_TARGET": self.targets[Side.CANDIDATE],
        }

    @contextmanager
    def emptied(self) -> Iterator[None]:
        """Empty the folder and lock it for the duration of the block.

        Raises NoRehearsal if another rehearsal uses it, or if it holds anything that no rehearsal put there.
        """
        own = OwnFolder(self.folder, _MARK)
        try:
            with own.emptied():
                yield
        except InUse as error:
            why = "is in use by another rehearsal"
            raise NoRehearsal(str(self.folder), why, "Wait for it, or set PARITY_REHEARSAL_DIR") from error
        except NotOurs as error:
            remedy = "Set PARITY_REHEARSAL_DIR to a folder that nothing else uses"
            raise NoRehearsal(str(self.folder), str(error), remedy) from error

    def refuse_shared_targets(
        self, project_dir: Path, environments: Iterable[Mapping[str, str]] = ()
    ) -> None:
        """Raises NoRehearsal unless both targets are separate DuckDB files in the folder.

        This must hold under each of the legacy commands' `environments` too, because a profile reads them.
        """
        for variables in (self.variables, *environments):
            with process_environment(variables):
                ours = {target: _file(project_dir, target) for target in self.targets.values()}
                others = {target: file for target, file in _files(project_dir) if target not in ours}
            self._refuse(ours, others)

    def make_folders(self, project_dir: Path) -> None:
        """Create the folders of the DuckDB targets: dbt does not."""
        with process_environment(self.variables):
            for target in self.targets.values():
                _file(project_dir, target).parent.mkdir(parents=True, exist_ok=True)

    def _refuse(self, ours: Mapping[str, Path], others: Mapping[str, Path]) -> None:
        for target, file in ours.items():
            if not file.is_relative_to(self.folder):
                raise NoRehearsal(
                    f"the dbt target {target!r}",
                    f"writes {file}, which is outside {self.folder}",
                    "Set `path: \"{{ env_var('PARITY_REHEARSAL_DIR', '../.rehearsal') }}/…\"` in profiles.yml",
                )
            for other, same in {**ours, **others}.items():
                if other != target and same == file:
                    why = f"writes the same database as {other!r}: {file}"
                    remedy = "Give it its own path in profiles.yml"
                    raise NoRehearsal(f"the dbt target {target!r}", why, remedy)
        if len(ours) < len(Side):
            raise NoRehearsal(
                f"the dbt target {next(iter(ours))!r}",
                "is used by both sides",
                "Set PARITY_REHEARSAL_TARGET and PARITY_REHEARSAL_CANDIDATE_TARGET to different targets",
            )

    def refuse_foreign_databases(self, workspace: DbtWorkspace, node_ids: Iterable[str]) -> None:
        """Raises NoRehearsal for a model that writes to another database regardless of the target."""
        with process_environment(self.variables):
            own = workspace.database_file.stem
        for node_id in sorted(node_ids):
            node: Mapping[str, Any] = workspace.manifest["nodes"].get(node_id) or {}
            database = node.get("database")
            if node.get("relation_name") and database and database != own:
                why = f"writes to the database {database!r} in every target"
                raise NoRehearsal(
                    node_id, why, "Remove `database` from its config, or derive it from `target`"
                )


def _file(project_dir: Path, target: str) -> Path:
    return DbtWorkspace(project_dir, target).database_file


def _files(project_dir: Path) -> Iterator[tuple[str, Path]]:
    """The DuckDB files of all targets in the project's profile, as far as they can be determined here."""
    profile = yaml.safe_load((project_dir / "dbt_project.yml").read_text()).get("profile")
    profiles = yaml.safe_load((DbtWorkspace(project_dir, "").profiles_dir / "profiles.yml").read_text())
    for target in profiles.get(profile, {}).get("outputs") or {}:
        # A target that needs an unset variable, or is not a DuckDB file, shares no file with the rehearsal.
        with contextlib.suppress(NotComparable, DbtProjectUnreadable):
            yield target, _file(project_dir, target)
