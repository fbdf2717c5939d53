"""The parts of the SQL that differ between warehouses. Everything else is written once, in sqlglot's expressions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import date, datetime, timedelta
from typing import ClassVar

from sqlglot import exp

from dagster_defs.parity.families import ColumnType, Family, comparable
from dagster_defs.parity.fragments import cast, func
from dagster_defs.parity.nearness import Nearness
from dagster_defs.parity.records import Dialect

MAX_PRECISION = 38
UP_TO_BIGINT = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"})
ENDLESS = 10**12
"""The bucket of an infinite time: later than that of any timestamp."""
DAY_SECONDS = 86_400


class Sql(ABC):
    """A subclass for each warehouse, in a module of its own; the registry holds one instance of each."""

    dialect: ClassVar[Dialect]
    in_a_file: ClassVar[bool] = False
    """Whether a database is a file with one writer, at the credentials' `path`."""
    told_apart_by: ClassVar[str] = "unique_field"
    """The field of dbt's credentials that distinguishes one server from another, and is not an address."""
    quotes: ClassVar[str] = r"'[^']*'"
    """The quotes in which the warehouse's messages enclose values."""
    counts_keys_in_a_bitmap: ClassVar[bool] = False
    nearness: ClassVar[Nearness]

    def hashed(self, *parts: exp.Expr) -> exp.Expr:
        """One 64-bit hash over all the parts, with NULL distinct from every value. Hashed twice, see `scan.py`."""
        return func("hash", func("hash", *(part.copy() for part in parts)))

    def weighted(self, each_hash: exp.Expr, copies: exp.Expr) -> exp.Expr:
        return each_hash * copies

    def no_hash(self) -> exp.Expr:
        """The value in a column of hashes where there is no hash."""
        return exp.Null()

    def any_of_group(self, value: exp.Expr) -> exp.Expr:
        return func("any_value", value)

    def in_order(self, value: exp.Expr) -> exp.Expr:
        """A shared numeric value in sortable form: it may be text, in which 10 sorts before 9."""
        return cast(value, "double")

    def text_bound(self, bound: str) -> exp.Expr:
        return exp.Literal.string(bound)

    def incomparable(self, kind: ColumnType) -> str:
        """Why values of the type are not compared; empty for those that are."""
        del kind
        return ""

    def value(self, value: exp.Expr, own: ColumnType, other: ColumnType) -> exp.Expr:
        """One side's value in the form that both sides share."""
        if not comparable(own, other):
            return self.foreign(value, own)
        match own.family:
            case Family.EXACT | Family.BINARY:
                return self.number(value, own, other)
            case Family.INSTANT:
                return self.instant(value, own, other)
            case Family.TEXT:
                return self.text(value, own)
            case Family.INTERVAL:
                return self.interval(value)
            case Family.JSON | Family.STRUCT | Family.LIST | Family.MAP:
                return self.nested(value, own, other)
            case Family.OTHER:
                return self.opaque(value, own)
            case _:
                return value

    def hashable(self, value: exp.Expr, legacy: ColumnType, candidate: ColumnType) -> exp.Expr:
        """A shared value of two columns of these types in a form whose hash differs from that of any other value."""
        del legacy, candidate
        return value

    def foreign(self, value: exp.Expr, kind: ColumnType) -> exp.Expr:
        """Text that no value of another type has; NULL stays NULL."""
        shared = self.value(value, kind, kind)
        text = self.unsigned(shared) if kind.family is Family.BINARY else cast(shared, "varchar")
        return exp.DPipe(this=exp.Literal.string(f"{kind.name}: "), expression=text)

    def number(self, value: exp.Expr, own: ColumnType, other: ColumnType) -> exp.Expr:
        if own.name == other.name:
            return value
        if own.family is Family.BINARY and other.family is Family.BINARY:
            return cast(value, "double")
        if own.family is Family.BINARY:
            return self.double_as_decimal(value, self.exact_type(other, other))
        if other.family is Family.BINARY:
            return cast(cast(value, self.exact_type(own, own)), "varchar")
        if {own.name, other.name} <= UP_TO_BIGINT:
            return cast(value, "bigint")
        digits, scale = max(own.digits, other.digits), max(own.scale, other.scale)
        if digits + scale <= MAX_PRECISION:
            return cast(value, f"decimal({digits + scale}, {scale})")
        return self.long_number(value, own, other)

    def exact_type(self, own: ColumnType, other: ColumnType) -> str:
        """The exact type that a double is compared in: the other side's scale and as many digits as possible."""
        del own
        return f"decimal({MAX_PRECISION}, {other.scale})"

    @abstractmethod
    def long_number(self, value: exp.Expr, own: ColumnType, other: ColumnType) -> exp.Expr:
        """For a pair whose common type would need more than 38 digits."""

    @abstractmethod
    def double_as_decimal(self, value: exp.Expr, exact: str) -> exp.Expr:
        """A double as the text of its shortest round-trip decimal if `exact` can hold it, else its own text."""

    @abstractmethod
    def unsigned(self, value: exp.Expr) -> exp.Expr:
        """A double, or its text, as text in which a zero and a NaN have no sign."""

    @abstractmethod
    def instant(self, value: exp.Expr, own: ColumnType, other: ColumnType) -> exp.Expr: ...

    @abstractmethod
    def text(self, value: exp.Expr, kind: ColumnType) -> exp.Expr:
        """Compared as it is, character for character, whatever the column's collation."""

    @abstractmethod
    def interval(self, value: exp.Expr) -> exp.Expr:
        """Months, days and time separately: a month is not always 30 days, nor a day 24 hours."""

    @abstractmethod
    def nested(self, value: exp.Expr, own: ColumnType, other: ColumnType) -> exp.Expr: ...

    def opaque(self, value: exp.Expr, kind: ColumnType) -> exp.Expr:
        """For a type that is compared only with itself."""
        del kind
        return value

    @abstractmethod
    def time_bucket(self, time: exp.Expr, kind: ColumnType, seconds: int) -> exp.Expr:
        """Buckets of that many seconds, counted from 1970 in UTC; NULL for NULL."""

    @abstractmethod
    def microseconds(self, value: exp.Expr, own: ColumnType, other: ColumnType) -> exp.Expr:
        """Since 1970 in UTC, for a shared value of two instants; NULL for an infinite one."""

    def instant_literal(self, instant: datetime, kind: ColumnType) -> exp.Expr:
        """A naive time in the column's own frame of reference (UTC for a zoned one), as a constant of the column's
        type."""
        if kind.is_date:
            # `day >= bound` and `day < bound` keep their meaning when the bound moves up to the next midnight.
            day = instant.date()
            if instant.time() != datetime.min.time():
                # The year 10000 is past what Python can write; the last day itself is then the bound.
                day = day + timedelta(days=1) if day < date.max else day
            return cast(exp.Literal.string(day.isoformat()), "date")
        return self.timestamp_literal(instant, kind)

    def timestamp_literal(self, instant: datetime, kind: ColumnType) -> exp.Expr:
        text = instant.isoformat(sep=" ")
        if kind.zoned:
            return cast(exp.Literal.string(f"{text}+00:00"), "timestamptz")
        return cast(exp.Literal.string(text), "timestamp_ntz")
