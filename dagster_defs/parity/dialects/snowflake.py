"""Snowflake's SQL. Its numbers have 38 digits, and its integers are NUMBER(38, 0)."""

from __future__ import annotations

from typing import ClassVar

from sqlglot import exp

from dagster_defs.parity.dialects.doubles import double_as_decimal, interval_text
from dagster_defs.parity.dialects.sql import Sql
from dagster_defs.parity.families import ColumnType
from dagster_defs.parity.fragments import cast, decimal_digits, number
from dagster_defs.parity.nearness import DecimalsOf38Digits
from dagster_defs.parity.nested import unsigned
from dagster_defs.parity.records import Dialect


class SnowflakeSql(Sql):
    dialect: ClassVar[Dialect] = Dialect.SNOWFLAKE
    # Few products of numbers with 36 decimal places fit, and there is no `try` for one that does not.
    nearness = DecimalsOf38Digits((18,), attempt=lambda near: near)

    def long_number(self, value: exp.Expr, own: ColumnType, other: ColumnType) -> exp.Expr:
        if not max(own.scale, other.scale):
            return cast(value, "hugeint")
        return decimal_digits(value) if own.scale else cast(value, "varchar")

    def double_as_decimal(self, value: exp.Expr, exact: str) -> exp.Expr:
        return double_as_decimal(value, exact)

    def unsigned(self, value: exp.Expr) -> exp.Expr:
        return unsigned(value)

    def instant(self, value: exp.Expr, own: ColumnType, other: ColumnType) -> exp.Expr:
        if own.name == other.name:
            return value
        utc: exp.Expr = exp.AtTimeZone(this=value, zone=exp.Literal.string("UTC")) if own.zoned else value
        return cast(utc, "timestamp_ntz")

    def text(self, value: exp.Expr, kind: ColumnType) -> exp.Expr:
        value = cast(value, "varchar") if kind.name.startswith("ENUM") else value
        return exp.Collate(this=value, expression=exp.Literal.string("utf8"))

    def interval(self, value: exp.Expr) -> exp.Expr:
        return interval_text(value)

    def nested(self, value: exp.Expr, own: ColumnType, other: ColumnType) -> exp.Expr:
        del own, other
        return cast(value, "variant")

    def time_bucket(self, time: exp.Expr, kind: ColumnType, seconds: int) -> exp.Expr:
        del kind
        since_epoch = exp.Extract(this=exp.Var(this="epoch_second"), expression=time)
        return exp.Floor(this=exp.Div(this=since_epoch, expression=number(seconds)))

    def microseconds(self, value: exp.Expr, own: ColumnType, other: ColumnType) -> exp.Expr:
        del own, other
        return exp.Extract(this=exp.Var(this="epoch_microsecond"), expression=value.copy())
