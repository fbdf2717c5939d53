"""What the scaffold makes of a task that runs SQL."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dagster_defs.inventory.document import Dag, Sample, Schedule, Task
from dagster_defs.inventory.team import Connection, Team
from dagster_defs.inventory.unsaid import NOBODY_HAS_SAID
from dagster_defs.lifecycle.sql_tasks import SqlDraft, draft_sql
from dagster_defs.usecases.inventory import read_inventory
from tests.support.estate import ROOT, foreign_environment

SQL = "delete from sales.daily where day = '{{ ds }}'"
TEAM = Team(connections={"orders_db": Connection(legacy="prod", candidate="shadow", warehouse="postgres")})


def task(rendered: str = "delete from sales.daily where day = '2024-03-01'", **more: Any) -> Task:
    known: dict[str, Any] = {
        "classes": ("airflow.providers.common.sql.operators.sql.SQLExecuteQueryOperator",),
        "templated": {"conn_id": "orders_db", "sql": SQL, "parameters": None},
        "samples": (Sample("2024-03-01T00:00:00+00:00", "2024-03-02T00:00:00+00:00", {"sql": rendered}),),
        "settings": {"autocommit": False},
        "team": TEAM,
        **more,
    }
    return Task("orders", "daily", **known)


def drafted(one: Task, *others: Task) -> SqlDraft:
    schedule = Schedule("@daily", "cron", "0 0 * * *", "UTC", False)
    draft = draft_sql(Dag("orders", schedule, "UTC", (one, *others)), one)
    assert draft is not None
    return draft


def test_a_task_of_which_everything_is_known() -> None:
    """Its SQL, settings, targets and tables stand in the mirror."""
    more: dict[str, Any] = {
        "settings": {"autocommit": True, "split_statements": True},
        "params": {"region": "north"},
    }

    assert drafted(task(**more)).attributes == {
        "sql": SQL,
        "params": {"region": "north"},
        "autocommit": True,
        "split_statements": True,
        "warehouse": {"legacy": "prod", "candidate": "shadow"},
        "outputs": [{"key": "orders/daily", "table": "sales.daily"}],
    }


def test_of_a_dag_without_a_clock_only_what_its_run_tells_is_known() -> None:
    """No run comes before or after a run, and a conf may override a param; there is no time column to ask for."""
    schedule = Schedule("None", "none", None, "UTC", False)

    def of_event(sql: str) -> SqlDraft:
        one = task(
            templated={"conn_id": "orders_db", "sql": sql, "parameters": None}, params={"region": "north"}
        )
        found = draft_sql(Dag("orders", schedule, "UTC", (one,)), one)
        assert found is not None
        return found

    known = of_event("delete from sales.daily where day = '{{ ds }}'")
    assert known.attributes is not None
    assert known.notes == ("orders.daily is compared as a whole.",)
    for needs in ("next_ds", "params.region"):
        found = of_event("delete from sales.daily where day = '{{ NAME }}'".replace("NAME", needs))
        assert found.attributes is None
        assert needs in found.notes[0]


def test_sql_without_a_proof_has_no_candidate() -> None:
    """It is a SqlUnit that runs no candidate until somebody has said more, with the reason in a comment."""
    draft = drafted(task("call load()"))

    assert draft.attributes is not None
    assert (draft.attributes["shadow"], draft.attributes["because"]) == ("never", NOBODY_HAS_SAID)
    assert "there is no proof for 'CALL load()'" in draft.notes[0]


READER = Task("orders", "reader", ("x",), {"bash_command": "{{ ti.xcom_pull('daily') }}"})


@pytest.mark.parametrize(
    ("change", "others", "why"),
    [
        ({"team": Team()}, (), "connections: {orders_db: {legacy: …, candidate: …, warehouse: …}}"),
        ({"settings": {}}, (), "export it again"),
        ({"templated": {"sql": SQL}}, (), "its connection is not in the inventory"),
        ({"settings": {"autocommit": False, "database": "x"}}, (), "another database"),
        ({"rendered": "select 1"}, (), "it writes no table"),
        ({"samples": ()}, (), "not rendered it for any window"),
        ({"templated": {"conn_id": "orders_db", "sql": "{{ var.value.x }}"}}, (), "var"),
        ({"templated": {"conn_id": "orders_db", "sql": {"a": 1}}}, (), "its SQL is not text"),
        ({}, (READER,), "reader read its XCom"),
    ],
)
def test_a_task_of_which_something_is_not_known_stays_as_it_is(
    change: dict[str, Any], others: tuple[Task, ...], why: str
) -> None:
    """The note says what is missing."""
    draft = drafted(task(**change), *others)

    assert draft.attributes is None
    assert why in draft.notes[0], draft.notes


def test_names_of_tables_that_move_are_not_guessed() -> None:
    """A table of each window would have to be a template, which nobody has written."""
    one = task()
    later = Sample("2024-03-02T00:00:00+00:00", "2024-03-03T00:00:00+00:00", {"sql": "truncate other"})

    assert (
        "change from window to window"
        in drafted(dataclasses.replace(one, samples=(*one.samples, later))).notes[0]
    )


@pytest.mark.parametrize(
    ("operator", "warehouse"),
    [
        ("airflow.providers.google.cloud.operators.bigquery.BigQueryInsertJobOperator", "BigQuery"),
        ("airflow.providers.google.cloud.operators.bigquery.BigQueryExecuteQueryOperator", "BigQuery"),
        ("airflow.providers.mysql.operators.mysql.MySqlOperator", "MySQL"),
        ("airflow.providers.amazon.aws.operators.redshift_data.RedshiftDataOperator", "Redshift"),
        ("airflow_clickhouse_plugin.operators.clickhouse.ClickHouseOperator", "ClickHouse"),
    ],
)
def test_what_runs_on_another_warehouse_says_so(operator: str, warehouse: str) -> None:
    """Its SQL could be neither run here nor compared, so no mirror pretends to."""
    draft = drafted(task(classes=(operator,)))

    assert draft.attributes is None
    [note] = draft.notes
    assert note.startswith(
        f"orders.daily is no SqlUnit: it runs on {warehouse}, and SQL is run and compared on "
    )


@pytest.mark.parametrize("name", ["airflow.operators.email.EmailOperator", "shop.MySqlOperator"])
def test_other_operators_are_not_its_matter(name: str) -> None:
    """One of the team's own may do anything, whatever it is called."""
    other = task(classes=(name,))

    schedule = Schedule("@daily", "cron", "0 0 * * *", "UTC", False)
    assert draft_sql(Dag("orders", schedule, "UTC", (other,)), other) is None


