"""Sets of Parquet and CSV files, drawn from a seed: drifting columns and types, and values that are nearly equal."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

from tests.support.text_and_arrow import Question

Row = dict[str, Any]
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MIDNIGHTS = [datetime(2024, 3, day, tzinfo=timezone.utc) for day in (9, 10, 11)] + [
    datetime(2024, 11, 3, tzinfo=timezone.utc)
]

# Texts of CSV files, several for one value, and some that only look alike.
_INTEGERS = [
    "0",
    "7",
    "007",
    "+7",
    "7.0",
    " 7",
    "-7",
    "42",
    "9007199254740993",
    "9007199254740992",
    "7e0",
    "-0",
]
_FRACTIONS = [
    "0.1",
    "0.10",
    "0.1000000000000000055",
    "20.4",
    "19.6",
    "1e5",
    "100000",
    "1e-07",
    "NaN",
    "inf",
    "-0.0",
    "5",
]
_CODES = [
    "a",
    "A",
    "a ",
    "007",
    "7",
    "true",
    "True",
    "1.50",
    "1.5",
    '""',
    '"x\ny"',
    '"x,y"',
    '"say ""hi"""',
    "é",
    "NULL",
]
_BOOLEANS = ["true", "false", "True", "FALSE", "true", "false", "t"]
_HOURS = (0, 0, 0, 1, 4, 5, 6, 7, 12, 23)


@dataclass
class Drawn:
    """A comparison: its entry for `--spec`, and the same comparison as a question to the reference."""

    entry: dict[str, Any]
    question: Question
    notes: list[str] = field(default_factory=list)


