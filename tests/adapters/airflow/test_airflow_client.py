"""The REST client against a loopback server: everything is read, and every failure says its reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pendulum
import pytest

from dagster_defs.adapters.airflow.address import AirflowAddress
from dagster_defs.adapters.airflow.client import AirflowClient
from dagster_defs.adapters.airflow.rows import DagRun
from dagster_defs.adapters.processes.supervisor import free_port
from dagster_defs.errors import AirflowFault, AirflowRefuses, AirflowUnclear, AirflowUnreachable
from dagster_defs.lifecycle import Unit
from dagster_defs.settings import Settings
from dagster_defs.windows import Tick, Window
from tests.support.fakes import FakeAirflow

ENDED = pendulum.datetime(2024, 3, 11, 10)


@pytest.fixture
def client(airflow: FakeAirflow) -> AirflowClient:
    return AirflowClient(AirflowAddress(airflow.url, "admin", "admin"), patience=3)


def test_more_than_one_page_of_dags(client: AirflowClient, airflow: FakeAirflow) -> None:
    """All 250 DAGs are read, although Airflow gives a hundred at a time."""
    airflow.dag_ids = [f"dag_{number}" for number in range(250)]

    assert [dag["dag_id"] for dag in client.dags()] == airflow.dag_ids


def test_more_than_one_page_of_task_instances(client: AirflowClient, airflow: FakeAirflow) -> None:
    """All 250 task instances of one look are read; the page after the last is not asked for."""
    for number in range(250):
        airflow.finish("taxi_daily", f"task_{number}", "run", ENDED)

    found = list(client.finished_task_instances(["taxi_daily"], ENDED))

    assert {task.unit.task_id for task in found} == {f"task_{number}" for number in range(250)}
    assert len(airflow.requests) == 3


def test_one_answer_says_how_many_there_are(client: AirflowClient, airflow: FakeAirflow) -> None:
    """A page of the half-open interval, and the number of all task instances in it, not of the page."""
    for number in range(250):
        airflow.finish("taxi_daily", f"task_{number}", "run", ENDED.add(seconds=number))

    rows, total = client.finished_page(["taxi_daily"], ENDED, ENDED.add(seconds=150))
    assert (len(rows), total) == (100, 150)
    rows, total = client.finished_page(["taxi_daily"], ENDED.add(seconds=100), ENDED.add(seconds=150))
    assert (len(rows), total) == (50, 50)


def test_a_dag_that_may_not_be_read(client: AirflowClient, airflow: FakeAirflow) -> None:
    """A list that is refused for one DAG is asked for without naming any, and only what was wanted counts."""
    airflow.forbidden = {"secret"}
    airflow.finish("taxi_daily", "task", "run", ENDED)
    airflow.finish("other", "task", "run", ENDED)

    rows, total = client.finished_page(["secret", "taxi_daily"], ENDED)

    assert [task.unit.dag_id for task in rows] == ["taxi_daily"]
    assert total == 1


def test_instances_that_may_not_be_read_are_an_error(client: AirflowClient, airflow: FakeAirflow) -> None:
    """Instances of a mapped task that is gone are none; those that are refused are not taken for none."""
    unit = Unit("taxi_daily", "many")
    airflow.finish("taxi_daily", "many", "run", ENDED, map_index=0)

    assert len(client.mapped_instances(unit, "run")) == 1
    airflow.failures = [404]
    assert client.mapped_instances(unit, "run") == []
    airflow.failures = [403]
    with pytest.raises(AirflowFault, match="403"):
        client.mapped_instances(unit, "run")


def test_many_dag_runs_in_few_questions(client: AirflowClient, airflow: FakeAirflow) -> None:
    """The runs of an interval of logical dates come a hundred at a time, and no more pages than asked for."""
    for number in range(250):
        start = ENDED.add(days=number)
        airflow.add_run("d", f"run_{number}", start.isoformat(), start.add(days=1).isoformat())

    def found(pages: int) -> int:
        return len(list(client.dag_runs_between(["d"], ENDED, ENDED.add(days=300), pages)))

    assert [found(5), found(1)] == [250, 100]
    assert client.find_dag_run("d", "run_7") == client.dag_run("d", "run_7")
    assert client.find_dag_run("d", "none") is None


def test_the_tries_before(client: AirflowClient, airflow: FakeAirflow) -> None:
    """Earlier tries come from Airflow's history, of a mapped instance its own; a first try asks for nothing."""
    for index in (-1, 3):
        airflow.finish("d", "t", "run", ENDED, state="up_for_retry", map_index=index)
        airflow.finish("d", "t", "run", ENDED.add(minutes=1), try_number=2, map_index=index)
    second = list(client.finished_task_instances(["d"], ENDED))
    before = [each for task in second for each in client.earlier_tries(task)]

    assert {(each.map_index, each.try_number, each.state) for each in before} == {
        (-1, 1, "failed"),
        (3, 1, "failed"),
    }
    airflow.requests.clear()
    assert client.earlier_tries(before[0]) == []
    assert airflow.requests == []


