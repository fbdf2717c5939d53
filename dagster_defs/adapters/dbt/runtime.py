"""What a mirror's runs of dbt are made of: dbt, its adapter, the installed packages, and the project's commit."""

from __future__ import annotations

import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from dagster_defs.adapters.dbt.executable import DbtExecutable, environment_of
from dagster_defs.adapters.dbt.in_process import own_version
from dagster_defs.adapters.dbt.workspaces import workspace_of
from dagster_defs.lifecycle.mirrors import DbtMirror
from dagster_defs.lifecycle.runtime_facet import Runtime
from dagster_defs.parity import Side

_PROJECT, _LOCK = "dbt_project.yml", "package-lock.yml"
_INSTALLED = "dbt_packages"  # unless the project says otherwise
_GIT_SECONDS = 10


def runtime_of(mirror: DbtMirror) -> Runtime:
    """Raises what `workspace_of` raises, and DbtProjectUnreadable."""
    workspace = workspace_of(mirror, Side.LEGACY)
    project, executable = workspace.project_dir, workspace.executable
    kind = str(workspace.manifest["metadata"].get("adapter_type") or "")
    commit = _git(project, "rev-parse", "HEAD")
    return Runtime(
        executable.version if executable else own_version(),
        _adapter(kind, executable),
        _packages(project),
        commit,
        bool(commit and _git(project, "status", "--porcelain", "--untracked-files=no", "--", ".")),
    )


def _adapter(kind: str, executable: DbtExecutable | None) -> str:
    """Empty if it is not known."""
    if executable:
        return next((each for each in executable.adapters if each.partition(" ")[0] == kind), "")
    try:
        return f"{kind} {version(f'dbt-{kind}')}"
    except PackageNotFoundError:
        return ""


def _packages(project: Path) -> tuple[str, ...]:
    """`name@version` of those that are installed, sorted; a package from git with its revision."""
    folder = project / str(_read(project / _PROJECT).get("packages-install-path") or _INSTALLED)
    locked = _read(project / _LOCK).get("packages")
    revisions = {
        str(each.get("name") or str(each["git"]).rpartition("/")[2].removesuffix(".git")): str(
            each["revision"]
        )
        for each in (locked if isinstance(locked, list) else ())
        if isinstance(each, dict) and "git" in each and "revision" in each
    }
    found = (_read(file) for file in sorted(folder.glob(f"*/{_PROJECT}")))
    return tuple(
        sorted(
            f"{name}@{revisions.get(name, each.get('version', '?'))}"
            for each in found
            if (name := str(each.get("name", "")))
        )
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return document if isinstance(document, dict) else {}


def _git(folder: Path, *arguments: str) -> str:
    """Empty if the folder is in no checkout, or git cannot tell."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            env=environment_of({"GIT_OPTIONAL_LOCKS": "0"}),
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
