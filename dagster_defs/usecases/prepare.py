"""Makes ahead what loads and runs need: clones of dbt projects, manifests, selections, excerpts, Dagster's folders.

An image is built with it, so that a pod parses nothing when it starts; see `adapters/dbt/working_folders.py`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from dagster_defs.adapters.dagster.mirrors import load_mirrors
from dagster_defs.adapters.dagster.state_folders import make_state_folders
from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.adapters.dbt.repositories import fetch
from dagster_defs.adapters.dbt.workspaces import workspace_of
from dagster_defs.adapters.files.team_file import read_team
from dagster_defs.errors import DbtRepositoryRefused, ParityError
from dagster_defs.inventory.team import DbtRepository
from dagster_defs.lifecycle.broken import faults
from dagster_defs.lifecycle.prepared import Fetched, PreparedProjects, PreparedTarget
from dagster_defs.parity import Side
from dagster_defs.settings import Settings


def prepare(
    settings: Settings, *, fetching: bool = True, say: Callable[[str], None] = lambda _: None
) -> PreparedProjects:
    """`fetching`: clone the repositories of parity.yaml first; `say`: is told what is done next.

    Raises what reading parity.yaml and the YAML raises, and DbtRepositoryRefused. A broken unit stops no other.
    """
    fetched = tuple(_fetch(settings, say)) if fetching else ()
    mirrors = load_mirrors(settings.root).resolved()
    make_state_folders(settings.root)
    broken = {name: str(fault) for name, fault in mirrors.broken.items()}
    units = Counter[DbtWorkspace]()
    seconds: dict[DbtWorkspace, float] = {}
    for mirror in mirrors:
        if (dbt := mirror.dbt_mirror) is None:
            continue
        for side in Side:
            began = time.monotonic()
            try:
                workspace = workspace_of(dbt, side)
                if workspace not in units:
                    say(f"preparing {_below(workspace.project_dir, settings.root)} for {workspace.target}")
                workspace.load_manifest(dbt.selected(side))  # which keeps the excerpt
            except ParityError as error:
                broken[mirror.unit] = str(error)
                break
            units[workspace] += 1
            seconds[workspace] = seconds.get(workspace, 0.0) + time.monotonic() - began
    targets = tuple(_target(settings.root, each, units[each], seconds[each]) for each in units)
    return PreparedProjects(fetched, targets, faults(broken))


def _fetch(settings: Settings, say: Callable[[str], None]) -> Iterator[Fetched]:
    for folder, repository in read_team(settings.team_file).dbt_repositories.items():
        say(f"cloning {repository.repo_url}")
        commit = fetch(
            (settings.root / folder).resolve(),
            repository.repo_url,
            repository.repo_relative_path,
            _token(settings, repository),
            settings.legacy_target,
            settings.variables,
        )
        yield Fetched(folder, repository.repo_url, commit)


def _token(settings: Settings, repository: DbtRepository) -> str:
    if not (name := repository.token_variable):
        return ""
    if not (token := settings.variables.get(name, "")):
        raise DbtRepositoryRefused(
            repository.repo_url, f"{name}, which parity.yaml names for its token, is not set", f"Set {name}"
        )
    return token


def _target(root: Path, workspace: DbtWorkspace, units: int, seconds: float) -> PreparedTarget:
    project, folder = _below(workspace.project_dir, root), _below(workspace.target_path, root)
    return PreparedTarget(project, workspace.target, folder, len(workspace.manifest["nodes"]), units, seconds)


def _below(path: Path, root: Path) -> str:
    """As a path from the project, if it is inside."""
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