def test_runs_and_tries_that_may_not_be_read_are_an_error(
    client: AirflowClient, airflow: FakeAirflow
) -> None:
    """A DAG run, or earlier tries, that this user may not see are not taken for gone."""
    airflow.add_run("d", "run", None, None)
    for number in (1, 2):
        airflow.finish("d", "t", "run", ENDED.add(minutes=number), try_number=number)
    [second] = client.finished_task_instances(["d"], ENDED)
    questions: list[Callable[[], object]] = [
        lambda: client.find_dag_run("d", "run"),
        lambda: client.earlier_tries(second),
    ]
    for ask in questions:
        assert ask()
        airflow.failures = [403]
        with pytest.raises(AirflowRefuses, match="403"):
            ask()


@pytest.mark.parametrize("versions", [True, False])
def test_an_ingress_without_its_airflow(
    client: AirflowClient, airflow: FakeAirflow, monkeypatch: pytest.MonkeyPatch, versions: bool
) -> None:
    """A 404 that Airflow has not said is asked again, whether or not the version still comes through, and is no answer
    once patience is over: never "there is none"."""
    airflow.add_run("d", "run", None, None)
    airflow.variables["marks"] = "{}"
    airflow.finish("d", "t", "run", ENDED)
    airflow.xcoms["d", "run", "t"] = {"parity_owner": "dagster"}
    [task] = client.finished_task_instances(["d"], ENDED)
    hasty = AirflowClient(client.address, patience=0)
    behind, left = airflow.answer, [0]

    def answer(method: str, path: str, *request: Any) -> tuple[int, Any]:
        if left[0] and not (versions and path.endswith("/version")):
            left[0] -= 1
            return 404, "default backend - 404"
        return behind(method, path, *request)

    monkeypatch.setattr(airflow, "answer", answer)
    questions: list[Callable[[AirflowClient], object]] = [
        lambda asked: asked.find_dag_run("d", "run"),
        lambda asked: asked.has_dag("d"),
        lambda asked: asked.variable("marks"),
        lambda asked: asked.is_handed_over(task),
        lambda asked: asked.dag("d"),
    ]
    for ask in questions:
        left[0] = 100
        with pytest.raises(AirflowUnreachable, match="404") as told:
            ask(hasty)
        assert not told.value.lasting
        left[0] = 2
        assert ask(client)


@pytest.mark.parametrize("others", ["manual", "backfill"])
def test_the_newest_run_of_the_schedule(client: AirflowClient, airflow: FakeAirflow, others: str) -> None:
    """It is found behind more than a page of runs that people have started since, and there may be none."""
    airflow.add_run("d", "scheduled__11", ENDED.isoformat(), ENDED.add(days=1).isoformat())
    for number in range(1, 251):
        start = ENDED.add(days=number)
        run = airflow.add_run("d", f"{others}__{number}", start.isoformat(), start.add(days=1).isoformat())
        airflow.dag_runs["d", run]["run_type"] = others

    newest = client.newest_scheduled_run("d")
    assert newest
    assert newest.run_id == "scheduled__11"
    del airflow.dag_runs["d", "scheduled__11"]
    assert client.newest_scheduled_run("d") is None


