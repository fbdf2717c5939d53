"""From DAG files with Airflow 3's default schedules to mirrors that verify: each run is about a tick.

The DAGs are read by a real Airflow 3 and its exporter; `parity scaffold` and `parity verify` do the rest.
"""

from __future__ import annotations

import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster import TimeWindowPartitionsDefinition
from dagster._core.definitions.partitions.context import partition_loading_context

from dagster_defs.adapters.dagster.partitions import definition_of
from dagster_defs.lifecycle.agreement import Agreement
from dagster_defs.lifecycle.facets import UnitFacets
from dagster_defs.settings import Settings
from dagster_defs.usecases.inventory import read_inventory
from dagster_defs.usecases.verify import verify_mirrors
from dagster_defs.windows import OccasionKind, Tick, about
from tests.cli.test_listed_schedules import scaffold
from tests.support.estate import AIRFLOW3_PYTHON
from tests.support.exporting import export
from tests.support.scaffolded import PROJECT, mirrors_below

pytestmark = pytest.mark.airflow

DAGS = """
from datetime import datetime, timedelta
import pendulum
from airflow.sdk import DAG, CronTriggerTimetable, DeltaTriggerTimetable, MultipleCronTriggerTimetable
from airflow.providers.standard.operators.bash import BashOperator
from airflow.timetables.events import EventsTimetable

P, NY = pendulum.datetime, "America/New_York"
DBT = "dbt run -s orders_per_day --vars '{from: \\"{{ macros.ds_add(ds, -1) }}\\", to: \\"{{ ds }}\\"}'"
LABEL = "dbt run -s orders_per_day --vars '{label: \\"%s\\"}'"


def make(name, schedule, start=P(2024, 2, 20, tz=NY), **commands):
    with DAG(name, schedule=schedule, start_date=start, catchup=True) as dag:
        for task_id, command in (commands or {"t": DBT}).items():
            BashOperator(task_id=task_id, bash_command=command)
    globals()[name] = dag


make("bare", "0 6 * * *", t=DBT, at=LABEL % "{{ data_interval_start }} {{ data_interval_end }} {{ ts_nodash }}",
     run=LABEL % "{{ run_id }} {{ dag_run.logical_date | ds }}", gone=LABEL % "{{ execution_date }}")
make("preset", "@daily")
make("hourly", "@hourly", P(2024, 3, 5, tz=NY))
make("in_the_gap", "30 2 * * *")
make("weekdays", CronTriggerTimetable("0 18 * * MON-FRI", timezone=NY))
make("twice", MultipleCronTriggerTimetable("0 6 * * *", "30 14 * * MON", timezone=NY))
make("six_hours", timedelta(hours=6), P(2024, 2, 20, 5))
make("five_hours", DeltaTriggerTimetable(timedelta(hours=5)), P(2024, 2, 20, 5))
make("listed", EventsTimetable([P(2024, 3, 5, 4), P(2024, 3, 25)]))
make("two_days", CronTriggerTimetable("0 6 * * *", timezone=NY, interval=timedelta(days=2)))
"""
OF_A_CRON = ("bare", "preset", "hourly", "in_the_gap", "weekdays", "six_hours")
LISTED = ("twice", "five_hours", "listed")
MARCH = ("2024-03-01", "2024-03-31")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not AIRFLOW3_PYTHON.exists():
        pytest.skip("no Airflow 3 environment here; `make test` makes it")
    root = tmp_path_factory.mktemp("ticks")
    (root / "pyproject.toml").touch()
    (root / "dags").mkdir()
    (root / "dags" / "ticks.py").write_text(DAGS)
    shutil.copytree(PROJECT, root / "dbt")
    return root


def exported(root: Path, name: str, **settings: str) -> Path:
    done = export(AIRFLOW3_PYTHON, root / "dags", root / name, MARCH, **settings)
    assert done.returncode == 0, done.stderr
    return root / name


@pytest.fixture(scope="module")
def march(root: Path) -> Path:
    return exported(root, "inventory.json")


@pytest.fixture(scope="module")
def files(root: Path, march: Path) -> dict[str, dict[str, Any]]:
    return scaffold(root, march)


@pytest.fixture(scope="module")
def verified(root: Path, march: Path, files: dict[str, dict[str, Any]]) -> dict[str, UnitFacets]:
    return facets(root, march)


def facets(root: Path, file: Path) -> dict[str, UnitFacets]:
    inventory = read_inventory(file, file.with_name("parity.yaml"))
    units = verify_mirrors(Settings.from_process(), mirrors_below(root), inventory, None)
    return {str(each.unit): each for each in units}


def attributes(files: dict[str, dict[str, Any]], name: str) -> dict[str, dict[str, Any]]:
    documents = yaml.safe_load_all(Path(files[f"{name}/defs.yaml"]["path"]).read_text())
    return {each["attributes"]["unit"]: each["attributes"] for each in documents if each}


