"""`parity verify --from --to`: the same DAG files in two real Airflows, and what the upgrade changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from dagster_defs import cli
from tests.support.documents import document, fenced
from tests.support.exporting import PYTHONS, export

pytestmark = pytest.mark.airflow

DAGS = """
import pendulum
from airflow import DAG
from airflow.timetables.interval import CronDataIntervalTimetable
try:
    from airflow.providers.standard.operators.bash import BashOperator
    THREE = True
except ImportError:
    from airflow.operators.bash import BashOperator
    THREE = False

NEW_YORK = "America/New_York"


def make(name, schedule, zone=NEW_YORK, **texts):
    with DAG(name, schedule=schedule, start_date=pendulum.datetime(2024, 1, 1, tz=zone)) as dag:
        for task_id, text in texts.items():
            BashOperator(task_id=task_id, bash_command=text)
    globals()[name] = dag


make("daily", "0 6 * * *", ds="dbt run {{ ds }}", both="dbt run {{ data_interval_start }} {{ data_interval_end }}",
     dropped="dbt run {{ next_ds }}", plain="dbt run")
make("hourly", "@hourly", "UTC", ds="dbt run {{ ds }}")
make("monthly", "@monthly", "UTC", ds="dbt run {{ ds }}")
make("kept", CronDataIntervalTimetable("0 6 * * *", timezone=NEW_YORK), ds="dbt run {{ ds }}")
if THREE:
    make("new", None, ds="dbt run")
else:
    make("old", None, ds="dbt run")
"""  # fmt: skip
# The setting of a team that keeps its intervals when it upgrades.
INTERVALS = {
    "AIRFLOW__SCHEDULER__CREATE_CRON_DATA_INTERVALS": "True",
    "AIRFLOW__SCHEDULER__CATCHUP_BY_DEFAULT": "True",
}


@pytest.fixture(scope="module")
def inventories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    if not all(python.exists() for python in PYTHONS.values()):
        pytest.skip("no Airflow 3 environment here; `make test` makes it")
    folder = tmp_path_factory.mktemp("upgrade")
    (folder / "dags").mkdir()
    (folder / "dags" / "dags.py").write_text(DAGS)
    (folder / "old_dags").mkdir()
    (folder / "old_dags" / "dags.py").write_text(DAGS.replace("THREE = True", "THREE = False"))
    found = {}
    for name, version, dags, more in (
        ("2", "airflow2", "dags", {}),
        ("3", "airflow3", "dags", {}),
        ("3 with intervals", "airflow3", "old_dags", INTERVALS),
    ):
        found[name] = folder / f"{name}.json"
        done = export(PYTHONS[version], folder / dags, found[name], ("2024-03-01", "2024-04-30"), **more)
        assert done.returncode == 0, done.stderr
    return found


def verify(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.app, ["verify", *map(str, arguments)])


def compared(inventories: dict[str, Path], before: str, after: str, *more: str) -> dict[str, Any]:
    answer = verify("--from", inventories[before], "--to", inventories[after], *more, "--json")
    assert answer.exit_code == 3, answer.output
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def dag_of(document: dict[str, Any], dag_id: str) -> dict[str, Any]:
    found: dict[str, Any] = next(dag for dag in document["dags"] if dag["dag_id"] == dag_id)
    return found


def test_an_upgrade_moves_every_ds_of_a_bare_cron(inventories: dict[str, Path], tmp_path: Path) -> None:
    """In words, outside of any project: every ds moves a day, one date is never run, commands are other ones."""
    answer = verify("--from", inventories["2"], "--to", inventories["3"], "--at", "2024-03-10T12:00:00")
    assert answer.exit_code == 3
    daily = answer.stdout[answer.stdout.index("daily\n") : answer.stdout.index("hourly\n")]
    for sentence in (
        "its runs were about windows and are about ticks without a length: 0 6 * * * (CronDataIntervalTimetable) → "
        "0 6 * * * (CronTriggerTimetable); a command that reads from data_interval_start to data_interval_end now "
        "reads nothing",
        "every ds moves a day later (60 of 60 runs): the run due 2024-03-02 11:00 UTC had 2024-03-01 and has "
        "2024-03-02",
        "if Airflow 3.3.2 takes over after the run due 2024-03-10 10:00 UTC, logical date 2024-03-10 10:00 UTC (ds "
        "2024-03-10) is never run; the next run is due 2024-03-11 10:00 UTC",
        "catchup is off in Airflow 3.3.2",
        "task ds has the same text for the same logical date, and moves with it",
        "task both has another text",
        "task dropped fails: next_ds: Airflow 3 has no such name any more",
    ):
        assert sentence in daily
    assert "task plain" not in daily
    assert "missing DAG old is not in the inventory of Airflow 3.3.2" in answer.stdout
    assert "missing DAG new is not in the inventory of Airflow 2.11.2" in answer.stdout
    assert answer.stdout.splitlines()[-1].startswith("Airflow 2.11.2 → 3.3.2: 4 of 4 DAGs differ; ")


def test_periods_of_other_lengths(inventories: dict[str, Path]) -> None:
    """Hours move by an hour, and ds only at midnight; a month, whose length varies, is compared where both know it."""
    document = compared(inventories, "2", "3")
    [hours] = dag_of(document, "hourly")["moves"]
    assert (hours["by"], hours["runs"], hours["ds_moves"]) == ("an hour later", 61 * 24 - 1, 60)
    months = dag_of(document, "monthly")
    assert (months["compared"], months["moves"][0]["runs"]) == (1, 1)


def test_a_task_of_which_only_the_time_moves(inventories: dict[str, Path]) -> None:
    """The same text for the same logical date is told from another text."""
    tasks = {task["task_id"]: task for task in dag_of(compared(inventories, "2", "3"), "daily")["tasks"]}
    assert {name: task["agreement"] for name, task in tasks.items()} == {
        "ds": "moves", "both": "differs", "dropped": "fails", "plain": "same",
    }  # fmt: skip
    assert tasks["both"]["example"]["from"].startswith("dbt run 2024-")


def test_an_explicit_timetable_keeps_its_windows(inventories: dict[str, Path]) -> None:
    """A DAG that names its timetable has the same runs in both; what differs is Airflow 3's default of no catch-up."""
    kept = dag_of(compared(inventories, "2", "3"), "kept")
    assert (kept["moves"], kept["vanished"], kept["added"], kept["change"]) == ([], [], [], None)
    assert kept["compared"] == 60
    assert kept["sentences"] == [
        "catchup is off in Airflow 3.3.2: periods in which the DAG or Airflow stood still are not run later"
    ]


