"""`parity keys`, and what the scaffold writes of keys and time columns, on a real dbt project and its database."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from typer.testing import CliRunner

from dagster_defs import cli
from dagster_defs.adapters.dagster.mirrors import Mirrors, mirrors_among
from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.components import DbtUnit
from dagster_defs.usecases import check as comparison
from tests.support.documents import document as documented
from tests.support.documents import fenced
from tests.support.postgres import PostgresServer
from tests.support.trees import component_tree

Keys = Callable[..., tuple[int, dict[str, Any]]]

_WINDOW = "day >= cast('{{ var(\"from_day\") }}' as date) and day < cast('{{ var(\"to_day\") }}' as date)"
_ROWS = "(select day, id, n from (values (date '2024-01-01', 1, 1), (date '2024-01-02', 2, 1)) as v(day, id, n)) as r"
FILES = {
    "dbt_project.yml": """
name: shop
profile: shop
flags: {send_anonymous_usage_stats: false}
vars: {from_day: '1900-01-01', to_day: '2200-01-01'}
""",
    "tests/generic/together.sql": """
{% test together(model, columns) %}
select {{ columns | join(', ') }} from {{ model }} group by {{ columns | join(', ') }} having count(*) > 1
{% endtest %}
{% test apart(model, columns) %}
select 1 as one from {{ model }} where false
{% endtest %}
""",
    # A test says the key, the filter the time column.
    "models/orders.sql": """
{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='day') }}
with chosen as (select * from ROWS where WINDOW) select day as order_day, id, n from chosen""",
    # Nothing but a test of the project's own.
    "models/pairs.sql": "{{ config(materialized='table') }} select * from ROWS",
    "models/odd.sql": "{{ config(materialized='table') }} select * from ROWS",
    # Its contract says the key.
    "models/strict.sql": "{{ config(materialized='table', contract={'enforced': true}) }} select id, n from ROWS",
    # Its `unique_key` names the rows of a day, of which there are two; its filter is on a column that it does not have.
    "models/lines.sql": """
{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='day') }}
select date_trunc('month', day) as day, n from ROWS where WINDOW""",
    "models/seen.sql": "{{ config(materialized='view') }} select * from ROWS",
    "models/schema.yml": """
models:
  - name: orders
    columns:
      - {name: order_day, data_tests: [not_null]}
      - {name: n, data_tests: [{unique: {config: {severity: warn}}}, not_null]}
      - {name: id, data_tests: [unique, not_null]}
  - name: pairs
    data_tests: [{together: {arguments: {columns: [id, n]}}}]
    columns: [{name: id, data_tests: [not_null]}, {name: n, data_tests: [not_null]}]
  - name: odd
    data_tests: [{apart: {arguments: {columns: [id, n]}}}]
    columns: [{name: n, data_tests: [unique]}]
  - name: strict
    columns:
      - {name: id, data_type: integer, constraints: [{type: primary_key}]}
      - {name: n, data_type: integer}
""",
}
_VARS = {"from_day": {"template": "{{ data_interval_start | ds }}", "bound": "lower"},
         "to_day": {"template": "{{ data_interval_end | ds }}", "bound": "upper"}}  # fmt: skip


def mirrors_below(root: Path) -> Mirrors:
    tree = component_tree(root / "dagster_defs" / "defs", root)
    return mirrors_among(tree.get_all_components(of_type=DbtUnit))


def write_project(root: Path, outputs: dict[str, Any], **unit: Any) -> None:
    """The dbt project, and a mirror of `shop.build` over all of it."""
    profile = {"shop": {"target": "legacy", "outputs": outputs}}
    for name, text in {**FILES, "profiles.yml": yaml.safe_dump(profile)}.items():
        path = root / "dbt" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("ROWS", _ROWS).replace("WINDOW", _WINDOW))
    attributes = {
        "unit": "shop.build", "command": "run", "schedule": {"cron": "@daily", "start": "2024-01-01"}, "vars": _VARS
    }  # fmt: skip
    folder = root / "dagster_defs" / "defs" / "shop"
    folder.mkdir(parents=True)
    document = {"type": "dagster_defs.components.DbtUnit", "attributes": {**attributes, **unit}}
    (folder / "defs.yaml").write_text(yaml.safe_dump(document))
    (root / "data").mkdir()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose legacy side was built by dbt."""
    root = tmp_path_factory.mktemp("shop")
    sides = ("legacy", "candidate")
    write_project(root, {side: {"type": "duckdb", "path": f"../data/{side}.duckdb"} for side in sides})
    run = DbtWorkspace(root / "dbt", "legacy").run(["run"], variables={}, run_dir=root / "run")
    assert list(run.events())
    return root


