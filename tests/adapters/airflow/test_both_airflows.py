"""The contract of the client: real servers of Airflow 2.11 and 3.3 tell the same in the same words."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx
import pendulum
import pytest

from dagster_defs.adapters.airflow import reading
from dagster_defs.adapters.airflow.address import AirflowAddress
from dagster_defs.adapters.airflow.client import FINISHED, AirflowClient
from dagster_defs.adapters.airflow.reading import PAGE, Version
from dagster_defs.adapters.airflow.rows import TaskInstance
from dagster_defs.adapters.airflow.v1 import V1
from dagster_defs.adapters.airflow.v2 import V2
from dagster_defs.adapters.http import login
from dagster_defs.adapters.store.channels import MASK
from dagster_defs.errors import AirflowRefuses, AirflowUpgraded
from dagster_defs.lifecycle import Unit
from dagster_defs.windows import Tick, Window
from tests.support.airflow_servers import VERSIONS, ServedAirflow, served

pytestmark = pytest.mark.airflow

FIRST, MANY = Unit("windows", "first"), Unit("windows", "many")
SPRING = Window(pendulum.datetime(2024, 3, 9, 11), pendulum.datetime(2024, 3, 10, 10))
TICK = pendulum.datetime(2024, 3, 10, 10)
ENDED = pendulum.datetime(2024, 3, 10, 10, 6)
RUN = "scheduled__2024-03-09T11:00:00+00:00"
CROWDED = 120  # runs of `by_hand`: more than a page


def at(minute: int, second: int = 0) -> str:
    return pendulum.datetime(2024, 3, 10, 10, minute, second).isoformat()


def tried(first: int, last: int, state: str = "success") -> dict[str, str]:
    return {"state": state, "start": at(first), "end": at(last)}


def runs() -> Iterator[Mapping[str, Any]]:
    window = {
        "logical_date": SPRING.start.isoformat(),
        "start": SPRING.start.isoformat(),
        "end": TICK.isoformat(),
    }
    owner = {"key": "parity_owner", "value": "dagster", "timestamp": at(5, 30)}
    stale = {"key": "parity_owner", "value": "dagster", "timestamp": at(4)}
    yield {
        "dag_id": "windows",
        "run_id": RUN,
        **window,
        "tasks": [
            {
                "task_id": "first",
                **tried(5, 6),
                "before": [tried(1, 2, "failed"), tried(3, 4, "failed")],
                "rendered": {"bash_command": "echo 2024-03-09"},
                "xcoms": [owner, {"key": "told", "value": {"a": [1, "b", None]}, "timestamp": at(6)}],
            },
            {"task_id": "group.inner", **tried(5, 7), "xcoms": [stale]},
            {"task_id": "many", "map_index": 0, **tried(5, 6), "operator": "ProxyToDagster"},
            {"task_id": "many", "map_index": 1, **tried(5, 7), "before": [tried(1, 2, "failed")]},
            {"task_id": "many", "map_index": 2, "state": "upstream_failed", "end": at(8)},
        ],
    }
    yield {
        "dag_id": "ticks",
        "run_id": "tick",
        "logical_date": TICK.isoformat(),
        "start": TICK.isoformat(),
        "end": TICK.isoformat(),
        "state": "running",
        "bundle_version": "0ld",
        "tasks": [{"task_id": "first", "state": "running", "start": at(1)}],
    }
    for number in range(CROWDED):
        day = TICK.add(days=number).isoformat()
        yield {
            "dag_id": "by_hand",
            "run_id": f"manual__{number:03}",
            "run_type": "manual",
            "logical_date": day,
            "start": day,
            "end": day,
            "conf": {"number": number},
            "tasks": [{"task_id": "first", "state": "skipped", "start": at(20), "end": at(20, number % 50)}],
        }
    yield {"dag_id": "taxi_daily", "run_id": RUN, **window}
    for number in range(PAGE):
        day = TICK.add(days=number).isoformat()
        yield {
            "dag_id": "taxi_daily",
            "run_id": f"manual__{number}",
            "run_type": "manual",
            "logical_date": day,
            "start": day,
            "end": day,
        }


# Airflow 2 has none of these.
OF_AIRFLOW3 = (
    {
        "dag_id": "by_key",
        "run_id": "key",
        "logical_date": None,
        "run_after": at(0),
        "partition_key": "2024-03-10T06:00:00",
        "tasks": [{"task_id": "first", **tried(30, 31)}],
    },
    {
        "dag_id": "by_assets",
        "run_id": "asset",
        "run_type": "asset_triggered",
        "logical_date": None,
        "run_after": at(1),
        "tasks": [{"task_id": "first", "state": "awaiting_input", "start": at(2)}],
    },
)


@pytest.fixture(scope="module", params=VERSIONS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServedAirflow]:
    """Tests of one version after those of the other."""
    airflow = served(request.param, tmp_path_factory.mktemp("airflow"))
    variables = {f"n{number}": str(number) for number in range(PAGE + 1)}
    airflow.write([*runs(), *(OF_AIRFLOW3 if airflow.version == "3.3" else ())], variables)
    with airflow.serving():
        yield airflow


@pytest.fixture
def client(server: ServedAirflow) -> AirflowClient:
    return server.client


@pytest.fixture
def three(server: ServedAirflow) -> AirflowClient:
    if server.version != "3.3":
        pytest.skip("Airflow 2 has no runs without a logical date")
    return server.client


def instances(client: AirflowClient) -> dict[tuple[str, int], TaskInstance]:
    return {(one.unit.task_id, one.map_index): one for one in client.task_instances("windows", RUN)}


def test_it_says_which_version_it_is(client: AirflowClient, server: ServedAirflow) -> None:
    """The server is asked, and it is healthy if its scheduler has a heartbeat."""
    assert client.version.text.startswith(server.version)
    assert client.is_healthy()


def test_dags_and_their_tasks(client: AirflowClient) -> None:
    """With their sources, schedules and classes; one that Airflow has never had is unknown."""
    by_id = {dag["dag_id"]: dag for dag in client.dags()}

    assert {"windows", "ticks", "by_hand", "by_assets"} <= by_id.keys()
    assert "0 6 * * *" in str(client.schedule(by_id["windows"]))
    assert "CronDataIntervalTimetable" in (client.source(by_id["windows"]) or "")
    assert {task["task_id"] for task in client.tasks("windows")} == {"first", "many", "group.inner"}
    assert client.task(FIRST)["class_ref"]["class_name"] == "BashOperator"
    assert client.task(FIRST)["doc_md"] == "of the first"
    assert [tag["name"] for tag in client.dag("windows")["tags"]] == ["served"]
    assert (client.has_dag("windows"), client.has_dag("unknown")) == (True, False)
    assert client.import_errors() == []
    with pytest.raises(AirflowRefuses, match="404"):
        client.dag("unknown")


def test_a_run_has_its_window(client: AirflowClient) -> None:
    """A data interval of some length is a window, one without a tick, and a run that is gone is None."""
    assert client.dag_run("windows", RUN).window == SPRING
    assert client.find_dag_run("windows", RUN) == client.dag_run("windows", RUN)
    tick = client.dag_run("ticks", "tick")
    assert (tick.window, tick.state) == (Tick(TICK), "running")
    assert tick.occasion
    assert (tick.occasion.logical_date, tick.occasion.start, tick.occasion.end) == (TICK, TICK, TICK)
    assert client.find_dag_run("windows", "gone") is None
    assert client.find_dag_run("unknown", "gone") is None


def test_what_the_schedule_will_run_next(
    client: AirflowClient, server: ServedAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start of the next window, and the last run that the schedule made; a DAG without a clock has neither."""
    assert client.next_window_start("windows") is not None
    assert client.next_window_start("by_hand") is None
    newest = client.newest_scheduled_run("windows")
    assert newest
    assert newest.run_id == RUN
    assert client.newest_scheduled_run("by_hand") is None
    # Behind a page of runs that people have started since, which Airflow 3 leaves out itself.
    monkeypatch.setattr(reading, "MOST_PAGES", 2 if server.version == "2.11" else 1)
    newest = client.newest_scheduled_run("taxi_daily")
    assert newest
    assert newest.run_id == RUN
    assert [run.run_id for run in client.live_dag_runs("ticks")] == ["tick"]
    assert client.live_dag_runs("by_hand") == []


