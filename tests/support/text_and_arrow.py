"""A slow second opinion on `parity compare`: reads CSV text and Arrow values by itself, and decides in plain Python.

It shares nothing with the engine but the rules of the reference. Its answer is a verdict; "inconclusive" is what the
rules refuse, and what leaves nothing to compare.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

Cell = Any
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_DAY = 86_400 * 10**9
_NUMERAL = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?", re.ASCII)
_FLOATING = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_WHEN = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:([ T])(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d(?::?\d\d)?)?)?", re.ASCII
)


class RefusedError(Exception):
    """The rules do not allow the two to be compared."""


@dataclass(frozen=True)
class Table:
    """`kinds`: of each column, text for CSV, else integer, decimal, double, string, date, naive, zoned, boolean."""

    kinds: dict[str, str]
    rows: list[dict[str, Cell]]


@dataclass(frozen=True)
class Question:
    legacy: Sequence[Path]
    candidate: Sequence[Path]
    time: str | None = None
    lower: datetime | None = None
    upper: datetime | None = None
    zone: str | None = None
    naive_zone: str | None = None


def verdict(question: Question) -> str:
    try:
        return _verdict(question)
    except RefusedError:
        return "inconclusive"


def _verdict(question: Question) -> str:
    sides = [_read(question.legacy), _read(question.candidate)]
    both = [name for name in sides[0].kinds if name in sides[1].kinds]
    if question.time is not None and question.time not in both:
        raise RefusedError("no time column")
    meanings = {name: _meanings(sides, name) for name in both}
    kept, timeless = [], 0
    inside = [lambda _: True, lambda _: True]
    if question.time is not None:
        inside = _windows(question, [_time_kind(sides, side, question.time) for side in (0, 1)])
    for side, table in enumerate(sides):
        rows = []
        for row in table.rows:
            meaning = {name: meanings[name][side](row[name]) for name in both}
            if question.time is not None:
                if meaning[question.time] is None:
                    timeless += 1
                    continue
                if not inside[side](meaning[question.time][1]):
                    continue
            rows.append(tuple(meaning[name] for name in both))
        kept.append(Counter(rows))
    if set(sides[0].kinds) != set(sides[1].kinds) or kept[0] != kept[1]:
        return "mismatch"
    return "inconclusive" if timeless or not kept[0] else "match"


def _read(paths: Sequence[Path]) -> Table:
    parts = [_read_csv(path) if path.suffix == ".csv" else _read_parquet(path) for path in paths]
    kinds: dict[str, str] = {}
    for name in dict.fromkeys(name for part in parts for name in part.kinds):
        kinds[name] = _united(name, parts)
    return Table(kinds, [{name: row.get(name) for name in kinds} for part in parts for row in part.rows])


def _united(name: str, parts: Sequence[Table]) -> str:
    found = {part.kinds[name] for part in parts if name in part.kinds} - {"null"}
    if len(found) <= 1:
        return next(iter(found), "null")
    if found <= {"integer", "decimal"}:
        return "decimal"
    if found <= {"integer", "decimal", "double"}:
        for part in parts:
            if part.kinds.get(name) in ("integer", "decimal"):
                for row in part.rows:
                    if row[name] is not None and Fraction(repr(float(row[name]))) != Fraction(row[name]):
                        raise RefusedError(f"{name}: a double would lose digits")
        return "double"
    if found == {"date", "naive"}:
        return "naive"
    raise RefusedError(f"{name} is {found}")


def _read_parquet(path: Path) -> Table:
    table = pq.read_table(path, partitioning=None)
    kinds = {field.name.lower(): _kind(field.type) for field in table.schema}
    columns = {field.name.lower(): _values(table.column(field.name)) for field in table.schema}
    return Table(kinds, [{name: columns[name][index] for name in columns} for index in range(table.num_rows)])


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind):
        return "zoned" if kind.tz else "naive"
    for known, name in (
        (pa.types.is_integer, "integer"),
        (pa.types.is_decimal, "decimal"),
        (pa.types.is_floating, "double"),
        (pa.types.is_date, "date"),
        (pa.types.is_boolean, "boolean"),
        (pa.types.is_null, "null"),
    ):
        if known(kind):
            return name
    return "string"


def _values(column: pa.ChunkedArray) -> list[Cell]:
    """Times as nanoseconds since 1970, dates as days."""
    if pa.types.is_timestamp(column.type):
        factor = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[column.type.unit]
        return [None if each is None else each * factor for each in column.cast(pa.int64()).to_pylist()]
    if pa.types.is_date32(column.type):
        return [None if each is None else each * _DAY for each in column.cast(pa.int32()).to_pylist()]
    return list(column.to_pylist())


def _read_csv(path: Path) -> Table:
    header, *records = list(_records(path.read_bytes().decode("utf-8-sig")))
    names = [str(name).lower() for name in header]
    if any(len(record) != len(names) for record in records):
        raise RefusedError("a row of another length")
    return Table(dict.fromkeys(names, "text"), [dict(zip(names, record, strict=True)) for record in records])


def _records(text: str) -> Iterable[list[str | None]]:
    """An empty field is None, a quoted empty field is not; the module csv cannot distinguish them."""
    record: list[str | None] = []
    at = 0
    while at < len(text):
        if text[at] == '"':
            end, field = at + 1, ""
            while text[end] != '"' or text[end : end + 2] == '""':
                field += text[end]
                end += 2 if text[end] == '"' else 1
            at = end + 1
            record.append(field)
        else:
            end = min((found for mark in ",\n" if (found := text.find(mark, at)) >= 0), default=len(text))
            record.append(text[at:end] or None)
            at = end
        if at >= len(text) or text[at] == "\n":
            yield record
            record = []
        elif at + 1 == len(text) or text[at + 1] == "\n":
            record.append(None)
            at += 1
            yield record
            record = []
        at += 1


def _texts(table: Table, name: str) -> list[str]:
    return [row[name] for row in table.rows if row[name] is not None]


def _meanings(sides: Sequence[Table], name: str) -> list[Callable[[Cell], Cell]]:
    """The meaning of each side's cells: equal cells have equal meanings."""
    kinds = [side.kinds[name] for side in sides]
    if kinds == ["text", "text"]:
        read = _reader_of_text([*_texts(sides[0], name), *_texts(sides[1], name)])[1]
        return [read, read]
    return [
        _reader_beside(_texts(sides[side], name), kinds[1 - side])
        if kinds[side] == "text"
        else _typed(kinds[side])
        for side in (0, 1)
    ]


