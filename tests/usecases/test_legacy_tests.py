"""dbt tests evaluated on legacy's data, on a small project of their own with a real DuckDB file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.adapters.processes.guardian import GUARDIAN
from dagster_defs.usecases.shadow.legacy_tests import Evaluated, evaluate_tests

FILES = {
    "dbt_project.yml": """
name: small
version: "1.0.0"
profile: small
flags: {send_anonymous_usage_stats: false}
vars: {limit: 3}
on-run-start: ["create or replace table hooked as select 1 as one"]
""",
    "profiles.yml": """
small:
  target: legacy
  outputs:
    legacy: &legacy
      type: duckdb
      path: "{{ env_var('SMALL_FILE') }}"
      config_options: {preserve_insertion_order: false}
      retries: {connect_attempts: 5, retryable_exceptions: [IOException]}
""",
    "models/rows.sql": "select 1 as id union all select 2",
    "models/rows.yml": """
models:
  - name: rows
    config: {materialized: table}
    columns:
      - name: id
        data_tests:
          - unique
          - not_null: {config: {store_failures: true}}
          - accepted_values: {arguments: {values: [1]}, config: {severity: warn}}
""",
    "tests/within_limit.sql": "select * from {{ ref('rows') }} where id >= {{ var('limit') }}",
    "tests/no_such_column.sql": "select missing from {{ ref('rows') }}",
}
HOLD = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DbtWorkspace:
    """A project with a table that is built already, and without the table that its hook makes."""
    project, file = tmp_path / "small", tmp_path / "legacy.duckdb"
    for name, text in FILES.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    with duckdb.connect(str(file)) as connection:
        connection.execute("create table rows as select 1 as id union all select 2")
    monkeypatch.setenv("SMALL_FILE", str(file))
    monkeypatch.delenv("DBT_PROFILES_DIR", raising=False)
    return DbtWorkspace(project, "legacy")


@pytest.fixture
def evaluated(workspace: DbtWorkspace, tmp_path: Path) -> Callable[..., Evaluated]:
    """All tests of the project, under their names."""

    def evaluate(**variables: str) -> Evaluated:
        tests = {each for each in workspace.select("fqn:*") if each.startswith("test.")}
        outcomes = evaluate_tests(workspace, tests, variables=variables, run_dir=tmp_path / "run", wait_s=0.3)
        return Evaluated(
            {name(test): passed for test, passed in outcomes.passed.items()},
            {name(test): why for test, why in outcomes.not_known.items()},
        )

    return evaluate


@pytest.fixture
def writer(workspace: DbtWorkspace) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the file open for writing."""
    with GUARDIAN.start(
        [sys.executable, "-c", HOLD, str(workspace.database_file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.communicate()


def name(test: str) -> str:
    return test.split(".")[2]


def test_tests_are_told_and_nothing_is_written(
    workspace: DbtWorkspace, evaluated: Callable[..., Evaluated]
) -> None:
    """Tests pass, warn and fail as in a run with the window's variables; no hook runs, and the file stays as it is.

    One that would store its failures, and one that cannot be asked, are not known, with the reason."""
    before = workspace.database_file.read_bytes()

    evaluated_tests = evaluated(limit="2")

    assert evaluated_tests.passed == {
        "unique_rows_id": True,
        "accepted_values_rows_id__1": False,
        "within_limit": False,
    }
    assert evaluated_tests.not_known.keys() == {"not_null_rows_id", "no_such_column"}
    assert evaluated_tests.not_known["not_null_rows_id"] == "it stores its failures"
    assert "missing" in evaluated_tests.not_known["no_such_column"]
    assert evaluated().passed["within_limit"]
    assert workspace.database_file.read_bytes() == before


def test_a_file_that_a_run_holds(
    workspace: DbtWorkspace, evaluated: Callable[..., Evaluated], writer: subprocess.Popen[str]
) -> None:
    """While Airflow writes the file nobody knows how the tests come out, and the process is named."""
    evaluated_tests = evaluated()

    assert evaluated_tests.passed == {}
    assert (
        f"{workspace.database_file} is still locked by process {writer.pid}"
        in evaluated_tests.not_known["within_limit"]
    )


def test_a_file_that_is_not_there(workspace: DbtWorkspace, evaluated: Callable[..., Evaluated]) -> None:
    """Where legacy has never been built there is nothing to test, and no file is made."""
    workspace.database_file.unlink()

    assert "does not exist" in evaluated().not_known["unique_rows_id"]
    assert not workspace.database_file.exists()
