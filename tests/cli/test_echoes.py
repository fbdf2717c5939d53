"""`parity echoes` on an event log and a ledger of its own, and the gate of a retirement."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pendulum
import pytest
from typer.testing import CliRunner

from dagster_defs.adapters.dagster.echo_tests import keep_echo_test, kept_echo_tests
from dagster_defs.cli import app
from dagster_defs.errors import NoSuchUnit
from dagster_defs.lifecycle import Stage, Unit, tags
from dagster_defs.lifecycle.echo_place import (
    ECHOES,
    EchoPlace,
    Outstanding,
    echo_cursor,
    echo_places,
    late_echoes,
)
from dagster_defs.lifecycle.echo_tests import EchoTest
from dagster_defs.lifecycle.waiters import Fed, Waiter
from dagster_defs.usecases.move.facts import untold
from tests.support.documents import document, fenced
from tests.support.instances import instance_for_test
from tests.support.owned import bring_to

DAY, ENDED = "2024-03-09", pendulum.datetime(2024, 3, 10, 10, 4)
TESTED = EchoTest(
    "taxi_daily",
    ENDED,
    "2.11.2",
    DAY,
    ("billing.wait",),
    (Unit("taxi_daily", "start"),),
    ("found",),
    {"x": "y"},
)
LATE = EchoPlace(ENDED, {"r": Outstanding("2024-03-10", ENDED, "Airflow does not answer")}, ("billing.wait",))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    with instance_for_test() as instance:
        monkeypatch.setenv("DAGSTER_HOME", instance.root_directory)
        monkeypatch.setenv("PARITY_PROXIED_STATE", str(tmp_path))
        yield instance


def look(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["echoes", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def has_run(instance: dg.DagsterInstance, told: str, *, of_another: bool = False) -> None:
    """A run of the DAG that has ended, with what was told of it, or of the run that it re-executes."""

    @dg.job(name="taxi_daily", tags={tags.DAG: "taxi_daily"})
    def job() -> None: ...

    run = instance.create_run_for_job(job, tags={tags.DAG: "taxi_daily", tags.PARTITION: DAY})
    instance.handle_run_event(run.run_id, dg.DagsterEvent("PIPELINE_SUCCESS", run.job_name))
    instance.report_dagster_event(dg.DagsterEvent("PIPELINE_SUCCESS", run.job_name), run.run_id)
    instance.add_run_tags(run.run_id, {tags.ECHOED: f"{'other' if of_another else run.run_id}: {told}"})


def leaves(instance: dg.DagsterInstance, place: EchoPlace) -> None:
    """The sensor has ticked."""
    from dagster._core.definitions.run_request import InstigatorType
    from dagster._core.remote_origin import (
        ManagedGrpcPythonEnvCodeLocationOrigin,
        RemoteInstigatorOrigin,
        RemoteRepositoryOrigin,
    )
    from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, SensorInstigatorData
    from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

    location = ManagedGrpcPythonEnvCodeLocationOrigin(LoadableTargetOrigin(module_name="m"))
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "r"), f"airflow{ECHOES}")
    data = SensorInstigatorData(cursor=echo_cursor({"taxi_daily": place}))
    instance.add_instigator_state(
        InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING, data)
    )


def test_without_echoes_it_says_so(home: dg.DagsterInstance) -> None:
    """There is nothing to be shown, which is no error."""
    assert "nothing is echoed" in look()
    assert json.loads(look("--json")) == {"schema": "parity/echoes/1", "dags": []}


def test_what_was_told_and_what_is_outstanding_is_listed(home: dg.DagsterInstance) -> None:
    """With who waits; exit 3 as long as something is outstanding. What was told of another run is not this one's."""
    has_run(home, f"{DAY} success")
    has_run(home, "inherited", of_another=True)
    leaves(home, LATE)

    shown = look(code=3)
    assert "taxi_daily: echoed, for billing.wait" in shown
    assert "2024-03-10" in shown
    assert "inherited" not in shown
    [dag] = json.loads(look("--json", code=3))["dags"]
    assert [(each["about"], each["told"]) for each in dag["told"]] == [(DAY, f"{DAY} success")]
    assert [each["why"] for each in dag["outstanding"]] == ["Airflow does not answer"]


