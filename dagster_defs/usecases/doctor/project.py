"""The project as it lies where this runs: its mirrors, and whether dbt's working files can be written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dagster_defs.adapters.dagster.mirrors import load_mirrors
from dagster_defs.adapters.dbt.working_folders import target_folder, why_not_writable
from dagster_defs.errors import ParityError
from dagster_defs.lifecycle.diagnosis import Finding, Health
from dagster_defs.lifecycle.mirrors import Mirror
from dagster_defs.parity import Side
from dagster_defs.settings import Settings


@dataclass(frozen=True)
class Project:
    findings: tuple[Finding, ...]
    pools: frozenset[str] = frozenset()
    jobs: frozenset[str] = frozenset()


def project_findings(settings: Settings) -> Project:
    try:
        mirrors = load_mirrors(settings.root)
    except ParityError as error:
        return Project((Finding("project", Health.FAILED, str(error), "Run it in the Dagster project"),))
    broken = ", ".join(sorted(mirrors.broken))
    found = (
        Finding("project", Health.WARNING, f"broken mirrors: {broken}", "See: parity status")
        if broken
        else Finding("project", Health.OK, f"{len(mirrors)} mirrors are declared")
    )
    return Project(
        (found, *_of_dbt(settings.root, mirrors)),
        frozenset(f"{mirror.pool}_{side.value}" for mirror in mirrors for side in Side if mirror.pool),
        frozenset(mirror.job_name(Side.LEGACY) for mirror in mirrors),
    )


def _of_dbt(root: Path, mirrors: Iterable[Mirror]) -> Iterator[Finding]:
    projects = {mirror.dbt_mirror.project_dir for mirror in mirrors if mirror.dbt_mirror is not None}
    for project in sorted(projects):
        shown = project.relative_to(root) if project.is_relative_to(root) else project
        check, folder = f"dbt.target[{shown}]", target_folder(project)
        if why := why_not_writable(folder):
            remedy = "Name a folder that runs can write: PARITY_DBT_TARGET_DIR"
            yield Finding(check, Health.FAILED, f"{folder} cannot be written: {why}", remedy)
        else:
            yield Finding(check, Health.OK, f"dbt's working files can be written to {folder}")