def _reader_of_text(values: Sequence[str]) -> tuple[str, Callable[[Cell], Cell]]:
    if values and all(_NUMERAL.fullmatch(each) and not re.fullmatch(r"-0(\.0+)?", each) for each in values):
        whole = max(len(each.lstrip("-").partition(".")[0]) for each in values)
        if whole + max(len(each.partition(".")[2]) for each in values) <= 38:
            return "number", lambda each: None if each is None else ("number", Fraction(each))
    moments = [_moment(each) for each in values]
    kinds = {moment[0] if moment else None for moment in moments}
    if len(kinds) == 1 and None not in kinds:
        [kind] = kinds
        return str(kind), lambda each: None if each is None else ("time", (_moment(each) or ("", 0))[1])
    return "text", lambda each: None if each is None else ("text", each)


def _moment(text: str) -> tuple[str, int] | None:
    found = _WHEN.fullmatch(text)
    if not found:
        return None
    year, month, day, separator, hour, minute, second, fraction, offset = found.groups()
    try:
        at = datetime(
            int(year),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            tzinfo=timezone.utc,
        )
    except ValueError:
        return None
    nanos = (at - _EPOCH) // timedelta(seconds=1) * 10**9 + int((fraction or "").ljust(9, "0"))
    if not separator:
        return "date", nanos
    if offset is None:
        return "naive", nanos
    digits = offset.replace(":", "").removeprefix("Z").ljust(5, "0") if offset != "Z" else "+0000"
    minutes = int(digits[1:3]) * 60 + int(digits[3:5])
    return "zoned", nanos - (-1 if digits[0] == "-" else 1) * minutes * 60 * 10**9


