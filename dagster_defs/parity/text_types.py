"""The types that a text column may be read as without losing anything that its values contain.

A CSV file contains text. One of its columns is read as numbers, dates or times only if every value can be nothing else
and keeps everything: digits, nanoseconds and leading zeros. Otherwise it is compared as text, or as declared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from sqlglot import exp
from typing_extensions import Self

from dagster_defs.parity.families import NESTED, ColumnType, Family, parse_type
from dagster_defs.parity.fragments import all_of, any_of, as_, cast, column, func, is_null, text, try_cast

TEXT = "VARCHAR"
_DATE = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME = rf"{_DATE}[ T]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{{1,9}})?"
_ZONED = rf"{_TIME}(Z|[+-][0-9]{{2}}(:?[0-9]{{2}})?)"
# A plus sign, a leading zero, a negative zero, an exponent or a space would be lost.
_NUMERAL = r"(0|-?[1-9][0-9]*|-?(0|[1-9][0-9]*)\.[0-9]+)"
_NEGATIVE_ZERO = r"-0\.0+"
_FLOATING = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?"
_NO_NUMBERS = ("nan", "inf", "-inf", "infinity", "-infinity")
_MAX_PRECISION = 38


@dataclass(frozen=True, slots=True)
class TextFacts:
    """What the values of one text column look like; each count is of values that are not NULL.

    `digits`, `scale` and `fraction` are the most that any value has before the point, after it, and of a second.
    """

    present: int = 0
    numerals: int = 0
    digits: int = 0
    scale: int = 0
    dates: int = 0
    times: int = 0
    nano_times: int = 0
    zoned: int = 0
    nano_zoned: int = 0
    fraction: int = 0

    @classmethod
    def of_row(cls, row: Mapping[str, Any], index: int) -> Self:
        """From the answer to `facts_of`, for the column at `index`."""
        return cls(**{each.name: int(row[f"{each.name}_{index}"] or 0) for each in fields(cls)})

    def with_those_of(self, other: TextFacts) -> TextFacts:
        most = {"digits", "scale", "fraction"}
        pairs = {each.name: (getattr(self, each.name), getattr(other, each.name)) for each in fields(self)}
        return TextFacts(**{name: max(pair) if name in most else sum(pair) for name, pair in pairs.items()})

    @property
    def reading(self) -> str:
        """The type that holds each value exactly; text if there is none, or no value."""
        if not self.present:
            return TEXT
        if self.numerals == self.present and self.digits + self.scale <= _MAX_PRECISION:
            return f"DECIMAL({self.digits + self.scale},{self.scale})"
        if self.dates == self.present:
            return "DATE"
        nano = self.fraction > 6
        if self.times == self.present and (not nano or self.nano_times == self.present):
            return "TIMESTAMP_NS" if nano else "TIMESTAMP"
        if self.zoned == self.present and (not nano or self.nano_zoned == self.present):
            return "TIMESTAMPTZ_NS" if nano else "TIMESTAMP WITH TIME ZONE"
        return TEXT


def facts_of(name: str, index: int) -> list[exp.Expr]:
    """Aggregates over one text column, `<field of TextFacts>_<index>`. For DuckDB, like everything here."""

    def value() -> exp.Expr:
        return column(name)

    def how_many(pattern: str, kind: str | None = None) -> exp.Expr:
        condition = _matches(value(), pattern)
        if kind is not None:
            condition = all_of(condition, exp.not_(is_null(try_cast(value(), kind))))
        return _call("count_if", condition)

    def most(pattern: str) -> exp.Expr:
        return func(
            "max", func("length", _call("regexp_extract", value(), text(pattern), exp.Literal.number(1)))
        )

    numerals = func(
        "count_if", all_of(_matches(value(), _NUMERAL), exp.not_(_matches(value(), _NEGATIVE_ZERO)))
    )
    facts = {
        "present": exp.Count(this=value()),
        "numerals": numerals,
        "digits": most(r"^-?([0-9]+)"),
        "scale": most(r"^-?[0-9]+\.([0-9]+)$"),
        "dates": how_many(_DATE, "date"),
        "times": how_many(_TIME, "timestamp"),
        "nano_times": how_many(_TIME, "timestamp_ns"),
        "zoned": how_many(_ZONED, "timestamptz"),
        "nano_zoned": how_many(_ZONED, "timestamptz_ns"),
        "fraction": most(r":[0-9]{2}\.([0-9]+)"),
    }
    return [as_(expression, f"{each}_{index}") for each, expression in facts.items()]


def reading_beside(facts: TextFacts, other: ColumnType) -> tuple[str, bool]:
    """The type as which a text column is read beside a column of the other type, and whether `keeps` must hold first.

    If it does not hold, the reading is `facts.reading` if that is of the other's family, else text.
    """
    if other.family is Family.TEXT or other.family in NESTED:
        return TEXT, False
    if not facts.present:
        return other.name, False
    if other.family is not Family.BINARY and parse_type(facts.reading).family is other.family:
        return facts.reading, False
    return other.name, True


def second_choice(facts: TextFacts, other: ColumnType) -> str:
    """The reading if a value would lose something in the other column's type."""
    numbers = (Family.EXACT, Family.BINARY)
    exact = parse_type(facts.reading).family is Family.EXACT and other.family in numbers
    return facts.reading if exact else TEXT