def test_runs_that_keep_to_another_version_of_the_file(client: AirflowClient, server: ServedAirflow) -> None:
    """Only Airflow 3 has such runs. What is deployed has no version there, as in a local bundle."""
    outdated = [(run.run_id, run.bundle_version) for run in client.outdated_dag_runs("ticks")]

    assert outdated == ([] if server.version == "2.11" else [("tick", "0ld")])
    assert client.outdated_dag_runs("by_assets") == []


def test_more_runs_than_a_page(client: AirflowClient) -> None:
    """All of them, in order; and of an interval of dates, no more pages than asked for."""
    assert [run.run_id for run in client.dag_runs("by_hand")] == [
        f"manual__{number:03}" for number in range(CROWDED)
    ]
    first, last = TICK, TICK.add(days=CROWDED)
    assert len(list(client.dag_runs_between(["by_hand"], first, last, 5))) == CROWDED
    assert len(list(client.dag_runs_between(["by_hand"], first, last, 1))) == PAGE
    assert {run.dag_id for run in client.dag_runs_between(["by_hand", "ticks"], first, first, 1)} == {
        "by_hand",
        "ticks",
    }


def test_a_run_is_found_by_the_date_of_its_task(client: AirflowClient) -> None:
    """Whatever date that is in this version: the interval from a task's to the same one has its run."""
    for task in (*instances(client).values(), *client.task_instances("ticks", "tick")):
        assert task.run_date
        between = client.dag_runs_between([task.unit.dag_id], task.run_date, task.run_date, 1)
        assert task.run_id in {run.run_id for run in between}


