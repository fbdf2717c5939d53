"""Retries and time-outs of real runs: of Dagster's own, and of those that Airflow's proxy launched."""

from __future__ import annotations

import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterEventType

from dagster_defs.errors import TimedOut
from dagster_defs.lifecycle import tags
from dagster_defs.parity import Side
from tests.components.conftest import NEW_YORK_DAYS, Project
from tests.support.estate import ROOT, Estate, copy_project
from tests.support.instances import instance_for_test

DAY = ("2024-03-09", "2024-03-09")
THREE_DAYS = ("2024-03-09", "2024-03-11")
PROXIED = {tags.AIRFLOW_TRY: "1"}

STEADY = "select 1 as id"
# There after dbt's first run, whatever became of that: see FLAKY_PROJECT.
FLAKY = "select id from read_parquet('{folder}/there.parquet') where id in (select id from {{{{ ref('steady') }}}})"
FLAKY_PROJECT = "\non-run-end: [\"copy (select 1 as id) to '{folder}/there.parquet'\"]\n"
SLOW = "select sum(a.range * b.range) as id from range(10000000) a, range(10000000) b"
SLOW_AT_FIRST = """
{{% set there = run_query("select count(*) from glob('{folder}/there.parquet')").columns[0][0] if execute else 1 %}}
{{{{ 'select 1 as id' if there else '{slow}' }}}}
"""
TESTS = "models: [{name: steady, columns: [{name: id, data_tests: [not_null]}]}]"

CODE = """
import time
from pathlib import Path
from tests.support.instances import instance_for_test

calls = Path(__file__).with_name("calls.txt")


def _count():
    calls.write_text(calls.read_text() + "x" if calls.exists() else "x")
    return len(calls.read_text())


def third_time_lucky(side):
    if _count() < 3:
        raise OSError("the share is not there yet")


def half_a_second(side):
    time.sleep(0.5)


def for_ever(side):
    try:
        _count()
        time.sleep(60)
    except Exception:  # as careless business code does
        pass


def ended_by_somebody(side):
    from dagster._core.errors import DagsterExecutionInterruptedError

    _count()
    raise DagsterExecutionInterruptedError


def slow_at_first(side):
    if _count() == 1:
        time.sleep(60)
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A dbt project with models that work, that work from dbt's second run on, and that take hours."""
    root = copy_project(tmp_path_factory.mktemp("tries"), code=False)
    models = root / "dbt" / "models" / "own"
    models.mkdir()
    written = {
        "steady": STEADY, "flaky": FLAKY.format(folder=root), "a_slow": SLOW, "b_slow": SLOW, "c_late": STEADY,
        "slow_at_first": SLOW_AT_FIRST.format(folder=root, slow=SLOW),
    }  # fmt: skip
    for name, sql in written.items():
        (models / f"{name}.sql").write_text("{{ config(materialized='table') }}\n" + sql)
    (models / "own.yml").write_text(TESTS)
    project = root / "dbt" / "dbt_project.yml"
    project.write_text(project.read_text() + FLAKY_PROJECT.format(folder=root))
    with instance_for_test() as instance:
        yield Project(Estate(root, instance))


def names(result: dg.ExecuteInProcessResult, kind: DagsterEventType) -> list[str]:
    found = result.filter_events(lambda event: event.event_type is kind)
    return ["/".join(event.asset_key.path) for event in found if event.asset_key]


def retried(result: dg.ExecuteInProcessResult) -> list[float | None]:
    """Seconds before each further try of the run's step."""
    events = result.filter_events(lambda event: event.event_type is DagsterEventType.STEP_UP_FOR_RETRY)
    return [event.step_retry_data.seconds_to_wait for event in events]


def why(result: dg.ExecuteInProcessResult) -> str:
    [failure] = result.filter_events(lambda event: event.event_type is DagsterEventType.STEP_FAILURE)
    return str(failure.step_failure_data.error)


@pytest.fixture
def python_unit(own: Project) -> Callable[..., str]:
    """Declares a Python unit that calls one of the functions above; the name of its job."""

    def declare(function: str, **attributes: Any) -> str:
        folder = own.estate.root / f"code_{function}_{time.monotonic_ns()}"
        folder.mkdir()
        module = f"own_{folder.name}"
        (folder / f"{module}.py").write_text(textwrap.dedent(CODE))
        declared = {
            "unit": "own.python", "schedule": NEW_YORK_DAYS, "function": f"{module}.{function}",
            "python_path": folder.name, "outputs": [{"key": "thing"}], **attributes,
        }  # fmt: skip
        own.declare("own", ("PythonUnit", declared))
        own.load()
        return "own__python"

    return declare


def calls(own: Project) -> int:
    """How often the function was called that was declared last."""
    folders = sorted(own.estate.root.glob("code_*"), key=lambda folder: folder.stat().st_mtime_ns)
    return len((folders[-1] / "calls.txt").read_text())


def test_a_run_of_dagsters_own_tries_again(own: Project, python_unit: Callable[..., str]) -> None:
    """A unit with two retries fails twice, waits its delay each time, and succeeds in the same run."""
    job = python_unit("third_time_lucky", retries=2, retry_delay=0.2)

    result = own.estate.run(job, DAY)

    assert (result.success, retried(result), calls(own)) == (True, [0.2, 0.2], 3)


