"""The proxy, run by a real Airflow operator in Airflow's environment, against a loopback Dagster."""

from __future__ import annotations

from typing import Any

import pendulum
import pytest

from dagster_defs.adapters.dagster.partitions import partitioned
from dagster_defs.adapters.processes.supervisor import free_port
from dagster_defs.windows import Occasion, Schedule
from tests.legacy_dags.handover.conftest import InAirflow, StartInAirflow
from tests.support.estate import ROOT
from tests.support.fake_dagster import Job
from tests.support.unruly_dagsters import Fault, UnrulyDagster

pytestmark = pytest.mark.airflow

VERSION = (ROOT / "legacy_dags" / "handover" / "VERSION").read_text().strip()

DAILY_TAGS = {"parity/timezone": "America/New_York", "parity/key_format": "%Y-%m-%d"}
HOURLY_TAGS = {"parity/timezone": "America/New_York", "parity/key_format": "%Y-%m-%dT%H:%M%z"}
DAILY = {
    "dag_id": "taxi_daily",
    "task_id": "dbt_daily",
    "start": "2024-03-09T11:00:00+00:00",
    "end": "2024-03-10T10:00:00+00:00",
}
DAILY_RUN = f"scheduled__{DAILY['start']}"


@pytest.fixture
def dagster_server(dagster_server: UnrulyDagster) -> UnrulyDagster:
    dagster_server.jobs = [Job("taxi_daily__dbt_daily", DAILY_TAGS), Job("taxi_hourly__dbt", HOURLY_TAGS)]
    return dagster_server


def failure(in_airflow: InAirflow, url: str, **changes: Any) -> str:
    [outcome] = in_airflow("run_proxy.py", {"url": url, "cases": [{**DAILY, **changes}]})
    assert outcome["error"] is not None
    return str(outcome["error"])


def test_the_partition_is_the_data_intervals(in_airflow: InAirflow, dagster_server: UnrulyDagster) -> None:
    """The key comes from the data interval in the partition's zone and format, on every kind of day.

    21:00 New York is the next day in UTC; the two hours of the fall-back night that are both called 01:00 are
    told apart by their offset.
    """
    hourly = {"dag_id": "taxi_hourly", "task_id": "dbt"}
    cases = [
        (DAILY, "2024-03-09"),
        ({**DAILY, "start": "2024-03-10T01:00:00+00:00", "end": "2024-03-11T01:00:00+00:00"}, "2024-03-09"),
        ({**DAILY, "start": "2023-11-04T10:00:00+00:00", "end": "2023-11-05T11:00:00+00:00"}, "2023-11-04"),
        ({**hourly, "start": "2023-11-05T05:00:00+00:00", "end": "2023-11-05T06:00:00+00:00"},
         "2023-11-05T01:00-0400"),
        ({**hourly, "start": "2023-11-05T06:00:00+00:00", "end": "2023-11-05T07:00:00+00:00"},
         "2023-11-05T01:00-0500"),
        ({**hourly, "start": "2024-03-10T07:00:00+00:00", "end": "2024-03-10T08:00:00+00:00"},
         "2024-03-10T03:00-0400"),
    ]  # fmt: skip

    outcomes = in_airflow("run_proxy.py", {"url": dagster_server.url, "cases": [case for case, _ in cases]})

    assert [outcome["error"] for outcome in outcomes] == [None] * len(cases)
    launched = [launch.tags["dagster/partition"] for launch in dagster_server.launches]
    assert launched == [key for _, key in cases]
    # Dagster's side reads these keys as exactly these intervals.
    for case, key in [cases[0], *cases[3:]]:
        cron = "0 6 * * *" if case is DAILY else "@hourly"
        partitions = partitioned(Schedule.of(cron, "America/New_York", "2023-11-01"))
        window = partitions.window_of(key)
        assert (window.start.isoformat(), window.end.isoformat()) == (case["start"], case["end"])


