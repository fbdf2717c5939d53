"""What Airflow is told of a retired DAG's runs, asked of real web servers of Airflow 2.11 and 3.3: each thing once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from itertools import chain, repeat
from pathlib import Path

import pytest

from dagster_defs.adapters.airflow.echo_client import EchoClient
from dagster_defs.adapters.airflow.rows import DagRun
from dagster_defs.components.sensors import echo_sensor, echo_turn
from dagster_defs.errors import AirflowUnreachable
from dagster_defs.lifecycle import tags
from dagster_defs.windows import Window
from tests.components.conftest import Project
from tests.support.airflow_servers import VERSIONS, ServedAirflow, served
from tests.support.echoing import DAY, ECHO_DAGS, Echoes, at, exported, feeder
from tests.support.triggering import unit

pytestmark = pytest.mark.airflow

DONE = {"": "success", "load": "success", "group.inner": "success", "last": "success", "start": "success"}
BROKEN = {"": "failed", "load": "failed", "group.inner": "failed", "last": "failed", "start": "failed"}


@pytest.fixture(scope="module", params=VERSIONS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ServedAirflow, Path]]:
    folder = tmp_path_factory.mktemp("airflow")
    airflow = served(request.param, folder, ECHO_DAGS)
    airflow.write([], {})
    inventory = exported(airflow.version, folder / "inventory.json")
    with airflow.serving():
        yield airflow, inventory


@pytest.fixture
def echoes(fresh_project: Project, server: tuple[ServedAirflow, Path]) -> Iterator[Echoes]:
    """With all of `feeder` retired; no run is left in Airflow afterwards."""
    airflow, inventory = server
    echoes = Echoes(fresh_project, airflow.url, inventory=inventory)
    echoes.declare(*feeder())
    echoes.retire("feeder.load", "feeder.group.inner")
    yield echoes
    for dag_id in ("feeder", "started"):
        for run in echoes.client.dag_runs(dag_id):
            echoes.client.remove_run(dag_id, run.run_id)


def test_a_window_is_told_once(echoes: Echoes) -> None:
    """Its run, its tasks, the event of its dataset and the DAG that it starts, with the conf of the window; not again
    in the next tick, nor after the cursor was lost."""
    before = echoes.events()
    echoes.run_job("feeder", day=DAY)

    assert echoes.look() == f"feeder: Airflow was told {DAY} success, file://lake/a, a run of started"
    assert echoes.states() == DONE
    told = echoes.client.run_at("feeder", at(DAY))
    assert told is not None
    assert told.window == Window(at(DAY), at(DAY).add(days=1))
    assert (echoes.events() - before, echoes.started()) == (1, [{"day": DAY}])

    assert echoes.look() == "there is nothing that Airflow waits for"
    echoes.cursor = None
    echoes.look()
    assert (echoes.events() - before, echoes.started()) == (1, [{"day": DAY}])
    assert len(echoes.client.dag_runs("feeder")) == 1


@pytest.mark.parametrize("place", ["put_states", "put_event", "start", "note_told"])
def test_a_process_that_ends_in_the_middle_tells_the_rest(
    echoes: Echoes, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """After each call to Airflow, before anything is noted in Dagster: the next tick tells what is missing, once."""
    before = echoes.events()
    echoes.run_job("feeder", day=DAY)

    class Killed(BaseException):
        """As the signal that no code can catch."""

    with monkeypatch.context() as patched:
        owner = echo_turn if place == "note_told" else EchoClient
        own = getattr(owner, place)

        def then_killed(*arguments: object, **named: object) -> None:
            if place != "note_told":
                own(*arguments, **named)
            raise Killed

        patched.setattr(owner, place, then_killed)
        with pytest.raises(Killed):
            echoes.look()
    echoes.look()

    assert echoes.states() == DONE
    assert (echoes.events() - before, echoes.started()) == (1, [{"day": DAY}])
    assert len(echoes.client.dag_runs("feeder")) == 1


def test_a_failed_window_is_told_as_failed_and_later_as_done(echoes: Echoes) -> None:
    """With the tasks that did not run; nothing is written or started then. Once the window has been run again, the
    same run in Airflow has succeeded."""
    before = echoes.events()
    echoes.breaks("load")
    echoes.run_job("feeder", day=DAY)

    assert echoes.look() == f"feeder: Airflow was told {DAY} failed"
    assert echoes.states() == BROKEN
    assert (echoes.events() - before, echoes.started()) == (0, [])

    echoes.breaks("load", broken=False)
    echoes.run_job("feeder", day=DAY)
    echoes.look()
    assert echoes.states() == DONE
    assert (echoes.events() - before, echoes.started()) == (1, [{"day": DAY}])
    assert len(echoes.client.dag_runs("feeder")) == 1


def test_airflow_that_is_away_is_told_later(echoes: Echoes) -> None:
    """Late, and not lost: until then it is outstanding, with the reason."""
    echoes.run_job("feeder", day=DAY)
    echoes.run_job("feeder", day="2024-03-10")

    assert "does not answer" in echoes.look(away=True)
    assert [each.about for each in echoes.place.outstanding.values()] == [DAY, "2024-03-10"]

    echoes.look()
    assert echoes.place.outstanding == {}
    assert echoes.states() == echoes.states("2024-03-10") == DONE


def test_a_dag_that_is_not_paused_is_not_told_of(echoes: Echoes) -> None:
    """Airflow would start the tasks of the run that it is told of."""
    echoes.run_job("feeder", day=DAY)
    echoes.client.set_paused("feeder", paused=False)
    try:
        assert "feeder is not paused in Airflow, which would run it. Pause it" in echoes.look()
        assert echoes.states() == {}
    finally:
        echoes.client.set_paused("feeder", paused=True)

    echoes.look()
    assert echoes.states() == DONE


def test_a_run_of_airflows_own_is_left(echoes: Echoes) -> None:
    """If it has succeeded, that is what others look for, and no second run is made."""
    own = echoes.client.put_run("feeder", "by_a_person", Window(at(DAY), at(DAY).add(days=1)))
    echoes.client.put_states(own, {"load": "skipped"}, succeeded=True)
    states = echoes.states()
    echoes.run_job("feeder", day=DAY)

    assert echoes.look() == "feeder: Airflow was told file://lake/a, a run of started"
    assert echoes.states() == states
    assert [run.run_id for run in echoes.client.dag_runs("feeder")] == ["by_a_person"]


def test_nothing_is_told_if_nobody_listens(echoes: Echoes, tmp_path: Path) -> None:
    """As soon as the inventory has nobody any more."""
    document = json.loads(echoes.inventory.read_text())
    [own] = (dag for dag in document["dags"] if dag["dag_id"] == "feeder")
    own["tasks"] = [task for task in own["tasks"] if task["task_id"] != "start"]
    document["dags"] = [own]
    echoes.inventory = tmp_path / "inventory.json"
    echoes.inventory.write_text(json.dumps(document))
    before = echoes.events()
    echoes.run_job("feeder", day=DAY)

    assert echoes.look() == "there is nothing that Airflow waits for"
    assert (echoes.states(), echoes.events() - before, echoes.place.heard_by) == ({}, 0, ())


def test_a_dag_that_is_not_retired_is_not_told_of(echoes: Echoes, fresh_project: Project) -> None:
    """Its runs in Dagster are Airflow's own tasks."""
    (fresh_project.estate.root / "proxied_state" / "ledger.jsonl").unlink()
    echoes.run_job("feeder", day=DAY)

    echoes.look()
    assert echoes.states() == {}


