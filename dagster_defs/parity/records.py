"""What is asked of a comparison and what it answers: frozen records, no behaviour beyond reading them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

Bound = str | int | date | datetime
"""A value of the time column. Text is ISO 8601 for dates and timestamps; without an offset it is UTC."""


class Side(StrEnum):
    """Legacy is what Airflow produced, candidate what Dagster produced; always in this order."""

    LEGACY = "legacy"
    CANDIDATE = "candidate"


class Dialect(StrEnum):
    """The warehouses that we speak to; the values are sqlglot's names."""

    DUCKDB = "duckdb"
    SNOWFLAKE = "snowflake"


class Verdict(StrEnum):
    MATCH = "match"
    MISMATCH = "mismatch"
    INCONCLUSIVE = "inconclusive"


class SchemaChange(StrEnum):
    MISSING = "missing"
    """Legacy has the column, candidate has not: a mismatch."""
    EXTRA = "extra"
    """Candidate has the column, legacy has not: a mismatch."""
    WIDENED = "widened"
    """The candidate's type holds every value of the legacy's: shown beside a match."""
    TYPE = "type"
    """Any other difference of type; whether it is a mismatch depends on the values alone."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view. Names are taken as they are, never parsed, and always quoted.

    `catalog` is what Snowflake calls database and DuckDB the name of an attached file.
    """

    catalog: str
    schema: str
    table: str

    def __str__(self) -> str:
        return f"{self.catalog}.{self.schema}.{self.table}"


@dataclass(frozen=True, slots=True)
class Column:
    """A column and its type in the warehouse's own words (`DECIMAL(18,3)`, `TIMESTAMP_NTZ(9)`)."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class ComparisonSpec:
    """Two relations and the rows of them that count: `time_column >= lower and time_column < upper`.

    A bound of None leaves that end open; with neither, the whole of both tables counts.
    An empty `key` compares the rows as a multiset.
    """

    name: str
    legacy: Relation
    candidate: Relation
    key: tuple[str, ...] = ()
    time_column: str | None = None
    lower: Bound | None = None
    upper: Bound | None = None

    @property
    def windowed(self) -> bool:
        return self.lower is not None or self.upper is not None

    def relation(self, side: Side) -> Relation:
        return self.legacy if side is Side.LEGACY else self.candidate


@dataclass(frozen=True, slots=True)
class SchemaDifference:
    """`column` is spelled as in legacy, or as in candidate where legacy has none."""

    kind: SchemaChange
    column: str
    legacy_type: str | None = None
    candidate_type: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind.value,
            "column": self.column,
            "legacy_type": self.legacy_type,
            "candidate_type": self.candidate_type,
        }


@dataclass(frozen=True, slots=True)
class SideCounts:
    legacy: int = 0
    candidate: int = 0

    @property
    def total(self) -> int:
        return self.legacy + self.candidate

    def as_json(self) -> dict[str, int]:
        return {"legacy": self.legacy, "candidate": self.candidate}


Sample = Mapping[str, Any]
"""One differing row, values as text:

`{kind: only_in_legacy | only_in_candidate, copies, row: {column: value}}`
`{kind: modified, copies, key: {column: value}, columns: {column: {legacy: value, candidate: value}}}`
"""


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison and its verdict.

    `modified` counts keys' rows that are on both sides with other values, so it is 0 without a key.
    `changed_values` maps each column that differs in a modified row to the number of those rows.
    `key_violations` counts rows with a NULL in the key and every further row of a repeated key; they are
    compared like any other. `null_time_rows` belong to no window and are in no other count.
    `error` means that the request itself was wrong, so nothing was compared.
    """

    name: str
    verdict: Verdict
    reason: str
    error: bool = False
    rows: SideCounts = SideCounts()
    only_in_legacy: int = 0
    only_in_candidate: int = 0
    modified: int = 0
    changed_values: Mapping[str, int] = field(default_factory=dict)
    schema_differences: tuple[SchemaDifference, ...] = ()
    key_violations: SideCounts = SideCounts()
    null_time_rows: SideCounts = SideCounts()
    samples: tuple[Sample, ...] = ()

    @property
    def differing_columns(self) -> tuple[str, ...]:
        """Columns in which a modified row differs, in the order of the legacy table."""
        return tuple(self.changed_values)

    def as_json(self) -> dict[str, Any]:
        """The answer of `parity compare --json`; there are no tolerances yet, so their fields are empty."""
        return {
            "name": self.name,
            "verdict": self.verdict.value,
            "error": self.error,
            "reason": self.reason,
            "rows": self.rows.as_json(),
            "only_in_legacy": self.only_in_legacy,
            "only_in_candidate": self.only_in_candidate,
            "modified": self.modified,
            "differing_columns": list(self.differing_columns),
            "tolerated": {},
            "expired_tolerances": [],
            "schema_differences": [difference.as_json() for difference in self.schema_differences],
            "key_violations": self.key_violations.total,
            "null_time_rows": self.null_time_rows.total,
            "samples": [dict(sample) for sample in self.samples],
        }