def test_a_server_error_is_tried_again(client: AirflowClient, airflow: FakeAirflow) -> None:
    """A 5xx answer, as SQLite's lock gives one now and then, is no failure if a later one is good."""
    airflow.dag_ids = ["taxi_daily"]
    airflow.failures = [500, 503]

    assert [dag["dag_id"] for dag in client.dags()] == ["taxi_daily"]
    assert len(airflow.requests) == 3


def test_a_server_that_stays_broken_is_unreachable(airflow: FakeAirflow) -> None:
    """When patience is over, the error has the address, the call and the last answer."""
    airflow.failures = [500] * 100
    client = AirflowClient(AirflowAddress(airflow.url, "admin", "admin"), patience=0.5)

    with pytest.raises(AirflowFault, match=rf"{airflow.url}.*GET /api/v1/dags answered 500"):
        client.dags()


def test_a_login_page_is_told_as_what_it_is(client: AirflowClient, airflow: FakeAirflow) -> None:
    """A page instead of JSON is reported as a login page, not as a JSON error."""
    airflow.login_page = True

    with pytest.raises(AirflowFault, match=r"a login page\?"):
        client.dags()


def test_wrong_credentials_are_told_at_once(airflow: FakeAirflow) -> None:
    """A 401 is not tried again, and the remedy names the variables."""
    client = AirflowClient(AirflowAddress(airflow.url, "admin", "wrong"), patience=30)

    with pytest.raises(AirflowFault, match=r"401.*AIRFLOW_PASSWORD"):
        client.dags()
    assert len(airflow.requests) == 1


def test_nobody_listens() -> None:
    """A closed port is unreachable, with the reason of the operating system."""
    client = AirflowClient(AirflowAddress(f"http://127.0.0.1:{free_port()}", "a", "b"), patience=0.3)

    with pytest.raises(AirflowFault, match="refused"):
        client.dags()
    assert client.is_healthy() is False


