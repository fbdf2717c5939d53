"""From DAG files whose schedules no cron tells to mirrors that verify: Airflow lists them, and Dagster has them.

The DAGs are read by a real Airflow and its exporter, twice; `parity scaffold` and `parity verify` do the rest.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from dagster_defs import cli
from dagster_defs.adapters.dagster.partitions import definition_of
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.agreement import Facet
from dagster_defs.settings import Settings
from dagster_defs.usecases.inventory import read_inventory
from dagster_defs.usecases.verify import verify_mirrors
from tests.support.estate import AIRFLOW_PYTHON, ROOT, foreign_environment
from tests.support.scaffolded import PROJECT, mirrors_below

pytestmark = pytest.mark.airflow

DAGS = """
from datetime import timedelta
import pendulum
from dateutil.relativedelta import relativedelta
from airflow import DAG
from airflow.operators.bash import BashOperator
from airflow.timetables.base import DagRunInfo, DataInterval, Timetable
from airflow.timetables.events import EventsTimetable
from airflow.timetables.trigger import CronTriggerTimetable

P = pendulum.datetime
NY = "America/New_York"
COMMAND = "dbt run -s orders_per_day --vars '{day: \\"{{ data_interval_start }}\\"}'"


class Trading(Timetable):
    # the days on which a market is open: no weekend, and no window over it
    def infer_manual_data_interval(self, run_after):
        return DataInterval.exact(run_after)

    def next_dagrun_info(self, *, last_automated_data_interval, restriction):
        day = last_automated_data_interval.end if last_automated_data_interval else restriction.earliest
        day = day.in_timezone(NY).start_of("day")
        while day.day_of_week in (pendulum.SATURDAY, pendulum.SUNDAY):
            day = day.add(days=1)
        return DagRunInfo.interval(start=day.in_timezone("UTC"), end=day.add(days=1).in_timezone("UTC"))


class Quarters(Timetable):
    # a calendar: the closings of a year that is none of the world's
    DAYS = [P(2024, 1, 1), P(2024, 1, 29), P(2024, 2, 26), P(2024, 4, 1)]

    def infer_manual_data_interval(self, run_after):
        return DataInterval.exact(run_after)

    def next_dagrun_info(self, *, last_automated_data_interval, restriction):
        last = last_automated_data_interval.end if last_automated_data_interval else self.DAYS[0]
        later = [day for day in self.DAYS if day > last]
        return DagRunInfo.interval(start=last, end=later[0]) if later else None


def make(name, schedule, start, tasks=None, **more):
    with DAG(name, schedule=schedule, start_date=start, catchup=True, **more) as dag:
        for task_id, bounds in (tasks or {"t": {}}).items():
            BashOperator(task_id=task_id, bash_command=COMMAND, **bounds)
    globals()[name] = dag


make("trading", Trading(), P(2024, 1, 1, tz=NY),
     tasks={"always": {}, "a_while": {"start_date": P(2024, 1, 8), "end_date": P(2024, 1, 12)}})
make("quarters", Quarters(), P(2024, 1, 1))
make("every_month", relativedelta(months=1), P(2024, 1, 31))
make("five_hours", timedelta(hours=5), P(2024, 1, 1, 3))
make("ninety_seconds", timedelta(seconds=90), P(2024, 1, 31))
make("forty_days", timedelta(days=40), P(2023, 12, 1))
make("one_day", CronTriggerTimetable("0 6 * * *", timezone=NY, interval=timedelta(days=1)), P(2024, 1, 1))
make("seven_days", CronTriggerTimetable("0 6 * * *", timezone="UTC", interval=timedelta(days=7)), P(2024, 1, 1))
make("odd_offset", "@daily", P(2024, 1, 1, tz=pendulum.FixedTimezone(19020)))
make("no_window", CronTriggerTimetable("0 6 * * *", timezone="UTC"), P(2024, 1, 1))
make("moving", Trading(), pendulum.now("UTC").subtract(days=1000))
make("events", EventsTimetable([P(2024, 1, 5), P(2024, 2, 5)]), P(2024, 1, 1))
"""
LISTED = ("trading", "quarters", "every_month", "five_hours", "ninety_seconds", "forty_days", "one_day", "seven_days",
          "odd_offset", "events")  # fmt: skip


def export(root: Path, first: str, last: str) -> Path:
    file = root / f"inventory-{first}.json"
    python, exporter = AIRFLOW_PYTHON, ROOT / "legacy_dags/handover/inventory.py"
    subprocess.run(
        [str(python), str(exporter), "--dags-folder", str(root / "dags"), "--from", first, "--to", last,
         "--out", str(file)],
        env=foreign_environment(), check=True, capture_output=True, timeout=600,
    )  # fmt: skip
    return file


def scaffold(root: Path, file: Path) -> dict[str, dict[str, Any]]:
    """Files by their names below defs/."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("SHOP_DATA", str(root))
        out = root / "dagster_defs" / "defs"
        arguments = ["scaffold", str(file), "--dbt-project", str(root / "dbt"), "--out", str(out), "--json"]
        outcome = CliRunner().invoke(cli.app, arguments)
    assert outcome.exit_code == 0, outcome.output
    return {str(Path(each["path"]).relative_to(out)): each for each in json.loads(outcome.stdout)["files"]}


def windows_of(root: Path, file: Path, unit: str = "") -> dict[str, Facet]:
    """The `windows` facet of each mirror beside an inventory."""
    units = [Unit.parse(unit)] if unit else None
    verified = verify_mirrors(
        Settings.from_process(),
        mirrors_below(root),
        read_inventory(file, file.with_name("parity.yaml")),
        units,
    )
    return {str(each.unit): each.facets[0] for each in verified}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("listed")
    (root / "pyproject.toml").touch()
    (root / "dags").mkdir()
    (root / "dags" / "listed.py").write_text(DAGS)
    shutil.copytree(PROJECT, root / "dbt")
    return root


