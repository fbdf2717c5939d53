"""What a move sees of Airflow and Dagster, over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path

import pendulum
import pytest

from dagster_defs.adapters.airflow.address import AirflowAddress
from dagster_defs.adapters.airflow.client import AirflowClient
from dagster_defs.adapters.airflow.rows import DagRun
from dagster_defs.adapters.dagster.api import DagsterClient
from dagster_defs.adapters.processes.supervisor import free_port
from dagster_defs.adapters.store.files import FileStore
from dagster_defs.errors import AirflowBehind, AirflowFault, DagsterFault, LedgerUnwritable
from dagster_defs.lifecycle import Owner, Unit
from dagster_defs.lifecycle.not_read import NOT_READ
from dagster_defs.parity import Side
from dagster_defs.usecases.move.orchestrators import LiveOrchestrators
from tests.support.fake_dagster import FakeDagster, Job
from tests.support.fakes import FakeAirflow

UNIT = Unit("taxi_daily", "dbt_daily")
NOW = datetime(2024, 3, 12, tzinfo=timezone.utc)
AT = pendulum.datetime(2024, 3, 11, 10)
LEGACY = {"parity_unit": str(UNIT), "parity_side": "legacy"}
CANDIDATE = {"parity_unit": str(UNIT), "parity_side": "candidate"}


@pytest.fixture
def world(airflow: FakeAirflow, dagster_server: FakeDagster, tmp_path: Path) -> LiveOrchestrators:
    dagster_server.jobs = [Job("taxi_daily__dbt_daily"), Job("shadow__taxi_daily__dbt_daily")]
    return LiveOrchestrators(
        FileStore(tmp_path),
        AirflowClient(AirflowAddress(airflow.url, "admin", "admin"), patience=1),
        DagsterClient(dagster_server.url),
    )


@pytest.fixture
def nowhere(tmp_path: Path) -> LiveOrchestrators:
    """Neither server is there."""
    url = f"http://127.0.0.1:{free_port()}"
    return LiveOrchestrators(
        FileStore(tmp_path),
        AirflowClient(AirflowAddress(url, "admin", "admin"), patience=0.1),
        DagsterClient(url),
    )


@pytest.mark.parametrize(
    ("operator", "owner"),
    [
        ("BashOperator", Owner.AIRFLOW),
        ("ProxyToDagster", Owner.DAGSTER),
        ("DefaultProxyTaskToDagsterOperator", Owner.DAGSTER),
    ],
)
def test_the_served_operator_tells_whose_a_task_is(
    world: LiveOrchestrators, airflow: FakeAirflow, operator: str, owner: Owner
) -> None:
    """A task is Dagster's if the operator that Airflow serves is a proxy, ours or Airlift's own."""
    airflow.operators = lambda dag_id, task_id: operator

    assert world.served_by(UNIT) is owner


def test_a_mark_is_written_and_read(world: LiveOrchestrators) -> None:
    """The mark names the owner of the next task; without one it is Airflow."""
    assert not world.marked(UNIT)
    world.mark(UNIT, Owner.DAGSTER)
    assert world.marked(UNIT)
    world.mark(UNIT, Owner.AIRFLOW)
    assert not world.marked(UNIT)


@pytest.mark.parametrize("refusal", [[], [403], [404], [500] * 9])
def test_airflow_is_asked_to_parse_what_was_marked(
    world: LiveOrchestrators, airflow: FakeAirflow, refusal: list[int]
) -> None:
    """A mark is followed by a request to parse the DAG's file; whatever Airflow answers, the mark stands."""
    refused = iter(refusal)

    def refuse(method: str, path: str) -> None:
        airflow.failures = [status] if method == "PUT" and (status := next(refused, 0)) else []

    airflow.before = refuse
    world.mark(UNIT, Owner.DAGSTER)

    assert world.marked(UNIT)
    assert f"PUT /api/v1/parseDagFile/{UNIT.dag_id}.token" in airflow.requests


