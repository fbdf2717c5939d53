"""The sensor that starts the windows of a retired DAG, tick after tick, on a real event log."""

from __future__ import annotations

import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pendulum
import pytest
from pytest_mock import MockerFixture

from dagster_defs.adapters.dagster.partitions import partitioned
from dagster_defs.adapters.store.ledger import Ledger
from dagster_defs.components import PythonUnit
from dagster_defs.components.sensors import schedule_turn
from dagster_defs.components.sensors.dag_jobs import scheduled_dag
from dagster_defs.lifecycle import Stage, Unit
from dagster_defs.windows import ListedPartitions, ListedSchedule, Schedule, Window, WindowList
from tests.components.conftest import NEW_YORK_DAYS, Project
from tests.support.estate import Estate
from tests.support.owned import bring_to, entries_to
from tests.support.retired_dags import (
    FAILURE,
    LIVE,
    SPRING_END,
    SUCCESS,
    TAKEN_OVER,
    TAXI,
    UNITS,
    Schedules,
    days_later,
)


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
    which Dagster drops; not for what has succeeded."""
    schedules.retire()
    schedules.tick(SPRING_END)
    keys = schedules.keys
    schedules.end(FAILURE)

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
    mocker.patch.object(schedule_turn, "RUNS", 3)
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
    """The estate's sensor is on from the start, and may start the job of each mirrored DAG, and that which ends a
    window of one that waits; the job is the DAG's, of the legacy side."""
    sensor = estate.definitions.resolve_sensor_def("airflow_schedules")
    dags = {Unit.parse(unit).dag_id for unit in estate.units}

    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    assert {target.job_name for target in sensor.targets} == {*dags, "waited__taxi_weekly"}
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
