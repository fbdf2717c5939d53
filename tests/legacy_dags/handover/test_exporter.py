"""The exporter as a program: whole estates, wrong use, and the environment that it is run in."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]  # a small part of it is used here
import pytest

from tests.support.estate import ROOT
from tests.support.exporting import ALL_OF_2024, EXPORTER, HUSH, PYTHONS, Exported, export, schema

pytestmark = pytest.mark.airflow


@pytest.fixture(scope="module")
def taxi(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    out = tmp_path_factory.mktemp("taxi") / "inventory.json"
    done = export(
        PYTHONS["airflow2"], ROOT / "legacy_dags", out, ("2023-10-01", "2025-03-31"),
        TAXI_FIRST_DAY="2023-10-01", TAXI_LAST_DAY="2025-03-31",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Exported(out, done.stderr, "airflow2")


def test_taxi_estate_imports_whole(taxi: Exported) -> None:
    """The estate has no import error, and its document keeps the schema."""
    assert taxi.document["import_errors"] == []
    assert {"taxi_daily", "taxi_ingest"} <= set(taxi.dags)
    jsonschema.Draft202012Validator(schema()).validate(taxi.document)


DST_DAYS = {
    "2023-11-04": ("2023-11-04T10:00:00+00:00", "2023-11-05T11:00:00+00:00"),
    "2024-03-09": ("2024-03-09T11:00:00+00:00", "2024-03-10T10:00:00+00:00"),
}


@pytest.mark.parametrize("day", DST_DAYS)
def test_taxi_vars_on_days_of_clock_changes(taxi: Exported, day: str) -> None:
    """The window of a day with 23 or 25 hours renders to that day and the next in `--vars`."""
    start, end = DST_DAYS[day]
    entry = next(e for e in taxi.task("taxi_daily", "dbt_daily")["rendered"] if e["start"] == start)
    assert entry["end"] == end
    assert "dst" in entry["sampled"]
    following = end[:10]
    assert f'{{"min_date": "{day}", "max_date": "{following}"}}' in entry["fields"]["bash_command"]
    assert entry["undetermined"] == []


GENERATED = """
import pendulum
from airflow import DAG
from airflow.timetables.interval import CronDataIntervalTimetable
try:
    from airflow.providers.standard.operators.bash import BashOperator
except ImportError:
    from airflow.operators.bash import BashOperator

NEW_YORK = "America/New_York"
schedule = CronDataIntervalTimetable("{minute} {hour} * * *", timezone=NEW_YORK)
with DAG("dag_{number:03}", schedule=schedule, start_date=pendulum.datetime(2023, 10, 1, tz=NEW_YORK), catchup=True):
    last = None
    for number in range(10):
        task = BashOperator(
            task_id=f"task_{{number}}",
            bash_command="dbt run --vars '{{day: {{{{ ds }}}}, next: {{{{ data_interval_end | ds }}}}}}' -s t"
            + str(number),
            env={{"DAY": "{{{{ macros.ds_add(ds, -1) }}}}"}},
        )
        if last:
            last >> task
        last = task
