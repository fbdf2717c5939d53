"""The sensor that starts the windows of a retired DAG, tick after tick, on a real event log."""

from __future__ import annotations

import json
import types
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dagster as dg
import pendulum
import pytest
from pytest_mock import MockerFixture

from dagster_defs.adapters.dagster.partitions import definition_of, partitioned
from dagster_defs.adapters.store.ledger import NAME, Ledger
from dagster_defs.components import PythonUnit
from dagster_defs.components.sensors import schedule_sensor
from dagster_defs.components.sensors.dag_jobs import scheduled_dag
from dagster_defs.components.sensors.schedule_sensor import ScheduledDag, build_schedule_sensor
from dagster_defs.lifecycle import Stage, Unit
from dagster_defs.lifecycle.ledger import Entry
from dagster_defs.windows import ListedPartitions, ListedSchedule, Schedule, Window, WindowList
from tests.components.conftest import NEW_YORK_DAYS, Project
from tests.support.estate import ROOT, Estate
from tests.support.instances import instance_for_test
from tests.support.owned import bring_to, entries_to

SUCCESS, FAILURE, LIVE = (
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.STARTED,
)
DAYS = partitioned(Schedule.of("0 6 * * *", "America/New_York", "2024-03-01", None))
UNITS = (Unit("taxi", "build"), Unit("taxi", "export"))
# The clocks go forward on the 10th: the window of the 9th ends an hour earlier than a day after its start.
TAKEN_OVER = pendulum.datetime(2024, 3, 9, 11)
SPRING_END = pendulum.datetime(2024, 3, 10, 10)
ALIKE = dict.fromkeys(UNITS, DAYS.schedule)
TAXI = ScheduledDag("taxi", "taxi", UNITS, DAYS, ALIKE, catchup=True, max_active_runs=1, in_order=False)


def jobs_of(dags: Iterable[ScheduledDag]) -> Iterator[tuple[Any, Any]]:
    """Each DAG's job, with an asset that it makes."""
    for dag in dags:

        @dg.asset(name=f"made_by_{dag.job}", partitions_def=definition_of(dag.partitions))
        def made() -> None:
            raise AssertionError("nothing is run here")

        yield made, dg.define_asset_job(dag.job, [made], tags={"parity/dag": dag.dag_id})


@dataclass
class Schedules:
    """The sensor of some DAGs, evaluated as the daemon does; `end` ends the runs that ticks have asked for."""

    instance: dg.DagsterInstance
    folder: Path
    monkeypatch: pytest.MonkeyPatch
    dags: Sequence[ScheduledDag] = (TAXI,)
    cursor: str | None = None
    keys: list[str] = field(default_factory=list)
    begun: list[dg.DagsterRun] = field(default_factory=list)

    def retire(self, *units: Unit, at: pendulum.DateTime = TAKEN_OVER) -> None:
        for unit in units or UNITS:
            self.write(*entries_to(unit, Stage.RETIRED, at))

    def write(self, *entries: Entry) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / NAME).open("a") as file:
            file.writelines(f"{json.dumps(entry.as_json())}\n" for entry in entries)

    def tick(self, now: pendulum.DateTime) -> list[str]:
        """The partitions that are started at that instant; their runs are under way from then on."""
        made = list(jobs_of(self.dags))
        jobs = [job for _, job in made]
        sensor = build_schedule_sensor("own", self.dags, jobs, 30, ROOT)
        definitions = dg.Definitions(assets=[asset for asset, _ in made], jobs=jobs, sensors=[sensor])
        self.monkeypatch.setenv("PARITY_PROXIED_STATE", str(self.folder))
        self.monkeypatch.setattr(
            "dagster_defs.components.sensors.schedule_sensor.pendulum.now", lambda *_: now
        )
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, definitions=definitions
        ) as context:
            told = definitions.resolve_sensor_def("own_schedules").evaluate_tick(context)
        self.monkeypatch.undo()
        self.cursor, self.skipped = told.cursor, told.skip_message
        asked = told.run_requests or []
        self.keys = [str(request.run_key) for request in asked]
        for request in asked:
            job = definitions.resolve_job_def(str(request.job_name))
            said = {**job.tags, **request.tags}
            self.begun.append(self.instance.create_run_for_job(job, status=LIVE, tags=said))
        return [str(request.partition_key) for request in asked]

    def end(self, *statuses: dg.DagsterRunStatus) -> None:
        """Of the earliest runs that live."""
        live = [run for run in self.begun if self.instance.get_run_by_id(run.run_id).status is LIVE]  # type: ignore[union-attr]  # it was made above
        for run, status in zip(live, statuses, strict=False):
            ended = dg.DagsterEvent(
                {SUCCESS: "PIPELINE_SUCCESS", FAILURE: "PIPELINE_FAILURE"}[status], run.job_name
            )
            self.instance.report_dagster_event(ended, run.run_id)


