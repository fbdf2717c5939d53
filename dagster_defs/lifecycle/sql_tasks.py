"""What of a task that runs SQL is known well enough for a `SqlUnit`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagster_defs.errors import NotProvedSafe
from dagster_defs.inventory.document import Dag, Task
from dagster_defs.inventory.schedules import event_of
from dagster_defs.inventory.team import Connection
from dagster_defs.inventory.unsaid import NOBODY_HAS_SAID
from dagster_defs.lifecycle.candidate_sql import written_tables
from dagster_defs.lifecycle.task_drafts import Undetermined, kind_of, refuse_undetermined

OPERATORS = ("SQLExecuteQueryOperator", "PostgresOperator", "SnowflakeOperator")
# Operators that run SQL which nothing here could run, compare or prove safe, by what they run it on.
ELSEWHERE = {
    "BigQueryInsertJobOperator": "BigQuery",
    "BigQueryExecuteQueryOperator": "BigQuery",
    "MySqlOperator": "MySQL",
    "MsSqlOperator": "SQL Server",
    "TrinoOperator": "Trino",
    "RedshiftSQLOperator": "Redshift",
    "RedshiftDataOperator": "Redshift",
    "AthenaOperator": "Athena",
    "SqliteOperator": "SQLite",
    "OracleOperator": "Oracle",
    "ClickHouseOperator": "ClickHouse",
    "DatabricksSqlOperator": "Databricks",
}
_CONNECTIONS = ("conn_id", "postgres_conn_id", "snowflake_conn_id")


@dataclass(frozen=True, slots=True)
class SqlDraft:
    """The attributes that a `SqlUnit` has beside those of every mirror; without them, `notes` say why not."""

    attributes: Mapping[str, Any] | None
    notes: tuple[str, ...] = ()


def draft_sql(dag: Dag, task: Task) -> SqlDraft | None:
    """None for an operator of another kind."""
    name = task.classes[0].rpartition(".")[2] if task.classes[0].startswith("airflow") else ""
    if warehouse := ELSEWHERE.get(name):
        why = f"it runs on {warehouse}, and SQL is run and compared on DuckDB, PostgreSQL and Snowflake only"
        return SqlDraft(None, (f"{task.dag_id}.{task.task_id} is no SqlUnit: {why}",))
    if kind_of(task) not in OPERATORS:
        return None
    try:
        return _drafted(dag, task)
    except Undetermined as why:
        return SqlDraft(None, (f"{task.dag_id}.{task.task_id} is no SqlUnit: {why}",))


def _drafted(dag: Dag, task: Task) -> SqlDraft:
    place = _connection(task)
    sql, parameters = task.templated.get("sql"), task.templated.get("parameters") or None
    _refuse_unknown(dag, task, sql, parameters)
    autocommit, split = task.settings.get("autocommit"), task.settings.get("split_statements")
    if autocommit is None:
        raise Undetermined("the inventory does not say whether it commits automatically: export it again")
    attributes: dict[str, Any] = {"sql": sql}
    if task.params:
        attributes["params"] = dict(task.params)
    if parameters is not None:
        attributes["parameters"] = parameters
    if autocommit:
        attributes["autocommit"] = True
    if place.splits if split is None else split:
        attributes["split_statements"] = True
    attributes["warehouse"] = {"legacy": place.legacy, "candidate": place.candidate}
    try:
        tables = _tables(task, place.warehouse)
    except NotProvedSafe as error:
        never = {"shadow": "never", "because": NOBODY_HAS_SAID}
        return SqlDraft({**attributes, **never}, (f"{task.dag_id}.{task.task_id}: {error}",))
    own = f"{task.dag_id}/{task.task_id}"
    # The first has the key by which tasks downstream depend on this one.
    keys = [own, *(f"{own}/{name.rpartition('.')[2]}" for name in tables[1:])]
    attributes["outputs"] = [{"key": key, "table": name} for key, name in zip(keys, tables, strict=True)]
    advice = "" if event_of(dag) else ": give its tables a time_column"
    note = f"{task.dag_id}.{task.task_id} is compared as a whole{advice}."
    return SqlDraft(attributes, (note,))


def _connection(task: Task) -> Connection:
    held = {**task.settings, **task.templated}
    name = next((str(held[field]) for field in _CONNECTIONS if held.get(field)), "")
    if not name or "{{" in name:
        raise Undetermined("its connection is not in the inventory: export it again")
    if name not in task.team.connections:
        asked = f"connections: {{{name}: {{legacy: …, candidate: …, warehouse: …}}}}"
        raise Undetermined(f"say in parity.yaml which dbt targets its connection is: {asked}")
    if held.get("database") or held.get("hook_params"):
        raise Undetermined("it gives its connection another database or other options")
    return task.team.connections[name]


def _refuse_unknown(dag: Dag, task: Task, sql: Any, parameters: Any) -> None:
    texts = [sql] if isinstance(sql, str) else sql
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise Undetermined("its SQL is not text")
    refuse_undetermined(dag, task, {"sql": sql, "parameters": parameters})


def _tables(task: Task, warehouse: str) -> Sequence[str]:
    """The names of what it writes in each window that Airflow rendered. Raises NotProvedSafe."""
    by_window = set()
    for sample in task.samples:
        written = sample.fields.get("sql")
        texts = [written] if isinstance(written, str) else written or []
        by_window.add(tuple(sorted(table.sql(warehouse) for table in written_tables(texts, warehouse))))
    if not by_window:
        raise Undetermined("Airflow has not rendered it for any window")
    if len(by_window) > 1:
        raise Undetermined("the names of the tables that it writes change from window to window")
    [tables] = by_window
    if not tables:
        raise Undetermined("it writes no table, so it runs for what it returns")
    return tables