def _reader_beside(values: Sequence[str], kind: str) -> Callable[[Cell], Cell]:
    """Text that is compared with a typed column: read as that type, if every value of the column can be."""

    def as_text(each: Cell) -> Cell:
        return None if each is None else ("text", each)

    own, read = _reader_of_text(values)
    if kind in ("integer", "decimal"):
        return read if own == "number" else as_text
    if kind == "double":
        marks = {"nan", "inf", "-inf"}
        if own == "number":
            return read
        fits = all(_FLOATING.fullmatch(each) or each.lower() in marks for each in values)
        if fits and all(each.lower() in marks or _is_shortest(each) for each in values):
            return lambda each: None if each is None else _typed("double")(float(each))
        return as_text
    if kind in ("date", "naive", "zoned"):
        return read if own in ("date", "naive", "zoned") else as_text
    if kind == "boolean" and all(each.lower() in ("true", "false") for each in values):
        return lambda each: None if each is None else ("boolean", each.lower() == "true")
    return as_text


def _is_shortest(text: str) -> bool:
    value = float(text)
    return Fraction(Decimal(repr(value))) == Fraction(Decimal(text)) if abs(value) != float("inf") else False


def _typed(kind: str) -> Callable[[Cell], Cell]:
    def meaning(value: Cell) -> Cell:
        if value is None:
            return None
        if kind in ("integer", "decimal", "double"):
            if isinstance(value, float):
                return ("number", Fraction(repr(value)) if abs(value) < float("inf") else repr(value))
            return ("number", Fraction(value))
        if kind in ("date", "naive", "zoned"):
            return ("time", value)
        return ("boolean", value) if kind == "boolean" else ("text", value)

    return meaning


def _time_kind(sides: Sequence[Table], side: int, name: str) -> str:
    kind, other = sides[side].kinds[name], sides[1 - side].kinds[name]
    if kind == "text":
        values = _texts(sides[side], name)
        if not values and other != "text":
            kind = other
        else:
            kind = _reader_of_text([*values, *(_texts(sides[1 - side], name) if other == "text" else ())])[0]
            if not values and other == "text" and not _texts(sides[1 - side], name):
                kind = "naive"
        if not values and kind == "text":
            kind = "naive"
    if kind not in ("date", "naive", "zoned"):
        raise RefusedError(f"{name} holds no times")
    return kind


def _windows(question: Question, kinds: Sequence[str]) -> list[Callable[[int], bool]]:
    """Whether a time, in nanoseconds as the column counts, is in the window; for each side."""
    bounds = [
        [None if end is None else _bound(question, end, kind) for end in (question.lower, question.upper)]
        for kind in kinds
    ]
    if kinds.count("date") == 1 and bounds[0] != bounds[1]:
        raise RefusedError("a date and a time are cut apart")

    def within(lower: int | None, upper: int | None) -> Callable[[int], bool]:
        return lambda at: (lower is None or at >= lower) and (upper is None or at < upper)

    return [within(*each) for each in bounds]


def _bound(question: Question, instant: datetime, kind: str) -> int:
    if kind == "zoned":
        return _nanos(instant.astimezone(timezone.utc).replace(tzinfo=None))
    naive = ZoneInfo(question.naive_zone) if question.naive_zone else None
    if kind == "date":
        zone = naive or (ZoneInfo(question.zone) if question.zone else timezone.utc)
        local = instant.astimezone(zone)
        if instant != datetime(local.year, local.month, local.day, tzinfo=zone):
            raise RefusedError("inside a day")
        return _nanos(datetime(local.year, local.month, local.day))  # noqa: DTZ001 - as the column counts
    zone = naive or timezone.utc
    shown = instant.astimezone(zone).replace(tzinfo=None)
    for minutes in range(1, 181):
        later, earlier = (
            instant.astimezone(timezone.utc) + timedelta(minutes=each) for each in (minutes, -minutes)
        )
        if (
            later.astimezone(zone).replace(tzinfo=None) < shown
            or earlier.astimezone(zone).replace(tzinfo=None) >= shown
        ):
            raise RefusedError("a time that clocks show twice")
    return _nanos(shown)


def _nanos(local: datetime) -> int:
    return (local.replace(tzinfo=timezone.utc) - _EPOCH) // timedelta(microseconds=1) * 1000


def midnight(day: date, zone: str | None) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone) if zone else timezone.utc)