def test_what_travels_with_a_run(in_airflow: InAirflow, dagster_server: UnrulyDagster) -> None:
    """The run carries the data interval, the try, and the names by which sensor and retries know it again."""
    in_airflow("run_proxy.py", {"url": f"{dagster_server.url}/", "cases": [{**DAILY, "try_number": 3}]})

    [launch] = dagster_server.launches
    assert launch.selector == {
        "pipelineName": "taxi_daily__dbt_daily",
        "repositoryName": "__repository__",
        "repositoryLocationName": "parity",
    }
    assert len(launch.tags.pop("parity/launch_id")) == 32
    assert launch.tags == {
        "dagster/partition": "2024-03-09",
        "dagster/max_retries": "0",
        "parity/window_start": DAILY["start"],
        "parity/window_end": DAILY["end"],
        "parity/airflow_try": "3",
        "parity/airflow_map_index": "-1",
        "parity/airflow_passes_on_skips": "yes",
        "parity/airflow_task_instance": f"taxi_daily.dbt_daily {DAILY_RUN}",
        "parity/airflow_round": "7.0",
        "parity/airflow_upstream": "",
        "parity/handover_version": VERSION,
        "dagster-airlift/airflow-dag-id": "taxi_daily",
        "dagster-airlift/airflow-dag-run-id": DAILY_RUN,
        "dagster-airlift/airflow-task-id": "dbt_daily",
    }


@pytest.mark.parametrize(
    ("dagsters", "remedy"),
    [
        (VERSION, ""),
        (None, "update airflow-parity where Dagster runs"),
        ("0.0.9", "update airflow-parity where Dagster runs"),
        ("1000.0.0", "update airflow-parity-handover here, in Airflow"),
    ],
)
def test_the_older_half_is_to_be_updated(
    start_in_airflow: StartInAirflow, dagster_server: UnrulyDagster, dagsters: str | None, remedy: str
) -> None:
    """The task's log says so, and the task goes on."""
    version = {} if dagsters is None else {"parity/version": dagsters}
    dagster_server.jobs = [Job("taxi_daily__dbt_daily", DAILY_TAGS | version)]
    started = start_in_airflow("run_proxy.py", {"url": dagster_server.url, "cases": [DAILY]})
    assert [outcome["error"] for outcome in started.answer()] == [None]
    assert ("Airflow's half of airflow-parity is " in started.log()) is bool(remedy)
    assert remedy in started.log()


def instance(
    index: int, state: str | None, max_tries: int, operator: str = "ProxyToDagster"
) -> dict[str, Any]:
    return {"map_index": index, "state": state, "max_tries": max_tries, "operator": operator}


def test_instances_of_a_mapped_task_name_one_run(
    in_airflow: InAirflow, dagster_server: UnrulyDagster
) -> None:
    """Whatever its index and its tries, each names the same run: the second one takes what the first has launched."""
    instances = [instance(0, "running", 2), instance(1, "running", 5), instance(2, "removed", 2)]
    cases = [
        {**DAILY, "map_index": index, "max_tries": tries, "instances": instances, "try_number": tries}
        for index, tries in ((0, 2), (1, 5))
    ]

    outcomes = in_airflow("run_proxy.py", {"url": dagster_server.url, "cases": cases})

    assert [outcome["error"] for outcome in outcomes] == [None, None]
    [launch] = dagster_server.launches
    assert launch.tags["parity/airflow_map_index"] == "-1"
    assert launch.tags["parity/airflow_task_instance"] == f"taxi_daily.dbt_daily {DAILY_RUN}"
    assert launch.tags["parity/airflow_round"] == "7.7"
    assert launch.tags["parity/airflow_passes_on_skips"] == "each"


@pytest.mark.parametrize("state", ["success", "failed", "running", "skipped"])
def test_what_airflow_has_begun_is_not_launched(
    in_airflow: InAirflow, dagster_server: UnrulyDagster, state: str
) -> None:
    """An instance whose sibling Airflow itself has run launches nothing, and says what to do."""
    instances = [instance(0, state, 2, "BashOperator"), instance(1, "running", 2)]

    said = failure(in_airflow, dagster_server.url, map_index=1, instances=instances)

    assert "Airflow itself has run dbt_daily[0]" in said
    assert "Clear all instances" in said
    assert dagster_server.launches == []


