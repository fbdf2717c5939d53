"""A unit that runs SQL: the same SQL on both sides, and the candidate's writes in its own tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import dagster as dg
import duckdb
import pytest
from pytest_mock import MockerFixture

from dagster_defs.components.units.broken_unit import BROKEN
from tests.components.conftest import Project
from tests.support.postgres import PostgresServer
from tests.support.target_project import both_sides, failure, logged, project_of_targets

DAYS = {"cron": "@daily", "start": "2024-03-01"}
DAY = ("2024-03-02", "2024-03-02")
SERVER = {"legacy": "pg", "candidate": "pg_candidate"}
DAILY = {"key": "daily", "table": "sales.daily", "time_column": "day", "row_key": ["day"], "lower": "{{ ds }}",
         "upper": "{{ macros.ds_add(ds, 1) }}"}  # fmt: skip
LOAD = """
-- the day, anew
delete from sales.daily where day = '{{ ds }}';
insert into sales.daily
select day, count(*) from raw_orders where day = '{{ ds }}' and region = '{{ params.region }}' group by day;
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[Project]:
    """Legacy's tables on DuckDB and on PostgreSQL; the candidate has none."""
    root = tmp_path_factory.mktemp("sql_unit")
    tables = (
        "create schema if not exists sales",
        "drop table if exists sales.daily",
        "create table sales.daily (day date, orders bigint)",
        "insert into sales.daily values ('2024-03-01', 7)",
        "create table raw_orders (day date, region text)",
        "insert into raw_orders values ('2024-03-02', 'north'), ('2024-03-02', 'north'), ('2024-03-02', 'south')",
    )
    with project_of_targets(root, postgres) as estate:
        with duckdb.connect(str(root / "legacy.duckdb")) as database:
            for statement in tables:
                database.execute(statement)
        postgres.run("drop table if exists raw_orders", "drop schema if exists shadow cascade", *tables)
        (root / "sql").mkdir()
        (root / "sql" / "load.sql").write_text(LOAD)
        yield Project(estate)


def unit(sql: Any, **attributes: Any) -> tuple[str, dict[str, Any]]:
    return "SqlUnit", {
        "unit": "own.sql",
        "schedule": DAYS,
        "sql": sql,
        "params": {"region": "north"},
        "outputs": [DAILY],
        **attributes,
    }


@pytest.mark.parametrize("warehouse", [{}, SERVER], ids=["duckdb", "postgres"])
@pytest.mark.parametrize(
    "sql",
    [
        {"sql": LOAD, "split_statements": True},
        {"sql": "load.sql", "template_searchpath": ["sql"]},
        {"sql": [text for text in LOAD.split(";") if text.strip()], "autocommit": True},
    ],
    ids=["split", "file", "list"],
)
def test_both_sides_run_the_same_sql(place: Project, warehouse: dict[str, str], sql: dict[str, Any]) -> None:
    """The candidate writes its own table, which begins empty, and reads legacy's; the window's rows match."""
    place.declare("own", unit(warehouse=warehouse, **sql))

    sides = both_sides(place.load, place.estate, "own__sql")

    assert sides["shadow/daily"][0], sides
    assert "1 row equal" in sides["shadow/daily"][1]


def shown_columns(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    [event] = result.get_asset_materialization_events()
    schema: Any = event.materialization.metadata.get("dagster/column_schema")
    return {column.name: column.type for column in schema.value.columns} if schema else {}


@pytest.mark.parametrize(
    ("warehouse", "types"),
    [({}, {"day": "DATE", "orders": "BIGINT"}), (SERVER, {"day": "date", "orders": "bigint"})],
    ids=["duckdb", "postgres"],
)
def test_its_tables_columns_are_shown(
    place: Project, warehouse: dict[str, str], types: dict[str, str]
) -> None:
    """With the warehouse's own types, on each side."""
    place.declare("own", unit(LOAD, split_statements=True, warehouse=warehouse))
    place.load()

    assert shown_columns(place.estate.run("own__sql", DAY)) == types
    assert shown_columns(place.estate.run("shadow__own__sql", DAY, must_succeed=False)) == types


def test_columns_that_cannot_be_shown_fail_no_run(place: Project, mocker: MockerFixture) -> None:
    """The work is done by then."""
    mocker.patch(
        "dagster_defs.components.units.outputs_unit.columns_written", side_effect=RuntimeError("it is gone")
    )
    place.declare("own", unit(LOAD, split_statements=True))
    place.load()

    result = place.estate.run("own__sql", DAY)

    assert shown_columns(result) == {}
    assert "The columns are not shown: it is gone" in logged(place.estate, result)


def rows(postgres: PostgresServer, table: str) -> int:
    [[count]] = postgres.run(f"select count(*) from {table}")  # noqa: S608 - a test's own table
    return int(count)


def test_the_candidate_stays_out_of_legacys_tables(place: Project, postgres: PostgresServer) -> None:
    """A candidate run alone leaves legacy's table as it is, and its own table has its rows."""
    sql = ["insert into sales.daily values (%(day)s, %(orders)s)", "create temp table t as select 1"]
    parameters = {"day": "{{ ds }}", "orders": 5}
    place.declare("own", unit(sql, parameters=parameters, warehouse=SERVER))
    place.load()
    before = rows(postgres, "sales.daily")

    place.estate.run("shadow__own__sql", ("2024-03-05", "2024-03-05"), must_succeed=False)

    assert rows(postgres, "sales.daily") == before
    assert postgres.run("select orders from shadow.daily where day = '2024-03-05'") == [(5,)]


def test_a_trigger_that_writes_elsewhere_is_rolled_back(place: Project, postgres: PostgresServer) -> None:
    """What the text does not show, the server counts: a function behind a view of legacy's has written nothing."""
    postgres.run(
        "create table if not exists sales.audit (said text)",
        "create or replace function sales.note() returns date language sql as"
        " $$ insert into sales.audit values ('read'); select date '2024-03-02' $$",
        "create or replace view sales.noted as select sales.note() as day",
    )
    place.declare("own", unit("insert into sales.daily select day, 1 from sales.noted", warehouse=SERVER))
    place.load()

    result = place.estate.run("shadow__own__sql", DAY, must_succeed=False)

    assert "would write to legacy's table sales.audit" in failure(result)
    assert rows(postgres, "sales.audit") == 0


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("call sales.load('{{ ds }}')", 'there is no proof for "CALL'),
        ("insert into sales.daily select 1; truncate raw_orders", "not one of the unit's declared tables"),
        ("missing.sql", "there is no such file"),
        ("", "`sql` is empty"),
    ],
)
def test_sql_without_a_proof_breaks_the_unit(place: Project, sql: str, reason: str) -> None:
    """Until somebody has said that no candidate may run, the unit is broken, with what to write."""
    place.declare("own", unit(sql, warehouse=SERVER))

    specs = place.load().resolve_all_asset_specs()

    [why] = [str(spec.metadata["why"]) for spec in specs if spec.key.path[0] == BROKEN]
    assert re.search(re.escape(reason), why), why