def test_the_tries_end(own: Project, python_unit: Callable[..., str]) -> None:
    """With one retry the second failure is the run's, under its own name."""
    job = python_unit("third_time_lucky", retries=1, retry_delay=0)

    result = own.estate.run(job, DAY, must_succeed=False)

    assert (result.success, calls(own)) == (False, 2)
    assert "OSError: the share is not there yet" in why(result)


def test_a_proxied_run_tries_once(own: Project, python_unit: Callable[..., str]) -> None:
    """A run that Airflow's proxy launched leaves the next try to Airflow."""
    job = python_unit("third_time_lucky", retries=2, retry_delay=0)

    result = own.estate.run(job, DAY, tags=PROXIED, must_succeed=False)

    assert (result.success, retried(result), calls(own)) == (False, [], 1)
    assert "OSError: the share is not there yet" in why(result)
    names = ROOT / "legacy_dags" / "handover" / "names.py"
    assert f'"{tags.AIRFLOW_TRY}"' in names.read_text()


def test_a_run_that_somebody_ends_stays_ended(own: Project, python_unit: Callable[..., str]) -> None:
    """A termination is no failure: the tries that are left are not made."""
    job = python_unit("ended_by_somebody", retries=2, retry_delay=0)

    result = own.estate.run(job, DAY, must_succeed=False)

    assert (result.success, retried(result), calls(own)) == (False, [], 1)


def test_dbt_tries_again(own: Project, dbt_unit: Callable[..., Any]) -> None:
    """A dbt command of which a part failed runs once more as a whole: its events of both tries are there."""
    own.declare("own", dbt_unit(select="steady flaky", retries=1, retry_delay=0))
    own.load()
    (own.estate.root / "there.parquet").unlink(missing_ok=True)

    result = own.estate.run("own__dbt", DAY)

    assert result.success
    assert len(retried(result)) == 1
    built = names(result, DagsterEventType.ASSET_MATERIALIZATION)
    assert sorted(built) == ["flaky", "steady", "steady"]
    assert [event.passed for event in result.get_asset_check_evaluations()] == [True, True]


def test_dbt_tries_once_for_a_proxy(own: Project, dbt_unit: Callable[..., Any]) -> None:
    """The same command, launched by Airflow's proxy, fails at once and names the model."""
    own.declare("own", dbt_unit(select="steady flaky", retries=1, retry_delay=0))
    own.load()
    (own.estate.root / "there.parquet").unlink(missing_ok=True)

    result = own.estate.run("own__dbt", DAY, tags=PROXIED, must_succeed=False)

    assert (result.success, retried(result)) == (False, [])
    assert "flaky" in why(result)


def test_a_function_that_overstays_is_ended(own: Project, python_unit: Callable[..., str]) -> None:
    """A function that would sleep for a minute, and swallows exceptions, ends after its time-out."""
    job = python_unit("for_ever", timeout=0.5)
    began = time.monotonic()

    result = own.estate.run(job, DAY, must_succeed=False)

    assert not result.success
    assert time.monotonic() - began < 20
    assert TimedOut.__name__ in why(result)
    assert "time-out of 0.5 s and was stopped" in why(result)


def test_a_time_out_is_a_failure_to_try_again(own: Project, python_unit: Callable[..., str]) -> None:
    """As in Airflow, a try that took too long is followed by the next."""
    job = python_unit("slow_at_first", timeout=0.5, retries=1, retry_delay=0)

    result = own.estate.run(job, DAY)

    assert (result.success, len(retried(result)), calls(own)) == (True, 1, 2)


def test_each_window_of_a_backfill_has_its_own_time(own: Project, python_unit: Callable[..., str]) -> None:
    """One run over three windows may take three time-outs: Airflow's limit is for one window."""
    job = python_unit("half_a_second", timeout=1)

    assert own.estate.run(job, THREE_DAYS).success


def test_dbt_that_overstays_is_ended(own: Project, dbt_unit: Callable[..., Any]) -> None:
    """Statements that would run for hours are cancelled in the warehouse, and no further model is started."""
    own.declare("own", dbt_unit(select="a_slow b_slow c_late", timeout=3))  # dbt has two threads
    own.load()
    began = time.monotonic()

    result = own.estate.run("own__dbt", DAY, must_succeed=False)

    assert not result.success
    assert time.monotonic() - began < 30
    assert "time-out of 3 s and was stopped" in why(result)
    assert own.estate.query(Side.LEGACY, "from duckdb_tables() where table_name = 'c_late'") == []
    assert not [thread for thread in threading.enumerate() if thread.name == "dbt"]


def test_dbt_is_fit_for_the_next_try(own: Project, dbt_unit: Callable[..., Any]) -> None:
    """After a try that took too long the same process runs dbt again, and that try builds the model."""
    own.declare("own", dbt_unit(select="slow_at_first", timeout=10, retries=1, retry_delay=0))
    own.load()
    (own.estate.root / "there.parquet").unlink(missing_ok=True)

    result = own.estate.run("own__dbt", DAY)

    assert (result.success, len(retried(result))) == (True, 1)
    assert names(result, DagsterEventType.ASSET_MATERIALIZATION) == ["slow_at_first"]