def test_a_mark_needs_no_airflow(nowhere: LiveOrchestrators) -> None:
    """A task's mark is set while Airflow does not answer: it is read when the task executes."""
    nowhere.mark(UNIT, Owner.AIRFLOW)

    assert nowhere.marked(UNIT) is False


def test_a_mark_that_cannot_be_written_is_named(
    world: LiveOrchestrators, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that refuses the mark is one message with its file."""

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dagster_defs.adapters.store.proxied_state.os.fsync", full)
    with pytest.raises(LedgerUnwritable, match=r"taxi_daily\.yaml: No space left"):
        world.mark(UNIT, Owner.DAGSTER)
    assert not world.marked(UNIT)


def test_a_job_that_is_loaded_is_found(world: LiveOrchestrators, dagster_server: FakeDagster) -> None:
    """Each side's job is looked for by its name; one that is not there is said with the address."""
    assert world.missing_definitions(UNIT, Side.LEGACY) == ""
    assert world.missing_definitions(UNIT, Side.CANDIDATE) == ""
    dagster_server.jobs.pop()
    assert "has the job shadow__taxi_daily__dbt_daily" in world.missing_definitions(UNIT, Side.CANDIDATE)


def test_only_runs_under_way_are_live(
    world: LiveOrchestrators, airflow: FakeAirflow, dagster_server: FakeDagster
) -> None:
    """Of Airflow's tasks those that run, of Dagster's runs those of the legacy side that have not ended."""
    airflow.finish("taxi_daily", "dbt_daily", "over", AT)
    airflow.finish("taxi_daily", "dbt_daily", "now", AT, state="running")
    airflow.finish("taxi_daily", "dbt_zones", "now", AT, state="running")
    dagster_server.list_run("aaaaaaaa-1", "STARTED", **LEGACY)
    dagster_server.list_run("bbbbbbbb-2", "SUCCESS", 9, **LEGACY)
    dagster_server.list_run("cccccccc-3", "STARTED", **CANDIDATE)

    assert world.live_runs(UNIT, Owner.AIRFLOW) == ["Airflow's taxi_daily.dbt_daily of now (running, try 1)"]
    assert world.live_runs(UNIT, Owner.DAGSTER) == ["Dagster run aaaaaaaa (started)"]


def test_a_run_of_an_older_file_is_under_way(
    world: LiveOrchestrators, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its next task would run as that file has it, without a switch for all that is known, whatever the mark says."""
    old = DagRun("taxi_daily", "scheduled__1", "running", None, None, bundle_version="0123456789abcdef")
    monkeypatch.setattr(world.airflow, "outdated_dag_runs", lambda dag_id: [old])

    version = "version 0123456789ab of the DAG's bundle, not the deployed one"
    words = f"Airflow's run scheduled__1, whose tasks are of {version}"
    assert world.live_runs(UNIT, Owner.AIRFLOW) == [words]
    assert world.reader.live(UNIT, NOW).airflow_runs == (words,)


@pytest.mark.parametrize(
    ("state", "is_live"),
    [("deferred", True), ("up_for_reschedule", True), ("queued", False), ("up_for_retry", False)],
)
def test_a_task_that_comes_back_is_under_way(
    world: LiveOrchestrators, airflow: FakeAirflow, state: str, is_live: bool
) -> None:
    """It may have begun something that another operator would begin again; a task that starts anew has not."""
    airflow.finish("taxi_daily", "dbt_daily", "now", AT, state=state)

    live = world.reader.live(UNIT, NOW).airflow_runs

    assert bool(live) is is_live
    assert live == tuple(world.live_runs(UNIT, Owner.AIRFLOW))


def test_a_waiting_proxy_is_no_run_of_airflows(world: LiveOrchestrators, airflow: FakeAirflow) -> None:
    """A proxied task that waits for Dagster does not hold up a cutover that is resumed."""
    airflow.finish("taxi_daily", "dbt_daily", "now", AT, state="running")
    airflow.tasks[-1]["operator"] = "ProxyToDagster"

    assert world.live_runs(UNIT, Owner.AIRFLOW) == []


def test_a_run_that_no_task_waits_for_is_stray(
    world: LiveOrchestrators, airflow: FakeAirflow, dagster_server: FakeDagster
) -> None:
    """A Dagster run is stray if its Airflow task does not run any more, or if it never had one; those are ended."""
    airflow.finish("taxi_daily", "dbt_daily", "waits", AT, state="running")
    airflow.finish("taxi_daily", "dbt_daily", "killed", AT, state="failed")
    for run_id, airflow_run in (("aaaaaaaa", "waits"), ("bbbbbbbb", "killed"), ("cccccccc", None)):
        tags = {"dagster-airlift_airflow-dag-run-id": airflow_run} if airflow_run else {}
        dagster_server.list_run(run_id, "STARTED", **LEGACY, **tags)

    assert world.stray_runs(UNIT) == ["Dagster run bbbbbbbb (started)", "Dagster run cccccccc (started)"]
    world.end_runs(UNIT, stray=True)
    assert dagster_server.terminated == ["bbbbbbbb", "cccccccc"]
    world.end_runs(UNIT, stray=False)
    assert dagster_server.terminated[2:] == ["aaaaaaaa", "bbbbbbbb", "cccccccc"]


def test_the_way_back_waits_for_nobody_who_is_down(nowhere: LiveOrchestrators) -> None:
    """Servers that do not answer have no stray runs, and none to be ended: the mark is taken back all the same. Whether
    a run of Dagster's is under way is asked of Dagster alone."""
    assert nowhere.stray_runs(UNIT) == []
    nowhere.end_runs(UNIT, stray=True)
    with pytest.raises(DagsterFault):
        nowhere.end_runs(UNIT, stray=False)
    with pytest.raises(DagsterFault):
        nowhere.live_runs(UNIT, Owner.DAGSTER)


def test_healthy_servers_are_no_blocker(
    world: LiveOrchestrators, airflow: FakeAirflow, dagster_server: FakeDagster
) -> None:
    """Of two healthy servers nothing is said but the times of the last runs of both sides."""
    airflow.finish("taxi_daily", "dbt_daily", "over", AT)
    dagster_server.list_run("a", "SUCCESS", 9, **CANDIDATE)

    live = world.reader.live(UNIT, NOW)

    assert (live.airflow, live.dagster, live.airflow_runs, live.dagster_runs) == ("", "", (), ())
    assert (live.legacy_seconds, live.candidate_seconds) == ((7.0,), (9.0,))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda server: server.sick_daemons.append("SENSOR"), "Dagster's daemons have no heartbeat: SENSOR"),
        (lambda server: server.jobs.clear(), "has the job taxi_daily__dbt_daily"),
        (lambda server: setattr(server, "login_page", True), "a login page?"),
    ],
    ids=["daemon", "job", "login-page"],
)
def test_a_sick_dagster_is_told(
    world: LiveOrchestrators, dagster_server: FakeDagster, spoil: Callable[[FakeDagster], None], said: str
) -> None:
    """A daemon without a heartbeat, a missing job and a login page are each said in words."""
    spoil(dagster_server)

    assert said in world.reader.live(UNIT, NOW).dagster