def test_a_try(client: AirflowClient) -> None:
    """With its times, its class and what it rendered; a task that has not begun has none of it."""
    first = instances(client)["first", -1]

    assert (first.state, first.try_number, first.max_tries) == ("success", 3, 2)
    assert (first.start, first.end, first.duration) == (ENDED.subtract(minutes=1), ENDED, 60)
    assert first.command == "echo 2024-03-09"
    assert client.rendered_fields(FIRST, RUN) == {"bash_command": "echo 2024-03-09"}
    assert first.operator == "BashOperator"
    ended = instances(client)["many", 2]
    assert (ended.state, ended.start, ended.end) == ("upstream_failed", None, ENDED.add(minutes=2))


def test_earlier_tries(client: AirflowClient) -> None:
    """Oldest first, of a mapped instance its own; a first try has none."""
    tasks = instances(client)

    assert [(one.try_number, one.state, one.end) for one in client.earlier_tries(tasks["first", -1])] == [
        (1, "failed", ENDED.subtract(minutes=4)),
        (2, "failed", ENDED.subtract(minutes=2)),
    ]
    assert [(one.map_index, one.try_number) for one in client.earlier_tries(tasks["many", 1])] == [(1, 1)]
    assert client.earlier_tries(tasks["many", 0]) == []


def test_instances_of_a_mapped_task(client: AirflowClient) -> None:
    """By their index; of a task, a run or a DAG that is gone there are none."""
    states = ["success", "success", "upstream_failed"]
    assert [one.state for one in client.mapped_instances(MANY, RUN)] == states
    assert client.mapped_instances(Unit("windows", "gone"), RUN) == []
    assert client.mapped_instances(MANY, "gone") == []
    assert client.mapped_instances(Unit("unknown", "gone"), RUN) == []
    with pytest.raises(AirflowRefuses, match="is mapped"):
        client.rendered_fields(MANY, RUN)


def test_what_has_ended(client: AirflowClient) -> None:
    """All tries that ended in a half-open interval, a page with the total number of them; a DAG that is gone among
    those asked for hides nothing."""
    dags = ["windows", "unknown", "ticks"]
    rows, total = client.finished_page(dags, ENDED, ENDED.add(minutes=2))
    assert {(one.unit.task_id, one.map_index) for one in rows} == {
        ("first", -1),
        ("many", 0),
        ("many", 1),
        ("group.inner", -1),
    }
    assert total == 4
    assert all(one.state in FINISHED for one in rows)
    assert client.finished_page(dags, ENDED.add(minutes=2))[1] == 1
    assert client.finished_page(dags, ENDED, ENDED) == ([], 0)