"""


@pytest.fixture(scope="module")
def many_dags(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("many")
    for number in range(300):
        text = GENERATED.format(number=number, minute=number % 60, hour=number % 24)
        (folder / f"dag_{number:03}.py").write_text(text)
    yield folder
    shutil.rmtree(folder)


def test_many_dags(version: str, many_dags: Path, tmp_path: Path) -> None:
    """300 DAGs of 10 tasks, each with a schedule of its own, are exported for a quarter; `make bench` times it."""
    out = tmp_path / "out.json"
    done = export(PYTHONS[version], many_dags, out, ("2024-01-01", "2024-03-31"))
    assert done.returncode == 0, done.stderr
    found = Exported(out, done.stderr, version)
    assert len(found.dags) == 300
    assert {len(dag["tasks"]) for dag in found.dags.values()} == {10}
    assert {dag["windows_in_span"] for dag in found.dags.values()} == {91}
    assert found.first("dag_007", "task_3") == "dbt run --vars '{day: 2024-01-01, next: 2024-01-02}' -s t3"


BAD_USE = {
    "--from 2024-02-01 is after --to 2024-01-01": ("2024-02-01", "2024-01-01", "."),
    "is not a date like": ("2024-02-30", "2024-03-01", "."),
    "nowhere is not a folder": ("2024-01-01", "2024-02-01", "nowhere"),
}


@pytest.mark.parametrize("message", BAD_USE)
def test_wrong_use_is_exit_code_two(message: str, tmp_path: Path) -> None:
    """A start after the end, no date, and a folder that is not there are refused with exit code 2, before any work."""
    first, last, folder = BAD_USE[message]
    done = export(PYTHONS["airflow2"], tmp_path / folder, tmp_path / "out.json", (first, last))
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize("span", ["2024-03-11/2024-03-10", "2024-03-11", "noon/midnight"])
def test_wrong_window_is_exit_code_two(span: str, tmp_path: Path) -> None:
    """A `--window` that is no span with its start before its end is refused with exit code 2."""
    done = export(PYTHONS["airflow2"], tmp_path, tmp_path / "out.json", ALL_OF_2024, "--window", span)
    assert done.returncode == 2
    assert "is not START/END with START before END" in done.stderr


def test_help_names_every_option(tmp_path: Path) -> None:
    """`--help` tells all options and exit codes, and needs no Airflow."""
    done = subprocess.run(
        ["python3", EXPORTER, "--help"], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    for word in ("--dags-folder", "--from", "--to", "--out", "--window", "Exit codes", "AIRFLOW_VAR_"):
        assert word in done.stdout


def test_without_airflow_it_says_so(tmp_path: Path) -> None:
    """Run by a Python without Airflow it fails with exit code 1 and the remedy."""
    done = export(ROOT / ".venv" / "bin" / "python", tmp_path, tmp_path / "out.json", ALL_OF_2024)
    assert done.returncode == 1
    assert "run this file with the Python that runs the DAGs" in done.stderr


def test_empty_folder_is_an_empty_inventory(version: str, tmp_path: Path) -> None:
    """A folder without DAGs gives a whole document without rows, and an old file is replaced."""
    (tmp_path / "dags").mkdir()
    out = tmp_path / "out.json"
    out.write_text("an older one")
    done = export(PYTHONS[version], tmp_path / "dags", out, ALL_OF_2024)
    assert done.returncode == 0, done.stderr
    document = json.loads(out.read_text())
    jsonschema.Draft202012Validator(schema()).validate(document)
    assert document["dags"] == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dags", "out.json"]


def test_the_teams_home_is_the_dag_files_own(version: str, tmp_path: Path) -> None:
    """estate-airflow_home: a DAG file reads a table list below AIRFLOW_HOME, and a plugin; both tasks come out."""
    home, dags = tmp_path / "home", tmp_path / "dags"
    for folder in (home / "config", home / "plugins", dags):
        folder.mkdir(parents=True)
    (home / "config" / "tables.json").write_text('["orders", "items"]')
    (home / "plugins" / "ours.py").write_text("SUFFIX = '_daily'\n")
    (dags / "per_table.py").write_text(
        "import datetime, json, os\n"
        "from airflow import DAG\n"
        "from airflow.operators.bash import BashOperator\n"
        "from ours import SUFFIX\n"
        "tables = json.load(open(os.environ['AIRFLOW_HOME'] + '/config/tables.json'))\n"
        "with DAG('per_table', start_date=datetime.datetime(2026, 9, 1), schedule='@daily', catchup=False):\n"
        "    for t in tables:\n"
        "        BashOperator(task_id=f'dbt_{t}{SUFFIX}', bash_command=f'dbt run --select {t}')\n"
    )
    before = sorted(path for path in home.rglob("*") if "__pycache__" not in path.parts)

    done = export(
        PYTHONS[version],
        dags,
        tmp_path / "out.json",
        ("2026-09-01", "2026-09-03"),
        AIRFLOW_HOME=str(home),
        **HUSH,
    )

    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "out.json").read_text())
    assert document["import_errors"] == []
    [dag] = document["dags"]
    assert sorted(task["task_id"] for task in dag["tasks"]) == ["dbt_items_daily", "dbt_orders_daily"]
    assert sorted(path for path in home.rglob("*") if "__pycache__" not in path.parts) == before


KIT = """
from airflow.models.baseoperator import BaseOperator

class {name}(BaseOperator):
    def execute(self, context):
        return 1
"""
USES_KITS = """
import pendulum
from airflow import DAG
from bought_kit import Bought
from own_kit import Own
from target_kit import Targeted

with DAG("kits", schedule="@daily", start_date=pendulum.datetime(2024, 1, 1)):
    Bought(task_id="bought"), Targeted(task_id="targeted"), Own(task_id="own")
"""


def test_what_pip_has_installed_for_a_user_is_no_code_of_the_team(tmp_path: Path) -> None:
    """Airflow's own images install everything into a folder of the user; a DAGs folder's own modules are the team's,
    also if somebody has installed into the folder around it."""
    user, target, around = tmp_path / "lib" / "site-packages", tmp_path / "target", tmp_path / "around"
    dags = around / "dags"
    for folder, name in ((user, "Bought"), (target, "Targeted"), (around, "Around")):
        (folder / f"{name.lower()}-1.0.dist-info").mkdir(parents=True)
    dags.mkdir()
    (user / "bought_kit.py").write_text(KIT.format(name="Bought"))
    (target / "target_kit.py").write_text(KIT.format(name="Targeted"))
    (dags / "own_kit.py").write_text(KIT.format(name="Own"))
    (dags / "kits.py").write_text(USES_KITS)
    out = tmp_path / "inventory.json"
    path = ":".join(map(str, (user, target, around)))

    done = export(PYTHONS["airflow2"], dags, out, ("2024-03-01", "2024-03-02"), PYTHONPATH=path)

    assert done.returncode == 0, done.stderr
    [dag] = json.loads(out.read_text())["dags"]
    of_team = {task["task_id"] for task in dag["tasks"] if task["reaches"] is not None}
    assert of_team == {"own"}