def keeps(value: exp.Expr, kind: ColumnType) -> exp.Expr:
    """True if a text contains no more than its value of that type does."""
    read = try_cast(value.copy(), kind.name)
    match kind.family:
        case Family.BINARY:
            digits = exp.EQ(this=_significant(value), expression=_significant(cast(read, "varchar")))
            number = all_of(_matches(value, _FLOATING), digits)
            return any_of(
                number, exp.In(this=func("lower", value.copy()), expressions=[*map(text, _NO_NUMBERS)])
            )
        case Family.BOOLEAN:
            return exp.In(this=func("lower", value.copy()), expressions=[text("true"), text("false")])
        case Family.JSON:
            return exp.not_(is_null(read))
        case _:
            return exp.EQ(this=cast(read, "varchar"), expression=value.copy())


def _significant(value: exp.Expr) -> exp.Expr:
    """The digits of a numeral from the first to the last that is not zero.

    A double is the nearest one to the text that it was read from. If its shortest text has the same digits, it has the
    same exponent too, and so any writer of doubles sees the same number.
    """
    mantissa = _call("regexp_replace", value.copy(), text("[eE].*$"), text(""))
    digits = _call("regexp_replace", mantissa, text("[^0-9]"), text(""), text("g"))
    return func("rtrim", func("ltrim", digits, text("0")), text("0"))


def _call(name: str, *parts: exp.Expr) -> exp.Expr:
    """One of DuckDB's own functions, with its arguments in DuckDB's order."""
    return exp.Anonymous(this=name, expressions=list(parts))


def _matches(value: exp.Expr, pattern: str) -> exp.Expr:
    return _call("regexp_full_match", value.copy(), text(pattern))


@dataclass(frozen=True, slots=True)
class DeclaredType:
    """The declared type of a CSV column: a DuckDB type, and for times their format."""

    kind: ColumnType
    form: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """`date`, `decimal(18,2)`, `text`, `date %d/%m/%Y`. Raises ValueError for anything else."""
        name, _, form = text.strip().partition(" %")
        kind = parse_type({"STRING": TEXT, "TEXT": TEXT}.get(name.strip().upper(), name.strip().upper()))
        if kind.family not in _DECLARABLE:
            raise ValueError(
                f"{text!r} is not a type of a CSV column: use text, boolean, a number, date or timestamp"
            )
        if form and kind.family is not Family.INSTANT:
            raise ValueError(f"{text!r} has a format, but only dates and timestamps can have one")
        return cls(kind, f"%{form}" if form else "")

    def value(self, value: exp.Expr) -> exp.Expr:
        if self.form:
            return cast(_call("try_strptime", value.copy(), text(self.form)), self.kind.name)
        return try_cast(value.copy(), self.kind.name)

    def holds(self, value: exp.Expr) -> exp.Expr:
        """Whether a text is such a value and contains no further digit or time of day. NULL counts as no."""
        there = exp.not_(is_null(self.value(value)))
        if self.kind.family is Family.EXACT:
            read = cast(self.value(value), "varchar")
            return exp.EQ(this=_plain(func("trim", value.copy())), expression=_plain(read))
        if self.kind.family is not Family.INSTANT:
            return there
        if self.form:
            whole = _call("try_strptime", value.copy(), text(self.form))
            return (
                exp.EQ(this=cast(self.value(value), "timestamp"), expression=whole)
                if self.kind.is_date
                else there
            )
        pattern = _DATE if self.kind.is_date else _ZONED if self.kind.zoned else rf"({_DATE}|{_TIME})"
        places = func(
            "length",
            _call("regexp_extract", value.copy(), text(r":[0-9]{2}\.([0-9]*)"), exp.Literal.number(1)),
        )
        fits = exp.LTE(this=places, expression=exp.Literal.number(self.kind.fraction))
        return all_of(_matches(value, pattern), there, fits)


_DECLARABLE = {Family.BOOLEAN, Family.EXACT, Family.BINARY, Family.TEXT, Family.INSTANT}


def _plain(numeral: exp.Expr) -> exp.Expr:
    """Without a plus sign, leading zeros, and zeros after the point: one text for one number."""
    bare = numeral
    for pattern, instead in _PLAIN.items():
        bare = _call("regexp_replace", bare, text(pattern), text(instead))
    return bare


_PLAIN = {
    r"^\+": "",
    r"^(-?)\.": r"\10.",
    r"^(-?)0+([0-9])": r"\1\2",
    r"(\.[0-9]*?)0+$": r"\1",
    r"\.$": "",
    r"^-0$": "0",
}