@pytest.fixture
def schedules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Schedules]:
    with instance_for_test() as instance:
        yield Schedules(instance, tmp_path / "proxied_state", monkeypatch)


def days_later(days: int) -> pendulum.DateTime:
    return SPRING_END.add(days=days)


def test_nothing_is_started_before_the_whole_dag_is_retired(schedules: Schedules) -> None:
    """Neither with one unit retired, nor while the last one's retirement is under way; then the DAG's windows
    begin, where the last unit's begin."""
    first, last = UNITS
    schedules.retire(first)
    assert schedules.tick(days_later(3)) == []
    assert schedules.skipped == "no window of a retired DAG is due"

    *before, done = entries_to(last, Stage.RETIRED, SPRING_END)
    schedules.write(*before)
    assert schedules.tick(days_later(3)) == []

    schedules.write(done)
    assert schedules.tick(days_later(3)) == ["2024-03-10"]


def test_a_window_is_started_when_it_is_over(schedules: Schedules) -> None:
    """The first one after Airflow's last, at the instant of its end and not a second before it, on the day of 23
    hours too, and with its bounds as tags."""
    schedules.retire()

    assert schedules.tick(SPRING_END.subtract(seconds=1)) == []
    assert schedules.tick(SPRING_END) == ["2024-03-09"]
    [run] = schedules.begun
    assert run.tags["parity/window_start"] == "2024-03-09T11:00:00+00:00"
    assert run.tags["parity/window_end"] == "2024-03-10T10:00:00+00:00"
    assert run.tags["parity/dag"] == "taxi"


def test_no_window_is_started_twice(schedules: Schedules) -> None:
    """A tick begins behind the last window that was started; with a lost cursor it asks for the same run keys,
    which Dagster drops."""
    schedules.retire()
    schedules.tick(SPRING_END)
    keys = schedules.keys
    schedules.end(SUCCESS)

    assert schedules.tick(SPRING_END) == []
    assert schedules.tick(days_later(1).subtract(seconds=1)) == []
    schedules.cursor = None
    assert (schedules.tick(SPRING_END), schedules.keys) == (["2024-03-09"], keys)
    assert keys == ["taxi|2024-03-09"]


def test_missed_windows_are_caught_up_so_many_at_a_time(schedules: Schedules) -> None:
    """After days without a daemon every window is started, in order, and no more at a time than Airflow's
    `max_active_runs`."""
    schedules.dags = [replace(TAXI, max_active_runs=2)]
    schedules.retire()

    assert schedules.tick(days_later(3)) == ["2024-03-09", "2024-03-10"]
    assert schedules.tick(days_later(3)) == []
    schedules.end(FAILURE)
    assert schedules.tick(days_later(3)) == ["2024-03-11"]
    schedules.end(SUCCESS, SUCCESS)
    assert schedules.tick(days_later(3)) == ["2024-03-12"]


def test_without_catchup_only_the_newest_window_is_started(schedules: Schedules) -> None:
    """Windows that were missed are left out where Airflow left them out, and do not come later."""
    schedules.dags = [replace(TAXI, catchup=False)]
    schedules.retire()

    assert schedules.tick(days_later(3)) == ["2024-03-12"]
    schedules.end(SUCCESS)
    assert schedules.tick(days_later(3)) == []
    assert schedules.tick(days_later(4)) == ["2024-03-13"]


def test_a_failure_holds_what_depends_on_it(schedules: Schedules) -> None:
    """With `depends_on_past` the next window waits until the one before has succeeded, if by a later run."""
    schedules.dags = [replace(TAXI, in_order=True, max_active_runs=4)]
    schedules.retire()

    assert schedules.tick(days_later(3)) == ["2024-03-09"]
    assert schedules.tick(days_later(3)) == []
    schedules.end(FAILURE)
    assert schedules.tick(days_later(3)) == []
    [failed] = schedules.begun
    again = schedules.instance.create_run_for_job(
        dg.job(name="taxi")(lambda: None), status=LIVE, tags=dict(failed.tags)
    )
    schedules.begun.append(again)
    assert schedules.tick(days_later(3)) == []
    schedules.end(SUCCESS)
    assert schedules.tick(days_later(3)) == ["2024-03-10"]


