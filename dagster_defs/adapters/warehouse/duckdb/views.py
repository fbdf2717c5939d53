"""What a DuckDB catalog contains, and its views that can be recreated elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from sqlglot import TokenType
from sqlglot.dialects.duckdb import DuckDB

from dagster_defs.parity import Column

Name = tuple[str, str]
"""Schema and table, as they are."""
Run = Callable[..., Any]
"""Executes a statement, with parameters, and returns a cursor."""


def kind_of(run: Run, catalog: str, name: Name) -> str | None:
    """`table`, `view`, or None if it does not exist."""
    for kind in ("table", "view"):
        there = run(
            f"select 1 from duckdb_{kind}s()"  # noqa: S608 - one of two words
            f" where database_name = ? and schema_name = ? and {kind}_name = ?",
            [catalog, *name],
        )
        if there.fetchall():
            return kind
    return None


def columns_of(run: Run, catalog: str, name: Name) -> list[Column]:
    rows = run(
        "select column_name, data_type from duckdb_columns()"
        " where database_name = ? and schema_name = ? and table_name = ? order by column_index",
        [catalog, *name],
    ).fetchall()
    return [Column(*each) for each in rows]


def definitions(
    run: Run, catalog: str, name: Name, moved: Callable[[str], str], own: str = ""
) -> dict[Name, str] | None:
    """The queries of a view and of the views that it reads, deepest first, with schemas renamed by `moved`.

    `own`: what the file calls itself, which may be attached as another `catalog`. None if one of the views reads a
    table, or something that cannot be determined.
    """
    return _definitions(run, catalog, name, moved, own, frozenset())


def _definitions(
    run: Run, catalog: str, name: Name, moved: Callable[[str], str], own: str, above: frozenset[Name]
) -> dict[Name, str] | None:
    if name in above or kind_of(run, catalog, name) != "view":
        return None
    query = _parse(run, _query(run, catalog, name))
    definitions: dict[Name, str] = {}
    expressions = {
        entry["key"] for part in _walk(query) if "cte_map" in part for entry in part["cte_map"]["map"]
    }
    for table in _tables(query):
        database, schema, read = table["catalog_name"], table["schema_name"], table["table_name"]
        if not schema and not database and (read in expressions or "." in read):
            continue  # a common table expression or a file
        # DuckDB stores a view's references to its own file without the file's name; before 2.0 with it.
        below = (
            None
            if database not in ("", own) or not schema
            else _definitions(run, catalog, (schema, read), moved, own, above | {name})
        )
        if below is None:
            return None
        definitions |= below
        table["catalog_name"], table["schema_name"] = "", moved(schema)
        if "qualified_name" in table:  # since DuckDB 2.0 this is what counts
            table["qualified_name"]["path"][-2] = moved(schema)
            del table["qualified_name"]["path"][:-2]
    [[text]] = run("select json_deserialize_sql(?::json)", [json.dumps(query)]).fetchall()
    # A view that kept its name would be read from the candidate's own relations.
    return {**definitions, name: text} if _names(_parse(run, text)) == _names(query) else None


def _query(run: Run, catalog: str, name: Name) -> str:
    """A view's query, from `create view name (columns) as query;`: what follows the first `as`."""
    [[created]] = run(
        "select sql from duckdb_views() where database_name = ? and schema_name = ? and view_name = ?",
        [catalog, *name],
    ).fetchall()
    created = str(created)
    start = next(token.end for token in DuckDB().tokenize(created) if token.token_type is TokenType.ALIAS)
    return created[start + 1 :].strip().removesuffix(";")


def _parse(run: Run, query: str) -> Any:
    """The syntax tree from DuckDB's own parser."""
    [[text]] = run("select json_serialize_sql(?::varchar)", [query]).fetchall()
    return json.loads(text)


def _tables(parsed: Any) -> Iterator[dict[str, Any]]:
    return (part for part in _walk(parsed) if part.get("type") == "BASE_TABLE")


def _names(parsed: Any) -> list[tuple[str, str, str]]:
    return [(table["catalog_name"], table["schema_name"], table["table_name"]) for table in _tables(parsed)]


def _walk(parsed: Any) -> Iterator[dict[str, Any]]:
    if isinstance(parsed, dict):
        yield parsed
        for value in parsed.values():
            yield from _walk(value)
    elif isinstance(parsed, list):
        for value in parsed:
            yield from _walk(value)