def test_a_server_that_starts_is_asked_again(airflow: FakeAirflow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which version it is, is not known before it has said so, and not guessed: not even by what it does not have."""
    known = airflow.answer
    said: list[tuple[int, Any]] = [(503, "starting"), (404, {}), (404, {})]
    monkeypatch.setattr(airflow, "answer", lambda *request: said.pop(0) if said else known(*request))
    client = AirflowClient(AirflowAddress(airflow.url, "admin", "admin"), patience=0)

    with pytest.raises(AirflowFault, match="503"):
        client.dags()
    with pytest.raises(AirflowUnclear, match="does not say that it is an Airflow 2 or 3"):
        client.dags()
    assert client.dags() == []


def test_an_airflow_that_is_not_known(airflow: FakeAirflow, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later major version is refused by its number, whatever its paths are."""
    monkeypatch.setattr(airflow, "answer", lambda *_: (200, {"version": "4.0.0"}))

    with pytest.raises(AirflowUnclear, match=r"says that this is Airflow 4\.0\.0"):
        AirflowClient(AirflowAddress(airflow.url), patience=0).dags()


def test_health_is_web_server_and_scheduler(client: AirflowClient, airflow: FakeAirflow) -> None:
    """Healthy means that the web server answers in JSON that the scheduler has a heartbeat."""
    assert client.is_healthy()
    airflow.login_page = True
    assert not client.is_healthy()


def test_a_run_has_its_data_interval_as_window(client: AirflowClient, airflow: FakeAirflow) -> None:
    """The window is the data interval in UTC; an empty interval is a tick, and a missing one is nothing."""
    airflow.add_run("d", "whole", "2024-03-09T06:00:00-05:00", "2024-03-10T06:00:00-04:00")
    airflow.add_run("d", "empty", "2024-03-09T11:00:00Z", "2024-03-09T11:00:00Z")
    airflow.add_run("d", "none", None, None)

    window = Window(pendulum.datetime(2024, 3, 9, 11), pendulum.datetime(2024, 3, 10, 10))
    assert client.dag_run("d", "whole").window == window
    assert client.dag_run("d", "empty").window == Tick(window.start)
    assert client.dag_run("d", "none").window is None


def test_a_try_has_an_identity_of_its_own(client: AirflowClient, airflow: FakeAirflow) -> None:
    """Two tries of one task, and two mapped instances, are told apart; the same one is the same again."""
    airflow.finish("d", "t", "run", ENDED, map_index=0)
    airflow.finish("d", "t", "run", ENDED, map_index=1)
    first = {task.identity for task in client.finished_task_instances(["d"], ENDED)}
    again = {task.identity for task in client.finished_task_instances(["d"], ENDED)}
    airflow.finish("d", "t", "run", ENDED.add(seconds=1), map_index=1, try_number=2)
    later = {task.identity for task in client.finished_task_instances(["d"], ENDED)}

    assert first == again
    assert len(first) == 2
    assert len(later - first) == 1


def test_a_task_in_a_group_keeps_its_dots(client: AirflowClient, airflow: FakeAirflow) -> None:
    """The unit of a task in a task group has the group's name in its task id."""
    airflow.finish("d", "group.t", "run", ENDED)

    [task] = client.finished_task_instances(["d"], ENDED)

    assert task.unit == Unit.parse("d.group.t")


def test_an_unknown_run_is_told_with_its_path(client: AirflowClient) -> None:
    """A 404 names the call and the status."""
    with pytest.raises(AirflowFault, match="GET /api/v1/dags/d/dagRuns/none answered 404"):
        client.dag_run("d", "none")


def test_the_address_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """AIRFLOW_URL, AIRFLOW_USER and AIRFLOW_PASSWORD say where Airflow is; a trailing slash is no matter."""
    monkeypatch.setenv("AIRFLOW_URL", "http://airflow.internal:8080/")
    monkeypatch.setenv("AIRFLOW_USER", "reader")
    monkeypatch.setenv("AIRFLOW_PASSWORD", "secret")

    assert AirflowAddress.of(Settings.from_process()) == AirflowAddress(
        "http://airflow.internal:8080", "reader", "secret"
    )


def test_a_run_is_parsed_without_optional_fields() -> None:
    """A run that still goes on has no end."""
    run = DagRun.parse({"dag_id": "d", "dag_run_id": "r", "state": "running"})

    assert (run.window, run.end) == (None, None)


@pytest.mark.parametrize("asked", ["dags", "finished", "between"])
def test_a_row_that_is_made_while_airflow_counts(
    client: AirflowClient, airflow: FakeAirflow, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    """Airflow counts before it reads: a page with a row too many is asked for again."""
    airflow.dag_ids = ["taxi_daily"]
    airflow.finish("taxi_daily", "task", "run", ENDED)
    airflow.add_run("taxi_daily", "run", ENDED.isoformat(), ENDED.add(days=1).isoformat())
    stale = [True, True]
    answer = airflow.answer

    def counted_too_early(*request: Any) -> tuple[int, Any]:
        status, document = answer(*request)
        if stale and isinstance(document, dict) and document.get("total_entries"):
            stale.pop()
            document = {**document, "total_entries": document["total_entries"] - 1}
        return status, document

    monkeypatch.setattr(airflow, "answer", counted_too_early)
    reads: dict[str, Callable[[], Sequence[Any]]] = {
        "dags": lambda: [dag["dag_id"] for dag in client.dags()],
        "finished": lambda: client.finished_page(["taxi_daily"], ENDED)[0],
        "between": lambda: list(client.dag_runs_between(["taxi_daily"], ENDED, ENDED, 2)),
    }

    assert reads[asked]()
    assert not stale


def test_a_count_that_never_agrees(
    client: AirflowClient, airflow: FakeAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends with an error that a later question may not meet, unlike a malformed answer."""
    assert client.version.number == (2, 11)
    answer = {"dags": [{"dag_id": "a"}, {"dag_id": "b"}], "total_entries": 1}
    monkeypatch.setattr(airflow, "answer", lambda *_: (200, answer))
    monkeypatch.setattr("dagster_defs.adapters.airflow.reading.COUNTED_AGAIN", 2)

    with pytest.raises(AirflowUnclear, match="has 1 entries, and has given 2") as raised:
        client.dags()

    assert not raised.value.lasting
