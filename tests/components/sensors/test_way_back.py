"""The sensor that gives a soaking unit back to Airflow when a proxied run of it fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_defs.adapters.store.ledger import NAME, Ledger
from dagster_defs.adapters.store.proxied_state import read_marks, write_mark
from dagster_defs.components.sensors.way_back import build_go_on_sensor, build_way_back_sensor
from dagster_defs.lifecycle import Stage, Unit, tags
from dagster_defs.lifecycle.ledger import Entry, Kind
from dagster_defs.lifecycle.settings import GateSettings
from dagster_defs.lifecycle.stages import Move
from dagster_defs.usecases.move import apply as moving
from dagster_defs.usecases.move.carry_out import Patience
from tests.components.conftest import NEW_YORK_DAYS, Project
from tests.support.estate import ROOT
from tests.support.fake_dagster import FakeDagster
from tests.support.fakes import FakeAirflow
from tests.support.instances import instance_for_test
from tests.support.inventory_samples import read_from
from tests.support.marks_table import TABLE, lay
from tests.support.owned import entries_to

UNIT = Unit("taxi_daily", "dbt_daily")
OF_THE_UNIT = {tags.UNIT: str(UNIT), tags.SIDE: "legacy"}
TWO_TAGS = {**OF_THE_UNIT, tags.AIRFLOW_DAG: UNIT.dag_id, tags.AIRFLOW_TASK: UNIT.task_id}
PROXIED = {
    **TWO_TAGS,
    tags.AIRFLOW_RUN: "scheduled__1",
    tags.AIRFLOW_TASK_INSTANCE: f"{UNIT} scheduled__1",
    tags.AIRFLOW_MAP_INDEX: "-1",
    tags.AIRFLOW_TRY: "1",
    tags.AIRFLOW_ROUND: "7.0",
    tags.AIRFLOW_UPSTREAM: "",
    tags.LAUNCH: "0123456789abcdef0123456789abcdef",
    tags.PARTITION: "2024-03-09",
    tags.WINDOW_START: "2024-03-09T11:00:00+00:00",
    tags.WINDOW_END: "2024-03-10T10:00:00+00:00",
}
YESTERDAY = datetime.now(timezone.utc) - timedelta(days=1)


@dg.op
def breaks() -> None:
    raise OSError("the share is not there")


@dg.job(name=UNIT.identifier)
def failing() -> None:
    breaks()


@dataclass(frozen=True)
class Soaking:
    """A unit that was cut over yesterday, and servers that both answer."""

    folder: Path
    instance: dg.DagsterInstance

    def fail(self, said: Mapping[str, str], soak_days: float = 7) -> str:
        """A run with these tags really fails; what the sensor says of it."""
        run = failing.execute_in_process(instance=self.instance, tags=dict(said), raise_on_error=False)
        return self.said_of(run.run_id, run.get_run_failure_event(), soak_days)

    def said_of(self, run_id: str, event: dg.DagsterEvent, soak_days: float = 7) -> str:
        run = self.instance.get_run_by_id(run_id)
        assert run
        sensor = build_way_back_sensor("own", [failing], {UNIT: GateSettings(soak_days=soak_days)}, ROOT)
        context = dg.build_run_status_sensor_context(
            sensor_name="own_way_back",
            dagster_instance=self.instance,
            dagster_run=run,
            dagster_event=event,
        ).for_run_failure()
        skipped = sensor(context)
        assert isinstance(skipped, dg.SkipReason)
        return str(skipped.skip_message)

    def write(self, *entries: Entry) -> None:
        with (self.folder / NAME).open("a") as file:
            file.writelines(f"{json.dumps(entry.as_json())}\n" for entry in entries)

    @property
    def stage(self) -> Stage | None:
        return Ledger(self.folder).history(UNIT).stage

    @property
    def marked(self) -> bool:
        return read_marks(self.folder)[UNIT]


@pytest.fixture
def soaking(
    tmp_path: Path, airflow: FakeAirflow, dagster_server: FakeDagster, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Soaking]:
    monkeypatch.setenv("PARITY_PROXIED_STATE", str(tmp_path))
    monkeypatch.setenv("PARITY_OPERATOR", "daemon")
    monkeypatch.setenv("AIRFLOW_URL", airflow.url)
    monkeypatch.setenv("AIRFLOW_USER", "admin")
    monkeypatch.setenv("AIRFLOW_PASSWORD", "admin")
    monkeypatch.setenv("DAGSTER_URL", dagster_server.url)
    airflow.operators = lambda dag_id, task_id: (
        "ProxyToDagster" if read_marks(tmp_path)[Unit(dag_id, task_id)] else "BashOperator"
    )
    with instance_for_test() as instance:
        soaking = Soaking(tmp_path, instance)
        soaking.write(*entries_to(UNIT, Stage.CUT_OVER, YESTERDAY))
        write_mark(tmp_path, UNIT, proxied=True)
        yield soaking


def test_a_failing_run_rolls_its_unit_back(soaking: Soaking) -> None:
    """The proxied run of a unit that soaks fails: the mark and the ledger are Airflow's again, and the entry says by
    which run, and that nobody's hand did it."""
    assert soaking.fail(PROXIED) == f"{UNIT} was rolled back"

    assert (soaking.stage, soaking.marked) == (Stage.SHADOWED, False)
    *_, intent, done = Ledger(soaking.folder).history(UNIT).entries
    assert (intent.move, intent.kind, done.kind) == (Move.ROLLBACK, Kind.INTENDED, Kind.DONE)
    assert intent.operator == "daemon, by itself"
    assert "Dagster run" in intent.reason
    assert "failed" in intent.reason


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        (lambda instance, run: instance.report_run_canceling(run), "somebody has ended the run"),
        (
            lambda instance, run: instance.add_run_tags(run.run_id, {tags.LOST: str(UNIT)}),
            "the run's process was lost with its host",
        ),
        (lambda instance, run: None, f"{UNIT} was rolled back"),
    ],
    ids=["terminated", "lost", "failed"],
)
def test_a_run_that_was_ended_is_no_failure(soaking: Soaking, ended: Callable[..., Any], said: str) -> None:
    """A worker of Celery's reports a run that somebody has terminated as failed; the unit stays where it is."""
    instance = soaking.instance
    run = instance.create_run_for_job(failing, tags=PROXIED, status=dg.DagsterRunStatus.STARTED)
    ended(instance, run)
    event = instance.report_run_failed(run, "the worker was shut down")

    assert soaking.said_of(run.run_id, event) == said

    assert soaking.marked is (soaking.stage is Stage.CUT_OVER) is ("rolled back" not in said)