def test_an_upgrade_that_keeps_its_intervals(inventories: dict[str, Path]) -> None:
    """With `create_cron_data_intervals` the runs are the same, and what is left are the texts of Airflow 3."""
    document = compared(inventories, "2", "3 with intervals")
    assert document["only_from"] == document["only_to"] == []
    daily = dag_of(document, "daily")
    assert daily["moves"] == []
    assert {task["task_id"]: task["agreement"] for task in daily["tasks"]} == {
        "ds": "same", "both": "same", "dropped": "fails", "plain": "same",
    }  # fmt: skip
    assert dag_of(document, "hourly")["differs"] is False


def test_the_setting_turned_on_later(inventories: dict[str, Path]) -> None:
    """From ticks back to intervals Airflow 3.3 passes over one period, and 2.11 would run one date twice."""
    at = ("--at", "2024-03-10T12:00:00")
    change = dag_of(compared(inventories, "3", "3 with intervals", *at), "daily")["change"]
    assert change == {
        "last": "2024-03-10T10:00:00+00:00",
        "next": "2024-03-12T10:00:00+00:00",
        "never_run": [],
        "twice": [],
        "skipped": ["2024-03-11T10:00:00+00:00"],
    }
    back = dag_of(compared(inventories, "3", "2", *at), "daily")["change"]
    assert back["twice"] == ["2024-03-10T10:00:00+00:00"]


def test_the_documented_shape(inventories: dict[str, Path]) -> None:
    """`--json` has the documented keys, for a DAG that moves and a task with an example."""
    [block] = fenced(document("docs/reference.md").section("#### An upgrade of Airflow"), "json")
    documented, found = json.loads(block), compared(inventories, "2", "3", "--at", "2024-03-10T12:00:00")
    assert documented.keys() == found.keys()
    [dag], daily = documented["dags"], dag_of(found, "daily")
    assert dag.keys() == daily.keys()
    for part in ("from", "to", "change"):
        assert dag[part].keys() == daily[part].keys()
    assert dag["change"] == daily["change"]
    assert dag["moves"] == daily["moves"]
    assert dag["tasks"][0].keys() == daily["tasks"][0].keys()
    assert dag["tasks"][0]["example"].keys() == daily["tasks"][0]["example"].keys()


def test_nothing_differs(inventories: dict[str, Path]) -> None:
    """An inventory beside itself differs in nothing. The exit code is 0 only if everything could be compared, which a
    text that Airflow cannot render is not."""
    answer = verify("--from", inventories["3"], "--to", inventories["3"])
    assert answer.exit_code == 3, answer.output
    assert answer.stdout.startswith("daily\n  - task dropped is not compared: bash_command (next_ds: ")
    assert answer.stdout.splitlines()[-1].startswith("Airflow 3.3.2 → 3.3.2: 0 of 5 DAGs differ; ")
    assert answer.stdout.endswith("; not compared: 1 task\n")

    answer = verify("--from", inventories["2"], "--to", inventories["2"])
    assert answer.exit_code == 0, answer.output
    assert answer.stdout.startswith("Airflow 2.11.2 → 2.11.2: 0 of 5 DAGs differ; ")


@pytest.mark.parametrize(
    "wrong", [["--from", "x"], ["--at", "2024-03-10"], ["taxi.dbt", "--from", "x", "--to", "y"]]
)
def test_wrong_use(wrong: list[str]) -> None:
    """One without the other, and a unit beside them, is a usage error."""
    answer = verify(*wrong)
    assert answer.exit_code == 2
    assert "belong together" in answer.output
