"""The tea house's own provider: as much of Airflow's `postgres` as SQLExecuteQueryOperator needs."""

from __future__ import annotations

from typing import Any

import psycopg2
from airflow.providers.common.sql.hooks.sql import DbApiHook


class PostgresHook(DbApiHook):
    conn_name_attr = "tea_conn_id"
    default_conn_name = "tea_books"
    conn_type = "postgres"
    hook_name = "PostgreSQL"
    supports_autocommit = True

    def get_conn(self) -> Any:
        place = self.get_connection(self.get_conn_id())
        return psycopg2.connect(host=place.host, user=place.login, dbname=place.schema)


def provider() -> dict[str, Any]:
    kind = {"connection-type": "postgres", "hook-class-name": "tea_postgres.PostgresHook"}
    return {
        "package-name": "tea-postgres",
        "name": "PostgreSQL",
        "description": "PostgreSQL.",
        "versions": ["1.0"],
        "connection-types": [kind],
    }