def test_each_tick_is_that_of_a_partition(verified: dict[str, UnitFacets], march: Path) -> None:
    """What a bare cron, a timedelta and a trigger are in Airflow 3 has a mirror whose ticks are Airflow's, over the day
    on which clocks change."""
    counted = {dag["dag_id"]: len(dag["windows"]) for dag in json.loads(march.read_text())["dags"]}
    for name in (*OF_A_CRON, *LISTED, "two_days"):
        [windows] = [facet for facet in verified[f"{name}.t"].facets if facet.name == "windows"]
        assert (windows.agrees, windows.compared) == (Agreement.AGREES, counted[name]), (name, windows)
    assert (counted["hourly"], counted["listed"]) == (647, 2)


def test_commands_render_alike(verified: dict[str, UnitFacets]) -> None:
    """Start, end, logical date, run id and the texts made of them, as Airflow's own engine renders them."""
    names = [f"{name}.t" for name in (*OF_A_CRON, *LISTED)]
    for name in (*names, "bare.at", "bare.run"):
        [variables] = [facet for facet in verified[name].facets if facet.name == "variables"]
        assert variables.agrees is Agreement.AGREES, (name, variables)
        assert variables.compared > 1
        assert variables.detail == f"in {variables.compared} ticks"


def test_what_is_written(files: dict[str, dict[str, Any]], root: Path) -> None:
    """The YAML says that runs are about ticks, and which variables bound a comparison; where none do, a note does."""
    written = attributes(files, "bare")
    assert written["bare.t"]["schedule"] == {
        "cron": "0 6 * * *", "timezone": "America/New_York", "occasion": "tick", "start": "2024-02-20",
        "catchup": True, "max_active_runs": 16,
    }  # fmt: skip
    assert [written["bare.t"]["vars"][name]["bound"] for name in ("from", "to")] == ["lower", "upper"]
    assert "bound" not in str(written["bare.at"]["vars"])
    text = Path(files["bare/defs.yaml"]["path"]).read_text()
    assert text.count("tables are compared as a") == 2
    for name in LISTED:
        [schedule] = [each["schedule"] for each in attributes(files, name).values()]
        assert (schedule["windows"], schedule["occasion"]) == ("windows.json", "tick")
        assert json.loads(Path(files[f"{name}/windows.json"]["path"]).read_text())["occasion"] == "tick"
    [schedule] = [each["schedule"] for each in attributes(files, "two_days").values()]
    assert "occasion" not in schedule


def test_a_name_that_is_gone_is_in_no_mirror(files: dict[str, dict[str, Any]]) -> None:
    """`execution_date` fails in Airflow 3 itself: no mirror renders it, and the gap says why."""
    assert "vars" not in attributes(files, "bare")["bare.gone"]
    gaps = [gap for gap in files["bare/defs.yaml"]["gaps"] if gap.startswith("bare.gone")]
    assert any("execution_date" in gap and "Airflow 3" in gap for gap in gaps), gaps


def newest_at(definition: TimeWindowPartitionsDefinition, now: datetime) -> str | None:
    with partition_loading_context(now):
        return definition.get_last_partition_key()


def test_partitions_are_there_at_once(root: Path, files: dict[str, dict[str, Any]]) -> None:
    """Dagster offers a cron's partition at its tick, and each key leads to a tick and back."""
    mirrors = {str(mirror.legacy_unit): mirror for mirror in mirrors_below(root)}
    for name in OF_A_CRON:
        partitions = mirrors[f"{name}.t"].partitions
        definition = definition_of(partitions)
        assert about(partitions) is OccasionKind.TICK
        assert isinstance(definition, TimeWindowPartitionsDefinition)
        for tick in list(partitions.schedule.windows(until=partitions.schedule.start.add(days=40)))[1:]:
            assert isinstance(tick, Tick)
            key = partitions.key_of(tick)
            assert partitions.window_of(key) == tick
            newest = [newest_at(definition, tick.at - timedelta(seconds=early)) for early in (0, 1)]
            if (name, key) == (
                "in_the_gap",
                "2024-03-10",
            ):  # Dagster's own cron is there half an hour earlier
                newest[1] = ""
            assert newest[0] == key != newest[1], (name, tick)


def test_a_change_of_the_kind_is_a_difference(
    root: Path, march: Path, files: dict[str, dict[str, Any]]
) -> None:
    """With data intervals switched on, the mirrors of a bare cron are about runs that Airflow no longer has; a list of
    another kind is not continued."""
    intervals = exported(root, "intervals.json", AIRFLOW__SCHEDULER__CREATE_CRON_DATA_INTERVALS="True")
    [windows] = [each for each in facets(root, intervals)["bare.t"].facets if each.name == "windows"]
    assert windows.agrees is Agreement.DIFFERS
    assert "Airflow's runs are about windows, the mirror's about ticks without a length" in windows.detail
    [same] = [each for each in facets(root, intervals)["weekdays.t"].facets if each.name == "windows"]
    assert same.agrees is Agreement.AGREES