def test_a_mapped_source_comes_back_with_its_reader(
    soaking: Soaking, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The unit reads XComs of a mapped task that is Dagster's too: in Airflow it would find none, so both return."""
    source, other = Unit(UNIT.dag_id, "regions"), Unit(UNIT.dag_id, "unread")
    inventory = tmp_path_factory.mktemp("inventory") / "inventory.json"
    inventory.write_text(json.dumps(read_from(source, UNIT)))
    monkeypatch.setenv("PARITY_INVENTORY", str(inventory))
    for unit in (source, other):
        soaking.write(*entries_to(unit, Stage.CUT_OVER, YESTERDAY))
        write_mark(soaking.folder, unit, proxied=True)

    assert soaking.fail(PROXIED) == f"{UNIT} was rolled back"

    histories = Ledger(soaking.folder).read().histories()
    assert [histories[unit].stage for unit in (UNIT, source, other)] == [
        Stage.SHADOWED, Stage.SHADOWED, Stage.CUT_OVER,
    ]  # fmt: skip
    assert dict(read_marks(soaking.folder)) == {UNIT: False, source: False, other: True}


def test_only_a_run_that_airflow_waits_for_counts(soaking: Soaking) -> None:
    """A failed run that somebody has started himself, such as a backfill, moves nothing."""
    assert soaking.fail(OF_THE_UNIT) == "the run was not launched by an Airflow proxy"
    assert (soaking.stage, soaking.marked) == (Stage.CUT_OVER, True)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (TWO_TAGS, "it lacks"),
        ({name: value for name, value in PROXIED.items() if name != tags.LAUNCH}, "it lacks parity/launch_id"),
        ({**PROXIED, tags.PARENT_RUN: "before", tags.ROOT_RUN: "before"}, "it re-executes run before"),
        ({**PROXIED, tags.RANGE_START: "2024-03-09"}, "it is about a range of partitions"),
        ({**PROXIED, tags.REFUSED: "RunLives"}, "the run was refused before it did anything: RunLives"),
        ({**PROXIED, tags.AIRFLOW_TASK: "other"}, "its tags name the task taxi_daily.other"),
        ({**PROXIED, tags.UNIT: "taxi_daily.other"}, "the job's tags parity/unit and parity/side were changed"),
        ({**PROXIED, "dagster/sensor_name": "s"}, "was started by a sensor"),
    ],
    ids=["two-tags", "no-launch", "again", "range", "refused", "another-task", "another-unit", "sensor"],
)  # fmt: skip
def test_a_run_that_only_looks_like_the_proxys_moves_nothing(
    soaking: Soaking, said: Mapping[str, str], why: str
) -> None:
    """A failed run with forged or copied tags, or one that was refused, is listened to by nobody."""
    assert why in soaking.fail(said)
    assert (soaking.stage, soaking.marked) == (Stage.CUT_OVER, True)


def test_a_second_run_of_one_launch_moves_nothing(soaking: Soaking) -> None:
    """The id of a launch counts once, also for its failure."""
    failing.execute_in_process(instance=soaking.instance, tags=PROXIED, raise_on_error=False)

    assert "was launched with the same parity/launch_id" in soaking.fail(PROXIED)
    assert soaking.marked


def test_a_unit_that_has_soaked_stays(soaking: Soaking) -> None:
    """After the days of its soak a failing run is a failing run."""
    assert soaking.fail(PROXIED, soak_days=0.5) == f"{UNIT} is not soaking"
    assert (soaking.stage, soaking.marked) == (Stage.CUT_OVER, True)


