"""What a comparison is asked and what it answers: frozen records with no behaviour beyond reading them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from typing_extensions import Self

from dagster_defs.older_python import StrEnum

Bound = str | int | date | datetime
"""A value of the time column. Text is ISO 8601 for dates and timestamps; for text without an offset see `Zones`."""


class Side(StrEnum):
    """Legacy is what Airflow produced, candidate what Dagster produced; always in this order."""

    LEGACY = "legacy"
    CANDIDATE = "candidate"


class Dialect(StrEnum):
    """The supported warehouses; the values are sqlglot's names."""

    DUCKDB = "duckdb"
    POSTGRES = "postgres"
    SNOWFLAKE = "snowflake"


class Verdict(StrEnum):
    MATCH = "match"
    MISMATCH = "mismatch"
    INCONCLUSIVE = "inconclusive"


class SchemaChange(StrEnum):
    MISSING = "missing"
    """Legacy has the column, candidate does not: a mismatch."""
    EXTRA = "extra"
    """Candidate has the column, legacy does not: a mismatch."""
    RENAMED = "renamed"
    """One column on each side, neither with a namesake, of the same type and with the same values: a mismatch."""
    WIDENED = "widened"
    """The candidate's type can hold every legacy value: shown beside a match."""
    TYPE = "type"
    """Any other difference of type; whether it is a mismatch depends on the values alone."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view. Names are taken literally, never parsed, and always quoted.

    `catalog` is a database in Snowflake and the name of an attached file in DuckDB. `as_of`: read the relation as of
    that instant (with a time zone), on a warehouse that keeps its history: Snowflake. that instant (with a time zone),
    on a warehouse that keeps its past: Snowflake.
    """

    catalog: str
    schema: str
    table: str
    as_of: datetime | None = None

    def __str__(self) -> str:
        name = f"{self.catalog}.{self.schema}.{self.table}"
        return f"{name} as of {self.as_of.isoformat()}" if self.as_of else name


@dataclass(frozen=True, slots=True)
class Column:
    """A column and its type in the warehouse's own words (`DECIMAL(18,3)`, `TIMESTAMP_NTZ(9)`)."""

    name: str
    type: str


class ToleranceKind(StrEnum):
    IGNORED = "ignored"
    """Ignores what the column holds, and whether both sides have it. No `value`."""
    ABSOLUTE = "absolute"
    """`|legacy - candidate| <= value`, for numbers."""
    RELATIVE = "relative"
    """`|legacy - candidate| <= value * |legacy|`, for numbers: the candidate is measured against legacy."""
    TIMESTAMP_PRECISION = "timestamp_precision"
    """Equal once both are truncated to multiples of `value`: one of `PRECISIONS`, or a number of seconds."""


