"""DuckDB's SQL. Its `is not distinct from` and `group by` treat NULL, NaN and -0.0 as the comparison does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import ClassVar

from sqlglot import exp

from dagster_defs.parity import nested
from dagster_defs.parity.dialects.doubles import double_as_decimal, interval_text
from dagster_defs.parity.dialects.sql import DAY_SECONDS, ENDLESS, MAX_PRECISION, UP_TO_BIGINT, Sql
from dagster_defs.parity.families import NESTED, NUMBERS, ColumnType, Family, comparable
from dagster_defs.parity.fragments import cast, decimal_digits, func, is_null, number, when
from dagster_defs.parity.nearness import DecimalsOf38Digits
from dagster_defs.parity.records import Dialect

_64_BITS = 18  # decimal digits that DuckDB holds in 64 bits
_MICROSECONDS = 1_000_000
# A timestamp in nanoseconds lies between these; a bound beyond them is one of them.
_FIRST_NANOSECOND = datetime(1677, 9, 21, 0, 12, 43, 145225)  # noqa: DTZ001 - naive means UTC here
_LAST_NANOSECOND = datetime(2262, 4, 11, 23, 47, 16, 854775)  # noqa: DTZ001 - naive means UTC here


class DuckDBSql(Sql):
    dialect: ClassVar[Dialect] = Dialect.DUCKDB
    in_a_file = True
    counts_keys_in_a_bitmap = True
    nearness = DecimalsOf38Digits((18, 36), attempt=lambda near: func("try", near))

    def hashable(self, value: exp.Expr, legacy: ColumnType, candidate: ColumnType) -> exp.Expr:
        """DuckDB folds 128 bits into 64 by xor of the hashes of both halves: -1 would be 0, and a UUID's halves could
        be swapped. As text they are distinct."""
        wide = any(
            kind.name in ("UUID", "HUGEINT", "UHUGEINT")
            or (kind.family is Family.EXACT and kind.digits + kind.scale > _64_BITS)
            for kind in (legacy, candidate)
        )
        both = {legacy.name, candidate.name}
        shared_decimal = max(legacy.digits, candidate.digits) + max(legacy.scale, candidate.scale)
        wide = wide or (len(both) > 1 and shared_decimal > _64_BITS)
        if not wide or both <= UP_TO_BIGINT or both == {"UBIGINT"}:
            return value
        return cast(value, "varchar")

    def exact_type(self, own: ColumnType, other: ColumnType) -> str:
        if own.digits + own.scale > MAX_PRECISION:
            return "hugeint" if own.name == "HUGEINT" else own.name.lower()
        return super().exact_type(own, other)

    def long_number(self, value: exp.Expr, own: ColumnType, other: ColumnType) -> exp.Expr:
        if not max(own.scale, other.scale) and not {"UHUGEINT", "BIGNUM"} & {own.name, other.name}:
            return cast(value, "hugeint")
        return decimal_digits(value) if own.scale else cast(value, "varchar")

    def double_as_decimal(self, value: exp.Expr, exact: str) -> exp.Expr:
        return double_as_decimal(value, exact)

    def unsigned(self, value: exp.Expr) -> exp.Expr:
        return nested.unsigned(value)

    def instant(self, value: exp.Expr, own: ColumnType, other: ColumnType) -> exp.Expr:
        if own.name == other.name:
            return value
        utc: exp.Expr = exp.AtTimeZone(this=value, zone=exp.Literal.string("UTC")) if own.zoned else value
        if _instants_as_text(own, other):
            return cast(utc if own.fraction == 9 else cast(utc, "timestamp"), "varchar")
        return utc if own.fraction == 9 else cast(utc, "timestamp")

    def text(self, value: exp.Expr, kind: ColumnType) -> exp.Expr:
        value = cast(value, "varchar") if kind.name.startswith("ENUM") else value
        return exp.Collate(this=value, expression=exp.Var(this="c"))

    def interval(self, value: exp.Expr) -> exp.Expr:
        return interval_text(value)

    def opaque(self, value: exp.Expr, kind: ColumnType) -> exp.Expr:
        if not kind.name.upper().startswith("UNION"):
            return value
        return exp.DPipe(
            this=cast(func("union_tag", value), "varchar"),
            expression=exp.DPipe(this=exp.Literal.string(": "), expression=cast(value.copy(), "varchar")),
        )

    def nested(self, value: exp.Expr, own: ColumnType, other: ColumnType) -> exp.Expr:
        """Text, because DuckDB hashes a missing list like an empty one."""
        if own.family is Family.STRUCT:
            fields = {
                name: self._inner(
                    func("struct_extract", value.copy(), exp.Literal.string(own_name)), kind, other_kind
                )
                for (name, (own_name, kind)), (_, other_kind) in zip(
                    own.fields.items(), other.fields.values(), strict=True
                )
            }
            return nested.struct_text(value, fields)
        if own.family is Family.JSON:
            return nested.json_text(value)
        if own.contains(Family.JSON):
            # DuckDB reads a document in a subquery, and has none inside a list.
            document = nested.json_text(func("to_json", value))
            return exp.DPipe(this=document, expression=nested.literally_if_long(value.copy()))
        parts = [
            (kind, other_kind) for (_, kind), (_, other_kind) in zip(own.parts, other.parts, strict=True)
        ]

        def text(index: int) -> Callable[[exp.Expr], exp.Expr]:
            return lambda inner: self._inner(inner, *parts[index])

        if own.family is Family.LIST:
            return nested.list_text(value, text(0))
        return nested.map_text(value, text(0), text(1))

    def _inner(self, value: exp.Expr, own: ColumnType, other: ColumnType) -> exp.Expr:
        """As part of a nested value: JSON text, `null` for NULL."""
        shared = self.value(value, own, other)
        if not comparable(own, other) or own.family not in (*NUMBERS, *NESTED, Family.BOOLEAN, Family.JSON):
            return nested.quoted_text(shared)
        if own.family is Family.BINARY or other.family is Family.BINARY:
            return nested.double_text(shared)
        return nested.bare_text(shared)

    def time_bucket(self, time: exp.Expr, kind: ColumnType, seconds: int) -> exp.Expr:
        if kind.is_date:
            days = exp.paren(time - cast(exp.Literal.string("1970-01-01"), "date"))
            bucket: exp.Expr = days * number(DAY_SECONDS // seconds)
            present = func("isfinite", time.copy())
            return when(present, bucket).when(is_null(time.copy()).not_(), number(ENDLESS))
        if kind.zoned and kind.fraction == 9:  # DuckDB has no microseconds for these
            time = cast(time, "timestamptz")
        # An infinite time has no microseconds.
        bucket = exp.IntDiv(this=func("epoch_us", time), expression=number(seconds * _MICROSECONDS))
        return func("coalesce", bucket, when(is_null(time.copy()).not_(), number(ENDLESS)))

    def microseconds(self, value: exp.Expr, own: ColumnType, other: ColumnType) -> exp.Expr:
        instant = cast(value.copy(), "timestamp") if _instants_as_text(own, other) else value.copy()
        return func("epoch_us", instant)

    def timestamp_literal(self, instant: datetime, kind: ColumnType) -> exp.Expr:
        if kind.fraction != 9:
            return super().timestamp_literal(instant, kind)
        text = min(max(instant, _FIRST_NANOSECOND), _LAST_NANOSECOND).isoformat(sep=" ")
        if kind.zoned:
            return cast(exp.Literal.string(f"{text}+00:00"), "timestamptz_ns")
        return cast(exp.Literal.string(text), "timestamp_ns")


def _instants_as_text(own: ColumnType, other: ColumnType) -> bool:
    """Nanoseconds only reach from 1677 to 2262, so a cast in either direction loses something or fails."""
    return 9 in (own.fraction, other.fraction) and own.fraction != other.fraction