def test_a_tick_is_bounded(schedules: Schedules, mocker: MockerFixture) -> None:
    """Years that were missed are started some windows a tick, and none is left out."""
    mocker.patch.object(schedule_sensor, "RUNS", 3)
    schedules.dags = [replace(TAXI, max_active_runs=100)]
    schedules.retire()

    started = [schedules.tick(days_later(7)) for _ in range(4)]

    assert [len(tick) for tick in started] == [3, 3, 2, 0]
    assert [key for tick in started for key in tick] == [f"2024-03-{day:02}" for day in range(9, 17)]


def test_after_the_schedules_end_nothing_is_started(schedules: Schedules) -> None:
    """A DAG with an end has no windows behind it."""
    ends = partitioned(Schedule.of("0 6 * * *", "America/New_York", "2024-03-01", "2024-03-10T06:00"))
    schedules.dags = [replace(TAXI, partitions=ends, max_active_runs=9)]
    schedules.retire()

    assert schedules.tick(days_later(9)) == ["2024-03-09", "2024-03-10"]
    assert schedules.tick(days_later(9)) == []


def test_one_dags_trouble_does_not_stop_the_others(schedules: Schedules) -> None:
    """A DAG whose windows cannot be told, as Airflow itself does not get past a clock change, is left alone."""
    stuck = partitioned(Schedule.of("0 * * * 1-5", "America/New_York", "2023-09-01", None))
    other = Unit("stuck", "build")
    schedules.dags = [replace(TAXI, dag_id="stuck", job="stuck", units=(other,), partitions=stuck), TAXI]
    schedules.retire(other, at=pendulum.datetime(2023, 11, 3, 12))
    schedules.retire()

    assert schedules.tick(SPRING_END) == ["2024-03-09"]


def test_a_ledger_that_cannot_be_read_starts_nothing(schedules: Schedules) -> None:
    """The tick says why instead, and leaves its cursor where it is."""
    schedules.retire()
    schedules.tick(SPRING_END)
    cursor = schedules.cursor
    Ledger(schedules.folder).path.write_text("<<<<<<< a merge\n")

    assert schedules.tick(days_later(3)) == []
    assert "cannot read the ledger" in str(schedules.skipped)
    assert schedules.cursor in (None, cursor)


def test_every_dag_has_its_job(estate: Estate) -> None:
    """The estate's sensor is on from the start, and may start the job of each mirrored DAG; the job is the DAG's,
    of the legacy side."""
    sensor = estate.definitions.resolve_sensor_def("airflow_schedules")
    dags = {Unit.parse(unit).dag_id for unit in estate.units}

    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    assert {target.job_name for target in sensor.targets} == dags
    for dag_id in dags:
        tags = estate.definitions.resolve_job_def(dag_id).tags
        assert (tags["parity/dag"], tags["parity/side"]) == (dag_id, "legacy")


CODE = """
from pathlib import Path
from tests.support.instances import instance_for_test


def note(side, name):
    with (Path(__file__).parent / "order.txt").open("a") as order:
        order.write(name + "\\n")
"""


