"""Types of PostgreSQL with the values that the law draws for them, and how these are written in SQL."""

# ruff: noqa: DTZ001 - times without a zone are what most tables hold

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

_NEPAL = timezone(timedelta(hours=5, minutes=45))
_DECIMALS = [Decimal(0), Decimal(1), Decimal("0.1"), Decimal("0.125"), Decimal("0.13"), Decimal("-0.5")]
NUMBERS: dict[str, list[Any]] = {
    "smallint": [-1, 0, 1, 2, 3, 4, 5, 6, 7],
    "integer": [-1, 0, 1, 2, 2147483647],
    "bigint": [0, 1, 2**53, 2**53 + 1, -(2**63)],
    "numeric(4,4)": [Decimal(0), Decimal("0.1"), Decimal("-0.5"), Decimal("0.125")],
    "numeric(18,3)": [*map(Decimal, range(2, 8)), *_DECIMALS],
    "numeric": [
        *(
            *_DECIMALS,
            Decimal("1.000"),
            Decimal(2**53 + 1),
            Decimal(10**40),
            Decimal("1e-30"),
            Decimal("1e400"),
        ),
        *(
            Decimal("NaN"),
            Decimal("Infinity"),
            Decimal("-Infinity"),
            Decimal("1e300"),
            Decimal("12345678901.5"),
        ),
    ],
    "double precision": [
        *(
            2.0,
            3.0,
            4.0,
            5.0,
            6.0,
            7.0,
            0.0,
            -0.0,
            1.0,
            -0.5,
            0.1,
            0.125,
            0.13,
            0.1 + 0.2,
            1e-7,
            1.1e-7,
            2.0**53,
        ),
        *(1e20, 1e300, 12345678901.5, 123456789012345680.0, float("nan"), float("inf"), float("-inf")),
    ],
    "real": [0.0, -0.0, 1.0, 0.1, 0.125, float("nan"), float("inf"), 16777216.0],
}
INSTANTS: dict[str, list[Any]] = {
    "date": [date(2024, 3, 10), date(2024, 3, 11), date(1500, 1, 1), "infinity", "-infinity"],
    "timestamp": [
        *(datetime(2024, 3, 10), datetime(2024, 3, 10, 4), datetime(2024, 3, 11), datetime(1500, 1, 1)),
        *(datetime(2024, 3, 10, 4, 0, 0, 120000), datetime(2024, 3, 10, 4, 0, 0, 120001), "infinity"),
    ],
    "timestamp(3)": [datetime(2024, 3, 10, 4), datetime(2024, 3, 10, 4, 0, 0, 120000), "-infinity"],
    "timestamptz": [
        *(
            datetime(2024, 3, 10, tzinfo=timezone.utc),
            datetime(2024, 3, 10, 9, 45, tzinfo=_NEPAL),
            "infinity",
        ),
        datetime(2024, 3, 11, 4, tzinfo=timezone.utc),
    ],
}
_WORDS = [
    "",
    " ",
    "a",
    "A",
    "a ",
    "1",
    "true",
    "NULL",
    "é",
    "e\u0301",
    "x|y",
    "'; --",
    "日本",
    "\\",
    ",",
    '"',
    "(a)",
]
TEXTS: dict[str, list[Any]] = {
    "text": _WORDS,
    'text collate "POSIX"': ["", "a", "A", "1", "é", "e\u0301"],
    "varchar(10)": _WORDS,
    "char(3)": ["", "a", "A", "1", "é"],
    "mood": ["a", "A", "1"],
}
LISTS: dict[str, list[Any]] = {
    "integer[]": [[], [1, 2], [2, 1], [None], [0], [1], [[1, 2], [3, 4]], [[1], [2]]],
    "double precision[]": [[], [1.0, 2.0], [-0.0], [0.0], [float("nan")], [None], [0.1]],
    "numeric[]": [[], [Decimal("1.0"), Decimal(2)], [Decimal("0.1")], [Decimal(0)]],
    "text[]": [[], ["a, b"], ["a", "b"], [""], [None], ["null"], ["1"], ['"'], ["1", "2"]],
}
INTERVAL, JSONS = "interval", ("json", "jsonb")
OTHERS: list[dict[str, list[Any]]] = [
    {"boolean": [True, False]},
    {"bytea": [b"", b"a", b"\x00\xff"]},
    {"uuid": [UUID(int=0), UUID(int=1)]},
    {"time": [time(0), time(23, 59, 59, 999999)]},
    {"money": [Decimal("1.00"), Decimal("2.50"), Decimal("-1.00")]},
]
SETUP = "create type mood as enum ('a', 'A', '1')"


def literal(value: Any) -> str | None:
    """What PostgreSQL reads as the value, once it is cast to its type."""
    if value is None:
        return None
    if isinstance(value, list):
        return "{" + ", ".join(map(_element, value)) + "}"
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    return str(value)


def _element(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, list):
        return str(literal(value))
    return '"' + str(literal(value)).replace("\\", "\\\\").replace('"', '\\"') + '"'
