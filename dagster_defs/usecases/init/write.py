"""Finds out what a project lacks, and writes that alone. Everything is checked before the first file is written."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from dagster_defs.adapters.dagster.mirrors import mirrors_folder
from dagster_defs.adapters.files import atomic
from dagster_defs.errors import NotAProject
from dagster_defs.lifecycle.adoption import AdoptingProject, Outcome, ProjectFile
from dagster_defs.settings import nearest_project
from dagster_defs.usecases.init import files
from dagster_defs.usecases.migration_plan import MigrationPlan

_NOT_CONTENT = {".git", ".venv", "venv", ".idea", ".vscode", ".DS_Store"}
_ESTATE = "AirflowEstate"  # wherever a document names it, quoted or behind a comment, there is one already


def init(folder: Path) -> AdoptingProject:
    """Complete the Dagster project that the folder belongs to, or make one in an empty folder.

    Raises NotAProject for a folder with other files, MigrationPlanUnreadable for a plan without its status block; then
    nothing has been written.
    """
    root = nearest_project(folder)
    if root is None:
        root = folder.resolve()
        if any(path.name not in _NOT_CONTENT for path in root.iterdir()):
            raise NotAProject(root)
        module = _module_name(root.name)
        mirrors, wanted = root / module / "defs", _of_project(root, module)
    else:
        mirrors, wanted = mirrors_folder(root), {}
    plan = root / "migration_plan.md"
    if plan.exists():
        MigrationPlan(plan).is_current("")  # raises if the block is missing
    if not _has_estate(mirrors):
        wanted[mirrors / "airflow" / "defs.yaml"] = files.ESTATE
    wanted |= {
        root / ".env.example": files.ENVIRONMENT,
        plan: files.PLAN,
        root / ".github" / "workflows" / "parity.yml": files.WORKFLOW,
        root / ".parity" / ".gitignore": files.PRIVATE_FOLDER,
    }
    return AdoptingProject(root, mirrors, tuple(_written(wanted)))


def _written(wanted: Mapping[Path, str]) -> Iterator[ProjectFile]:
    for path, text in wanted.items():
        if path.exists():
            yield ProjectFile(path, Outcome.THERE)
        else:
            atomic.write_text(path, text)
            yield ProjectFile(path, Outcome.WRITTEN)


def _of_project(root: Path, module: str) -> dict[Path, str]:
    return {
        root / "pyproject.toml": files.PYPROJECT.format(name=module.replace("_", "-"), module=module),
        root / module / "__init__.py": files.PACKAGE,
        root / module / "definitions.py": files.DEFINITIONS,
    }


def _module_name(folder: str) -> str:
    """A name that Python can import, and that nothing of ours or dbt's has."""
    name = re.sub(r"\W+", "_", folder, flags=re.ASCII).strip("_").lower() or "estate"
    is_taken = keyword.iskeyword(name) or name in ("dbt", "dagster", "airflow", "handover", "dagster_defs")
    return f"estate_{name}" if is_taken or name[0].isdigit() else name


def _has_estate(mirrors: Path) -> bool:
    return any(
        _ESTATE in path.read_text(encoding="utf-8", errors="replace")
        for name in ("defs.yaml", "defs.yml", "component.yaml")
        for path in mirrors.rglob(name)
    )