DAG = """
from datetime import datetime
from pathlib import Path

from airflow import DAG
from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator

here = str(Path(__file__).parent / "sql")
with DAG("shop", start_date=datetime(2024, 3, 1), schedule="@daily", template_searchpath=[here]):
    SQLExecuteQueryOperator(
        task_id="daily", conn_id="orders_db", sql="daily.sql", split_statements=True, params={"region": "north"}
    )
    SQLExecuteQueryOperator(
        task_id="log", conn_id="orders_db", sql=["insert into log values (%(day)s)"], parameters={"day": "{{ ds }}"},
        autocommit=True,
    )
"""


@pytest.mark.airflow
def test_what_airflow_exports_is_enough(tmp_path: Path) -> None:
    """A file found by template_searchpath, parameters and both settings come from the real exporter."""
    (tmp_path / "dags" / "sql").mkdir(parents=True)
    (tmp_path / "dags" / "shop.py").write_text(DAG)
    text = f"{SQL};\ninsert into sales.daily select '{{{{ params.region }}}}'"
    (tmp_path / "dags" / "sql" / "daily.sql").write_text(text)
    days = ("--from", "2024-03-01", "--to", "2024-03-02")
    places = ("--dags-folder", tmp_path / "dags", "--out", tmp_path / "inventory.json")
    exporter = ROOT / "legacy_dags/handover/inventory.py"
    command = [ROOT / ".venv-airflow/bin/python", exporter, *places, *days]
    subprocess.run(
        list(map(str, command)), check=True, capture_output=True, timeout=600, env=foreign_environment()
    )
    (tmp_path / "parity.yaml").write_text(
        "connections: {orders_db: {legacy: prod, candidate: shadow, warehouse: postgres}}\n"
    )

    [dag] = read_inventory(tmp_path / "inventory.json", tmp_path / "parity.yaml").dags
    found = {each.task_id: draft_sql(dag, each) for each in dag.tasks if isinstance(each, Task)}

    daily, log = (draft.attributes or {} for draft in found.values() if draft)
    assert daily["sql"].startswith(SQL)
    assert (daily["params"], daily["split_statements"]) == ({"region": "north"}, True)
    assert daily["outputs"] == [{"key": "shop/daily", "table": "sales.daily"}]
    assert (log["parameters"], log["autocommit"]) == ({"day": "{{ ds }}"}, True)