@pytest.fixture
def keys(shop: Path, monkeypatch: pytest.MonkeyPatch) -> Keys:
    """`parity keys shop.build --json` on a project: the exit code and the document."""

    def ask(root: Path = shop) -> tuple[int, dict[str, Any]]:
        monkeypatch.setattr(comparison, "load_mirrors", lambda _root: mirrors_below(root))
        outcome = CliRunner().invoke(cli.app, ["keys", "shop.build", "--json"])
        assert outcome.stdout, outcome.exception
        document: dict[str, Any] = json.loads(outcome.stdout)
        return outcome.exit_code, document

    return ask


def by_name(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {table["name"]: table for table in document["tables"]}


def test_what_dbt_says_is_proposed(keys: Keys) -> None:
    """Each table has the key that dbt claims, with its source; a view has none, and nothing is made up."""
    exit_code, document = keys()
    tables = by_name(document)

    assert exit_code == 0
    said = {
        name: (table["key"]["columns"], table["key"]["standing"], table["time_column"]["column"])
        for name, table in tables.items()
    }
    assert said == {
        "orders": (["id"], "proposed", "order_day"),
        "pairs": (["id", "n"], "proposed", None),
        "odd": (["n"], "candidate", None),
        "strict": (["id"], "proposed", None),
        "lines": (["day"], "candidate", None),
    }
    sources = {name: table["key"]["source"] for name, table in tables.items()}
    assert sources["orders"] == "proposed: tests unique and not_null"
    assert sources["pairs"] == "proposed: test together"
    assert sources["odd"] == "no key: test unique, but n may be NULL: nothing says that it is not null"
    assert sources["strict"] == "proposed: primary_key constraint of its contract"
    assert "it names the rows that a run replaces, which may be many" in sources["lines"]
    assert "its filter: from_day <= order_day < to_day" in tables["orders"]["time_column"]["source"]
    assert "hands on as no column of its own" in tables["lines"]["time_column"]["source"]
    assert tables["orders"]["proposal"] == {"name": "orders", "key": ["id"], "time_column": "order_day"}
    weak = [claim for claim in tables["orders"]["claims"] if claim["not_taken"]]
    assert [(claim["columns"], claim["source"]) for claim in weak] == [
        (["n"], "unique_test"),
        (["day"], "unique_key"),
    ]
    data = {name: table["data"]["verdict"] for name, table in tables.items()}
    assert data == {
        "orders": "unique", "pairs": "unique", "odd": "violated", "strict": "unique", "lines": "violated"
    }  # fmt: skip
    assert tables["odd"]["data"]["duplicates"] == 1
    assert tables["odd"]["data"]["example"] == {"key": {"n": "1"}, "copies": 2}


def test_what_the_warehouse_enforces_is_proposed(keys: Keys, shop: Path) -> None:
    """A key of the table itself, of which dbt knows nothing, counts where dbt says of none that is strong enough."""
    file = shop / "data" / "legacy.duckdb"
    kept = file.read_bytes()
    try:
        with duckdb.connect(str(file)) as connection:
            connection.execute("create table made (day date, id integer primary key, n integer)")
            connection.execute("insert into made select day, id, n from odd")
            connection.execute("drop table odd")
            connection.execute("alter table made rename to odd")
        odd = by_name(keys()[1])["odd"]
    finally:
        file.write_bytes(kept)

    assert (odd["key"]["columns"], odd["key"]["standing"]) == (["id"], "proposed")
    assert odd["key"]["source"] == "proposed: the warehouse keeps it unique and not null"
    assert (odd["proposal"], odd["data"]["verdict"]) == ({"name": "odd", "key": ["id"]}, "unique")


@pytest.fixture
def own(tmp_path: Path, shop: Path) -> Callable[..., Path]:
    """A project of the test's own, with what legacy has built."""

    def make(**unit: Any) -> Path:
        sides = ("legacy", "candidate")
        write_project(
            tmp_path, {side: {"type": "duckdb", "path": f"../data/{side}.duckdb"} for side in sides}, **unit
        )
        (tmp_path / "data" / "legacy.duckdb").write_bytes((shop / "data" / "legacy.duckdb").read_bytes())
        return tmp_path

    return make


def test_a_key_that_the_rows_break_is_told(keys: Keys, own: Callable[..., Path]) -> None:
    """A declared key with repeated rows and NULLs exits with 3, with their numbers and the first example; a masked
    column shows no value."""
    compare = [{"name": "orders", "key": ["id", "n"], "masked": ["n"]}, {"name": "pairs", "key": ["nothing"]}]
    root = own(select="orders pairs", compare=compare)
    with duckdb.connect(str(root / "data" / "legacy.duckdb")) as connection:
        connection.execute("insert into orders values ('2024-01-03', 7, 7), (null, 7, 7), (null, 7, 7)")
        connection.execute("insert into orders values ('2024-01-03', null, 7)")

    exit_code, document = keys(root)

    tables = by_name(document)
    assert exit_code == 3
    assert tables["orders"]["key"] == {"columns": ["id", "n"], "standing": "declared", "source": "its YAML"}
    assert tables["orders"]["data"] == {
        "verdict": "violated",
        "reason": "2 of 6 rows repeat a key; 1 of 6 rows have a NULL in the key",
        "rows": 6,
        "duplicates": 2,
        "nulls": 1,
        "example": {"key": {"id": "7", "n": "***"}, "copies": 3},
        "null_times": 2,
    }
    assert tables["pairs"]["data"]["verdict"] == "violated"
    assert "has no column nothing" in tables["pairs"]["data"]["reason"]
    [block] = fenced(documented("docs/reference.md").section("### `parity keys`"), "json")
    said = json.loads(block)
    assert said.keys() == document.keys()
    assert said["tables"][0].keys() == tables["orders"].keys()
    assert said["tables"][0]["data"].keys() == tables["orders"]["data"].keys()
    assert said["tables"][0]["time_column"].keys() == tables["orders"]["time_column"].keys()
    assert said["tables"][0]["claims"][0].keys() == tables["orders"]["claims"][0].keys()
    shown = CliRunner().invoke(cli.app, ["keys", "shop.build"]).stdout
    assert "such as id=7, n=***, which occurs 3 times; 2 rows have no order_day" in shown
    assert "time_column: order_day" in shown


def test_a_model_that_a_variable_enables_has_its_key(keys: Keys, own: Callable[..., Path]) -> None:
    """The project is read as the unit's variables shape it, and so are the keys of what they enable."""
    root = own(select="extra", vars={**_VARS, "with_extra": True})
    models = root / "dbt" / "models"
    columns = [{"name": "id", "data_tests": ["unique", "not_null"]}]
    (models / "extra.yml").write_text(yaml.safe_dump({"models": [{"name": "extra", "columns": columns}]}))
    (models / "extra.sql").write_text(
        "{{ config(materialized='table', enabled=var('with_extra', false)) }} select 1 as id"
    )
    with duckdb.connect(str(root / "data" / "legacy.duckdb")) as connection:
        connection.execute("create table extra as select 1 as id")

    exit_code, document = keys(root)

    [table] = document["tables"]
    assert (exit_code, table["name"], table["data"]["verdict"]) == (0, "extra", "unique")
    assert table["key"]["source"] == "proposed: tests unique and not_null"


def test_what_cannot_be_asked_is_inconclusive(keys: Keys, own: Callable[..., Path]) -> None:
    """Without legacy's database, or with a table that has no rows, nothing is called unique, and the exit code is 3."""
    root = own(select="orders strict", compare=[{"name": "strict", "key": ["id"]}])
    with duckdb.connect(str(root / "data" / "legacy.duckdb")) as connection:
        connection.execute("delete from orders")
    exit_code, document = keys(root)
    assert (exit_code, by_name(document)["orders"]["data"]["verdict"]) == (3, "inconclusive")
    assert by_name(document)["strict"]["key"]["source"].startswith(
        "its YAML, and dbt says it too: primary_key"
    )

    (root / "data" / "legacy.duckdb").unlink()
    exit_code, document = keys(root)
    assert exit_code == 3
    assert {table["data"]["verdict"] for table in document["tables"]} == {"inconclusive"}
    assert "legacy" in by_name(document)["strict"]["data"]["reason"]


def test_the_scaffold_writes_keys_with_their_reasons(shop: Path, tmp_path: Path, keys: Keys) -> None:
    """`parity scaffold` writes what dbt says into `compare`, why in a comment, and only a comment where it is weak."""
    command = 'dbt run --vars \'{from_day: "{{ data_interval_start | ds }}", to_day: "{{ data_interval_end | ds }}"}\''
    rendered = 'dbt run --vars \'{from_day: "2024-03-01", to_day: "2024-03-02"}\''
    task = {
        "task_id": "build", "operator": "airflow.operators.bash.BashOperator",
        "templated": {"bash_command": command}, "owner": "shop",
        "rendered": [{"start": "2024-03-01T00:00:00+00:00", "end": "2024-03-02T00:00:00+00:00",
                      "fields": {"bash_command": rendered}}],
    }  # fmt: skip
    schedule = {
        "text": "@daily",
        "kind": "cron",
        "cron": "0 0 * * *",
        "timezone": "UTC",
        "interval_is_empty": False,
    }
    dag = {
        "dag_id": "shop",
        "schedule": schedule,
        "timezone": "UTC",
        "start": "2024-01-01T00:00:00+00:00",
        "tasks": [task],
    }
    inventory = {
        "schema": "parity/inventory/1", "complete": True, "airflow_version": "2.11.2", "import_errors": [],
        "dags": [dag],
    }  # fmt: skip
    file = tmp_path / "inventory.json"
    file.write_text(json.dumps(inventory))
    out = tmp_path / "dagster_defs" / "defs"

    outcome = CliRunner().invoke(
        cli.app, ["scaffold", str(file), "--dbt-project", str(shop / "dbt"), "--out", str(out), "--json"]
    )

    assert outcome.exit_code == 0, outcome.exception
    text = (out / "shop" / "defs.yaml").read_text()
    [document] = yaml.safe_load_all(text)
    assert document["attributes"]["compare"] == [
        {"name": "orders", "key": ["id"], "time_column": "order_day"},
        {"name": "pairs", "key": ["id", "n"]},
        {"name": "strict", "key": ["id"]},
    ]
    assert (
        "# compare orders: key id (tests unique and not_null); time column order_day "
        "(its filter: from_day <= order_day < to_day)\n"
    ) in text
    assert (
        "# compare lines: no key: day (unique_key of the strategy delete+insert), but it names the rows"
        in text
    )
    assert "; no time column: its filter is on day" in text
    assert "seen" not in text


def test_postgres_is_asked_through_the_same_door(
    keys: Keys, tmp_path: Path, postgres: PostgresServer
) -> None:
    """The rows of a PostgreSQL table are counted as DuckDB's are."""
    postgres.run("create database keys")
    write_project(
        tmp_path,
        {side: postgres.profile(side, "keys") for side in ("legacy", "candidate")},
        select="orders strict",
        compare=[{"name": "strict", "key": ["id"]}],
    )
    postgres.run(
        "create schema legacy",
        "create table legacy.strict as select * from (values (1, 1), (1, 2), (null, 3)) as v(id, n)",
        database="keys",
    )

    exit_code, document = keys(tmp_path)

    data = {name: table["data"] for name, table in by_name(document).items()}
    assert exit_code == 3
    assert (data["strict"]["verdict"], data["strict"]["duplicates"], data["strict"]["nulls"]) == (
        "violated",
        1,
        1,
    )
    assert data["strict"]["example"] == {"key": {"id": "1"}, "copies": 2}
    assert data["orders"]["verdict"] == "inconclusive"
