"""A DuckDB file that another DuckDB than ours may have to open: that of a dbt in another environment."""

from __future__ import annotations

import contextlib
from pathlib import Path

from sqlglot import exp

_OLDEST = "v1.0.0"  # the first version whose files later ones promise to read


def make_for_all(file: Path) -> None:
    """Make the file and its folder if it is not there, in the format that every DuckDB since 1.0 reads.

    A newer DuckDB keeps to the format in which it finds a file. One that does not know the option leaves the file to be
    made by whoever opens it.
    """
    import duckdb

    if file.exists() or ":" in file.name:  # in memory, or at a service
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    name = exp.Literal.string(str(file)).sql(dialect="duckdb")
    with duckdb.connect() as connection, contextlib.suppress(duckdb.Error):
        connection.execute(f"attach {name} as made (storage_version '{_OLDEST}')")