def test_what_may_never_run_twice_runs_in_legacy_only(place: Project, postgres: PostgresServer) -> None:
    """With `shadow: never` any SQL is run on the legacy side, and none by a candidate."""
    postgres.run(
        "create or replace procedure sales.load(day date) language sql as"
        " $$ insert into sales.daily values (day + 100, 1) $$"
    )
    never = {"shadow": "never", "because": "it calls a procedure"}
    place.declare("own", unit("call sales.load('{{ ds }}')", warehouse=SERVER, **never))
    place.load()

    place.estate.run("own__sql", DAY)
    result = place.estate.run("shadow__own__sql", DAY, must_succeed=False)

    assert postgres.run("select orders from sales.daily where day = date '2024-03-02' + 100") == [(1,)]
    assert "it may not run as a candidate: it calls a procedure" in failure(result)


def test_a_statement_ends_with_the_time_out(place: Project) -> None:
    """The server ends what takes longer, and the try has failed; a failed statement is reported in its own words."""
    never = {"shadow": "never", "because": "slow"}
    place.declare("own", unit("select pg_sleep(60)", warehouse=SERVER, timeout=1, **never))
    place.declare("other", ("SqlUnit", {**unit("select nothing", warehouse=SERVER, **never)[1], "unit": "own.wrong",
                                        "outputs": []}))  # fmt: skip
    place.load()

    slow, wrong = (place.estate.run(job, DAY, must_succeed=False) for job in ("own__sql", "own__wrong"))

    assert "TimedOut" in failure(slow)
    assert 'column "nothing" does not exist' in failure(wrong)


def test_a_candidate_writes_no_table_of_another_unit(place: Project, postgres: PostgresServer) -> None:
    """Its place is compared with legacy's tables of every unit of the estate, and not with its own alone."""
    postgres.run("create table if not exists sales.customers (day date, orders bigint)")
    postgres.run("insert into sales.customers values ('2024-03-02', 5)")
    theirs = {"key": "customers", "legacy": "sales.customers", "candidate": "shadow.customers"}
    own = {"key": "daily", "legacy": "sales.daily", "candidate": "sales.customers"}
    place.declare("own", unit("delete from sales.daily", warehouse=SERVER, outputs=[own]))
    never = {"shadow": "never", "because": "it is only there"}
    declared = {"unit": "own.theirs", "outputs": [theirs], "warehouse": SERVER, **never}
    place.declare("other", ("SqlUnit", {**unit("delete from sales.customers")[1], **declared}))
    place.load()

    result = place.estate.run("shadow__own__sql", DAY, must_succeed=False)

    assert "WritesToLegacy" in failure(result)
    assert "sales.customers, which own.theirs writes" in failure(result).replace('"', "")
    assert postgres.run("select orders from sales.customers") == [(5,)]


def test_a_candidate_writes_no_table_of_another_output(place: Project, postgres: PostgresServer) -> None:
    """Neither in a window in which the name of the table becomes that of the other one."""
    postgres.run("create table if not exists sales.moved (day date, orders bigint)")
    postgres.run("insert into sales.moved values ('2024-03-02', 5)")
    table = "{{ 'moved' if ds == '2024-03-02' else 'elsewhere' }}"
    outputs = [
        {"key": "daily", "legacy": "sales.daily", "candidate": f"sales.{table}"},
        {"key": "moved", "legacy": "sales.moved", "candidate": "shadow.moved"},
    ]
    place.declare(
        "own", unit("delete from sales.daily; delete from sales.moved", warehouse=SERVER, outputs=outputs)
    )
    place.load()

    result = place.estate.run("shadow__own__sql", DAY, must_succeed=False)

    assert "WritesToLegacy" in failure(result)
    assert postgres.run("select orders from sales.moved") == [(5,)]
