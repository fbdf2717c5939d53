"""What a rehearsal makes sure of is what its commands get: one environment for both."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.errors import NoRehearsal
from dagster_defs.inventory.replay import DbtCall
from dagster_defs.parity import Side
from dagster_defs.settings import Settings, process_environment
from dagster_defs.usecases.rehearse.folder import RehearsalFolder
from dagster_defs.usecases.rehearse.sides import LegacyDbt, command_environment

PROFILE = """
shop:
  target: production
  outputs:
    production: { type: duckdb, path: production.duckdb }
    rehearsal: { type: duckdb, path: "{{ env_var('SHOP_WHERE', env_var('PARITY_REHEARSAL_DIR')) }}/legacy.duckdb" }
    rehearsal_candidate: { type: duckdb, path: "{{ env_var('PARITY_REHEARSAL_DIR') }}/candidate.duckdb" }
"""
MACRO = "{% macro where() %}{{ print('WHERE=' ~ env_var('SHOP_WHERE')) }}{% endmacro %}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RehearsalFolder:
    """Beside it a dbt project whose legacy target follows SHOP_WHERE."""
    for name in ("SHOP_WHERE", "PARITY_REHEARSAL_TARGET", "PARITY_REHEARSAL_CANDIDATE_TARGET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("DBT_PROFILES_DIR", raising=False)
    project = tmp_path / "dbt"
    (project / "macros").mkdir(parents=True)
    (project / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    (project / "profiles.yml").write_text(PROFILE)
    (project / "macros" / "where.sql").write_text(MACRO)
    settings = Settings.from_process()
    return RehearsalFolder(settings.with_variables({"PARITY_REHEARSAL_DIR": str(tmp_path / "rehearsal")}))


def refuse(folder: RehearsalFolder, call: DbtCall) -> None:
    project = folder.folder.parent / "dbt"
    given = command_environment(call, folder, folder.folder / "run")
    folder.refuse_shared_targets(project, [given])


@pytest.mark.parametrize("how", ["literal", "rendered"])
def test_a_command_that_would_write_elsewhere_is_refused(folder: RehearsalFolder, how: str) -> None:
    """A variable of the legacy command that moves its target out of the folder is found before it runs."""
    where = {"SHOP_WHERE": str(folder.folder.parent / "production")}
    call = DbtCall("run", ("run",))
    call = replace(call, literal=where) if how == "literal" else replace(call, rendered=where)

    with pytest.raises(NoRehearsal, match=r"production/legacy\.duckdb, which is outside"):
        refuse(folder, call)


def with_variable(folder: RehearsalFolder, name: str, value: str) -> RehearsalFolder:
    """The same folder on a machine that sets the variable."""
    return RehearsalFolder(folder.settings.with_variables({name: value}))


def test_a_literal_that_yields_is_no_danger(folder: RehearsalFolder) -> None:
    """Where this machine says the variable, the command gets that and not the DAG file's, and so does the check."""
    here = with_variable(folder, "SHOP_WHERE", str(folder.folder))

    refuse(here, DbtCall("run", ("run",), literal={"SHOP_WHERE": "/production"}))


@pytest.mark.parametrize("here", [True, False])
def test_the_command_gets_what_was_checked(folder: RehearsalFolder, here: bool) -> None:
    """dbt itself, started by the rehearsal, prints the value that the check has seen."""
    if here:
        folder = with_variable(folder, "SHOP_WHERE", str(folder.folder / "here"))
    words = ("run-operation", "where")
    call = DbtCall("run-operation", words, literal={"SHOP_WHERE": str(folder.folder / "literal")})
    run_dir = folder.folder / "run"
    (folder.folder / "here").mkdir(parents=True)
    (folder.folder / "literal").mkdir()
    with process_environment(folder.variables):
        seen = command_environment(call, folder, run_dir)["SHOP_WHERE"]

        workspace = DbtWorkspace(folder.folder.parent / "dbt", folder.targets[Side.LEGACY])
        LegacyDbt(workspace, run_dir, folder).run([call], "key")

    assert seen == str(folder.folder / ("here" if here else "literal"))
    assert f"WHERE={seen}" in (run_dir / "key-1.log").read_text()


def test_the_environment_comes_back(folder: RehearsalFolder) -> None:
    """After a block with settings the process has the environment of before."""
    before = dict(os.environ)

    with process_environment(folder.variables):
        assert os.environ["PARITY_REHEARSAL_DIR"] == str(folder.folder)

    assert dict(os.environ) == before
