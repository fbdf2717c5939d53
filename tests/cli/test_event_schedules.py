"""From DAG files that no clock starts to mirrors that verify: the exporter, `parity scaffold` and `parity verify`."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.agreement import Agreement, Facet
from dagster_defs.settings import Settings
from dagster_defs.usecases.inventory import read_inventory
from dagster_defs.usecases.scaffold import summarize
from dagster_defs.usecases.verify import verify_mirrors
from tests.cli.test_listed_schedules import export, scaffold
from tests.support.scaffolded import PROJECT, mirrors_below

pytestmark = pytest.mark.airflow

DAGS = """
import pendulum
from airflow import DAG
from airflow.datasets import Dataset
from airflow.operators.bash import BashOperator
from airflow.operators.python import PythonOperator

DBT = "dbt run -s orders_per_day --vars '{day: \\"%s\\"}'"


def told(**context):
    print(context["triggering_dataset_events"])


def make(name, schedule, value="{{ ds }}", **more):
    with DAG(name, schedule=schedule, start_date=pendulum.datetime(2024, 1, 1, tz="Europe/Berlin"),
             catchup=False, max_active_runs=2, params={"day": "2024-01-01"}) as dag:
        BashOperator(task_id="dbt", bash_command=DBT % value, **more)
        BashOperator(task_id="other", bash_command="echo {{ dag_run.conf.get('x') }}")
    globals()[name] = dag


make("by_hand", None)
make("of_conf", None, "{{ dag_run.conf.get('day', ds) }}")
make("of_params", None, "{{ params.day }}")
make("of_neighbour", None, "{{ next_ds }}")
make("of_env", None, env={"SHOP_DATA": "{{ dag_run.conf['region'] }}"}, append_env=True)
make("once", "@once")
make("fed", [Dataset("x://y")])
with DAG("reads_events", schedule=[Dataset("x://y")], start_date=pendulum.datetime(2024, 1, 1)) as reads_events:
    PythonOperator(task_id="told", python_callable=told)
""".replace('make("again", "@continuous")', "").replace('globals()["again"].max_active_runs = 1\n', "")
NOBODY = "no task in the inventory writes x://y/, so that nobody sees when it changes"
MANUAL = {"event": "manual", "timezone": "Europe/Berlin", "catchup": False, "max_active_runs": 2}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("events")
    (root / "pyproject.toml").touch()
    (root / "dags").mkdir()
    (root / "dags" / "events.py").write_text(DAGS)
    shutil.copytree(PROJECT, root / "dbt")
    return root


@pytest.fixture(scope="module")
def inventory(root: Path) -> Path:
    return export(root, "2024-01-01", "2024-01-31")


@pytest.fixture(scope="module")
def written(root: Path, inventory: Path) -> Mapping[str, dict[str, Any]]:
    return scaffold(root, inventory)


def mirror(root: Path, dag_id: str, task_id: str = "dbt") -> dict[str, Any]:
    text = (root / "dagster_defs" / "defs" / dag_id / "defs.yaml").read_text()
    [found] = [
        each for each in yaml.safe_load_all(text) if each["attributes"]["unit"] == f"{dag_id}.{task_id}"
    ]
    return {"type": found["type"].rpartition(".")[2], **found["attributes"]}


def test_each_kind_has_a_mirror_without_a_gap(root: Path, written: Mapping[str, dict[str, Any]]) -> None:
    """A dbt call whose variables follow from the run, its conf included, is a DbtUnit without a clock."""
    for dag_id, kind, value in (
        ("by_hand", "manual", "{{ ds }}"), ("once", "once", "{{ ds }}"), ("fed", "datasets", "{{ ds }}"),
        ("of_conf", "manual", "{{ dag_run.conf.get('day', ds) }}"),
    ):  # fmt: skip
        found = mirror(root, dag_id)
        assert found["type"] == "DbtUnit"
        by = {} if dag_id != "fed" else {"triggered_by": {"refused": [NOBODY]}}
        assert found["schedule"] == {**MANUAL, "event": kind, **by}
        assert found["vars"] == {"day": value}
        assert written[f"{dag_id}/defs.yaml"]["gaps"] == []


@pytest.mark.parametrize(
    ("dag_id", "why"),
    [
        ("of_params", "params.day: the run's conf may override a default"),
        ("of_neighbour", "next_ds: a DAG without a clock has no run before or after a run"),
        ("of_env", "the task sets SHOP_DATA to another value in each run, and dbt's profile reads it"),
    ],
)
def test_what_a_run_does_not_tell_runs_as_it_is(
    root: Path, written: Mapping[str, dict[str, Any]], dag_id: str, why: str
) -> None:
    """Where a better mirror would have to guess, Airflow's own engine renders the task; the gap says why."""
    assert mirror(root, dag_id)["type"] == "LegacyTask"
    assert mirror(root, dag_id)["schedule"] == MANUAL
    assert any(why in gap for gap in written[f"{dag_id}/defs.yaml"]["gaps"])


