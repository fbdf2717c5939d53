"""The sensor that starts a retired DAG when other DAGs' tasks or datasets would have, on a real event log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pendulum
import pytest

from dagster_defs.lifecycle import tags
from dagster_defs.windows import Occasion
from tests.components.conftest import Project
from tests.support.fakes import FakeAirflow
from tests.support.triggering import DAILY, A, B, C, Triggers, down, unit

LOAD, CLEAN = unit("up.load", DAILY), unit("up.clean", DAILY)
BOTH: dict[str, Any] = {
    "datasets": {"all": [A, {"any": [B, C]}]},
    "written_by": {A: ["up.load"], B: ["side.export"], C: ["side.other"]},
}
EITHER: dict[str, Any] = {"datasets": {"any": [A, B]}, "written_by": {A: ["up.load"], B: ["side.export"]}}
START: dict[str, Any] = {"task": "up.start", "after": ["load"], "conf": {"day": "{{ ds }}", "n": 1}}
LAST = "2024-03-08T00:00:00+00:00"


@pytest.fixture
def airflow() -> Iterator[FakeAirflow]:
    with FakeAirflow() as server:
        server.paused.add("down")
        yield server


@pytest.fixture
def triggers(fresh_project: Project, airflow: FakeAirflow) -> Triggers:
    return Triggers(fresh_project, airflow.url)


def occasion_of(triggers: Triggers) -> Occasion:
    [asked] = triggers.asked
    return Occasion.from_json(asked.run_config["occasion"])


def test_datasets_start_it_whoever_writes_them(triggers: Triggers) -> None:
    """Airflow's task without a mirror and a run of Dagster's count alike; the run spans the windows of both, and after
    it new events are needed."""
    triggers.declare(LOAD, down(**BOTH))
    triggers.retire("down.work", "up.load")
    assert triggers.tick() == []
    assert triggers.skipped == f"down waits for {A} and ({B} or {C})"

    triggers.observe("airflow", "side", "export", day="2024-03-05")
    assert triggers.tick() == []
    assert triggers.skipped == f"down waits for {A}, {C}: {B} has been written"

    assert triggers.run_job("up", day="2024-03-09")
    [key] = triggers.tick()
    occasion = occasion_of(triggers)
    assert key == occasion.run_id == f"dataset_triggered__{occasion.logical_date}".replace(" ", "T")
    assert (occasion.start, occasion.end) == (pendulum.datetime(2024, 3, 5), pendulum.datetime(2024, 3, 10))
    [told] = triggers.run()
    assert told["run"] == key
    triggers.observe("airflow", "side", "other")
    assert triggers.tick() == []


def test_a_run_that_fails_is_no_event(triggers: Triggers) -> None:
    """Nor one that is refused: the unit has not written."""
    triggers.declare(LOAD, down(**EITHER))
    triggers.retire("down.work")
    triggers.run_job("up", day="2024-03-09")  # Airflow owns it still
    assert triggers.tick() == []
    triggers.retire("up.load")
    triggers.breaks("load")
    triggers.run_job("up", day="2024-03-09")
    assert triggers.tick() == []

    triggers.breaks("load", broken=False)
    triggers.run_job("up", day="2024-03-09")
    assert len(triggers.tick()) == 1


def test_each_event_starts_one_run_whatever_becomes_of_the_cursor(triggers: Triggers) -> None:
    """A tick that is taken again, and one that has lost its cursor, start nothing a second time."""
    triggers.declare(LOAD, down(**EITHER))
    triggers.retire("down.work")
    assert triggers.tick() == []
    before = triggers.cursor
    triggers.observe("up_load")
    assert triggers.tick() != []
    triggers.cursor = None
    again = triggers.tick()
    assert [asked.run_key for asked in triggers.asked] == [f"down|{again[0]}"]
    triggers.run()

    for cursor in (None, before):
        triggers.cursor = cursor
        assert triggers.tick() == []
    triggers.observe("airflow", "side", "export")
    assert len(triggers.tick()) == 1


def test_what_airflow_has_acted_upon_does_not_count(triggers: Triggers, airflow: FakeAirflow) -> None:
    """Events up to the date of the last run that datasets started in Airflow; one that came after it, while the DAG
    was retired, does."""
    airflow.add_run("down", f"dataset_triggered__{LAST}", LAST, LAST)
    airflow.dag_runs["down", f"dataset_triggered__{LAST}"]["run_type"] = "dataset_triggered"
    triggers.declare(LOAD, down(**{**EITHER, "datasets": {"all": [A, B]}}))
    triggers.retire("down.work")
    triggers.observe("up_load", ended=pendulum.datetime(2024, 3, 7))
    triggers.observe("airflow", "side", "export", ended=pendulum.datetime(2024, 3, 8, 1))
    assert triggers.tick() == []
    assert triggers.skipped == f"down waits for {A}: {B} has been written"

    triggers.observe("up_load", ended=pendulum.datetime(2024, 3, 8, 2))
    assert triggers.tick() == ["dataset_triggered__2024-03-08T02:00:00+00:00"]


def test_without_airflows_last_word_nothing_begins(triggers: Triggers, airflow: FakeAirflow) -> None:
    """Which events have been acted upon is asked, not guessed; the tick says so, and goes on when Airflow answers."""
    triggers.declare(LOAD, down(**EITHER))
    triggers.retire("down.work")
    triggers.observe("up_load")
    airflow.login_page = True
    assert triggers.tick() == []
    assert "Airflow" in triggers.skipped

    airflow.login_page = False
    assert len(triggers.tick()) == 1


def queue(airflow: FakeAirflow, run_id: str, **conf: object) -> None:
    """A run that a task in Airflow has triggered."""
    at = run_id.partition("__")[2]
    airflow.add_run("down", run_id, at, at, state="queued")
    airflow.dag_runs["down", run_id] |= {"run_type": "manual", "conf": conf}


ONE, TWO = "manual__2024-03-09T12:00:00+00:00", "manual__2024-03-09T13:00:00+00:00"


def test_what_airflows_tasks_trigger_runs_in_dagster(triggers: Triggers, airflow: FakeAirflow) -> None:
    """As Airflow has created it, with its conf, once; and its end is told to Airflow, where a task may wait for it."""
    triggers.declare(LOAD, down("manual", tasks=[START]))
    triggers.retire("down.work")
    assert triggers.tick() == []
    assert triggers.skipped == "down waits for up.start"
    queue(airflow, ONE, day="2024-03-09")

    assert triggers.tick() == [ONE]
    [told] = triggers.run()
    assert (told["run"], told["conf"]) == (ONE, "{'day': '2024-03-09'}")
    assert airflow.dag_runs["down", ONE]["state"] == "queued"
    assert triggers.tick() == []
    assert airflow.dag_runs["down", ONE]["state"] == "success"
    assert triggers.tick() == []


def test_a_failure_is_told_and_a_cleared_run_runs_again(triggers: Triggers, airflow: FakeAirflow) -> None:
    """`reset_dag_run` puts a run that there was back into the queue, under its own id."""
    triggers.declare(LOAD, down("manual", tasks=[START]))
    triggers.retire("down.work")
    queue(airflow, ONE)
    triggers.breaks("work")
    assert triggers.tick() == [ONE]
    triggers.run()
    assert triggers.tick() == []
    assert airflow.dag_runs["down", ONE]["state"] == "failed"

    triggers.breaks("work", broken=False)
    airflow.dag_runs["down", ONE]["state"] = "queued"
    assert triggers.tick() == [ONE]
    assert triggers.asked[0].run_key != f"down|{ONE}"
    triggers.run()
    triggers.tick()
    assert airflow.dag_runs["down", ONE]["state"] == "success"


def test_a_crash_before_airflow_is_told_ends_in_one_run(triggers: Triggers, airflow: FakeAirflow) -> None:
    """The run has ended, Airflow does not answer, and the cursor is lost: then it is told, and nothing runs again."""
    triggers.declare(LOAD, down("manual", tasks=[START]))
    triggers.retire("down.work")
    queue(airflow, ONE)
    triggers.tick()
    triggers.run()
    airflow.failures = [500] * 50
    assert triggers.tick() == []
    assert "what Airflow's tasks have started is not known" in triggers.skipped
    airflow.failures, triggers.cursor = [], None

    assert triggers.tick() == []
    assert airflow.dag_runs["down", ONE]["state"] == "success"
    assert triggers.tick() == []


def test_a_dag_that_is_on_in_airflow_is_left_alone(triggers: Triggers, airflow: FakeAirflow) -> None:
    """Both would run it."""
    triggers.declare(LOAD, down("manual", tasks=[START]))
    triggers.retire("down.work")
    queue(airflow, ONE)
    airflow.paused.clear()

    assert triggers.tick() == []
    assert "is not paused in Airflow" in triggers.skipped


def test_a_limit_of_runs_is_kept(triggers: Triggers, airflow: FakeAirflow) -> None:
    """The oldest begins; the others wait in Airflow's queue, and the tick says so."""
    triggers.declare(LOAD, down("manual", limit=1, tasks=[START]))
    triggers.retire("down.work")
    queue(airflow, TWO)
    queue(airflow, ONE)

    assert triggers.tick() == [ONE]
    triggers.run()
    assert triggers.tick() == [TWO]


