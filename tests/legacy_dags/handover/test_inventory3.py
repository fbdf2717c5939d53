"""The inventory exporter on the schedules that only Airflow 3 has."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # a small part of it is used here
import pytest

from dagster_defs.inventory import read_document
from dagster_defs.windows import OccasionKind
from tests.support.estate import AIRFLOW3_PYTHON
from tests.support.exporting import Exported, export, schema

HERE = Path(__file__).parent
pytestmark = pytest.mark.airflow
MARCH = ("2024-03-01", "2024-03-31")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    if not AIRFLOW3_PYTHON.exists():
        pytest.skip("no Airflow 3 environment here; `make test` makes it")
    folder = tmp_path_factory.mktemp("three")
    bundles = [
        {"name": "here", "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle", "kwargs": {"path": "/x"}},
        {"name": "nowhere", "classpath": "team.bundles.Own", "kwargs": {"token": "hush-token"}},
    ]  # fmt: skip
    done = export(
        AIRFLOW3_PYTHON,
        HERE / "inventory_dags3",
        folder / "inventory.json",
        MARCH,
        AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST=json.dumps(bundles),
    )
    assert done.returncode == 0, done.stderr
    return Exported(folder / "inventory.json", done.stderr, "airflow3")


SCHEDULES = {
    "ticks": ("cron-trigger", "tick", 0),
    "bare": ("cron-trigger", "tick", 0),
    "weeks": ("cron-trigger", "window", 7 * 86_400),
    "twice": ("cron-trigger", "tick", 0),
    "delta_ticks": ("delta-trigger", "tick", 0),
    "delta_windows": ("delta", "window", None),
    "days": ("cron-partition", "partition", None),
    "days_before": ("cron-partition", "partition", None),
    "after_partitions": ("asset-partition", "partition", None),
    "keys_at_run_time": ("runtime-partition", "partition", None),
    "either": ("asset", "event", None),
    "listed": ("events", "tick", None),
}


def test_document_keeps_its_schema(exported: Exported) -> None:
    """What it writes about Airflow 3's own schedules is what the schema promises."""
    jsonschema.Draft202012Validator(schema()).validate(exported.document)


def test_each_timetable_is_known_by_its_class(exported: Exported) -> None:
    """Each timetable of Airflow 3 has a kind, is about one kind of occasion, and none is taken for another."""
    found = {
        dag_id: tuple(dag["schedule"][name] for name in ("kind", "occasion", "interval_seconds"))
        for dag_id, dag in exported.dags.items()
    }
    assert found == SCHEDULES


def test_the_reader_has_the_same_kinds(exported: Exported) -> None:
    """The inventory's reader gives each DAG the kind that the exporter wrote, and also from a file without it."""
    by_name = {dag.dag_id: dag.schedule.occasion for dag in read_document(exported.document, "x").dags}
    assert by_name == {dag_id: OccasionKind(kind) for dag_id, (_, kind, _) in SCHEDULES.items()}
    older: dict[str, Any] = json.loads(exported.text)
    for dag in older["dags"]:
        for name in ("occasion", "interval_seconds", "partitions", "assets", "asset_condition"):
            del dag["schedule"][name]
        del dag["partitions"]
        if dag["schedule"]["kind"] in ("events", "cron-partition", "runtime-partition"):
            dag["schedule"]["kind"] = "custom"
        if dag["schedule"]["kind"] == "asset-partition":
            dag["schedule"]["kind"] = "asset"
    assert {dag.dag_id: dag.schedule.occasion for dag in read_document(older, "x").dags} == by_name


def test_ticks_of_several_crons(exported: Exported) -> None:
    """A timetable of several crons has the ticks of all of them, in order, on the day of the clock change too."""
    windows = exported.dags["twice"]["windows"]
    assert len(windows) == 62
    assert all(window["start"] == window["end"] for window in windows)
    assert [window["start"] for window in windows if "2024-03-10" in window["start"]] == [
        "2024-03-10T10:00:00+00:00",
        "2024-03-10T22:00:00+00:00",
    ]


def test_partitions_of_a_cron(exported: Exported) -> None:
    """A key is that of its date in the schedule's time zone, and `run_offset` says which run it comes with."""
    [first, *_, last] = exported.dags["days"]["partitions"]
    assert first == {
        "key": "2024-03-01", "date": "2024-03-01T05:00:00+00:00", "run_after": "2024-03-01T05:00:00+00:00",
    }  # fmt: skip
    assert last["date"] == "2024-03-31T04:00:00+00:00"
    assert exported.dags["days"]["windows"] == []
    two_days_before = exported.dags["days_before"]
    assert two_days_before["schedule"]["partitions"] == {
        "keys": "cron", "key_format": "%d.%m.", "run_offset": -2, "mapper": None, "own_mappers": [],
    }  # fmt: skip
    assert two_days_before["partitions"][0] == {
        "key": "01.03.", "date": "2024-03-01T05:00:00+00:00", "run_after": "2024-03-03T05:00:00+00:00",
    }  # fmt: skip
    assert len(two_days_before["partitions"]) == 31


def test_texts_of_a_run_for_a_partition_key(exported: Exported) -> None:
    """Key and date are rendered. A name that needs a logical date is undetermined, with the reason, as is the id."""
    row = exported.task("days", "say")["rendered"][0]
    assert row["fields"]["bash_command"] == "echo 2024-03-01 2024-03-01 05:00:00+00:00 2024-03-01"
    assert (row["partition_key"], row["undetermined"]) == ("2024-03-01", [])
    [need] = exported.task("days_before", "say")["rendered"][0]["undetermined"]
    assert need["needs"] == "ds"
    assert "has no logical date" in need["reason"]
    assert exported.needs("days", "id") == {"run_id", "ti.run_id"}
    assert exported.needs("ticks", "id") == set()


