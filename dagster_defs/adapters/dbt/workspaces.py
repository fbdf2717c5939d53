"""One workspace for each dbt project, target and set of variables that shape it, so that units share a manifest."""

from __future__ import annotations

from pathlib import Path

from dagster_defs.adapters.dbt.environment import NOTHING_GIVEN, GivenEnvironment
from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.lifecycle.mirrors import DbtMirror
from dagster_defs.parity import Side

_WORKSPACES: dict[tuple[Path, str, str, GivenEnvironment], DbtWorkspace] = {}


def workspace_of(mirror: DbtMirror, side: Side) -> DbtWorkspace:
    """The mirror's dbt project as a run of that side has it. Raises what `parsed_with` raises."""
    return open_workspace(mirror.project_dir, mirror.target(side), mirror.parsed_with, given_by(mirror))


def given_by(mirror: DbtMirror) -> GivenEnvironment:
    """What the mirror sets in dbt's environment, as a parse of its project needs it."""
    if not mirror.parse_environment:
        return NOTHING_GIVEN
    shaping = open_workspace(mirror.project_dir, mirror.target(Side.LEGACY)).environment_shaping
    return GivenEnvironment.of(mirror.parse_environment, shaping.may_shape)


def open_workspace(
    project_dir: Path, target: str, parsed_with: str = "", given: GivenEnvironment = NOTHING_GIVEN
) -> DbtWorkspace:
    key = project_dir, target, parsed_with, given
    return _WORKSPACES.setdefault(key, DbtWorkspace(*key))