def test_the_dags_job_runs_its_units_in_order(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run makes the window of all units, each after what it reads; it is refused while one of them is not
    retired."""
    folder = project.estate.root / "dag_code"
    folder.mkdir(exist_ok=True)
    (folder / "in_order.py").write_text(CODE)
    (folder / "order.txt").unlink(missing_ok=True)
    declared = [
        (
            "PythonUnit",
            {
                "unit": f"own.{name}", "schedule": NEW_YORK_DAYS, "function": "in_order.note",
                "python_path": "dag_code", "arguments": {"name": name}, "outputs": [{"key": name, "deps": deps}],
            },
        )
        for name, deps in (("a_last", ["b_first"]), ("b_first", []))
    ]  # fmt: skip
    project.declare("own", *declared)
    project.declare("airflow", ("AirflowEstate", {}))
    project.load()
    day = ("2024-03-09", "2024-03-09")

    refused = project.estate.run("own", day, must_succeed=False, by_owner=False)
    assert not refused.success
    assert not (folder / "order.txt").exists()

    for name in ("a_last", "b_first"):
        bring_to(tmp_path, Unit("own", name), Stage.RETIRED)
    job = project.estate.definitions.resolve_job_def("own")
    with project.estate.entered():
        monkeypatch.setenv("PARITY_PROXIED_STATE", str(tmp_path))
        result = job.execute_in_process(
            instance=project.estate.instance, tags={"dagster/partition": "2024-03-09"}
        )
    assert result.success
    assert (folder / "order.txt").read_text().split() == ["b_first", "a_last"]


def test_a_window_runs_the_units_that_have_it(project: Project) -> None:
    """Units of one DAG begin and end by their own bounds: each window has a job with exactly the units of it, and
    Dagster takes these jobs although the bounds differ."""
    days: dict[str, Any] = {"cron": "@daily", "start": "2024-03-01"}
    code = project.estate.root / "bounds_code"
    code.mkdir(exist_ok=True)
    (code / "bounded.py").write_text("def work(side):\n    return {}\n")
    bounds: dict[str, dict[str, Any]] = {
        "always": {},
        "later": {"start": "2024-03-03"},
        "ended": {"end": "2024-03-04"},
    }
    documents: list[tuple[str, dict[str, Any]]] = [
        ("PythonUnit", {
            "unit": f"own.{task}", "schedule": {**days, **own}, "function": "bounded.work", "python_path": code.name,
            "outputs": [{"key": task}],
        })
        for task, own in bounds.items()
    ]  # fmt: skip
    project.declare("own", *documents)
    project.declare("airflow", ("AirflowEstate", {"name": "own_airflow"}))
    definitions = project.load()
    with project.estate.entered():
        tree = dg.ComponentTree(defs_module=_module(project), project_root=project.estate.root)
        units = tree.get_all_components(of_type=PythonUnit)
    mates = sorted({unit.legacy_unit: unit for unit in units}.values(), key=lambda unit: unit.legacy_unit)
    dag = scheduled_dag("own", mates)

    windows = list(dag.due(pendulum.datetime(2024, 3, 1), pendulum.datetime(2024, 3, 7)))
    ran = {
        dag.partitions.key_of(window): sorted(unit.task_id for unit in dag.jobs[str(dag.job_of(window))])
        for window in windows
    }
    assert ran == {
        "2024-03-01": ["always", "ended"], "2024-03-02": ["always", "ended"],
        "2024-03-03": ["always", "ended", "later"], "2024-03-04": ["always", "ended", "later"],
        "2024-03-05": ["always", "later"], "2024-03-06": ["always", "later"],
    }  # fmt: skip
    for name, mine in dag.jobs.items():
        job = definitions.resolve_job_def(name)
        assert {key.to_user_string() for key in job.asset_layer.executable_asset_keys} == {
            unit.task_id for unit in mine
        }


def _module(project: Project) -> types.ModuleType:
    module = types.ModuleType("own_defs")
    module.__path__ = [str(project.defs_folder)]
    module.__file__ = str(project.defs_folder / "__init__.py")
    return module


def test_windows_that_airflow_listed_are_started_to_the_end_of_the_list(
    schedules: Schedules, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each that is over, none for a hole between two; past the list it says that it knows of no more."""
    at = [TAKEN_OVER, TAKEN_OVER.add(days=1), TAKEN_OVER.add(days=4), TAKEN_OVER.add(days=5)]
    windows = (Window(at[0], at[1]), Window(at[2], at[3]))
    listed = ListedSchedule.listing(WindowList(at[0], at[3], windows), "America/New_York")
    dag = replace(TAXI, partitions=ListedPartitions(listed), schedules=dict.fromkeys(UNITS, listed))
    schedules.dags = [dag]
    schedules.retire()

    assert schedules.tick(at[2]) == [dag.partitions.key_of(windows[0])]
    schedules.end(SUCCESS)
    assert "are listed to" not in capfd.readouterr().err
    assert schedules.tick(at[3].add(hours=1)) == [dag.partitions.key_of(windows[1])]
    assert (
        "its windows are listed to 2024-03-14 11:00 UTC, and later ones cannot be run"
        in capfd.readouterr().err
    )
