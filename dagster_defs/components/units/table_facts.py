"""What Dagster shows of a table beside its asset: the columns as the warehouse has them, and the number of rows."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import dagster as dg

from dagster_defs.adapters.warehouse.built_tables import BuiltTables
from dagster_defs.parity import Column

NOT_DESCRIBED: Mapping[str, str] = MappingProxyType({})


def column_schema(columns: Iterable[Column], described: Mapping[str, str] = NOT_DESCRIBED) -> dict[str, Any]:
    """Metadata of a materialization; empty without columns. `described`: descriptions by lower-case column name."""
    shown = [
        dg.TableColumn(column.name, column.type, description=described.get(column.name.lower()) or None)
        for column in columns
    ]
    return {"dagster/column_schema": dg.TableSchema(columns=shown)} if shown else {}


def facts_of_table(node: Mapping[str, Any], built: BuiltTables) -> dict[str, Any]:
    """The facts about what a dbt node has just built. Call it while its event is being handled."""
    described = {name.lower(): column.get("description", "") for name, column in node["columns"].items()}
    columns = column_schema((Column(*column) for column in built.columns_of(node)), described)
    if node["config"].get("materialized") == "view":  # counting a view would run its query a second time
        return columns
    rows = built.count_rows(node["relation_name"])
    return columns if rows is None else {**columns, "dagster/row_count": rows}