def test_servers_that_are_down_are_facts(nowhere: LiveOrchestrators) -> None:
    """Nothing is raised where neither server is there; both are named with their address."""
    live = nowhere.reader.live(UNIT, NOW)

    assert "Airflow does not answer at http://127.0.0.1" in live.airflow
    assert "Dagster does not answer at http://127.0.0.1" in live.dagster


RUNNING = "scheduled__2024-03-10"
NEXT = "2024-03-12T10:00:00+00:00"


def under_way(airflow: FakeAirflow, **tasks: str | None) -> None:
    """A run of the unit's DAG that has not ended, with these tasks."""
    airflow.add_run(
        "taxi_daily", RUNNING, "2024-03-10T10:00:00+00:00", "2024-03-11T10:00:00+00:00", "running"
    )
    airflow.next_windows["taxi_daily"] = NEXT
    for task_id, state in tasks.items():
        airflow.finish("taxi_daily", task_id, RUNNING, AT, state=state)  # type: ignore[arg-type]  # none: not begun


@pytest.mark.parametrize(
    "tasks",
    [
        {},
        {"first": "success", "last": None},
        {"first": "running", "last": None},
        {"first": "success", "last": "scheduled"},
        {"first": "success", "last": "up_for_retry"},
        {"first": "running", "beside": "success", "last": "deferred"},
    ],
    ids=["no-task-yet", "not-begun", "in-the-first", "scheduled", "to-be-retried", "deferred"],
)
@pytest.mark.parametrize("paused", [False, True])
def test_a_dag_with_something_left_to_start_is_not_paused(
    world: LiveOrchestrators, airflow: FakeAirflow, tasks: Mapping[str, str | None], paused: bool
) -> None:
    """Airflow starts no task of a paused DAG: while a task is left to be started it runs on, and is woken if it was
    paused; it does not rest."""
    under_way(airflow, **tasks)
    airflow.paused |= {"taxi_daily"} if paused else set()

    assert world.rest(UNIT, may_wake=True) == f"Airflow still runs {RUNNING}"
    assert airflow.paused == set()