def test_a_unit_is_rolled_back_once(soaking: Soaking) -> None:
    """A second failure of before the rollback finds nothing to do."""
    soaking.fail(PROXIED)
    assert soaking.fail({**PROXIED, tags.LAUNCH: "f" * 32}) == f"{UNIT} is not soaking"
    assert len(Ledger(soaking.folder).history(UNIT).rolled_back) == 1


def test_a_move_that_is_open_is_left_alone(soaking: Soaking) -> None:
    """Somebody is at it already: the sensor does not go between."""
    retiring = Entry("r", YESTERDAY, "ada", UNIT, Move.RETIRE, Kind.INTENDED, Stage.CUT_OVER)
    soaking.write(retiring)

    assert soaking.fail(PROXIED) == f"{UNIT} is not soaking"
    assert soaking.marked


def test_what_cannot_be_finished_is_half_done(
    soaking: Soaking, airflow: FakeAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Airflow goes on serving the proxy the mark is back at Airflow, the move is open, and the tick says what
    is to be done."""
    monkeypatch.setattr(moving, "SENSOR_PATIENCE", Patience(0, 0, 0, 0, 0))
    airflow.operators = lambda dag_id, task_id: "ProxyToDagster"

    message = soaking.fail(PROXIED)

    assert "Airflow would still hand the task to Dagster" in message
    assert f"parity resume {UNIT} --apply" in message
    assert not soaking.marked
    open_move = Ledger(soaking.folder).history(UNIT).open
    assert open_move is not None
    assert open_move.move is Move.ROLLBACK


def go_on() -> str:
    skipped = build_go_on_sensor("own", [UNIT, Unit("taxi_daily", "dbt_zones")], 30, ROOT)(
        dg.build_sensor_context()
    )
    assert isinstance(skipped, dg.SkipReason)
    return str(skipped.skip_message)


def test_what_stopped_half_done_is_finished(
    soaking: Soaking, airflow: FakeAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An automatic rollback that stopped, even before it could take the mark back, is finished by a later tick."""
    monkeypatch.setattr(moving, "SENSOR_PATIENCE", Patience(0, 0, 0, 0, 0))
    own = airflow.operators
    airflow.operators = lambda dag_id, task_id: "ProxyToDagster"
    soaking.fail(PROXIED)
    assert go_on() == "nothing is half-done"
    airflow.operators = own

    assert go_on() == f"rolled back: {UNIT}"
    assert (soaking.stage, soaking.marked) == (Stage.SHADOWED, False)
    assert go_on() == "nothing is half-done"


def test_what_a_person_has_begun_is_left_to_that_person(soaking: Soaking) -> None:
    """A rollback that somebody makes by hand is not carried on behind the back."""
    soaking.write(Entry("r", YESTERDAY, "ada", UNIT, Move.ROLLBACK, Kind.INTENDED, Stage.CUT_OVER))

    assert go_on() == "nothing is half-done"
    assert soaking.marked


@pytest.mark.parametrize("name", ["both-suffixes", "no-text", "half-a-file", "folder", "pipe"])
def test_a_broken_file_stops_no_automatic_rollback(soaking: Soaking, airflow: FakeAirflow, name: str) -> None:
    """Whatever has become of its own file and of those of other DAGs: the unit is Airflow's, and the move is over."""
    own = soaking.folder / "taxi_daily.yaml"
    own.unlink()
    lay(soaking.folder, TABLE[name])
    (soaking.folder / "other.yaml").write_bytes(b"\xff")
    airflow.operators = lambda dag_id, task_id: "BashOperator"

    assert soaking.fail(PROXIED) == f"{UNIT} was rolled back"

    assert soaking.stage is Stage.SHADOWED
    assert not read_marks(soaking.folder, "taxi_daily").get(UNIT)
    assert not read_marks(soaking.folder, "taxi_daily").problems


def test_nothing_is_begun_that_cannot_be_finished(soaking: Soaking) -> None:
    """Where the DAG is marked as a whole no mark of a unit can be written: that is said before the intent."""
    (soaking.folder / "taxi_daily.yaml").write_text("proxied: true\n")

    assert "marks its DAG as a whole" in soaking.fail(PROXIED)
    assert Ledger(soaking.folder).history(UNIT).open is None


def test_only_units_that_say_so_are_watched(
    project: Project, dbt_unit: Callable[..., tuple[str, dict[str, Any]]]
) -> None:
    """The estate's sensor is on, and watches the legacy jobs of the units whose YAML asks for it; without one there
    is no such sensor."""
    export = {"unit": "own.export", "schedule": NEW_YORK_DAYS, "function": "include.export.export_daily",
              "outputs": [{"key": "thing"}]}  # fmt: skip
    project.declare("airflow", ("AirflowEstate", {}))
    project.declare("own", dbt_unit(), ("PythonUnit", export))
    assert not [each for each in project.load().sensors or () if each.name == "airflow_way_back"]

    project.declare("own", dbt_unit(), ("PythonUnit", {**export, "gates": {"rollback_on_failure": True}}))
    [sensor] = [each for each in project.load().sensors or () if each.name == "airflow_way_back"]

    assert isinstance(sensor, dg.SensorDefinition)
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
