"""What a mirror's dbt is made of, as far as the project and its checkout say it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

import pytest
from pytest_mock import MockerFixture

from bench.dbt_window import write_project
from dagster_defs.adapters.dbt import workspaces
from dagster_defs.adapters.dbt.executable import DbtExecutable, kept_in
from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.adapters.dbt.runtime import runtime_of
from dagster_defs.errors import DbtProjectUnreadable, DbtUnusable
from dagster_defs.lifecycle.mirrors import DbtMirror
from dagster_defs.parity import Side

LOCK = """
packages:
  - {git: "https://example.com/team/shared.git", revision: 9f8e7d6c}
  - {name: dbt_utils, package: dbt-labs/dbt_utils, version: 1.3.0}
"""


@dataclass(frozen=True)
class Declared:
    """What a workspace is opened with."""

    project_dir: Path
    executable: str = ""
    parsed_with: str = ""
    parse_environment: Mapping[str, str] = field(default_factory=dict)

    def target(self, side: Side) -> str:
        return side.value


def as_mirror(project: Path, **more: Any) -> DbtMirror:
    return cast("DbtMirror", Declared(project, **more))


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    return subprocess.run(
        ["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two installed packages."""
    monkeypatch.setattr(workspaces, "_WORKSPACES", {})
    monkeypatch.delenv("DBT_PROFILES_DIR", raising=False)
    folder = write_project(tmp_path)
    (folder / "package-lock.yml").write_text(LOCK)
    (folder / ".gitignore").write_text("target/\ndbt_packages/\n")
    for name, text in {"dbt_utils": "1.3.0", "shared": "0.0.1"}.items():
        path = folder / "dbt_packages" / name / "dbt_project.yml"
        path.parent.mkdir(parents=True)
        path.write_text(f"{{name: {name}, version: {text}}}")
    return folder


def test_the_dbt_of_a_mirror(project: Path) -> None:
    """Versions, packages (one from git has its revision), and the commit, with or without changes."""
    found = runtime_of(as_mirror(project))
    assert (found.version, found.adapter) == (version("dbt-core"), f"duckdb {version('dbt-duckdb')}")
    assert found.packages == ("dbt_utils@1.3.0", "shared@9f8e7d6c")
    assert (found.commit, found.changed) == ("", False)

    git(project, "init", "--quiet")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "--message", "all")
    found = runtime_of(as_mirror(project))
    assert (found.commit, found.changed) == (git(project, "rev-parse", "HEAD"), False)

    (project / "models" / "ships.sql").write_text("select 1 as number, 'x' as day")
    assert runtime_of(as_mirror(project)).changed


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ("1.7.19", "it is dbt 1.7.19, and the oldest that can be run is 1.8"),
        (PackageNotFoundError("dbt-core"), "dbt-core is not installed"),
    ],
)
def test_the_dbt_of_this_process_may_be_none(
    project: Path, mocker: MockerFixture, found: str | Exception, why: str
) -> None:
    """Too old, or not installed: one error with both ways out, and nothing is parsed."""
    mocker.patch("dagster_defs.adapters.dbt.in_process.version", side_effect=[found])
    with pytest.raises(DbtUnusable, match=why) as caught:
        _ = DbtWorkspace(project, "legacy").manifest
    assert "Install dbt-core 1.8 or later" in str(caught.value)
    assert not (project / "target" / "legacy" / "manifest.json").exists()


def test_nothing_is_written_where_no_project_is(tmp_path: Path) -> None:
    """An executable's answer is kept in the project, if it is one."""
    with pytest.raises(DbtProjectUnreadable, match=r"it has no dbt_project\.yml"):
        workspaces.workspace_of(as_mirror(tmp_path, executable="dbt"), Side.LEGACY)
    assert list(tmp_path.iterdir()) == []


def test_an_executable_says_its_own(project: Path, tmp_path: Path) -> None:
    """The adapter of the target is the executable's, whatever this environment has."""
    manifest = workspaces.workspace_of(as_mirror(project), Side.LEGACY).manifest
    program = tmp_path / "dbt"
    program.write_text(
        "#!/bin/sh\nprintf 'Core:\\n  - installed: 1.10.3\\nPlugins:\\n  - postgres: 1.9.0\\n  - duckdb: 1.9.6\\n'"
    )
    program.chmod(0o755)
    executable = DbtExecutable.named(str(program), kept_in(project))
    assert executable.adapters == ("postgres 1.9.0", "duckdb 1.9.6")
    workspace = workspaces.workspace_of(as_mirror(project, executable=str(program)), Side.LEGACY)
    vars(workspace)["manifest"] = manifest  # its own parse would need a whole dbt

    found = runtime_of(as_mirror(project, executable=str(program)))

    assert (found.version, found.adapter) == ("1.10.3", "duckdb 1.9.6")