def test_a_task_of_a_retired_dag_starts_it_from_dagster(triggers: Triggers, airflow: FakeAirflow) -> None:
    """When what it comes after has succeeded, though another unit has not; with the conf that the window gives, once;
    and Airflow, which may be gone, is not asked."""
    triggers.declare(LOAD, CLEAN, down("manual", tasks=[START]))
    triggers.retire("down.work", "up.load", "up.clean")
    airflow.login_page = True
    triggers.breaks("clean")
    triggers.run_job("up", day="2024-03-09")

    [key] = triggers.tick()
    assert key.startswith("up.start|")
    [told] = triggers.run()
    assert told["conf"] == "{'day': '2024-03-09', 'n': 1}"
    assert triggers.tick() == []
    triggers.cursor = None
    assert triggers.tick() == []


def test_a_task_of_a_retired_dag_that_would_not_have_run_starts_nothing(
    triggers: Triggers, airflow: FakeAirflow
) -> None:
    """What it comes after has failed; and a run that ended before the DAG was retired was Airflow's affair."""
    last = f"dataset_triggered__{LAST}"
    airflow.dag_runs["down", airflow.add_run("down", last, LAST, LAST)]["run_type"] = "dataset_triggered"
    triggers.declare(LOAD, CLEAN, down(tasks=[START], datasets={"all": [B]}, written_by={B: ["side.export"]}))
    triggers.retire("up.load", "up.clean")
    triggers.run_job("up", day="2024-03-09")
    triggers.retire("down.work", at=pendulum.now("UTC"))
    triggers.breaks("load")
    triggers.run_job("up", day="2024-03-10")
    assert triggers.tick() == []

    triggers.breaks("load", broken=False)
    triggers.run_job("up", day="2024-03-11")
    [_] = triggers.tick()
    assert occasion_of(triggers).conf["day"] == "2024-03-11"


