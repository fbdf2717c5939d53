"""The files that make up a dbt project, and the profile that it is run with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from dagster_defs.adapters.dbt.environment import dbt_environment, users_profiles
from dagster_defs.errors import DbtProjectUnreadable

PROFILES = "profiles.yml"
_HIDDEN = "."
_READ_BY_DBT = (".sql", ".yml", ".yaml", ".py", ".csv", ".md", ".jinja", ".json", ".lock")


def refuse_no_project(folder: Path) -> None:
    if not (folder / "dbt_project.yml").is_file():
        raise DbtProjectUnreadable(folder, "it has no dbt_project.yml")


def profiles_dir_of(project_dir: Path) -> Path:
    """Where dbt looks for the project's profile in this environment."""
    return Path(dbt_environment().get("DBT_PROFILES_DIR", project_dir))


def profile_of(project_dir: Path) -> Path:
    """The profiles.yml that dbt itself would read, which need not exist: in DBT_PROFILES_DIR, in the project, or in the
    user's home."""
    named = profiles_dir_of(project_dir) / PROFILES
    of_user = users_profiles() / PROFILES
    return of_user if not named.is_file() and of_user.is_file() else named


def files_of(project_dir: Path) -> Iterator[Path]:
    """Every file that dbt may read for the project, including its installed packages, which `dbt deps` may link; the
    profile may be elsewhere."""
    seen: set[str] = set()
    for folder, folders, files in os.walk(project_dir, followlinks=True):
        at_top = Path(folder) == project_dir
        own = (name for name in folders if not (name.startswith(_HIDDEN) or (at_top and _is_made(name))))
        folders[:] = sorted(name for name in own if _is_new(Path(folder, name), seen))
        yield from (Path(folder, name) for name in sorted(files) if name.endswith(_READ_BY_DBT))


def _is_made(name: str) -> bool:
    """Whether a top-level folder of the project is written by dbt; a run's target path may have any suffix."""
    return name.startswith(("target", "logs"))


def _is_new(folder: Path, seen: set[str]) -> bool:
    """Whether a folder has not been visited yet, under any name: links may form cycles."""
    place = os.path.realpath(folder)
    if place in seen:
        return False
    seen.add(place)
    return True