def test_names_that_airflow_3_has_dropped(exported: Exported) -> None:
    """A text that uses `execution_date` is undetermined, and the reason is that Airflow 3 has no such name."""
    [need] = exported.task("ticks", "old_name")["rendered"][0]["undetermined"]
    assert need == {
        "field": "bash_command",
        "needs": "execution_date",
        "reason": "Airflow 3 has no such name any more, and a template that uses it fails",
    }
    assert exported.first("ticks", "say") == "echo 2024-03-01"


def test_assets(exported: Exported) -> None:
    """The assets of a schedule, with how they are combined and mapped to keys, and those of a task."""
    trips, zones = {"name": "trips", "uri": "s3://bucket/trips"}, {"name": "zones", "uri": "zones"}
    schedule = exported.dags["either"]["schedule"]
    assert list(schedule["asset_condition"]) == ["any"]
    assert schedule["assets"] == [trips, zones]
    partitions = exported.dags["after_partitions"]["schedule"]["partitions"]
    assert partitions["keys"] == "assets"
    assert partitions["mapper"].endswith(".IdentityMapper")
    assert [name.rpartition(".")[2] for name in partitions["own_mappers"]] == ["StartOfDayMapper"]
    task = exported.task("either", "say")
    assert (task["inlets"], task["outlets"]) == ([zones], [trips, {"name": "any", "uri": None}])


def test_bundles(exported: Exported) -> None:
    """The configured bundles by name and class, whether they keep runs on a version, and nothing of their arguments."""
    assert exported.document["bundles"] == [
        {"name": "here", "class": "airflow.dag_processing.bundles.local.LocalDagBundle", "versioned": False},
        {"name": "nowhere", "class": "team.bundles.Own", "versioned": None},
    ]
    assert "hush" not in exported.text
    assert exported.dags["days_before"]["disable_bundle_versioning"] is True
    assert exported.dags["days"]["disable_bundle_versioning"] is False


def test_a_timetable_that_airflow_cannot_read_back(exported: Exported) -> None:
    """Airflow 3.3's own EventsTimetable of the SDK does not survive serialization: the DAG is left out, and why."""
    [row] = exported.document["import_errors"]
    assert "unreadable" in row["error"]
    assert "back from its own serialization (KeyError: '_summary')" in row["error"]


@pytest.mark.parametrize(("setting", "occasion"), [("True", "window"), ("False", "tick")])
def test_create_cron_data_intervals(setting: str, occasion: str, tmp_path: Path) -> None:
    """The team's setting decides what a bare cron is, and the document says which setting was in force."""
    if not AIRFLOW3_PYTHON.exists():
        pytest.skip("no Airflow 3 environment here; `make test` makes it")
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "bare.py").write_text(BARE)
    done: subprocess.CompletedProcess[str] = export(
        AIRFLOW3_PYTHON,
        dags,
        tmp_path / "out.json",
        MARCH,
        AIRFLOW__SCHEDULER__CREATE_CRON_DATA_INTERVALS=setting,
    )
    assert done.returncode == 0, done.stderr
    flipped = Exported(tmp_path / "out.json", done.stderr, "airflow3")
    assert flipped.document["data_intervals"] == {"cron": setting == "True", "delta": False}
    assert flipped.dags["bare"]["schedule"]["occasion"] == occasion


def test_deadlines_and_mails_are_there(tmp_path: Path) -> None:
    """The function of a deadline alert is named as a callback of the DAG, whether there is one or a list, and a task's
    addresses are there."""
    if not AIRFLOW3_PYTHON.exists():
        pytest.skip("no Airflow 3 environment here; `make test` makes it")
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "promised.py").write_text(DEADLINES)
    done = export(AIRFLOW3_PYTHON, dags, tmp_path / "out.json", MARCH)
    assert done.returncode == 0, done.stderr
    exported = Exported(tmp_path / "out.json", done.stderr, "airflow3")

    assert exported.dags["one"]["callbacks"] == {"deadline": ["promised.too_late"]}
    assert exported.dags["two"]["callbacks"] == {"deadline": ["promised.too_late", "promised.much_too_late"]}
    assert exported.task("one", "mailed")["email"] == {
        "to": ["ada@example.com"],
        "on_failure": True,
        "on_retry": False,
    }


DEADLINES = """
from datetime import timedelta

import pendulum
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference


async def too_late(**context):
    pass


async def much_too_late(**context):
    pass


def by(function, hours):
    return DeadlineAlert(DeadlineReference.DAGRUN_LOGICAL_DATE, timedelta(hours=hours), AsyncCallback(function))


start = pendulum.datetime(2024, 1, 1)
with DAG("one", schedule="0 6 * * *", start_date=start, deadline=by(too_late, 1)):
    BashOperator(task_id="mailed", bash_command="exit 0", email=["ada@example.com"], email_on_retry=False)
with DAG("two", schedule="0 6 * * *", start_date=start, deadline=[by(too_late, 1), by(much_too_late, 2)]):
    BashOperator(task_id="plain", bash_command="exit 0")
"""

BARE = """
import pendulum
from airflow.sdk import DAG
dag = DAG("bare", schedule="0 6 * * *", start_date=pendulum.datetime(2024, 1, 1))
"""