def test_a_logical_date_is_run_once(triggers: Triggers) -> None:
    """Airflow has one run of it; with `reset`, it is run again."""
    dated = {**START, "logical_date": "{{ data_interval_start }}"}
    triggers.declare(LOAD, down("manual", tasks=[dated]))
    triggers.retire("down.work", "up.load")
    triggers.run_job("up", day="2024-03-09")
    assert triggers.tick() == ["manual__2024-03-09T00:00:00+00:00"]
    assert occasion_of(triggers).logical_date == pendulum.datetime(2024, 3, 9)
    triggers.run()
    triggers.run_job("up", day="2024-03-09")
    assert triggers.tick() == []

    triggers.declare(LOAD, down("manual", tasks=[{**dated, "reset": True}]))
    triggers.run_job("up", day="2024-03-09")
    assert len(triggers.tick()) == 1


def test_what_nobody_would_see_holds_the_dag(triggers: Triggers) -> None:
    """A conf that only Airflow can render, and a task that it comes after without a mirror: nothing is guessed, and the
    job is there for a person."""
    triggers.declare(LOAD, down("manual", tasks=[{**START, "conf": {"x": "{{ var.value.x }}"}}]))
    triggers.retire("down.work", "up.load")
    triggers.run_job("up", day="2024-03-09")

    assert triggers.tick() == []
    assert "what up.start gives it is not known in Dagster" in triggers.skipped


def test_a_person_starts_it_too(triggers: Triggers) -> None:
    """With a conf of their own, as before; such a run is nobody's event."""
    triggers.declare(LOAD, down("manual", tasks=[START]))
    triggers.retire("down.work")
    told = triggers.run_job("down", {"conf": {"by": "hand"}})

    assert told["conf"] == "{'by': 'hand'}"
    job = triggers.project.estate.definitions.resolve_job_def("down")
    assert job.tags[tags.TRIGGERED] == "up.start"
    assert json.loads(triggers.cursor or "{}") == {}


def test_one_units_fault_is_its_own(triggers: Triggers, airflow: FakeAirflow) -> None:
    """A unit whose entries cannot be understood is not known to be retired; other DAGs start all the same."""
    triggers.declare(LOAD, down("manual", tasks=[START]))
    triggers.retire("down.work", "up.load")
    triggers.retire("up.load")  # a unit is retired once
    queue(airflow, ONE)

    assert triggers.tick() == [ONE]
