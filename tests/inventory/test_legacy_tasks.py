"""What the scaffold makes of tasks without a better mirror: the operator as it is, a note, or the reason why not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from dagster_defs.adapters.dagster.partitions import DagsterCrons
from dagster_defs.inventory import describe
from dagster_defs.inventory.drafts import DagDraft
from dagster_defs.inventory.legacy_task import with_operators
from dagster_defs.inventory.scaffold import Place, draft_dag
from dagster_defs.inventory.unsaid import NOBODY_HAS_SAID
from dagster_defs.usecases.inventory import read_inventory
from tests.support import inventory_samples as samples
from tests.support.scaffolded import dag, task

PYTHON = "airflow.operators.python.PythonOperator"
EMPTY = "airflow.operators.empty.EmptyOperator"
SENSOR = "airflow.sensors.external_task.ExternalTaskSensor"


def drafted(tmp_path: Path, *tasks: dict[str, Any], airflow_version: str = "2.11.2", **more: Any) -> DagDraft:
    document = {
        "schema": "parity/inventory/1", "complete": True, "airflow_version": airflow_version, "import_errors": [],
        "dags": [dag("orders", *tasks, file="shop/orders.py", **more)],
    }  # fmt: skip
    file = tmp_path / "inventory.json"
    file.write_text(json.dumps(document))
    inventory, crons = read_inventory(file, file.with_name("parity.yaml")), DagsterCrons.asked_now()
    readings = {unit.task_id: unit for unit in describe(inventory, samples.FakeProject()).units}
    draft = draft_dag(inventory.dags[0], readings, Place("dbt", lambda path: "", crons))
    return with_operators(draft, crons, inventory.airflow_version)


def python(task_id: str, **more: Any) -> dict[str, Any]:
    return task(task_id, "", operator=PYTHON, **more)


def test_a_task_without_dbt_runs_as_it_is(tmp_path: Path) -> None:
    """Its limits, its file and a reason that is none stand in the YAML; the note says why there is no better mirror."""
    draft = drafted(tmp_path, python("load", retries=2, retry_delay_seconds=60.0, pool="warehouse"))

    [written] = yaml.safe_load_all(draft.text)
    assert written["type"] == "dagster_defs.components.LegacyTask"
    assert written["attributes"] == {
        "unit": "orders.load",
        "schedule": {
            "cron": "0 5 * * *", "timezone": "Europe/Berlin", "start": "2024-01-01", "catchup": True,
            "max_active_runs": 16,
        },
        "owners": ["team:shop"],
        "pool": "warehouse",
        "retries": 2,
        "retry_delay": 60,
        "airflow": {"dag_file": "shop/orders.py"},
        "shadow": "never",
        "because": NOBODY_HAS_SAID,
    }  # fmt: skip
    assert "# orders.load runs no dbt (PythonOperator)." in draft.text
    assert draft.units == ("orders.load",)


def test_the_order_of_the_dag_is_kept(tmp_path: Path) -> None:
    """A task comes after those that run as they are too, across markers between them."""
    draft = drafted(
        tmp_path,
        python("load"),
        task("start", "", operator=EMPTY, upstream=["load"]),
        python("mail", upstream=["start"]),
        python("archive", upstream=["mail", "load"]),
    )

    deps = {
        one["attributes"]["unit"]: one["attributes"].get("deps") for one in yaml.safe_load_all(draft.text)
    }
    assert deps == {
        "orders.load": None,
        "orders.mail": ["orders/load"],
        "orders.archive": ["orders/mail", "orders/load"],
    }
    assert "# orders.start needs no mirror: it does nothing (EmptyOperator)." in draft.text


def test_dbt_has_its_place_in_the_order(tmp_path: Path) -> None:
    """dbt waits for the sensor before it and SQL for dbt, but dbt never for a task that has dbt above it: its models
    might be made from theirs."""
    draft = drafted(
        tmp_path,
        python("wait"),
        task("stage", "dbt run -s stg_orders", upstream=["wait"]),
        python("count", upstream=["stage"]),
        task("marts", "dbt run -s orders", upstream=["count", "stage"]),
    )

    deps = {
        one["attributes"]["unit"]: one["attributes"].get("deps") for one in yaml.safe_load_all(draft.text)
    }
    assert deps == {
        "orders.wait": None,
        "orders.stage": ["orders/wait"],
        "orders.count": ["orders/stage"],
        "orders.marts": ["orders/wait"],
    }


def test_below_a_branch_airflows_rules_are_asked(tmp_path: Path) -> None:
    """By every mirror but the operator itself, whose engine asks them anyway; and not where dbt cannot come after the
    task that decides, since that has dbt above it."""
    short = "airflow.operators.python.ShortCircuitOperator"
    draft = drafted(
        tmp_path,
        task("look", "", operator=short),
        task("stage", "dbt run -s stg_orders", upstream=["look"]),
        python("mail", upstream=["look"]),
        task("look_again", "", operator=short, upstream=["stage"]),
        task("marts", "dbt run -s orders", upstream=["look_again"]),
        task("apart", "dbt run -s apart"),
    )

    asked = {
        one["attributes"]["unit"]: one["attributes"].get("trigger_rules")
        for one in yaml.safe_load_all(draft.text)
    }
    assert asked == {
        "orders.look": None,
        "orders.stage": {"dag_file": "shop/orders.py"},
        "orders.mail": None,
        "orders.look_again": None,
        "orders.marts": None,
        "orders.apart": None,
    }


def test_a_refused_dbt_task_keeps_its_reason(tmp_path: Path) -> None:
    """A call of dbt that has no mirror runs as it is, below the gap that says why; a better mirror stays."""
    draft = drafted(tmp_path, task("marts", "dbt run -s {{ params.model }}"), task("fine", "dbt run"))

    kinds = {
        one["attributes"]["unit"]: one["type"].rpartition(".")[2] for one in yaml.safe_load_all(draft.text)
    }
    assert kinds == {"orders.marts": "LegacyTask", "orders.fine": "DbtUnit"}
    assert any("orders.marts" in gap and "params" in gap for gap in draft.gaps)


def test_a_class_of_the_teams_own_is_no_marker(tmp_path: Path) -> None:
    """A subclass of an EmptyOperator may do anything: it runs as it is."""
    own = task("tell", "", operator="shop.operators.Telling", bases=[EMPTY])

    assert drafted(tmp_path, own).units == ("orders.tell",)


@pytest.mark.parametrize(
    ("given", "more", "said"),
    [
        (python("load"), {"schedule": {"text": "0 6 * * *", "kind": "cron-trigger", "cron": "0 6 * * *",
                                       "timezone": "UTC", "interval_is_empty": True, "occasion": None}},
         "does not say that they are ticks"),
        (python("load"), {"airflow_version": "4.0.0"}, "the inventory is of Airflow 4.0.0"),
        (task("wait", "", operator=SENSOR), {}, "does not run without Airflow's servers"),
    ],
)  # fmt: skip
def test_what_cannot_run_as_it_is_says_why(
    tmp_path: Path, given: dict[str, Any], more: dict[str, Any], said: str
) -> None:
    """With empty windows of an unknown kind, or with work that servers do, there is a comment only."""
    draft = drafted(tmp_path, given, **more)

    assert draft.units == ()
    assert said in draft.text


@pytest.mark.parametrize("given", [python("load", mapped=True), task("load", "dbt run", mapped=True)])
def test_a_mapped_task_runs_as_it_is(tmp_path: Path, given: dict[str, Any]) -> None:
    """Only Airflow's engine knows how many instances there are, also of a task that runs dbt or SQL."""
    draft = drafted(tmp_path, given)

    [document] = yaml.safe_load_all(draft.text)
    assert document["type"].endswith(".LegacyTask")
