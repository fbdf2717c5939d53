"""Makes ahead what loads and runs need: clones of dbt projects, manifests, selections, excerpts, Dagster's folders.

An image is built with it, so that a pod parses nothing when it starts; see `adapters/dbt/working_folders.py`.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

from dagster_defs.adapters.dagster.mirrors import load_mirrors
from dagster_defs.adapters.dagster.state_folders import make_state_folders
from dagster_defs.adapters.dbt.built import BuiltManifest
from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.adapters.dbt.repositories import fetch
from dagster_defs.adapters.dbt.workspaces import workspace_of
from dagster_defs.adapters.files.team_file import read_team
from dagster_defs.errors import DbtRepositoryRefused, ParityError
from dagster_defs.inventory.team import DbtRepository
from dagster_defs.lifecycle.broken import faults
from dagster_defs.lifecycle.mirrors import Mirror
from dagster_defs.lifecycle.prepared import ALL, Fetched, PreparedProjects, PreparedTarget
from dagster_defs.parity import Side
from dagster_defs.settings import Settings


def prepare(
    settings: Settings,
    *,
    fetching: bool = True,
    manifests: Sequence[Path] = (),
    say: Callable[[str], None] = lambda _: None,
) -> PreparedProjects:
    """`fetching`: clone the repositories of parity.yaml first; `manifests`: folders with manifests that were made
    elsewhere, with which parses may begin; `say`: is told what is done next.

    Raises what reading parity.yaml and the YAML raises, DbtManifestRefused and DbtRepositoryRefused. A broken unit
    stops no other.
    """
    fetched = tuple(_fetch(settings, say)) if fetching else ()
    unresolved = load_mirrors(settings.root)
    begun = _begin(unresolved, [BuiltManifest.read(folder) for folder in manifests])
    mirrors = unresolved.resolved()
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
    targets = tuple(
        replace(_target(settings.root, each, units[each], seconds[each]), built=begun.get(each, ""))
        for each in units
    )
    unused = tuple(str(folder) for folder in manifests if str(folder) not in begun.values())
    return PreparedProjects(fetched, targets, faults(broken), unused)


def _begin(mirrors: Iterable[Mirror], built: Sequence[BuiltManifest]) -> dict[DbtWorkspace, str]:
    """Before anything is parsed; the folder of the manifest with which each parse begins."""
    begun: dict[DbtWorkspace, str] = {}
    dbt_mirrors = [dbt for mirror in mirrors if (dbt := mirror.dbt_mirror)]
    for dbt, side in product(dbt_mirrors if built else (), Side):
        with contextlib.suppress(ParityError):  # which is told when the mirror is resolved
            workspace = workspace_of(dbt, side)
            for each in built:
                if workspace not in begun and workspace.begin_with(each):
                    begun[workspace] = str(each.folder)
    return begun


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
            repository.branch,
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
    nodes = len(workspace.manifest["nodes"])
    return PreparedTarget(project, workspace.target, folder, nodes, units, seconds, _parsed(workspace))


def _parsed(workspace: DbtWorkspace) -> int | str | None:
    """How many files had to be parsed."""
    if not workspace.parses:
        return 0
    last = workspace.parses[-1]
    return (ALL if last.files is None else last.files) if last.known else None


def _below(path: Path, root: Path) -> str:
    """As a path from the project, if it is inside."""
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
