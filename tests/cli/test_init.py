"""`parity init`: writes what a project lacks, and nothing else."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from dagster_defs import cli
from dagster_defs.errors import MigrationPlanUnreadable, NoProject, NotAProject
from dagster_defs.older_python import tomllib
from dagster_defs.settings import find_project
from dagster_defs.usecases.migration_plan import BEGIN

Init = Callable[..., Result]


@pytest.fixture
def init(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Init:
    """Run in a folder, by default an empty one."""

    def run(*arguments: str, folder: Path = tmp_path / "harbour") -> Result:
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        return CliRunner().invoke(cli.app, ["init", *arguments])

    return run


def content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def outcomes(result: Result, root: Path) -> dict[str, str]:
    document: dict[str, Any] = json.loads(result.stdout)
    assert document["root"] == str(root)
    return {str(Path(file["path"]).relative_to(root)): file["outcome"] for file in document["files"]}


def foreign_project(root: Path, settings: str, name: str = "pyproject.toml") -> None:
    """A Dagster project that somebody else has made."""
    root.mkdir()
    (root / name).write_text(settings)
    (root / "src" / "harbour" / "defs").mkdir(parents=True)
    (root / "src" / "harbour" / "__init__.py").write_text("")


PYPROJECT = '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "harbour"\n'
DG = 'directory_type = "project"\n[project]\nroot_module = "harbour"\n'


def test_an_empty_folder_becomes_a_project(init: Init, tmp_path: Path) -> None:
    """With everything that Dagster needs to load it, and a status block that can be updated."""
    root = tmp_path / "harbour"
    made = outcomes(init("--json"), root)

    assert set(made.values()) == {"written"}
    assert made.keys() == content(root).keys()
    assert tomllib.loads((root / "pyproject.toml").read_text())["tool"]["dg"]["project"] == {
        "root_module": "harbour"
    }
    [estate] = yaml.safe_load_all((root / "harbour" / "defs" / "airflow" / "defs.yaml").read_text())
    assert estate["type"] == "dagster_defs.components.AirflowEstate"
    assert BEGIN in (root / "migration_plan.md").read_text()


def test_the_status_block_is_current_from_the_start(init: Init, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the workflow for pull requests checks holds before anybody has written a mirror or installed anything."""
    init()
    monkeypatch.setattr(sys, "path", [*sys.path])  # the command may add to it

    checked = CliRunner().invoke(cli.app, ["migration-plan", "--check"])

    assert checked.exit_code == 0, checked.output


@pytest.mark.parametrize(("settings", "name"), [(PYPROJECT, "pyproject.toml"), (DG, "dg.toml")])
def test_a_project_gets_what_it_lacks_from_any_folder_in_it(
    init: Init, tmp_path: Path, settings: str, name: str
) -> None:
    """Its own files stay as they are, and the mirrors lie where `dg` has them."""
    root = tmp_path / "theirs"
    foreign_project(root, settings, name)
    before = content(root)
    (root / "notebooks").mkdir()

    made = outcomes(init("--json", folder=root / "notebooks"), root)

    assert "src/harbour/defs/airflow/defs.yaml" in made
    after = content(root)
    assert {file: after[file] for file in before} == before
    assert after.keys() == before.keys() | made.keys()


def test_again_it_changes_nothing(init: Init, tmp_path: Path) -> None:
    """Whatever a person has edited, or moved into another file of the mirrors, is kept."""
    root = tmp_path / "harbour"
    init()
    (root / ".env.example").write_text("AIRFLOW_URL=https://airflow.harbour.example\n")
    estate = root / "harbour" / "defs" / "airflow" / "defs.yaml"
    (root / "harbour" / "defs" / "both").mkdir()
    quoted = estate.read_text().replace(
        "dagster_defs.components.AirflowEstate", '"dagster_defs.components.AirflowEstate" # ours'
    )
    estate.unlink()
    (root / "harbour" / "defs" / "both" / "defs.yaml").write_text(quoted)
    before = content(root)

    assert set(outcomes(init("--json"), root).values()) == {"there"}
    assert content(root) == before


@pytest.mark.parametrize(
    ("folder", "module"),
    [
        ("Harbour Data", "harbour_data"),
        ("2024", "estate_2024"),
        ("dbt", "estate_dbt"),
        ("class", "estate_class"),
    ],
)
def test_the_package_has_a_name_that_python_and_dbt_allow(
    init: Init, tmp_path: Path, folder: str, module: str
) -> None:
    """Made from the folder's."""
    init(folder=tmp_path / folder)
    assert (tmp_path / folder / module / "definitions.py").is_file()


def test_a_folder_with_other_files_is_refused(init: Init, tmp_path: Path) -> None:
    """Nothing is written into it. What every checkout has does not count."""
    other = tmp_path / "other"
    (other / ".git").mkdir(parents=True)
    assert init(folder=other).exit_code == 0
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "notes.txt").write_text("mine")

    refused = init(folder=strange)

    assert isinstance(refused.exception, NotAProject)
    assert refused.exception.exit_code == 2
    assert content(strange) == {"notes.txt": "mine"}


def test_a_half_written_plan_is_refused_before_anything_is_written(init: Init, tmp_path: Path) -> None:
    """A plan that has lost an end of its block would never be updated."""
    root = tmp_path / "theirs"
    foreign_project(root, PYPROJECT)
    (root / "migration_plan.md").write_text(f"# Ours\n\n{BEGIN}\n")
    before = content(root)

    refused = init(folder=root)

    assert isinstance(refused.exception, MigrationPlanUnreadable)
    assert content(root) == before


def test_commands_find_the_project_as_git_does(
    init: Init, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From any folder in it, and never another project around it."""
    root = tmp_path / "harbour"
    init()
    (root / "models" / "marts").mkdir(parents=True)
    assert find_project(root / "models" / "marts") == root
    inner = root / "inner"
    foreign_project(inner, PYPROJECT)
    assert find_project(inner / "src") == inner


def test_without_a_project_there_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the package was installed from a wheel and the folder is nobody's."""
    monkeypatch.setattr("dagster_defs.settings._AROUND_THIS_PACKAGE", tmp_path)
    monkeypatch.chdir(tmp_path)

    refused = CliRunner().invoke(cli.app, ["status"])

    assert isinstance(refused.exception, NoProject)
    assert "parity init" in str(refused.exception)
    assert refused.exception.exit_code == 2