def test_more_that_has_ended_than_a_page(client: AirflowClient) -> None:
    """A page says how many there are, and all of them are read with as many questions as it takes."""
    rows, total = client.finished_page(["by_hand"], ENDED)
    assert (len(rows), total) == (PAGE, CROWDED)
    every = {one.run_id for one in client.finished_task_instances(["by_hand"], ENDED)}
    assert len(every) == CROWDED


def test_what_is_under_way(client: AirflowClient) -> None:
    """A task's instances in any run, by state and by start. Nothing of a DAG that is not there is an error: it would be
    taken for nothing under way."""
    ticks = Unit("ticks", "first")
    assert [one.run_id for one in client.task_instances_under_way(ticks)] == ["tick"]
    assert list(client.task_instances_under_way(FIRST)) == []
    assert [one.state for one in client.started_task_instances(FIRST, ENDED.subtract(minutes=1))] == [
        "success"
    ]
    assert list(client.started_task_instances(FIRST, ENDED)) == []
    assert len(list(client.task_instances_in(Unit("by_hand", "first"), ("skipped",)))) == CROWDED
    unknown = Unit("unknown", "first")
    with pytest.raises(AirflowRefuses):
        list(client.task_instances_under_way(unknown))
    with pytest.raises(AirflowRefuses):
        list(client.started_task_instances(unknown, ENDED))


def test_whose_a_try_is(client: AirflowClient, server: ServedAirflow) -> None:
    """The switch says so in an XCom of that try. The class of an operator says it in Airflow 2 only: Airflow 3 tells
    that of another version of the DAG."""
    tasks = instances(client)

    assert client.is_handed_over(tasks["first", -1])
    assert not client.is_handed_over(tasks["many", 1])
    assert not client.is_handed_over(tasks["group.inner", -1]), "that was an earlier try"
    assert client.is_handed_over(tasks["many", 0]) is (server.version == "2.11")


def test_xcoms(client: AirflowClient) -> None:
    """The keys of a run, and a value as the task gave it."""
    keys = {(unit.task_id, index, key) for unit, index, key in client.xcom_keys("windows", RUN)}
    assert {("first", -1, "told"), ("first", -1, "parity_owner"), ("group.inner", -1, "parity_owner")} == keys
    assert client.xcom(FIRST, RUN, "told") == {"a": [1, "b", None]}
    assert client.xcom(FIRST, RUN, "parity_owner") == "dagster"


def test_variables(client: AirflowClient) -> None:
    """Set, set again, and read one by one or all together; more of them than a page."""
    assert client.variable("parity_marks__none") is None
    for value in ('{"tasks": [{"id": "a", "proxied": true}], "positions": {"a": 1}}', "two", ""):
        client.set_variable("parity_marks__d", value)
        assert client.variable("parity_marks__d") == value
    told = client.variables()
    assert told["parity_marks__d"] == ""
    assert {told[f"n{number}"] for number in range(PAGE + 1)} == {str(number) for number in range(PAGE + 1)}


def test_a_variable_that_is_called_like_a_secret(client: AirflowClient, server: ServedAirflow) -> None:
    """Airflow 3 masks its texts in every answer, and nothing but stars tells that it has."""
    value = '{"tasks": [{"id": "a", "proxied": true}], "positions": {"a": 1}}'
    client.set_variable("parity_marks__my_secret", value)

    told = client.variable("parity_marks__my_secret") or ""

    assert (MASK in told) is (server.version == "3.3")
    assert client.variables()["parity_marks__my_secret"] == told


def test_pause_parse_and_pools(client: AirflowClient) -> None:
    """Each can be asked for twice; what is asked for is so then."""
    for paused in (False, True, True):
        client.set_paused("by_assets", paused=paused)
        assert client.dag("by_assets")["is_paused"] is paused
    for _ in range(2):
        client.parse_soon("windows")
        client.make_pool("duckdb", 1)


