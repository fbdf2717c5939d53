"""What a task without dbt writes: tables, files, folders, and nothing, each compared as it is declared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from dagster_defs.components import PythonUnit
from dagster_defs.components.units.broken_unit import BROKEN
from dagster_defs.lifecycle.mirrors import TableOutput
from tests.components.conftest import Project
from tests.support import strange_dag
from tests.support.postgres import PostgresServer
from tests.support.target_project import both_sides, project_of_targets
from tests.support.trees import component_tree

DAYS = {"cron": "@daily", "start": "2024-03-01"}
DAY = ("2024-03-02", "2024-03-02")
BOUNDS = {"lower": "{{ data_interval_start }}", "upper": "{{ data_interval_end }}"}
CODE = """
from pathlib import Path

import duckdb


def write_tables(day, side, wrong=""):
    with duckdb.connect(f"{side}.duckdb") as database:
        database.execute("create schema if not exists sales")
        database.execute("create table if not exists sales.orders (id int, made timestamp)")
        database.execute("delete from sales.orders where made::date = ?", [day])
        rows = 2 if side == wrong else 3
        made = f"select i, ?::timestamp + interval 1 hour from range({rows}) t(i)"
        database.execute(f"insert into sales.orders {made}", [day])
        database.execute(f"create or replace table staging_{day.replace('-', '_')} as select 1 as id")


def write_files(day, side, wrong=""):
    folder = Path(f"data/{side}/{day}")
    (folder / "deep").mkdir(parents=True, exist_ok=True)
    (folder / "a.csv").write_text("id,name\\n1,x\\n2,y\\n")
    (folder / "deep" / "b.csv").write_text("id,name\\n3,z\\n" if side == wrong else "id,name\\n4,z\\n")
    (folder / "note.txt").write_text("done")
    (folder / "_SUCCESS").write_text(side)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[Project]:
    """A folder with functions that write."""
    root = tmp_path_factory.mktemp("outputs")
    strange_dag.dags_folder(root)
    with project_of_targets(root, postgres) as estate:
        (root / "legacy_dags" / "own_writes.py").write_text(CODE)
        yield Project(estate)


def unit(function: str, outputs: Any, **attributes: Any) -> tuple[str, dict[str, Any]]:
    return "PythonUnit", {
        "unit": "own.writes",
        "schedule": DAYS,
        "function": f"own_writes.{function}",
        "arguments": {"day": "{{ ds }}", **attributes.pop("arguments", {})},
        "outputs": outputs,
        **attributes,
    }


@pytest.mark.parametrize(("wrong", "equal"), [("", True), ("candidate", False)])
def test_tables_are_compared_window_by_window(place: Project, wrong: str, equal: bool) -> None:
    """A table is compared within the bounds of its window, and a table that each window has for itself as a whole."""
    outputs = [
        {"key": "orders", "table": "sales.orders", "row_key": ["id"], "time_column": "made", **BOUNDS},
        {"key": "staging", "table": "staging_{{ ds.replace('-', '_') }}"},
    ]
    place.declare("own", unit("write_tables", outputs, arguments={"wrong": wrong}))

    sides = both_sides(place.load, place.estate, "own__writes")

    assert sides["shadow/orders"][0] is equal, sides
    assert ("3 rows equal" if equal else "1 row only in legacy") in sides["shadow/orders"][1]
    assert sides["shadow/staging"][0], sides
    assert "1 row equal" in sides["shadow/staging"][1]


@pytest.mark.parametrize(
    ("output", "passed", "message"),
    [
        ({"pattern": "**/*.csv"}, False, "1 row only in legacy; 1 row only in candidate"),
        ({"pattern": "*.csv"}, True, "2 rows equal"),
        ({"each": True}, False, "deep/b.csv: "),
        ({"each": True, "pattern": "*"}, True, "2 files equal, 2 rows"),
    ],
    ids=["data-set", "pattern", "each", "each-of-pattern"],
)
def test_folders_are_compared_as_declared(
    place: Project, output: dict[str, Any], passed: bool, message: str
) -> None:
    """A folder is one data set or compared file by file, and what writers leave behind does not count."""
    declared = {"key": "export", "folder": "{{ ds }}", **output}
    place.declare("own", unit("write_files", [declared], arguments={"wrong": "candidate"}))

    sides = both_sides(place.load, place.estate, "own__writes")

    assert sides["shadow/export"][0] is passed, sides
    assert message.replace("/", r"/") in sides["shadow/export"][1].replace("\\", "")


def test_nothing_to_compare_is_said_with_a_reason(place: Project) -> None:
    """`outputs: {none: true}` is an asset that stands for the task, and the gates get the reason."""
    place.declare("own", unit("write_files", {"none": True, "because": "a dashboard"}))
    definitions = place.load()

    keys = {"/".join(spec.key.path) for spec in definitions.resolve_all_asset_specs()}

    assert keys == {"own/writes", "shadow/own/writes"}
    [found] = [each for each in components(place) if each.unit == "own.writes"]
    assert found.gate_settings.never_compared == "a dashboard"


def components(place: Project) -> list[PythonUnit]:
    tree = component_tree(place.defs_folder, place.estate.root)
    return [*tree.get_all_components(of_type=PythonUnit)]