def test_what_was_told_is_said_on_the_run(echoes: Echoes) -> None:
    """In words, with the run's own id, so that a re-execution, which inherits its tags, is told all the same."""
    echoes.run_job("feeder", day=DAY)
    echoes.look()

    [run] = echoes.instance.get_runs()
    assert run.tags[tags.ECHOED] == f"{run.run_id}: {DAY} success, file://lake/a, a run of started"


def test_what_airflow_was_told_is_not_observed(echoes: Echoes) -> None:
    """The tasks of such a run are no work of Airflow's: only Dagster's run has written the window."""
    echoes.run_job("feeder", day=DAY)
    echoes.look()
    events = len(list(echoes.instance.all_asset_keys()))
    echoes.cursor = None

    told = echoes.evaluate("airflow_observer")

    assert list(told.asset_events) == []
    assert len(list(echoes.instance.all_asset_keys())) == events


def test_a_run_of_two_windows_starts_two(echoes: Echoes) -> None:
    """Airflow has one run of a date at most, so the second one needs a date of its own."""
    echoes.run_job("feeder", None, **{tags.RANGE_START: DAY, tags.RANGE_END: "2024-03-10"})

    echoes.look()

    assert sorted(conf["day"] for conf in echoes.started()) == [DAY, "2024-03-10"]
    assert echoes.states() == echoes.states("2024-03-10") == DONE