PRECISIONS = {
    "microsecond": Decimal("0.000001"),
    "millisecond": Decimal("0.001"),
    "second": Decimal(1),
    "minute": Decimal(60),
    "hour": Decimal(3_600),
    "day": Decimal(86_400),
}
"""The words for a timestamp's precision, in seconds. A day is a UTC day."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """A declared, reasoned, expiring difference. It applies up to and including the day `expires`.

    A float `value` stands for its shortest decimal: 0.1 is a tenth.
    """

    column: str
    kind: ToleranceKind
    value: Decimal | int | float | str | None = None
    reason: str = ""
    expires: date | None = None


@dataclass(frozen=True, slots=True)
class Zones:
    """The time zones that decide which rows of a time column lie in a window; names as Airflow writes them.

    `window`: the zone whose local days make up the window; dates of a DATE column are such days. `naive`: the zone of
    columns without a zone, including DATE columns; UTC if not declared. `bound`: the zone of bounds without an offset;
    if not declared, such a bound is used as a value of the column as it is.
    """

    window: str | None = None
    naive: str | None = None
    bound: str | None = None


NO_ZONES = Zones()
"""Nothing declared: bounds and columns are used as they are, in UTC if one of them has a zone."""


@dataclass(frozen=True, slots=True)
class ComparisonSpec:
    """Two relations and the rows that are compared: `time_column >= lower and time_column < upper`.

    A bound of None leaves that end open; without bounds, both tables are compared as a whole.
    An empty `key` compares the rows as a multiset. The values of `masked` columns never leave the warehouse.
    """

    name: str
    legacy: Relation
    candidate: Relation
    key: tuple[str, ...] = ()
    time_column: str | None = None
    lower: Bound | None = None
    upper: Bound | None = None
    tolerances: tuple[Tolerance, ...] = ()
    masked: tuple[str, ...] = ()
    zones: Zones = NO_ZONES

    @property
    def windowed(self) -> bool:
        return self.lower is not None or self.upper is not None

    def relation(self, side: Side) -> Relation:
        return self.legacy if side is Side.LEGACY else self.candidate


@dataclass(frozen=True, slots=True)
class SchemaDifference:
    """`column` is spelled as in legacy, or as in candidate if legacy does not have it.

    `candidate_column` is the other name of a renamed column.
    """

    kind: SchemaChange
    column: str
    legacy_type: str | None = None
    candidate_type: str | None = None
    candidate_column: str | None = None

    def as_json(self) -> dict[str, Any]:
        answer = {
            "kind": self.kind.value,
            "column": self.column,
            "legacy_type": self.legacy_type,
            "candidate_type": self.candidate_type,
        }
        if self.candidate_column is not None:
            answer["candidate_column"] = self.candidate_column
        return answer


@dataclass(frozen=True, slots=True)
class SideCounts:
    legacy: int = 0
    candidate: int = 0

    @property
    def total(self) -> int:
        return self.legacy + self.candidate

    def of(self, side: Side) -> int:
        return self.legacy if side is Side.LEGACY else self.candidate

    def as_json(self) -> dict[str, int]:
        return {"legacy": self.legacy, "candidate": self.candidate}


Sample = Mapping[str, Any]
"""One differing row, values as text, those of masked columns as `***`:

`{kind: only_in_legacy | only_in_candidate, copies, row: {column: value}}`
`{kind: modified, copies, key: {column: value}, columns: {column: {legacy: value, candidate: value}}}`
"""


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison and its verdict.

    `modified` counts the keys' rows that are on both sides with different values, so it is 0 without a key.
    `changed_values` maps each column that differs in a modified row to the number of those rows. `differing_columns`
    are those columns; without a key, if as many rows were lost as gained, they are the columns whose values differ
    between the lost and the gained rows. In the order of the legacy table. `tolerated` maps a column to the number of
    its differences that a tolerance excused; a column that only one side has counts once. `expired_tolerances` did not
    apply. `key_violations` counts rows with a NULL in the key and every further row of a repeated key; they are
    compared like any other. `null_time_rows` belong to no window and are in no other count. `error` means that the
    request itself was wrong, so nothing was compared.
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
    differing_columns: tuple[str, ...] = ()
    tolerated: Mapping[str, int] = field(default_factory=dict)
    expired_tolerances: tuple[Tolerance, ...] = ()
    schema_differences: tuple[SchemaDifference, ...] = ()
    key_violations: SideCounts = SideCounts()
    null_time_rows: SideCounts = SideCounts()
    samples: tuple[Sample, ...] = ()

    @classmethod
    def of_wrong_request(cls, name: str, reason: str) -> Self:
        return cls(name, Verdict.INCONCLUSIVE, reason, error=True)

    @property
    def verdict_said(self) -> str:
        """The verdict in words; for a match by tolerances, it includes how many differences they excused."""
        tolerated = sum(self.tolerated.values())
        if self.verdict is Verdict.MATCH and tolerated:
            return f"{self.verdict.value}, {tolerated:,} tolerated"
        return self.verdict.value

    @property
    def differing_rows(self) -> int:
        return self.only_in_legacy + self.only_in_candidate + self.modified

    def as_json(self) -> dict[str, Any]:
        """The answer of `parity compare --json`. Expired tolerances are given by column."""
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
            "tolerated": dict(self.tolerated),
            "expired_tolerances": [tolerance.column for tolerance in self.expired_tolerances],
            "schema_differences": [difference.as_json() for difference in self.schema_differences],
            "key_violations": self.key_violations.total,
            "null_time_rows": self.null_time_rows.total,
            "samples": [dict(sample) for sample in self.samples],
        }
