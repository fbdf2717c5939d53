"""Comparisons: invalid requests, and data that cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dagster_defs.errors.base import ParityError, UsageError, WarehouseError


class NotComparable(ParityError):
    def __init__(self, target: str, kind: str, wanted: str = "DuckDB") -> None:
        self.target, self.kind, self.wanted = target, kind, wanted
        super().__init__(
            f"dbt target {target!r} is a {kind} warehouse, but this command works on {wanted}. Name another target"
        )


class DriverMissing(UsageError):
    """`extra`: the optional dependencies of this package that bring it."""

    def __init__(self, warehouse: str, extra: str) -> None:
        self.warehouse, self.extra = warehouse, extra
        super().__init__(
            f"{warehouse} is not installed in this environment. pip install 'airflow-parity[{extra}]'"
        )


class RelationUnreadable(WarehouseError):
    def __init__(self, relation: str, why: str) -> None:
        self.relation, self.why = relation, why
        super().__init__(f"cannot read {relation}: {why}")


class StatementFailed(WarehouseError):
    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"the warehouse rejected a statement: {why}")


class DatabaseLocked(WarehouseError):
    """`holder` is the process id, if DuckDB reported it."""

    def __init__(self, file: Path, holder: int | None, waited_s: float) -> None:
        self.file, self.holder, self.waited_s = file, holder, waited_s
        who = f"process {holder}" if holder else "another connection"
        look = f"Look: ps -fp {holder}" if holder else f"Look: fuser -v {file}"
        super().__init__(
            f"{file} is still locked by {who} after {waited_s:g} s of waiting: close it and try again. {look}"
        )


class DatabaseUnreadable(WarehouseError):
    def __init__(self, file: Path, why: str) -> None:
        self.file, self.why = file, why
        super().__init__(f"cannot open {file} as a DuckDB database: {why}")


class BadPlace(UsageError):
    def __init__(self, text: str, reason: str) -> None:
        self.text, self.reason = text, reason
        super().__init__(
            f"{text!r} does not name a relation: {reason}. Write file.duckdb::schema.table, file.parquet, or "
            "target::schema.table for a target of the dbt project's profile"
        )


class BadComparisonFile(UsageError):
    def __init__(self, file: Path, reason: str) -> None:
        self.file, self.reason = file, reason
        super().__init__(
            f"cannot read {file}: {reason}. For its format see docs/reference.md, parity compare"
        )


class BadComparison(UsageError):
    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(f"comparison {name}: {reason}")


class UnknownColumn(UsageError):
    def __init__(self, comparison: str, column: str, relation: str, known: Sequence[str]) -> None:
        self.comparison, self.column, self.relation, self.known = comparison, column, relation, tuple(known)
        super().__init__(
            f"comparison {comparison}: {relation} has no column {column!r}. It has: {', '.join(known)}"
        )


class TypeOfNoColumn(UsageError):
    def __init__(self, column: str, sides: Sequence[str]) -> None:
        self.column, self.sides = column, tuple(sides)
        super().__init__(
            f"a type is declared for column {column!r}, but no CSV file of {' or '.join(sides)} has such a column. "
            "Correct the name, or drop the type: tables and Parquet files have their own types"
        )


class ReversedWindow(UsageError):
    def __init__(self, comparison: str, lower: str, upper: str) -> None:
        self.comparison, self.lower, self.upper = comparison, lower, upper
        super().__init__(
            f"comparison {comparison}: the window [{lower}, {upper}) ends before it starts. Swap its bounds"
        )


class WindowWithoutTime(UsageError):
    def __init__(self, comparison: str) -> None:
        self.comparison = comparison
        super().__init__(
            f"comparison {comparison} has a window but no time column. Name one, or compare the whole tables"
        )


class UnusableBound(UsageError):
    """`why` is None if the bound and the column have no type in common."""

    def __init__(
        self, comparison: str, bound: str, column: str, column_type: str, why: str | None = None
    ) -> None:
        self.comparison, self.bound, self.column, self.column_type = comparison, bound, column, column_type
        self.why = why
        reason = "the two have no type in common" if why is None else why
        super().__init__(
            f"comparison {comparison}: the bound {bound!r} cannot bound column {column!r} ({column_type}): {reason}"
        )


class BadTolerance(UsageError):
    def __init__(self, comparison: str, column: str, kind: str, why: str) -> None:
        self.comparison, self.column, self.kind, self.why = comparison, column, kind, why
        super().__init__(f"comparison {comparison}: the tolerance {kind} of column {column!r} {why}")


class ToleranceOnKey(UsageError):
    def __init__(self, comparison: str, column: str, kind: str) -> None:
        self.comparison, self.column, self.kind = comparison, column, kind
        super().__init__(
            f"comparison {comparison}: column {column!r} is part of the key and cannot have the tolerance {kind}: "
            "the key pairs the rows of the two sides. Take the column out of the key, or drop the tolerance"
        )


class ToleranceWithoutKey(UsageError):
    def __init__(self, comparison: str, column: str, kind: str) -> None:
        self.comparison, self.column, self.kind = comparison, column, kind
        super().__init__(
            f"comparison {comparison}: the tolerance {kind} of column {column!r} needs a key by which the two sides' "
            "rows are paired. Name the key"
        )


class ToleranceOnType(UsageError):
    def __init__(self, comparison: str, column: str, kind: str, column_type: str, needs: str) -> None:
        self.comparison, self.column, self.kind = comparison, column, kind
        self.column_type, self.needs = column_type, needs
        super().__init__(
            f"comparison {comparison}: the tolerance {kind} of column {column!r} needs {needs}, but the column is "
            f"{column_type}. Correct the tolerance, or declare the column ignored"
        )