def test_a_dag_is_paused_in_its_last_task(world: LiveOrchestrators, airflow: FakeAirflow) -> None:
    """Paused while the last task runs, closed when that has succeeded, and at rest when no run is left: no window
    begins meanwhile."""
    under_way(airflow, first="success", beside="skipped", last="running")
    airflow.dag_runs["taxi_daily", RUNNING]["state"] = "running"

    assert world.rest(UNIT, may_wake=True) == f"Airflow ends {RUNNING}"
    assert airflow.paused == {"taxi_daily"}
    assert world.rest(UNIT, may_wake=True) == f"Airflow ends {RUNNING}"
    assert airflow.dag_runs["taxi_daily", RUNNING]["state"] == "running"

    for task_id in ("beside", "last"):
        airflow.finish("taxi_daily", task_id, RUNNING, AT)
    assert world.rest(UNIT, may_wake=True) == f"Airflow ends {RUNNING}"
    assert airflow.dag_runs["taxi_daily", RUNNING]["state"] == "success"
    assert world.rest(UNIT, may_wake=True) == ""
    assert airflow.paused == {"taxi_daily"}


def test_a_run_with_skipped_tasks_stays_open(world: LiveOrchestrators, airflow: FakeAirflow) -> None:
    """A branch leaves a skipped task in every run: the DAG rests once all tasks are over. Closed by us, the skipped
    task would become a success; closed by Airflow, which would have to be woken, another run would begin."""
    under_way(airflow, first="success", last="skipped")
    airflow.paused.add("taxi_daily")
    airflow.next_windows["taxi_daily"] = NEXT

    assert world.rest(UNIT, may_wake=True) == ""
    assert airflow.paused == {"taxi_daily"}
    assert airflow.dag_runs["taxi_daily", RUNNING]["state"] == "running"


@pytest.mark.parametrize("other", ["skipped", "failed"])
def test_a_run_without_a_skip_is_closed_beside_one_with(
    world: LiveOrchestrators, airflow: FakeAirflow, other: str
) -> None:
    """Of two runs that are over, the one whose tasks have all succeeded is noted as a success; only the other is left
    to Airflow."""
    whole = "scheduled__2024-03-09"
    airflow.add_run("taxi_daily", whole, "2024-03-09T11:00:00+00:00", "2024-03-10T10:00:00+00:00", "running")
    airflow.finish("taxi_daily", "first", whole, AT)
    under_way(airflow, first="success", last=other)
    airflow.paused.add("taxi_daily")

    world.rest(UNIT, may_wake=True)

    assert airflow.dag_runs["taxi_daily", whole]["state"] == "success"
    assert airflow.dag_runs["taxi_daily", RUNNING]["state"] == "running"


