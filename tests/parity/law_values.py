"""The values that the law draws for each type, with those that are easily confused."""

# ruff: noqa: DTZ001 - times without a zone are what most tables hold, and half of what is tested here

from __future__ import annotations

import math
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

from tests.parity import postgres_types

_NEPAL = timezone(timedelta(hours=5, minutes=45))
NUMBERS: dict[str, list[Any]] = {
    "TINYINT": [-1, 0, 1, 127],
    "UTINYINT": [0, 1, 255],
    "SMALLINT": [-1, 0, 1, 2, 3, 4, 5, 6, 7],
    "USMALLINT": [0, 1, 65535],
    "INTEGER": [-1, 0, 1, 2, 2147483647],
    "UINTEGER": [0, 1, 2**32 - 1],
    "BIGINT": [0, 1, 2**53, 2**53 + 1, -(2**63)],
    "UBIGINT": [0, 1, 2**53, 2**64 - 1],
    "HUGEINT": [0, 1, 2**53 + 1, 10**38, 2**127 - 1],
    "UHUGEINT": [0, 1, 2**53 + 1, 2**128 - 1],
    "DECIMAL(4,4)": [Decimal(0), Decimal("0.1"), Decimal("-0.5"), Decimal("0.125")],
    "DECIMAL(5,2)": [Decimal(0), Decimal(1), Decimal("0.1"), Decimal("0.13"), Decimal("-0.5")],
    "DECIMAL(18,3)": [
        *map(Decimal, range(2, 8)),
        Decimal(0),
        Decimal(1),
        Decimal("0.1"),
        Decimal("0.125"),
        Decimal("0.13"),
    ],
    "DECIMAL(38,10)": [Decimal(0), Decimal(1), Decimal("0.125"), Decimal("1e-7"), Decimal("12345678901.5")],
    "DOUBLE": [*postgres_types.NUMBERS["double precision"], 1e38],
    "FLOAT": [0.0, -0.0, 1.0, 0.1, 0.125, math.nan, math.inf, 16777216.0],
}
INSTANTS: dict[str, list[Any]] = {
    "DATE": [date(2024, 3, 10), date(2024, 3, 11), date(1500, 1, 1)],
    "TIMESTAMP_S": [datetime(2024, 3, 10), datetime(2024, 3, 10, 4)],
    "TIMESTAMP_MS": [datetime(2024, 3, 10, 4), datetime(2024, 3, 10, 4, 0, 0, 120000)],
    "TIMESTAMP": [
        *(datetime(2024, 3, 10), datetime(2024, 3, 10, 4), datetime(2024, 3, 11), datetime(1500, 1, 1)),
        datetime(2024, 3, 10, 4, 0, 0, 120000),
    ],
    "TIMESTAMP_NS": [
        *(datetime(2024, 3, 10), datetime(2024, 3, 10, 4, 0, 0, 120000)),
        *("2024-03-10 04:00:00.120000001", "1969-12-31 23:59:59.999999999"),
    ],
    "TIMESTAMPTZ": [
        datetime(2024, 3, 10, tzinfo=timezone.utc),
        datetime(2024, 3, 10, 9, 45, tzinfo=_NEPAL),
        datetime(2024, 3, 11, 4, tzinfo=timezone.utc),
    ],
}
TEXTS: dict[str, list[Any]] = {
    "VARCHAR": ["", " ", "a", "A", "a ", "1", "true", "NULL", "é", "e\u0301", "x|y", "'; --", "日本", "\\"],
    "VARCHAR COLLATE NOCASE": ["", "a", "A", "1"],
    "ENUM('a', 'A', '1')": ["a", "A", "1"],
}
INTERVALS: dict[str, tuple[int, int, int]] = {  # months, days and hours
    "1 month": (1, 0, 0),
    "30 days": (0, 30, 0),
    "720 hours": (0, 0, 720),
    "12 hours 708 hours": (0, 0, 720),
    "1 month 1 day": (1, 1, 0),
    "0 days": (0, 0, 0),
}
STRUCTS: dict[str, list[Any]] = {
    "STRUCT(a INTEGER, b VARCHAR)": [
        *({"a": 1, "b": "x"}, {"a": 2, "b": "x"}, {"a": 0, "b": ""}, {"a": None, "b": None}),
        *({"a": 1, "b": None}, {"a": 1, "b": "null"}),
    ],
    'STRUCT(B VARCHAR, "A" DOUBLE)': [
        *({"B": "x", "A": 1.0}, {"B": "", "A": -0.0}, {"B": None, "A": None}, {"B": "x", "A": 0.1}),
    ],
    "STRUCT(a INTEGER, b STRUCT(c DATE[]))": [
        *({"a": 1, "b": {"c": []}}, {"a": 1, "b": {"c": None}}, {"a": 1, "b": None}),
        {"a": 1, "b": {"c": [date(2024, 3, 10)]}},
    ],
}
LISTS: dict[str, list[Any]] = {
    "INTEGER[]": [[], [1, 2], [2, 1], [None], [0], [1]],
    "DOUBLE[]": [[], [1.0, 2.0], [-0.0], [0.0], [math.nan], [None], [0.1]],
    "DECIMAL(5,2)[]": [[], [Decimal(1), Decimal(2)], [Decimal("0.1")], [Decimal(0)]],
    "VARCHAR[]": [[], ["a, b"], ["a", "b"], [""], [None], ["null"], ["1"], ['"']],
    "INTEGER[][]": [[], [[]], [[1], [2, 3]], [[1, 2], [3]], [None]],
}
# Written as DuckDB reads them
MAPS: dict[str, dict[str, int | None]] = {
    "{a=1, b=2}": {"a": 1, "b": 2},
    "{b=2, a=1}": {"a": 1, "b": 2},
    "{a=NULL}": {"a": None},
    "{}": {},
}
JSONS = [
    *('{"a": 1, "b": [1, 2]}', '{"b":[1.0,2],"a":1e0}', '{"a": 1, "b": [2, 1]}', "{}", "[]", '""', "null"),
    *("1", "1.0", "true", '"true"', '"1"', "0.1", '{"a.b": 1}', '{"a": {"b": 1}}', '{"a": null}'),
    *(
        "0.12345678901234567891",
        "0.12345678901234567899",
        '{"a": 1234567890123456.50}',
        '{"a":1.2345678901234565e15}',
    ),
    *('"\\u00e9"', '"é"', "9007199254740993", "9007199254740992", "-0", "0", '{"A": 1}', '{"a": 1}'),
]
FAMILIES: list[dict[str, list[Any]]] = [
    *(NUMBERS, INSTANTS, TEXTS, STRUCTS, LISTS),
    *({"BOOLEAN": [True, False]}, {"BLOB": [b"", b"a", b"\x00\xff"]}, {"JSON": JSONS}),
    *({"UUID": [UUID(int=0), UUID(int=1)]}, {"TIME": [time(0), time(23, 59, 59, 999999)]}),
    *({"INTERVAL": list(INTERVALS)}, {"MAP(VARCHAR, INTEGER)": list(MAPS)}),
]
POSTGRES_FAMILIES: list[dict[str, list[Any]]] = [
    *(postgres_types.NUMBERS, postgres_types.INSTANTS, postgres_types.TEXTS, postgres_types.LISTS),
    *(
        dict.fromkeys(postgres_types.JSONS, JSONS),
        {postgres_types.INTERVAL: [each for each in INTERVALS if each.count("hours") < 2]},
    ),
    *postgres_types.OTHERS,
]
POOLS = {kind: pool for family in FAMILIES + POSTGRES_FAMILIES for kind, pool in family.items()}
NUMBER_KINDS = NUMBERS.keys() | postgres_types.NUMBERS.keys()
INSTANT_KINDS = INSTANTS.keys() | postgres_types.INSTANTS.keys()
TEXT_KINDS = TEXTS.keys() | postgres_types.TEXTS.keys()
# What keys have, by the first family of types
KEY_KINDS = {
    "TINYINT": ["SMALLINT", "DECIMAL(18,3)", "DOUBLE"],
    "smallint": ["smallint", "numeric(18,3)", "double precision", "integer"],
}
NAMES = ["id", "select", 'quo"te', "a.b", "Ünï", "x'; drop table t; --", "with space", "V0", "copies", "日"]
WINDOWS = [
    (None, None),
    ("2024-03-10", "2024-03-11"),
    ("2024-03-10T04:00:00", datetime(2024, 3, 11, 9, 45, tzinfo=_NEPAL)),
    (date(2024, 3, 11), None),
    (None, "2024-03-10 04:00:00+00:00"),
]
DAYS = [
    (None, None),
    ("2024-03-10", "2024-03-11"),
    (date(2024, 3, 11), None),
    (None, "2024-03-10T00:00:00+00:00"),
]