@pytest.mark.parametrize(("index", "is_skipped"), [(11, True), (1, False)])
def test_an_instance_is_skipped_by_itself(
    in_airflow: InAirflow, dagster_server: UnrulyDagster, index: int, is_skipped: bool
) -> None:
    """A run notes which indices its operator has skipped, and the proxies of these instances skip."""
    dagster_server.tags_of_runs = {"parity/airflow_skipped_indices": "0,11"}

    case = {**DAILY, "map_index": index, "instances": [instance(index, "running", 2)]}
    [outcome] = in_airflow("run_proxy.py", {"url": dagster_server.url, "cases": [case]})

    assert str(outcome["error"]).startswith("AirflowSkipException") is is_skipped


def test_a_run_without_a_clock_travels_with_its_occasion(
    in_airflow: InAirflow, dagster_server: UnrulyDagster
) -> None:
    """No partition and no window, but what Airflow knows about the run, in the config of the job's op."""
    dagster_server.jobs = [Job("asked__note", {"parity/event": "manual"})]
    at = "2024-03-09T12:00:00.123456+00:00"
    case = {"dag_id": "asked", "task_id": "note", "start": at, "end": at, "run_id": f"manual__{at}"}
    conf = {"days": 3, "on": {"1": [None, "x"]}}

    cases = [
        {**case, "conf": conf},
        {**case, "run_id": "manual__2", "conf": None},
        {**case, "odd_conf": True},
    ]
    outcomes = in_airflow("run_proxy.py", {"url": dagster_server.url, "cases": cases})

    assert [outcome["error"] is None for outcome in outcomes] == [True, True, False]
    assert "cannot be sent to Dagster" in str(outcomes[2]["error"])
    first, second = dagster_server.launches
    assert not {"dagster/partition", "parity/window_start", "parity/window_end"} & first.tags.keys()
    occasion = Occasion.from_json(first.config["ops"]["run__asked__note"]["config"]["occasion"])
    moment = pendulum.parse(at)
    assert occasion == Occasion(f"manual__{at}", moment, moment, moment, "manual", conf)  # type: ignore[arg-type]  # an instant
    assert second.config["ops"]["run__asked__note"]["config"]["occasion"]["conf"] == {}


def test_a_task_that_is_skipped_in_dagster_is_skipped(
    in_airflow: InAirflow, dagster_server: UnrulyDagster
) -> None:
    """The proxy ends as the operator would have, also where it takes a run that an earlier try has left behind."""
    dagster_server.tags_of_runs = {"parity/airflow_state": "skipped", "parity/airflow_skips": "[]"}
    tries = [DAILY, {**DAILY, "try_number": 2}]

    outcomes = in_airflow("run_proxy.py", {"url": dagster_server.url, "cases": tries})

    assert len(dagster_server.launches) == 1
    said = f"AirflowSkipException: Dagster run {dagster_server.url}/runs/run-1 has skipped this task"
    assert [outcome["error"] for outcome in outcomes] == [said] * 2


def test_skips_that_dagster_does_not_list_are_an_error(
    in_airflow: InAirflow, dagster_server: UnrulyDagster
) -> None:
    """A run that has succeeded and is not among the task's newest runs may have skipped something: the task fails, and
    is not tried again."""
    none = (200, {"data": {"runsOrError": {"__typename": "Runs", "results": []}}})
    dagster_server.faults.planned = [Fault("RunsOfTag", none, times=9)]

    said = failure(in_airflow, dagster_server.url)

    assert said.startswith(
        f"AirflowFailException: Dagster run {dagster_server.url}/runs/run-1 succeeded, but"
    )
    assert "what it has skipped is not known" in said