def test_what_airflow_was_told_to_start_is_observed(echoes: Echoes) -> None:
    """Airflow runs the tasks of such a run itself: they are its own work, unlike those of a run that it was told of."""
    echoes.declare(*feeder(), unit("started.first", {"event": "manual"}))
    echoes.run_job("feeder", day=DAY)
    echoes.look()
    [run] = echoes.client.dag_runs("started")
    echoes.client.put_states(run, {"first": "success"}, succeeded=True)
    echoes.cursor = None

    told = echoes.evaluate("airflow_observer")

    assert [event.asset_key.to_user_string() for event in told.asset_events][-1:] == ["started_first"]


def test_what_cannot_be_told_holds_up_nothing_else(echoes: Echoes) -> None:
    """A window is outstanding as long as its DAG is not paused; its event and the DAG that it starts are not."""
    before = echoes.events()
    echoes.run_job("feeder", day=DAY)
    echoes.client.set_paused("feeder", paused=False)
    try:
        for _ in range(2):
            assert "feeder is not paused" in echoes.look()
            assert (echoes.events() - before, echoes.started()) == (1, [{"day": DAY}])
    finally:
        echoes.client.set_paused("feeder", paused=True)

    echoes.look()
    assert echoes.states() == DONE
    assert (echoes.events() - before, echoes.started()) == (1, [{"day": DAY}])


def test_a_run_that_airflow_never_answers_for_holds_up_no_other(
    echoes: Echoes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a silence nothing more is asked in the tick, and the next one begins with what was tried least."""
    echoes.run_job("feeder", day=DAY)
    echoes.run_job("feeder", day="2024-03-10")
    own = EchoClient.run_at

    def silent(self: EchoClient, dag_id: str, logical_date: datetime) -> DagRun | None:
        if logical_date == at(DAY):
            raise AirflowUnreachable(echoes.airflow_url, "no answer")
        return own(self, dag_id, logical_date)

    with monkeypatch.context() as patched:
        patched.setattr(EchoClient, "run_at", silent)
        echoes.look()
        echoes.look()

    assert echoes.states("2024-03-10") == DONE
    assert [each.about for each in echoes.place.outstanding.values()] == [DAY]


def test_a_run_that_takes_longer_than_a_tick_is_told_in_several(
    echoes: Echoes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Part by part: each tick begins behind what the one before has told."""
    before = echoes.events()
    echoes.run_job("feeder", day=DAY)
    seen = []
    for _ in range(3):
        clock = chain([0.0, 0.0], repeat(100.0))
        monkeypatch.setattr(echo_sensor, "monotonic", lambda clock=clock: next(clock))
        echoes.look()
        seen.append((len(echoes.states()), echoes.events() - before, len(echoes.started())))

    assert seen == [(5, 0, 0), (5, 1, 0), (5, 1, 1)]
    assert echoes.place.outstanding == {}


def test_a_run_that_re_executes_a_refused_one_is_told(echoes: Echoes) -> None:
    """It inherits the tag of the run that was refused, and did something."""
    echoes.run_job("feeder", None, day=DAY, **{tags.REFUSED: "NotOwner"})

    assert echoes.look() == f"feeder: Airflow was told {DAY} success, file://lake/a, a run of started"


def test_a_dag_that_the_inventory_has_lost_is_told_of_later(echoes: Echoes, tmp_path: Path) -> None:
    """An export during which its file did not import says nothing about who waits for it."""
    echoes.look()
    echoes.run_job("feeder", day=DAY)
    whole, document = echoes.inventory, json.loads(echoes.inventory.read_text())
    document["dags"] = [dag for dag in document["dags"] if dag["dag_id"] != "feeder"]
    echoes.inventory = tmp_path / "inventory.json"
    echoes.inventory.write_text(json.dumps(document))
    assert "the inventory does not have feeder" in echoes.look()

    echoes.inventory = whole
    echoes.look()
    assert echoes.states() == DONE