def test_other_tasks_run_as_they_are(root: Path, written: Mapping[str, dict[str, Any]]) -> None:
    """Also without a clock, but not one that asks for something that only Airflow has."""
    assert mirror(root, "by_hand", "other")["type"] == "LegacyTask"
    assert "reads_events/defs.yaml" not in written
    assert "triggering_dataset_events" in (root / "dagster_defs/defs/reads_events/gaps.yaml").read_text()


def test_the_summary_counts_them(root: Path, inventory: Path) -> None:
    """Mirrors without a gap, and the reasons of those that run as they are."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("SHOP_DATA", str(root))
        found = summarize(Settings.from_process(), inventory, [root / "dbt"])

    assert (found.tasks, found.mirrored, found.as_it_is) == (15, 4, 10)


def test_verify_proves_what_there_is_to_prove(
    root: Path, written: Mapping[str, dict[str, Any]], inventory: Path
) -> None:
    """There are no windows; the variables are those of the run that the exporter rendered, as far as it knows them."""
    verified = verify_mirrors(
        Settings.from_process(), mirrors_below(root), read_inventory(inventory, root / "parity.yaml")
    )
    facets: dict[str, dict[str, Facet]] = {
        str(each.unit): {facet.name: facet for facet in each.facets} for each in verified
    }

    for dag_id in ("by_hand", "once", "fed"):
        found = facets[f"{dag_id}.dbt"]
        assert found["windows"].agrees is Agreement.AGREES
        assert found["windows"].detail == "no clock on either side, so there are no windows to prove"
        assert (found["variables"].agrees, found["variables"].compared) == (Agreement.AGREES, 1), found[
            "variables"
        ]
        assert found["variables"].detail == "in 1 run that the exporter rendered"
        differing = [name for name, facet in found.items() if facet.agrees is Agreement.DIFFERS]
        assert differing == []
    of_conf = facets["of_conf.dbt"]["variables"]
    assert of_conf.agrees is Agreement.UNDETERMINED
    assert "known only while the task runs" in of_conf.detail
    assert facets["by_hand.other"]["variables"].agrees is Agreement.AGREES


def test_verify_sees_another_starter(
    root: Path, written: Mapping[str, dict[str, Any]], inventory: Path
) -> None:
    """A mirror that says that a person starts a DAG which Airflow starts once differs in `windows`."""
    path = root / "dagster_defs" / "defs" / "once" / "defs.yaml"
    kept = path.read_text()
    path.write_text(kept.replace("event: once", "event: manual"))
    try:
        verified = verify_mirrors(
            Settings.from_process(),
            mirrors_below(root),
            read_inventory(inventory, root / "parity.yaml"),
            [Unit("once", "dbt")],
        )
        [found] = list(verified)
    finally:
        path.write_text(kept)
    assert found.facets[0].agrees is Agreement.DIFFERS
    assert found.facets[0].detail == "in Airflow its runs are started once, in the mirror started by a person"