@pytest.fixture(scope="module")
def january(root: Path) -> Path:
    return export(root, "2024-01-01", "2024-01-31")


@pytest.fixture(scope="module")
def files(root: Path, january: Path) -> dict[str, dict[str, Any]]:
    return scaffold(root, january)


def test_windows_that_airflow_lists_are_the_mirrors(
    root: Path, january: Path, files: dict[str, dict[str, Any]]
) -> None:
    """Custom timetables, calendars, steps that no cron has and triggers with an interval have mirrors, whose
    windows are Airflow's, each with a partition."""
    assert [files[f"{name}/windows.json"]["outcome"] for name in LISTED] == ["written"] * len(LISTED)
    facets = windows_of(root, january)

    assert {name: (facet.agrees.value, facet.detail) for name, facet in facets.items()} == {
        **{f"{name}.t": ("agrees", "") for name in (*LISTED, "no_window") if name != "trading"},
        "trading.always": ("agrees", ""),
        "trading.a_while": ("agrees", ""),
    }
    compared = {name: facet.compared for name, facet in facets.items()}
    assert (compared["trading.always"], compared["trading.a_while"]) == (23, 4)
    assert (compared["quarters.t"], compared["every_month.t"], compared["forty_days.t"]) == (2, 1, 1)
    assert (compared["ninety_seconds.t"], compared["seven_days.t"]) == (960, 31)
    for mirror in mirrors_below(root):
        keys = definition_of(mirror.partitions).get_partition_keys()
        assert [mirror.partitions.key_of(mirror.partitions.window_of(key)) for key in keys] == keys


def test_what_is_written_names_the_list(root: Path, files: dict[str, dict[str, Any]]) -> None:
    """The schedule stands in the YAML as the file of the list, with what else Airflow says of it."""
    path = Path(files["trading/defs.yaml"]["path"])
    schedules = {
        document["attributes"]["unit"]: document["attributes"]["schedule"]
        for document in yaml.safe_load_all(path.read_text())
    }
    plain = {
        "windows": "windows.json",
        "timezone": "America/New_York",
        "catchup": True,
        "max_active_runs": 16,
    }

    assert schedules["trading.always"] == plain
    assert schedules["trading.a_while"] == {
        **plain, "start": "2024-01-07T19:00:00-05:00", "end": "2024-01-11T19:00:00-05:00"
    }  # fmt: skip
    [gap] = files["forty_days/defs.yaml"]["gaps"]
    assert "its windows from 2023-12-01 to 2024-01-01 are not in the inventory" in gap


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("moving", "computed when the DAG file is parsed"),
    ],
)
def test_what_has_no_window_has_the_true_reason(
    files: dict[str, dict[str, Any]], name: str, message: str
) -> None:
    """Windows of a DAG that begins elsewhere each day are not listed."""
    assert f"{name}/windows.json" not in files
    [gap] = files[f"{name}/gaps.yaml"]["gaps"]
    assert message in gap


def test_a_later_export_adds_its_windows(root: Path, files: dict[str, dict[str, Any]]) -> None:
    """Until the scaffold has run, verify says that the list ends; afterwards it holds the windows of both exports."""
    kept = {name: (root / "dagster_defs" / "defs" / name).read_text() for name in files}
    february = export(root, "2024-01-20", "2024-02-29")
    try:
        facet = windows_of(root, february, "trading.always")["trading.always"]
        assert facet.agrees.value == "differs"
        assert (
            "begin after 2024-02-01 05:00 UTC, where the mirror's list ends: run parity scaffold"
            in facet.detail
        )

        again = scaffold(root, february)
        assert again["trading/windows.json"]["outcome"] == "written"
        assert again["five_hours/windows.json"]["outcome"] == "written"
        assert again["five_hours/defs.yaml"]["outcome"] == "unchanged"
        assert windows_of(root, february, "trading.always")["trading.always"].agrees.value == "agrees"
        [mirror] = [each for each in mirrors_below(root) if str(each.legacy_unit) == "trading.always"]
        keys = definition_of(mirror.partitions).get_partition_keys()
        assert (keys[0], keys[-1], len(keys)) == ("2024-01-01T00:00:00-0500", "2024-02-29T00:00:00-0500", 44)
        assert scaffold(root, february)["trading/windows.json"]["outcome"] == "unchanged"
    finally:
        for name, text in kept.items():
            (root / "dagster_defs" / "defs" / name).write_text(text)


def test_an_export_that_contradicts_changes_nothing(
    root: Path, january: Path, files: dict[str, dict[str, Any]]
) -> None:
    """A window that is another now is an error, which names it and what to do; the files stay as they are."""
    document = json.loads(january.read_text())
    [dag] = [dag for dag in document["dags"] if dag["dag_id"] == "trading"]
    dag["windows"] = dag["windows"][:-1]
    edited = january.with_name("edited.json")
    edited.write_text(json.dumps(document))
    before = Path(files["trading/windows.json"]["path"]).read_text()

    refused = scaffold(root, edited)["trading/windows.json"]

    assert refused["outcome"] == "refused"
    [gap] = refused["gaps"]
    assert "1 windows contradict, first [2024-01-31T05:00:00+00:00" in gap
    assert "If the DAG's schedule was edited" in gap
    assert Path(refused["path"]).read_text() == before