def test_a_run_for_a_window(client: AirflowClient) -> None:
    """A run that is triggered has the window as its data interval, and can be closed."""
    run = client.trigger("by_assets", SPRING)

    assert run.window == SPRING
    assert run.run_id in {one.run_id for one in client.live_dag_runs("by_assets")}
    client.note_success(run)
    assert run.run_id not in {one.run_id for one in client.live_dag_runs("by_assets")}


def test_a_log_is_text(client: AirflowClient) -> None:
    """Whatever there is of it: here, that the worker which had it is gone."""
    assert "Could not read served logs" in client.log_of(instances(client)["first", -1])


def test_its_pages(client: AirflowClient, server: ServedAirflow) -> None:
    """A task's page is the one of this version's UI."""
    link = client.link(FIRST, RUN)
    assert link.startswith(client.run_link("windows", RUN))
    assert ("/grid?dag_run_id=" in link) is (server.version == "2.11")
    assert ("/runs/" in link) is (server.version == "3.3")


def test_a_wrong_password(server: ServedAirflow) -> None:
    """A refusal that lasts: Airflow 2 answers as to nobody, with a 403."""
    client = AirflowClient(AirflowAddress(server.url, "admin", "wrong"), patience=30)
    with pytest.raises(AirflowRefuses, match=r"40[13]") as refused:
        client.dags()
    assert refused.value.lasting


def test_a_token_that_is_no_longer_good(three: AirflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """User and password are exchanged for a token at the server's own endpoint: again once it has expired, which is a
    401, and once the server has another key, which is a 403. That a user may not do something is no such 403."""
    three.dags()
    [kept] = [kept for kept in login._KEPT if kept[1] == three.address.url and kept[0].user == "admin"]
    expired = dict(login._KEPT[kept])
    dags = f"{three.address.url}/api/v2/dags"
    until(lambda: httpx.get(dags, headers=expired).status_code == 401)
    for stale in (expired, {"Authorization": "Bearer of another key"}):
        assert httpx.get(dags, headers=stale).status_code in (401, 403)
        monkeypatch.setitem(login._KEPT, kept, stale)
        assert three.dags()

    bob = AirflowClient(AirflowAddress(three.address.url, "bob", "bob"), patience=5)
    assert bob.dags()
    with pytest.raises(AirflowRefuses, match="403"):
        bob.set_paused("windows", paused=True)


def until(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_runs_without_a_logical_date(three: AirflowClient) -> None:
    """A run of a partition key, or of an asset, is in every list, and has no window, and no invented date."""
    between = {
        run.run_id: run
        for run in three.dag_runs_between(["by_key", "by_assets"], TICK, TICK.add(minutes=1), 1)
    }
    assert {"key", "asset"} <= between.keys()
    for run in between.values():
        if run.run_id in ("key", "asset"):
            assert run.window is None
            assert run.occasion
            assert (run.occasion.logical_date, run.occasion.start, run.occasion.end) == (None, None, None)
    [task] = three.finished_page(["by_key"], TICK)[0]
    assert (task.run_id, task.run_date) == ("key", TICK)


def test_a_task_that_waits_for_a_person(three: AirflowClient) -> None:
    """It has begun, and is under way."""
    found = three.task_instances_under_way(Unit("by_assets", "first"))
    assert [one.state for one in found] == ["awaiting_input"]


def test_an_upgrade_between_two_questions(
    client: AirflowClient, server: ServedAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another version answers is an error, and is never taken for "there is none"; the next question is put in
    this version's words."""
    assert client.has_dag("windows")
    before = Version("2.10.5", (2, 10), V1) if server.version == "3.3" else Version("3.1.0", (3, 1), V2)
    questions: list[Callable[[], object]] = [
        lambda: client.find_dag_run("windows", RUN),
        lambda: client.variable("unknown"),
        client.dags,
    ]
    for ask in questions:
        monkeypatch.setitem(reading._VERSIONS, server.url, before)
        with pytest.raises(AirflowUpgraded, match=f"it was {before.text}, and is {server.version}") as told:
            ask()
        assert not told.value.lasting
        assert client.has_dag("windows")
    monkeypatch.setitem(reading._VERSIONS, server.url, before)
    assert not client.is_healthy()
    assert client.is_healthy()