@pytest.mark.parametrize("state", ["failed", "upstream_failed"])
def test_a_run_that_did_not_succeed_is_airflows_to_end(
    world: LiveOrchestrators, airflow: FakeAirflow, state: str
) -> None:
    """A run whose tasks are over, and not all of them well, is not closed by us: Airflow is woken to say how it
    ended."""
    under_way(airflow, first="success", last=state)
    airflow.paused.add("taxi_daily")

    assert world.rest(UNIT, may_wake=True) == f"Airflow ends {RUNNING}"
    assert airflow.paused == set()
    assert airflow.dag_runs["taxi_daily", RUNNING]["state"] == "running"


def test_a_quiet_dag_rests_at_the_second_look(world: LiveOrchestrators, airflow: FakeAirflow) -> None:
    """A run that begins in the moment of the pause is seen: the first look pauses, the second finds no run."""
    airflow.next_windows["taxi_daily"] = NEXT

    assert world.rest(UNIT, may_wake=True) == "taxi_daily was paused a moment ago"
    under_way(airflow, first=None)
    assert world.rest(UNIT, may_wake=True) == f"Airflow still runs {RUNNING}"
    assert airflow.paused == set()
    del airflow.dag_runs["taxi_daily", RUNNING]
    assert world.rest(UNIT, may_wake=True) == "taxi_daily was paused a moment ago"
    assert world.rest(UNIT, may_wake=True) == ""


@pytest.mark.parametrize(
    "tasks",
    [{}, {"first": "success", "last": None}, {"first": "running", "last": "scheduled"}, {"last": "failed"}],
    ids=["no-task-yet", "not-begun", "scheduled", "failed"],
)
def test_a_dag_that_a_person_had_paused_stays_paused(
    world: LiveOrchestrators, airflow: FakeAirflow, tasks: Mapping[str, str | None]
) -> None:
    """Where the DAG was paused before the retirement, nothing switches it on; what has to be done is said."""
    under_way(airflow, **tasks)
    airflow.paused.add("taxi_daily")
    assert world.is_paused(UNIT)

    said = world.rest(UNIT, may_wake=False)

    assert said.startswith(f"taxi_daily was paused before the retirement began, so {RUNNING} cannot end.")
    assert airflow.paused == {"taxi_daily"}


def test_another_dag_is_left_alone(world: LiveOrchestrators, airflow: FakeAirflow) -> None:
    """Pausing and waking touch the unit's own DAG only."""
    airflow.paused.add("taxi_hourly")
    airflow.next_windows["taxi_daily"] = NEXT

    world.rest(UNIT, may_wake=True)
    assert airflow.paused == {"taxi_hourly", "taxi_daily"}
    world.wake(UNIT)
    assert airflow.paused == {"taxi_hourly"}


def test_a_dag_without_a_clock_has_no_next_window(
    world: LiveOrchestrators, dagster_server: FakeDagster
) -> None:
    """A person starts its job in Dagster: no sensor is needed, and Airflow need not say what comes next."""
    dagster_server.jobs = [Job("taxi_daily", {"parity/event": "manual"})]

    assert world.missing_schedule(UNIT) == ""
    assert world.next_window(UNIT) is None


def starts_next(world: LiveOrchestrators) -> str:
    found = world.next_window(UNIT)
    return found.isoformat() if found else "never"


def test_the_next_window_is_airflows_word(world: LiveOrchestrators, airflow: FakeAirflow) -> None:
    """Airflow says where the next window begins; of a DAG that has ended, where its last scheduled one ended; and a
    DAG of which neither is known does not rest."""
    airflow.next_windows["taxi_daily"] = NEXT
    assert starts_next(world) == NEXT

    airflow.next_windows["taxi_daily"] = None
    for day, kind in ((9, "scheduled"), (10, "scheduled"), (20, "manual")):
        run = airflow.add_run(
            "taxi_daily",
            f"{kind}__{day}",
            f"2024-03-{day:02}T10:00:00+00:00",
            f"2024-03-{day + 1}T10:00:00+00:00",
        )
        airflow.dag_runs["taxi_daily", run]["run_type"] = kind
    assert starts_next(world) == "2024-03-11T10:00:00+00:00"

    airflow.dag_runs.clear()
    airflow.paused.add("taxi_daily")
    with pytest.raises(AirflowFault, match="does not say which window of taxi_daily comes next"):
        world.rest(UNIT, may_wake=True)