def draw(seed: int, folder: Path) -> Drawn:
    """Write the files of the case below `folder`; a seed always gives the same files."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    kinds = {f"c{index}": chance.choice(list(_KINDS)) for index in range(chance.randint(1, 3))}
    formats = [chance.choice(["csv", "parquet"]) for _ in range(2)]
    windowed = chance.random() < 0.4
    if windowed:
        kinds["at"] = chance.choice(["date", "naive", "zoned"])
    rows = [
        {"id": number, **{name: _KINDS[kind](chance) for name, kind in kinds.items()}}
        for number in range(chance.randint(1, 6))
    ]
    if chance.random() < 0.15:  # a column that was added later: neither side's first file has it
        kinds["late"] = "integer"
        for row in rows:
            row["late"] = chance.choice([None, *_INTEGERS[:2]])
    other = [dict(row) for row in rows]
    _change(chance, other, kinds)
    chance.shuffle(other)
    if chance.random() < 0.04:
        for row in other:
            row["more"] = chance.choice([None, "1"])
        kinds["more"] = "integer"
    paths = [
        _write(chance, folder / f"{seed}-{side}", kinds, side_rows, suffix)
        for side, side_rows, suffix in zip(("legacy", "candidate"), (rows, other), formats, strict=True)
    ]
    entry = {
        "name": str(seed),
        **{
            side: {
                "files": chance.choice([str(files[0].parent / f"*.{suffix}"), [str(file) for file in files]])
            }
            for side, files, suffix in zip(("legacy", "candidate"), paths, formats, strict=True)
        },
        "key": chance.choice([[], ["id"]]),
    }
    if not windowed:
        return Drawn(entry, Question(paths[0], paths[1]))
    return _with_window(chance, entry, paths)


def _with_window(chance: random.Random, entry: dict[str, Any], paths: Sequence[Sequence[Path]]) -> Drawn:
    zone = chance.choice([None, "America/New_York", "America/New_York", "Asia/Kathmandu", "UTC"])
    naive_zone = chance.choice([None, None, "America/New_York", "UTC"])
    day = chance.choice([(2024, 3, 10), (2024, 3, 9), (2024, 11, 3)])
    first = datetime(*day, tzinfo=ZoneInfo(zone or "UTC"))
    lower, upper = (
        first.astimezone(timezone.utc),
        datetime(day[0], day[1], day[2] + 1, tzinfo=first.tzinfo).astimezone(timezone.utc),
    )
    if chance.random() < 0.25:
        lower += timedelta(minutes=chance.choice([30, 60, 90, 120, 300]))
    window: dict[str, Any] = {"start": lower.isoformat(), "end": upper.isoformat()}
    if zone:
        window["timezone"] = zone
    if chance.random() < 0.2:
        del window["start"]
    asked = (
        entry | {"time_column": "at", "window": window} | ({"naive_zone": naive_zone} if naive_zone else {})
    )
    start = lower if "start" in window else None
    return Drawn(asked, Question(paths[0], paths[1], "at", start, upper, zone, naive_zone))


def _change(chance: random.Random, rows: list[Row], kinds: dict[str, str]) -> None:
    if chance.random() < 0.4:
        name = chance.choice(list(kinds))
        chance.choice(rows)[name] = _KINDS[kinds[name]](chance)
    if chance.random() < 0.1:
        rows.append({**chance.choice(rows), "id": 99})
    if chance.random() < 0.1 and len(rows) > 1:
        rows.pop()


def _one_of(texts: Sequence[str], plain: int) -> Callable[[random.Random], Any]:
    """Mostly one of the first values, so that many columns can be read as their own type."""

    def pick(chance: random.Random) -> Any:
        if chance.random() < 0.08:
            return None
        return chance.choice(texts[:plain] if chance.random() < 0.8 else texts)

    return pick


def _instant(chance: random.Random) -> Any:
    """Nanoseconds since 1970."""
    if chance.random() < 0.06:
        return None
    at = chance.choice(_MIDNIGHTS) + timedelta(
        hours=chance.choice(_HOURS), minutes=chance.choice([0, 0, 0, 30])
    )
    return (at - _EPOCH) // timedelta(microseconds=1) * 1000 + chance.choice(
        [0, 0, 0, 0, 123_456_000, 123_456_789]
    )


def _day(chance: random.Random) -> Any:
    at = chance.choice(_MIDNIGHTS)
    return None if chance.random() < 0.06 else (at - _EPOCH) // timedelta(microseconds=1) * 1000


_KINDS: dict[str, Callable[[random.Random], Any]] = {
    "integer": _one_of([_INTEGERS[index] for index in (0, 1, 6, 7, 8, 9, 2, 3, 4, 5, 10, 11)], 6),
    "number": _one_of([_FRACTIONS[index] for index in (0, 1, 3, 4, 11, 2, 5, 6, 7, 8, 9, 10)], 5),
    "code": _one_of(_CODES, len(_CODES)),
    "boolean": _one_of(_BOOLEANS, 2),
    "date": _day,
    "naive": _instant,
    "zoned": _instant,
}


def _write(
    chance: random.Random, folder: Path, kinds: dict[str, str], rows: Sequence[Row], suffix: str
) -> list[Path]:
    folder.mkdir(parents=True)
    parts = chance.randint(1, 3)
    shared = {name: _arrow_types(chance, kind) for name, kind in kinds.items()}
    paths = []
    for part in range(parts):
        own = [row for index, row in enumerate(rows) if _place(row, index, parts) == part]
        names = [name for name in ("id", *kinds) if name == "id" or any(name in row for row in rows)]
        if "late" in kinds and parts > 1 and part == 0:
            names.remove("late")
        elif part and chance.random() < 0.1:
            names.remove(chance.choice(names[1:]))
        chance.shuffle(names)
        path = folder / f"part-{part}.{suffix}"
        if suffix == "csv":
            _write_csv(chance, path, names, own, kinds)
        else:
            drifting = {
                name: _arrow_types(chance, kinds[name]) if chance.random() < 0.2 else kind
                for name, kind in shared.items()
            }
            _write_parquet(path, names, own, drifting)
        paths.append(path)
    return paths


def _place(row: Row, index: int, parts: int) -> int:
    """The file of a row; the first file has no row with a value in the column that was added later."""
    if parts == 1 or "late" not in row:
        return index % parts
    return 0 if row["late"] is None else 1 + index % (parts - 1)


def _write_csv(
    chance: random.Random, path: Path, names: Sequence[str], rows: Sequence[Row], kinds: dict[str, str]
) -> None:
    styles = {name: chance.randint(0, 3) for name in names}
    spelled = [name.upper() if chance.random() < 0.05 else name for name in names]
    lines = [",".join(spelled)]
    for row in rows:
        cells = [_csv_text(row.get(name), kinds.get(name, "integer"), styles[name]) for name in names]
        lines.append(",".join(cells))
    path.write_text("\n".join(lines) + chance.choice(["\n", "\n", ""]), encoding="utf-8")


def _csv_text(value: Any, kind: str, style: int) -> str:
    if value is None:
        return ""
    if kind not in ("date", "naive", "zoned"):
        return str(value)
    at = _EPOCH + timedelta(seconds=value // 10**9)
    fraction = f"{value % 10**9:09}"
    if kind == "date":
        return at.strftime("%d/%m/%Y" if style == 3 and value % 7 == 0 else "%Y-%m-%d")
    offset = ""
    if kind == "zoned":
        zone = ZoneInfo("America/New_York" if style in (1, 2) else "UTC")
        local = at.astimezone(zone)
        offset = (
            "Z"
            if style == 0
            else local.strftime("%z")[:3] + (":" if style == 2 else "") + local.strftime("%z")[3:]
        )
        at = local
    text = at.strftime("%Y-%m-%d %H:%M:%S" if style % 2 else "%Y-%m-%dT%H:%M:%S")
    return text + (f".{fraction.rstrip('0')}" if int(fraction) else "") + offset


def _arrow_types(chance: random.Random, kind: str) -> str:
    return chance.choice(
        {
            "integer": ["int32", "int64", "int64", "double", "decimal", "null"],
            "number": ["double", "double", "double", "decimal"],
            "code": ["string"],
            "boolean": ["bool", "bool", "string"],
            "date": ["date", "date", "date", "us"],
            "naive": ["us", "us", "ns", "date"],
            "zoned": ["us-utc", "us-utc", "us-utc", "ns-utc", "us"],
        }[kind]
    )


def _write_parquet(path: Path, names: Sequence[str], rows: Sequence[Row], types: dict[str, str]) -> None:
    columns = {}
    for name in names:
        if name == "id":
            columns[name] = pa.array([row["id"] for row in rows], pa.int32())
        else:
            columns[name] = _array([row.get(name) for row in rows], types[name])
    pq.write_table(pa.table(columns), path)


def _array(values: Sequence[Any], kind: str) -> pa.Array:
    if kind == "null":
        return pa.array([None] * len(values), pa.null())
    if kind == "string":
        return pa.array(values, pa.string())
    if kind == "bool":
        return pa.array([None if each is None else each.lower() == "true" for each in values], pa.bool_())
    if kind in ("int32", "int64"):
        numbers = [None if each is None else int(Decimal(each.strip())) for each in values]
        small = kind == "int32" and all(each is None or abs(each) < 2**31 for each in numbers)
        return pa.array(numbers, pa.int32() if small else pa.int64())
    if kind == "double":
        return pa.array([None if each is None else float(each) for each in values], pa.float64())
    if kind == "decimal":
        return pa.array([None if each is None else _decimal(each) for each in values], pa.decimal128(26, 8))
    if kind == "date":
        return pa.array(
            [None if each is None else each // (86_400 * 10**9) for each in values], pa.int32()
        ).cast(pa.date32())
    unit, _, zone = kind.partition("-")
    cut = [None if each is None else each if unit == "ns" else each // 1000 for each in values]
    return pa.array(cut, pa.timestamp(unit, "UTC" if zone else None))


def _decimal(text: str) -> Decimal:
    number = Decimal(text.strip())
    return round(number, 8) if number.is_finite() else Decimal(0)
