"""Every warehouse that this project knows, by the type of its dbt targets."""

from __future__ import annotations

from collections.abc import Mapping

from dagster_defs.adapters.warehouse.duckdb.warehouse import DuckDBWarehouse
from dagster_defs.adapters.warehouse.postgres.warehouse import PostgresWarehouse
from dagster_defs.adapters.warehouse.seam import ServerWarehouse, Warehouse
from dagster_defs.adapters.warehouse.snowflake.warehouse import SnowflakeWarehouse

FILES = DuckDBWarehouse()
"""The warehouse that reads database files and data files."""
SERVERS: Mapping[str, ServerWarehouse] = {
    each.kind: each for each in (PostgresWarehouse(), SnowflakeWarehouse())
}
_ALL: Mapping[str, Warehouse] = {FILES.kind: FILES, **SERVERS}
TITLES = sorted(warehouse.title for warehouse in _ALL.values())


def warehouse_of(kind: str) -> Warehouse | None:
    """None for a target type that cannot be compared."""
    return _ALL.get(kind)


def titles() -> str:
    """`A, B and C`."""
    *most, last = TITLES
    return f"{', '.join(most)} and {last}"