def test_the_status_says_what_is_late(home: dg.DagsterInstance, tmp_path: Path) -> None:
    """Of a retired DAG, once it is outstanding for more than an hour; not earlier, and not before that."""
    leaves(home, LATE)
    before = CliRunner().invoke(app, ["status", "--json"])
    for unit in ("dbt_daily", "dbt_zones", "export_daily"):
        bring_to(tmp_path, Unit("taxi_daily", unit), Stage.RETIRED)
    shown = CliRunner().invoke(app, ["status"])
    told = json.loads(CliRunner().invoke(app, ["status", "--json"]).output)

    assert json.loads(before.output)["late_echoes"] == []
    why = "Airflow does not answer"
    assert told["late_echoes"] == [{"dag": "taxi_daily", "runs": 1, "since": ENDED.isoformat(), "why": why}]
    said = " ".join(shown.output.split())
    assert "taxi_daily: Airflow has not been told of 1 run, the first of 2024-03-10" in said
    assert f"{why}. Look: parity echoes taxi_daily" in said
    soon = EchoPlace(ENDED, {"r": Outstanding("2024-03-10", ENDED.add(hours=3), why)})
    assert [*late_echoes({"taxi_daily": soon}, ENDED.add(hours=4))] == []


def test_json_has_the_documented_keys(home: dg.DagsterInstance) -> None:
    """`parity echoes --json`, at every depth."""
    has_run(home, f"{DAY} success")
    leaves(home, LATE)

    [documented] = fenced(document("docs/reference.md").section("### `parity echoes`"), "json")
    [told], [said] = json.loads(look("--json", code=3))["dags"], json.loads(documented)["dags"]
    assert told.keys() == said.keys()
    for name in ("told", "outstanding"):
        assert told[name][0].keys() == said[name][0].keys()


def test_a_tested_dag_is_listed_before_it_is_retired(home: dg.DagsterInstance) -> None:
    """With those whom it was tested for."""
    keep_echo_test(Path(home.root_directory), TESTED)

    assert "taxi_daily: tested on 2024-03-10 10:04 UTC, for billing.wait" in look()
    assert "x is not told: y" in CliRunner().invoke(app, ["echoes"]).output


def test_a_dag_that_has_no_mirror_is_refused(home: dg.DagsterInstance) -> None:
    """A typing error is no empty list."""
    assert isinstance(CliRunner().invoke(app, ["echoes", "nowhere"]).exception, NoSuchUnit)


def test_a_test_is_kept_as_it_is(home: dg.DagsterInstance) -> None:
    """The newest of each DAG; what another version has kept is no test."""
    folder = Path(home.root_directory)
    keep_echo_test(folder, replace(TESTED, heard_by=()))
    keep_echo_test(folder, TESTED)
    home.daemon_cursor_storage.set_cursor_values({"parity/echo_test/odd": "{}"})

    assert kept_echo_tests(folder, ["taxi_daily", "odd", "none"]) == {"taxi_daily": TESTED}


def test_the_gate_leaves_out_whom_it_was_tested_for() -> None:
    """Anybody who waits since then is named."""
    waiting: list[Waiter] = [Unit("billing", "wait"), Fed("reports", "s3://a")]

    assert untold(waiting, None) == waiting
    assert untold(waiting, TESTED) == [Fed("reports", "s3://a")]


def test_a_cursor_comes_back_whole() -> None:
    """What the sensor keeps between two ticks."""
    assert echo_places(echo_cursor({"taxi_daily": LATE, "new": EchoPlace()})) == {
        "taxi_daily": LATE, "new": EchoPlace()
    }  # fmt: skip
