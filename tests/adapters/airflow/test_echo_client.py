"""What Airflow 2.11 and 3.3 are told, asked back: runs with their tasks' states, events of datasets, started DAGs."""

from __future__ import annotations

from collections.abc import Iterator

import pendulum
import pytest

from dagster_defs.adapters.airflow.echo_client import EchoClient
from dagster_defs.adapters.airflow.rows import DagRun
from dagster_defs.errors import AirflowRefuses, AirflowUnclear
from dagster_defs.windows import Tick, Window
from tests.support.airflow_servers import VERSIONS, ServedAirflow, served

pytestmark = pytest.mark.airflow

DAY = Window(pendulum.datetime(2024, 3, 9, 11), pendulum.datetime(2024, 3, 10, 10))
ALL = {"first": "success", "many": "success", "group.inner": "success"}
LONG_AGO = pendulum.datetime(2024, 1, 1)
URI = "file://served/"  # as Airflow itself completes it


@pytest.fixture(scope="module", params=VERSIONS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServedAirflow]:
    airflow = served(request.param, tmp_path_factory.mktemp("airflow"))
    airflow.write([], {})
    with airflow.serving():
        yield airflow


@pytest.fixture
def client(server: ServedAirflow) -> Iterator[EchoClient]:
    """Nothing is left of the runs that a test has made."""
    told = EchoClient(server.client.address, patience=20)
    yield told
    for dag_id in ("windows", "ticks", "by_hand", "with_teardown"):
        for run in told.dag_runs(dag_id):
            told.remove_run(dag_id, run.run_id)


def states(client: EchoClient, run: DagRun) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for task in client.task_instances(run.dag_id, run.run_id):
        found.setdefault(task.unit.task_id, []).append(task.state)
    return found


def test_a_run_is_what_a_sensor_looks_for(client: EchoClient) -> None:
    """Its logical date and its interval are the window's, and all tasks, mapped ones too, have succeeded."""
    run = client.put_run("windows", "echo", DAY)
    assert run.state == "queued"

    client.put_states(run, ALL, succeeded=True)

    found = client.run_at("windows", DAY.start)
    assert found is not None
    assert (found.run_id, found.state, found.window) == ("echo", "success", DAY)
    assert found.occasion is not None
    assert found.occasion.logical_date == DAY.start
    assert states(client, run) == {"first": ["success"], "many": ["success"] * 3, "group.inner": ["success"]}
    assert all(task.try_number == 0 for task in client.task_instances("windows", "echo")), "none was started"


@pytest.mark.parametrize(("succeeded", "told"), [
    (True, {"first": "success", "many": "skipped", "group.inner": "success"}),
    (False, {"first": "failed", "many": "failed", "group.inner": "skipped"}),
])  # fmt: skip
def test_each_task_ends_as_told(client: EchoClient, succeeded: bool, told: dict[str, str]) -> None:
    """Whatever Airflow makes of its tasks when the run ends."""
    run = client.put_run("windows", "echo", DAY)

    client.put_states(run, told, succeeded=succeeded)

    assert {name: {*found} for name, found in states(client, run).items()} == {
        name: {state} for name, state in told.items()
    }
    assert client.dag_run("windows", "echo").state == ("success" if succeeded else "failed")


def test_a_failed_run_may_succeed_later(client: EchoClient) -> None:
    """As after a person has run the window again; telling the same once more changes nothing."""
    run = client.put_run("windows", "echo", DAY)
    client.put_states(run, {**ALL, "first": "failed", "many": "failed"}, succeeded=False)

    client.put_states(run, ALL, succeeded=True)
    client.put_states(run, ALL, succeeded=True)

    assert {state for found in states(client, run).values() for state in found} == {"success"}
    assert client.dag_run("windows", "echo").state == "success"


def test_a_date_has_one_run(client: EchoClient) -> None:
    """Whoever has made it: a second request gives the one that is there, whatever its id."""
    first = client.put_run("windows", "one", DAY)

    assert client.put_run("windows", "one", DAY).run_id == "one"
    assert client.put_run("windows", "another", DAY).run_id == first.run_id
    assert [run.run_id for run in client.dag_runs("windows")] == ["one"]


def test_another_interval_is_not_taken_for_the_window(client: EchoClient) -> None:
    """A run of that date that is about something else is no run of the window."""
    client.put_run("windows", "one", DAY)

    with pytest.raises(AirflowUnclear, match="and not"):
        client.put_run("windows", "two", Window(DAY.start, DAY.end.add(hours=1)))


def test_a_tick_has_an_empty_interval(client: EchoClient) -> None:
    """Its run is found by its instant."""
    tick = Tick(pendulum.datetime(2024, 3, 9, 11))

    client.put_run("ticks", "echo", tick)

    found = client.run_at("ticks", tick.start)
    assert found is not None
    assert found.window == tick


def test_there_is_no_run_at_another_date(client: EchoClient) -> None:
    """Nor of another DAG."""
    client.put_run("windows", "echo", DAY)

    assert client.run_at("windows", DAY.end) is None
    assert client.run_at("windows", DAY.start.add(seconds=1)) is None
    assert client.run_at("by_hand", DAY.start) is None


def test_a_run_that_airflow_keeps_open_is_an_error(client: EchoClient) -> None:
    """Airflow leaves a run with a teardown task open for that task: it must not be taken for told."""
    run = client.put_run("with_teardown", "echo", DAY)

    with pytest.raises(AirflowUnclear, match="was set to success, and is queued"):
        client.put_states(run, {"first": "success"}, succeeded=True)


def test_an_event_is_found_by_its_key(client: EchoClient) -> None:
    """Of its dataset, since an instant; by nothing else."""
    dataset = client.dataset(URI)
    assert dataset is not None
    before = pendulum.now("UTC").subtract(minutes=1)
    assert not client.has_event(dataset, "a", before)

    client.put_event(URI, dataset, "a")

    assert client.has_event(dataset, "a", before)
    assert not client.has_event(dataset, "b", before)


def test_an_event_behind_many_others_is_found(client: EchoClient) -> None:
    """However many others there have been since: page after page."""
    dataset = client.dataset(URI)
    assert dataset is not None
    client.put_event(URI, dataset, "early")
    for number in range(101):
        client.put_event(URI, dataset, f"later{number}")

    assert client.has_event(dataset, "early", LONG_AGO)
    assert not client.has_event(dataset, "none", LONG_AGO)


def test_a_dataset_is_known_by_its_whole_address(client: EchoClient) -> None:
    """A part of one is none."""
    assert client.dataset("file://served") is None
    assert client.dataset("file://other") is None


def test_a_dag_is_started_once_with_its_conf(client: EchoClient) -> None:
    """A second request with the same id, or the same date, is refused by Airflow: the run that is there is given."""
    first = client.start("by_hand", "parity_echo__a", DAY.start, {"day": "2024-03-09"})

    assert first.occasion is not None
    assert (first.state, first.occasion.conf) == ("queued", {"day": "2024-03-09"})
    assert client.start("by_hand", "parity_echo__a", DAY.end, {}).run_id == first.run_id
    assert client.start("by_hand", "parity_echo__b", DAY.start, {}).run_id == first.run_id
    assert len(client.dag_runs("by_hand")) == 1


def test_a_run_is_removed(client: EchoClient) -> None:
    """Also if it is gone already; a DAG that is not there is refused all the same."""
    client.put_run("windows", "echo", DAY)

    client.remove_run("windows", "echo")
    client.remove_run("windows", "echo")

    assert client.run_at("windows", DAY.start) is None
    with pytest.raises(AirflowRefuses):
        client.put_run("nowhere", "echo", DAY)
