"""A verdict explained, with SQL for looking further: every row that only one side has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from dagster_defs.lifecycle.mirrors import FileOutput, Output, TableOutput
from dagster_defs.lifecycle.verdicts import Evidence, WindowCheck
from dagster_defs.parity import Side, ToleranceKind, Zones
from dagster_defs.parity.bounds import bounding_value

FILE_READERS = {".parquet": "read_parquet", ".csv": "read_csv", ".tsv": "read_csv"}


@dataclass(frozen=True, slots=True)
class Explanation:
    """`kept` is None for a comparison made just now; `sql` is empty if there is no DuckDB."""

    checked: WindowCheck
    partition: str
    kept: Evidence | None
    sql: str

    def as_json(self) -> Mapping[str, Any]:
        kept = self.kept
        return {
            **self.checked.as_json(),
            "window": self.partition,
            "at": kept and kept.at.isoformat(),
            "run": kept and kept.run,
            "airflow_run": kept and kept.airflow_run,
            "sql": self.sql,
        }


def difference_sql(output: Output, databases: Mapping[Side, str]) -> str:
    """Statements for the `duckdb` program; `databases`: the file of each side, for tables.

    A changed row appears twice, once for each side, next to each other if the output has a key. Empty for a folder
    whose files may be of any kind.
    """
    if isinstance(output, FileOutput) and output.kind not in FILE_READERS:
        return ""
    order = ", ".join([*map(_name, output.key), "side"])
    return "\n".join(
        [
            "set timezone = 'UTC';",
            *_attached(output, databases),
            "with",
            *(f"  {side}_found as ({_rows(output, side)})," for side in Side),
            # `except all` matches columns by position: both sides get legacy's columns first, in legacy's order.
            "  legacy_rows as (",
            "    select * from legacy_found",
            "    union all by name (select * from candidate_found limit 0)",
            "  ),",
            "  candidate_rows as (",
            "    (select * from legacy_found limit 0)",
            "    union all by name select * from candidate_found",
            "  )",
            "select * from (",
            "  (select 'legacy' as side, * from (from legacy_rows except all from candidate_rows))",
            "  union all",
            "  (select 'candidate' as side, * from (from candidate_rows except all from legacy_rows))",
            f") order by {order};",
        ]
    )


def _attached(output: Output, databases: Mapping[Side, str]) -> Iterator[str]:
    if isinstance(output, TableOutput):
        for side in Side:
            yield f"attach {_text(databases[side])} as {side} (read_only);"


def _rows(output: Output, side: Side) -> str:
    match output:
        case FileOutput():
            # A CSV file contains text; a quoted empty field is not NULL.
            csv = FILE_READERS[output.kind] == "read_csv"
            options = ", header = true, all_varchar = true, allow_quoted_nulls = false" if csv else ""
            files = f"{_text(output.files(side))}, union_by_name = true, hive_partitioning = false{options}"
            return f"select {_columns(output)} from {FILE_READERS[output.kind]}({files})"  # noqa: S608 - quoted by sqlglot
        case TableOutput():
            table = exp.to_table(output.relation(side), dialect="duckdb")
            relation = ".".join((side.value, _name(table.db), _name(table.name)))
            return f"select {_columns(output)} from {relation}{_window(output)}"  # noqa: S608 - quoted by sqlglot


def _columns(output: Output) -> str:
    """All columns except those whose differences are ignored, whether or not both sides have them."""
    tolerances = output.terms.tolerances
    ignored = [
        tolerance.column.lower() for tolerance in tolerances if tolerance.kind is ToleranceKind.IGNORED
    ]
    if not ignored:
        return "*"
    return f"columns(lambda name: lower(name) not in ({', '.join(map(_text, ignored))}))"


def _window(output: TableOutput) -> str:
    bounds = [
        _bounded(output.time_column, operator, bound, output.zones)
        for operator, bound in ((">=", output.lower), ("<", output.upper))
        if output.time_column is not None and bound is not None
    ]
    return f" where {' and '.join(bounds)}" if bounds else ""


def _bounded(time_column: str, operator: str, bound: str, zones: Zones) -> str:
    """DuckDB reads a text as a value of the column's type, which is not known here and determines everything else."""
    column, as_text = _name(time_column), _text(bound)
    values = {
        "DATE": ("date", {"is_date": True, "zoned": False}),
        "TIMESTAMP WITH TIME ZONE": ("timestamptz", {"is_date": False, "zoned": True}),
        "TIMESTAMP": ("timestamp", {"is_date": False, "zoned": False}),
    }
    branches = []
    for kind, (cast, how) in values.items():
        with suppress(ValueError):  # the comparison refuses it for such a column
            value = bounding_value(zones, bound, **how)
            if value is None:
                return f"{column} {operator} {as_text}"
            text = value.date().isoformat() if how["is_date"] else value.isoformat(" ")
            plain = f"{text}+00" if how["zoned"] else text
            branches.append(f"when {_text(kind)} then {column} {operator} {cast} {_text(plain)}")
    if zones.naive is None and zones.bound is None and len(bound) == len("2024-03-10"):
        return f"{column} {operator} {as_text}"  # a day is the same in all of them
    return f"case typeof({column}) {' '.join(branches)} else {column} {operator} {as_text} end"


def _name(text: str) -> str:
    return exp.to_identifier(text, quoted=True).sql(dialect="duckdb")


def _text(text: str) -> str:
    return exp.Literal.string(text).sql(dialect="duckdb")