def test_the_reason_of_a_failed_run_is_in_airflows_log(
    in_airflow: InAirflow, dagster_server: UnrulyDagster
) -> None:
    """When the Dagster run fails, the task fails with the run's address and the innermost reason."""
    dagster_server.run_status = "FAILURE"
    chain = [
        {"error": {"message": "StepError: outer"}},
        {"error": {"message": "DbtFailed: model x is broken\n"}},
    ]
    dagster_server.failure_events = [
        {"__typename": "MessageEvent"},
        {"__typename": "ExecutionStepFailureEvent", "stepKey": "run__x", "error": {"message": "", "errorChain": chain}},
    ]  # fmt: skip

    said = failure(in_airflow, dagster_server.url)

    assert said.startswith("AirflowException: ")
    assert f"{dagster_server.url}/runs/run-1 ended as FAILURE" in said
    assert "run__x: DbtFailed: model x is broken" in said


def test_a_cancelled_run_fails_the_task(in_airflow: InAirflow, dagster_server: UnrulyDagster) -> None:
    """A run that somebody cancels in Dagster is no success in Airflow."""
    dagster_server.run_status = "CANCELED"

    assert "ended as CANCELED" in failure(in_airflow, dagster_server.url)


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        ({"__typename": "PythonError", "message": "daemon is off"}, "PythonError: daemon is off"),
        (
            {"__typename": "RunConfigValidationInvalid", "errors": [{"message": "no such partition"}]},
            "RunConfigValidationInvalid: no such partition",
        ),
        ({"__typename": "UnauthorizedError", "message": "not you"}, "UnauthorizedError: not you"),
    ],
)
def test_a_rejected_launch_says_why(
    in_airflow: InAirflow, dagster_server: UnrulyDagster, refusal: dict[str, Any], said: str
) -> None:
    """Dagster's own reason for refusing a run is what fails the task."""
    dagster_server.refusal = refusal

    assert f"refuses the run of taxi_daily__dbt_daily: {said}" in failure(in_airflow, dagster_server.url)


def test_a_login_page_is_told_as_what_it_is(in_airflow: InAirflow, dagster_server: UnrulyDagster) -> None:
    """An answer that is a page and no JSON names the address and what it probably is."""
    dagster_server.login_page = True

    said = failure(in_airflow, dagster_server.url)

    assert dagster_server.url in said
    assert "a login page?" in said


def test_a_unit_without_a_mirror_is_told(in_airflow: InAirflow, dagster_server: UnrulyDagster) -> None:
    """A job that no code location has is named, and nothing is launched."""
    said = failure(in_airflow, dagster_server.url, task_id="dbt_nowhere")

    assert "has the job taxi_daily__dbt_nowhere: is the unit mirrored, is it loaded?" in said
    assert dagster_server.launches == []


def test_a_unit_that_is_mirrored_twice_is_refused(
    in_airflow: InAirflow, dagster_server: UnrulyDagster
) -> None:
    """When two code locations have the job, neither is guessed."""
    dagster_server.jobs.append(Job("taxi_daily__dbt_daily", DAILY_TAGS, location="other"))

    said = failure(in_airflow, dagster_server.url)

    assert "other, parity" in said
    assert "mirrored once" in said
    assert dagster_server.launches == []


def test_a_job_of_somebody_else_is_refused(in_airflow: InAirflow, dagster_server: UnrulyDagster) -> None:
    """A job of the right name that does not say how its keys are written is not launched."""
    dagster_server.jobs = [Job("taxi_daily__dbt_daily")]

    assert "does not say how its partition keys are written" in failure(in_airflow, dagster_server.url)
    assert dagster_server.launches == []


def test_a_dagster_that_is_not_there_is_told(in_airflow: InAirflow) -> None:
    """A closed port, and no address at all, are told with the address or the variable."""
    url = f"http://127.0.0.1:{free_port()}"

    assert f"Dagster does not answer at {url}" in failure(in_airflow, url)
    assert "DAGSTER_URL is not set" in failure(in_airflow, "")