@pytest.mark.parametrize(
    ("table", "legacy", "candidate"),
    [
        ("orders", '"parity"."public".orders', '"parity"."shadow".orders'),
        ("sales.orders", '"parity".sales.orders', '"parity"."shadow".orders'),
    ],
)
def test_the_candidates_table_is_in_its_targets_schema(
    place: Project, table: str, legacy: str, candidate: str
) -> None:
    """In one database the candidate's table is never legacy's, whether or not its schema is named."""
    warehouse = {"legacy": "pg", "candidate": "pg_candidate"}
    place.declare("own", unit("write_tables", [{"key": "orders", "table": table}], warehouse=warehouse))
    place.load()
    [declared] = components(place)

    [output] = declared.outputs_of(declared.partitions.window_of("2024-03-02"))

    assert isinstance(output, TableOutput)
    assert (output.legacy, output.candidate) == (legacy, candidate)


SAME = {"legacy": "legacy", "candidate": "legacy"}


@pytest.mark.parametrize(
    ("outputs", "more", "reason"),
    [
        ([{"key": "a", "table": "t", "file": "f.csv"}], {}, "has both file and table"),
        ([{"key": "a", "legacy": "t"}], {}, "names the table of one side only"),
        ([{"key": "a", "table": "t", "legacy": "t", "candidate": "u"}], {}, "says nothing beside"),
        ([{"key": "a", "table": "t", "time_column": "made"}], {}, "no bounds of a window in it"),
        ([{"key": "a", "table": "t", **BOUNDS}], {}, "no `time_column` that they bound"),
        ([{"key": "a", "file": "f.csv", "time_column": "made"}], {}, "which only a table has"),
        ([{"key": "a", "file": "f.csv", "each": True}], {}, "which only a `folder` has"),
        ([{"key": "a", "table": "t", "file_types": {"a": "date"}}], {}, "a table has its own types"),
        ([{"key": "a", "table": "t", "time_column": "made", **BOUNDS, "naive_zone": "Mars"}], {}, "Mars"),
        ([{"key": "a", "table": "t"}, {"key": "b", "table": "t"}], {}, "is the legacy table of a"),
        ([{"key": "a", "table": "t"}], {"warehouse": SAME}, "is the legacy table of a"),
        ([{"key": "a", "table": "t"}], {"warehouse": {"legacy": "nowhere"}}, "nowhere"),
        ({"none": True, "because": " "}, {}, "has no `because`"),
        ({"none": False, "because": "x"}, {}, "is false"),
    ],
)
def test_what_contradicts_itself_is_refused(
    place: Project, outputs: Any, more: dict[str, Any], reason: str
) -> None:
    """A declaration that cannot be meant breaks the unit, with one sentence that says why."""
    place.declare("own", unit("write_tables", outputs, **more))

    specs = place.load().resolve_all_asset_specs()

    [why] = [str(spec.metadata["why"]) for spec in specs if spec.key.path[0] == BROKEN]
    assert re.search(re.escape(reason), why), why


DAG = """
from datetime import datetime

from airflow import DAG
from airflow.hooks.base import BaseHook
from airflow.operators.python import PythonOperator


def write(day):
    import psycopg2

    place = BaseHook.get_connection("orders")
    with psycopg2.connect(host=place.extra_dejson["socket"], user="postgres", dbname="parity") as connection:
        with connection.cursor() as cursor:
            cursor.execute(f"create table if not exists {place.schema}.lt_orders (id int, day date)")
            cursor.execute(f"delete from {place.schema}.lt_orders where day = %s", [day])
            cursor.execute(f"insert into {place.schema}.lt_orders values (1, %s), (2, %s)", [day, day])


with DAG("shop", start_date=datetime(2024, 3, 1), schedule="@daily") as dag:
    PythonOperator(task_id="write", python_callable=write, op_args=["{{ ds }}"])
"""


@pytest.mark.airflow
def test_a_legacy_task_that_writes_tables_is_compared(place: Project, postgres: PostgresServer) -> None:
    """The operator as it stands writes each side's schema, and the window's rows are compared in the warehouse."""
    root: Path = place.estate.root
    (root / "dags" / "shop.py").write_text(DAG)
    postgres.run("create schema if not exists shadow")
    own = {name: text for name, text in strange_dag.environment(root).items() if name.startswith("AIRFLOW")}
    connection = f"generic://here/%s?socket={quote(postgres.socket_dir, safe='')}".replace("%2F", "%%2F")
    env = {
        "legacy": {**own, "AIRFLOW_CONN_ORDERS": connection % "public"},
        "candidate": {"AIRFLOW_CONN_ORDERS": connection % "shadow"},
    }
    env["candidate"] = {**own, **env["candidate"]}
    bounds = {"lower": "{{ ds }}", "upper": "{{ macros.ds_add(ds, 1) }}"}
    declared = {
        "unit": "shop.write",
        "schedule": DAYS,
        "airflow": {"dags_folder": "dags", "dag_file": "shop.py"},
        "env": env,
        "warehouse": {"legacy": "pg", "candidate": "pg_candidate"},
        "outputs": [{"key": "lt", "table": "lt_orders", "time_column": "day", **bounds}],
    }
    place.declare("own", ("LegacyTask", declared))

    sides = both_sides(place.load, place.estate, "shop__write")

    assert sides == {"shadow/lt": (True, sides["shadow/lt"][1])}
    assert "2 rows equal" in sides["shadow/lt"][1]