def test_a_window_that_airflow_has_run_is_not_the_next(
    world: LiveOrchestrators, airflow: FakeAirflow
) -> None:
    """Airflow names the window of a run that was ended from outside until it has parsed the DAG: that is asked for, and
    the DAG does not rest before. A run that a person has triggered says nothing about the schedule."""
    last = "2024-03-11T10:00:00+00:00"
    run = airflow.add_run("taxi_daily", "scheduled__11", last, NEXT)
    airflow.dag_runs["taxi_daily", run] |= {"run_type": "scheduled", "state": "success"}
    by_hand = airflow.add_run(
        "taxi_daily", "manual__20", "2024-03-20T10:00:00+00:00", "2024-03-21T10:00:00+00:00"
    )
    airflow.dag_runs["taxi_daily", by_hand] |= {"run_type": "manual", "state": "success"}
    airflow.next_windows["taxi_daily"] = last
    airflow.paused.add("taxi_daily")

    with pytest.raises(AirflowBehind, match="would begin at 2024-03-11 10:00 UTC, which it has run") as error:
        world.next_window(UNIT)
    assert not error.value.lasting
    assert world.rest(UNIT, may_wake=True) == str(error.value)
    assert "PUT /api/v1/parseDagFile/taxi_daily.token" in airflow.requests

    airflow.next_windows["taxi_daily"] = NEXT
    assert world.rest(UNIT, may_wake=True) == ""
    assert starts_next(world) == NEXT


def test_a_schedule_of_dagsters_own_is_asked_for(
    world: LiveOrchestrators, dagster_server: FakeDagster
) -> None:
    """The DAG's job must be there, and a sensor that starts it and is switched on; what is missing is said."""
    assert "has the job taxi_daily" in world.missing_schedule(UNIT)
    dagster_server.jobs.append(Job("taxi_daily"))
    dagster_server.sensors["airflow_shadow"] = ("RUNNING", ["shadow__taxi_daily__dbt_daily"])
    assert world.missing_schedule(UNIT) == "no sensor starts the job taxi_daily"
    dagster_server.sensors["airflow_schedules"] = ("STOPPED", ["taxi_daily"])
    assert world.missing_schedule(UNIT) == "the sensor airflow_schedules is switched off in Dagster"
    dagster_server.sensors["airflow_schedules"] = ("RUNNING", ["taxi_daily"])
    assert world.missing_schedule(UNIT) == ""


def test_what_nothing_mirrors_is_named(world: LiveOrchestrators, airflow: FakeAirflow) -> None:
    """Tasks of the DAG that are no unit are told, but for those that do nothing; only where somebody asks."""
    airflow.dag_tasks["taxi_daily"] = {
        "begin": "EmptyOperator", "dbt_daily": "ProxyToDagster", "notify": "BashOperator",
    }  # fmt: skip

    assert world.reader.live(UNIT, NOW, {UNIT}).unmirrored == ("notify",)
    assert world.reader.live(UNIT, NOW).unmirrored is NOT_READ


def test_sensors_that_would_wait_in_vain_are_named(world: LiveOrchestrators, airflow: FakeAirflow) -> None:
    """Of tasks that wait for the DAG those are told whose own DAG is not paused: they would wait for ever."""
    airflow.paused.add("monthly")

    live = world.reader.live(UNIT, NOW, {UNIT}, [Unit("weekly", "wait"), Unit("monthly", "wait")])

    assert live.waiting == ("weekly.wait",)
