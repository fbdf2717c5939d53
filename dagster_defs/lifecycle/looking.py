"""A verdict explained, and the SQL with which a person looks further: every row that only one side has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from dagster_defs.lifecycle.mirrors import FileOutput, Output, TableOutput
from dagster_defs.lifecycle.verdicts import Evidence, WindowCheck
from dagster_defs.parity import Side


@dataclass(frozen=True, slots=True)
class Explanation:
    """`kept` is None for a comparison that was made just now; `sql` is empty where there is no DuckDB."""

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

    A changed row is there twice, once for each side, next to itself where the output has a key.
    """
    rows = {side: _rows(output, side) for side in Side}
    order = ", ".join([*map(_name, output.key), "side"])
    return "\n".join(
        [
            *_attached(output, databases),
            "select * from (",
            f"  (select 'legacy' as side, * from ({rows[Side.LEGACY]} except all {rows[Side.CANDIDATE]}))",  # noqa: S608 - quoted by sqlglot
            "  union all by name",
            f"  (select 'candidate' as side, * from ({rows[Side.CANDIDATE]} except all {rows[Side.LEGACY]}))",  # noqa: S608 - quoted by sqlglot
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
            path = output.legacy if side is Side.LEGACY else output.candidate
            reader = "read_csv" if path.lower().endswith((".csv", ".tsv")) else "read_parquet"
            return f"select * from {reader}({_text(path)})"  # noqa: S608 - quoted by sqlglot
        case TableOutput():
            relation = ".".join((side.value, _name(output.schema), _name(output.table)))
            return f"select * from {relation}{_window(output)}"  # noqa: S608 - quoted by sqlglot


def _window(output: TableOutput) -> str:
    bounds = [
        f"{_name(output.time_column)} {operator} {_text(bound)}"
        for operator, bound in ((">=", output.lower), ("<", output.upper))
        if output.time_column is not None and bound is not None
    ]
    return f" where {' and '.join(bounds)}" if bounds else ""


def _name(text: str) -> str:
    return exp.to_identifier(text, quoted=True).sql(dialect="duckdb")


def _text(text: str) -> str:
    return exp.Literal.string(text).sql(dialect="duckdb")
