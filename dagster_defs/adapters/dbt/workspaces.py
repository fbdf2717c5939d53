"""One workspace for each dbt project, target and set of variables that shape it, so that units share a manifest."""

from __future__ import annotations

from pathlib import Path

from dagster_defs.adapters.dbt.environment import NOTHING_GIVEN, GivenEnvironment
from dagster_defs.adapters.dbt.executable import DbtExecutable, kept_in
from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.adapters.dbt.project_files import refuse_no_project
from dagster_defs.lifecycle.mirrors import DbtMirror
from dagster_defs.parity import Side

_Key = tuple[Path, str, str, GivenEnvironment, DbtExecutable | None]
_WORKSPACES: dict[_Key, DbtWorkspace] = {}


def workspace_of(mirror: DbtMirror, side: Side) -> DbtWorkspace:
    """The mirror's dbt project as a run of that side has it. Raises what `parsed_with` and `executable_of` raise."""
    return open_workspace(
        mirror.project_dir, mirror.target(side), mirror.parsed_with, given_by(mirror), executable_of(mirror)
    )


def executable_of(mirror: DbtMirror) -> DbtExecutable | None:
    """None for the dbt in this process. Raises DbtUnusable, and DbtProjectUnreadable if there is no project."""
    if not mirror.executable:
        return None
    refuse_no_project(mirror.project_dir)  # before anything is written into its folder
    return DbtExecutable.named(mirror.executable, kept_in(mirror.project_dir))


def given_by(mirror: DbtMirror) -> GivenEnvironment:
    """What the mirror sets in dbt's environment, as a parse of its project needs it."""
    if not mirror.parse_environment:
        return NOTHING_GIVEN
    shaping = open_workspace(mirror.project_dir, mirror.target(Side.LEGACY)).environment_shaping
    return GivenEnvironment.of(mirror.parse_environment, shaping.may_shape)


def open_workspace(
    project_dir: Path,
    target: str,
    parsed_with: str = "",
    given: GivenEnvironment = NOTHING_GIVEN,
    executable: DbtExecutable | None = None,
) -> DbtWorkspace:
    key = project_dir, target, parsed_with, given, executable
    return _WORKSPACES.setdefault(key, DbtWorkspace(*key))
