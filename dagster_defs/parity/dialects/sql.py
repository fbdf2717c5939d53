"""What one warehouse's SQL does in its own way. Everything else is written once, in sqlglot's expressions."""

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
"""The bucket of an infinite time: later than any timestamp's."""
DAY_SECONDS = 86_400


class Sql(ABC):
    """A subclass for each warehouse, in a module of its own; the registry holds one instance of each."""

    dialect: ClassVar[Dialect]
    in_a_file: ClassVar[bool] = False
    """Whether a database is a file with one writer, at the credentials' `path`."""
    told_apart_by: ClassVar[str] = "unique_field"
    """The field of dbt's credentials that tells one server from another, and is no address."""
    quotes: ClassVar[str] = r"'[^']*'"
    """What the warehouse's messages put values in."""
    counts_keys_in_a_bitmap: ClassVar[bool] = False
    nearness: ClassVar[Nearness]

    def hashed(self, *parts: exp.Expr) -> exp.Expr:
        """One hash of 64 bits over all the parts, a NULL among them told from every value. Why twice: `scan.py`."""
        return func("hash", func("hash", *(part.copy() for part in parts)))

    def weighted(self, each_hash: exp.Expr, copies: exp.Expr) -> exp.Expr:
        return each_hash * copies

    def no_hash(self) -> exp.Expr:
        """What stands in a column of hashes where there is none."""
        return exp.Null()

    def any_of_group(self, value: exp.Expr) -> exp.Expr:
        return func("any_value", value)

    def in_order(self, value: exp.Expr) -> exp.Expr:
        """A shared value of numbers, to sort by: it may be text, in which 10 comes before 9."""
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
        """A shared value of two columns of these types in a form whose hash tells it from any other."""
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
        """The exact type that a double is held against: the other side's scale, all the digits there are."""
        del own
        return f"decimal({MAX_PRECISION}, {other.scale})"

    @abstractmethod
    def long_number(self, value: exp.Expr, own: ColumnType, other: ColumnType) -> exp.Expr:
        """Of a pair whose common type would need more than 38 digits."""

    @abstractmethod
    def double_as_decimal(self, value: exp.Expr, exact: str) -> exp.Expr:
        """A double as the text of its shortest round-trip decimal where `exact` can hold it, else its own text."""

    @abstractmethod
    def unsigned(self, value: exp.Expr) -> exp.Expr:
        """A double, or the text that stands for one, as text in which a zero and a NaN have no sign."""

    @abstractmethod
    def instant(self, value: exp.Expr, own: ColumnType, other: ColumnType) -> exp.Expr: ...

    @abstractmethod
    def text(self, value: exp.Expr, kind: ColumnType) -> exp.Expr:
        """Compared as it is, character for character, whatever the column's collation."""

    @abstractmethod
    def interval(self, value: exp.Expr) -> exp.Expr:
        """Months, days and time apart: no calendar keeps to months of 30 days and days of 24 hours."""

    @abstractmethod
    def nested(self, value: exp.Expr, own: ColumnType, other: ColumnType) -> exp.Expr: ...

    def opaque(self, value: exp.Expr, kind: ColumnType) -> exp.Expr:
        """Of a type that is compared only with itself."""
        del kind
        return value

    @abstractmethod
    def time_bucket(self, time: exp.Expr, kind: ColumnType, seconds: int) -> exp.Expr:
        """So many seconds to a bucket, counted from 1970 in UTC; NULL for NULL."""

    @abstractmethod
    def microseconds(self, value: exp.Expr, own: ColumnType, other: ColumnType) -> exp.Expr:
        """Of a shared value of two instants, since 1970 in UTC; NULL for what is infinite."""

    def instant_literal(self, instant: datetime, kind: ColumnType) -> exp.Expr:
        """A naive time in the column's own reckoning (UTC for a zoned one), as a constant of the column's type."""
        if kind.is_date:
            # `day >= bound` and `day < bound` both stay the same when the bound moves up to the next midnight.
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
