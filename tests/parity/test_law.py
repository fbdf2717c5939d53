"""The engine against a slow reference that compares Python values one by one."""

# ruff: noqa: DTZ001, DTZ901 - times without a zone are what most tables hold, and half of what is tested here

from __future__ import annotations

import itertools
import json
import math
import struct
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any, Protocol
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagster_defs.parity import (
    PRECISIONS,
    ComparisonSpec,
    Reader,
    Relation,
    SchemaChange,
    Side,
    Tolerance,
    ToleranceKind,
    Verdict,
    compare,
    wide,
)
from tests.parity import postgres_types
from tests.parity.conftest import MemoryReader

Put = Callable[[Side, Mapping[str, str], Iterable[tuple[Any, ...]]], Relation]
Row = tuple[Any, ...]

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
    "DOUBLE": [
        *(2.0, 3.0, 4.0, 5.0, 6.0, 7.0),
        *(
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
            1e20,
            1e38,
            1e300,
            12345678901.5,
        ),
        *(123456789012345680.0, math.nan, math.inf, -math.inf),
    ],
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


@dataclass(frozen=True)
class Case:
    legacy_columns: dict[str, str]
    candidate_columns: dict[str, str]
    legacy: list[Row]
    candidate: list[Row]
    key: tuple[str, ...]
    time: str | None
    lower: Any
    upper: Any
    tolerances: tuple[Tolerance, ...] = ()


TODAY = date(2024, 6, 1)


def meaning(kind: str, value: Any) -> Any:
    """What a stored value stands for; two values are equal iff these are."""
    if value is None:
        return None
    if kind in NUMBER_KINDS:
        return ("number", number(kind, value))
    if kind in INSTANT_KINDS:
        return ("instant", instant(value))
    if kind in TEXT_KINDS:
        return ("text", value)
    if kind.upper() == "INTERVAL":
        return ("interval", INTERVALS[value])
    if kind.startswith(("JSON", "json")):
        return ("json", document(json.loads(value, parse_float=Decimal)))
    if kind.startswith("MAP"):
        entries = MAPS[value].items()
        return ("map", frozenset((key, meaning("INTEGER", each)) for key, each in entries))
    if kind.endswith("[]"):
        inner = (
            kind
            if any(isinstance(each, list) for each in value) and kind.islower()
            else kind.removesuffix("[]")
        )
        return ("list", tuple(meaning(inner, each) for each in value))
    if kind.startswith("STRUCT"):
        fields = zip(value.items(), FIELDS[kind], strict=True)
        return ("struct", tuple(sorted((name.lower(), meaning(own, each)) for (name, each), own in fields)))
    return (kind, value)


FIELDS = {
    "STRUCT(a INTEGER, b VARCHAR)": ("INTEGER", "VARCHAR"),
    'STRUCT(B VARCHAR, "A" DOUBLE)': ("VARCHAR", "DOUBLE"),
    "STRUCT(a INTEGER, b STRUCT(c DATE[]))": ("INTEGER", "STRUCT(c DATE[])"),
    "STRUCT(c DATE[])": ("DATE[]",),
}


def document(value: Any) -> Any:
    if isinstance(value, dict):
        return ("object", frozenset((name, document(each)) for name, each in value.items()))
    if isinstance(value, list):
        return ("array", tuple(map(document, value)))
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return ("number", Fraction(value))
    return (type(value).__name__, value)


def number(kind: str, value: Any) -> Fraction | str:
    if isinstance(value, Decimal) and not value.is_finite():
        return repr(float(value))
    if not isinstance(value, float):
        return Fraction(value)
    if kind in ("FLOAT", "real"):
        value = struct.unpack("f", struct.pack("f", value))[0]
    return Fraction(repr(value)) if math.isfinite(value) else repr(value)


def instant(value: Any) -> tuple[datetime, int]:
    """In UTC, and the nanoseconds beyond its microseconds."""
    if value in ("infinity", "-infinity"):
        return (datetime.min if value.startswith("-") else datetime.max), 0
    if isinstance(value, str) and "." in value:
        return datetime.fromisoformat(value[:-3]), int(value[-3:])
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day), 0
    return value.astimezone(timezone.utc).replace(tzinfo=None) if value.tzinfo else value, 0


def bound(value: Any) -> tuple[datetime, int] | None:
    return None if value is None else instant(value)


def cut(value: Any, tolerance: Tolerance | None) -> Any:
    if value is None or tolerance is None or tolerance.kind is not ToleranceKind.TIMESTAMP_PRECISION:
        return value
    micros = (value[1][0] - datetime(1970, 1, 1)) // timedelta(microseconds=1)
    seconds = PRECISIONS.get(str(tolerance.value)) or Decimal(str(tolerance.value))
    return micros // int(seconds * 1_000_000)


def exceeds(legacy: Any, candidate: Any, tolerance: Tolerance | None) -> bool:
    if tolerance is None or legacy == candidate:
        return bool(legacy != candidate)
    if tolerance.kind is ToleranceKind.IGNORED:
        return False
    if tolerance.kind is ToleranceKind.TIMESTAMP_PRECISION:
        return bool(cut(legacy, tolerance) != cut(candidate, tolerance))
    if legacy is None or candidate is None or isinstance(legacy[1], str) or isinstance(candidate[1], str):
        return True
    allowed = Fraction(str(tolerance.value))
    if tolerance.kind is ToleranceKind.RELATIVE:
        allowed *= abs(legacy[1])
    return bool(abs(legacy[1] - candidate[1]) > allowed)


def reference(case: Case) -> dict[str, Any]:
    folded = {name.casefold() if name.isascii() else name: name for name in case.candidate_columns}
    partner = {
        name: folded.pop(own)
        for name in case.legacy_columns
        if (own := name.casefold() if name.isascii() else name) in folded
    }
    missing = [name for name in case.legacy_columns if name not in partner]
    lower, upper = bound(case.lower), bound(case.upper)
    windowed = lower is not None or upper is not None

    rows: list[list[Row]] = []
    null_times: list[int] = []
    for columns, stored, names in (
        (case.legacy_columns, case.legacy, list(partner)),
        (case.candidate_columns, case.candidate, list(partner.values())),
    ):
        all_rows = [
            {name: meaning(kind, value) for (name, kind), value in zip(columns.items(), row, strict=True)}
            for row in stored
        ]
        if windowed:
            time = case.time if names == list(partner) else partner[str(case.time)]
            null_times.append(sum(row[str(time)] is None for row in all_rows))
            all_rows = [
                row
                for row in all_rows
                if row[str(time)] is not None
                and (lower is None or row[str(time)][1] >= lower)
                and (upper is None or row[str(time)][1] < upper)
            ]
        rows.append([tuple(row[name] for name in names) for row in all_rows])

    folded_names = [name.lower() for name in partner]
    key = [folded_names.index(name.lower()) for name in case.key]
    active = {each.column.lower(): each for each in case.tolerances if (each.expires or TODAY) >= TODAY}
    tolerances = {folded_names.index(name): each for name, each in active.items() if name in folded_names}
    lost, gained = Counter(rows[0]) - Counter(rows[1]), Counter(rows[1]) - Counter(rows[0])
    groups = grouped(lost, gained, key, tolerances)
    paired = sum(min(len(left), len(right)) for left, right in groups)
    missing = [name for name in missing if name.lower() not in active]
    extra = sorted(name for name in folded.values() if name.lower() not in active)
    counts: dict[str, Any] = {
        "rows": (len(rows[0]), len(rows[1])),
        "null_times": sum(null_times),
        "only_in_legacy": lost.total() - paired,
        "only_in_candidate": gained.total() - paired,
        "violations": sum(violations(side, key) for side in rows) if key else 0,
        "missing": missing,
        "extra": extra,
        "expired": [each.column for each in case.tolerances if each.column.lower() not in active],
    }
    modified = sum(not all_near(left, right, tolerances) for left, right in groups if left and right)
    if missing or extra or lost.total() > paired or gained.total() > paired or modified:
        verdict = Verdict.MISMATCH
    elif not rows[0] or any(null_times) or nothing_left(case, list(partner), active):
        verdict = Verdict.INCONCLUSIVE
    else:
        verdict = Verdict.MATCH
    counts |= {"verdict": verdict, "differs": bool(lost or gained)}
    if all(len(left) <= 1 and len(right) <= 1 for left, right in groups):
        # With several changed rows of one key it is open which became which.
        pairs = [(left[0], right[0]) for left, right in groups if left and right]
        counts["modified"] = modified
        counts["changed"] = {
            name: changed
            for index, name in enumerate(partner)
            if (
                changed := sum(
                    exceeds(ours[index], theirs[index], tolerances.get(index)) for ours, theirs in pairs
                )
            )
        }
        counts["tolerated"] = {
            name: near
            for index, name in enumerate(partner)
            if (
                near := sum(ours[index] != theirs[index] for ours, theirs in pairs)
                - counts["changed"].get(name, 0)
            )
        } | {
            name: 1
            for name in (*case.legacy_columns, *case.candidate_columns)
            if name == "only here" and name in active
        }
    if not key and counts["only_in_legacy"] == counts["only_in_candidate"]:
        counts["differing"] = tuple(
            name
            for index, name in enumerate(partner)
            if values_of(lost, index, tolerances) != values_of(gained, index, tolerances)
        )
    return counts


def nothing_left(case: Case, shared: list[str], active: Mapping[str, Tolerance]) -> bool:
    """Is a column ignored, and is no other left outside the key?"""
    ignored = {name for name, each in active.items() if is_ignored(each)}
    own = {name.lower() for name in shared} - {name.lower() for name in case.key}
    return bool(ignored) and own <= ignored


def grouped(
    lost: Counter[Row], gained: Counter[Row], key: list[int], tolerances: Mapping[int, Tolerance]
) -> list[tuple[list[Row], list[Row]]]:
    """Lost and gained rows that may stand against each other."""

    def group(row: Row) -> Row:
        if key:
            return tuple(row[index] for index in key)
        return tuple(
            None if is_ignored(tolerances.get(index)) else cut(value, tolerances.get(index))
            for index, value in enumerate(row)
        )

    if not key and not tolerances:
        return []
    groups: defaultdict[Row, tuple[list[Row], list[Row]]] = defaultdict(lambda: ([], []))
    for side, rows in enumerate((lost, gained)):
        for row in rows.elements():
            groups[group(row)][side].append(row)
    return list(groups.values())


def is_ignored(tolerance: Tolerance | None) -> bool:
    return tolerance is not None and tolerance.kind is ToleranceKind.IGNORED


def all_near(left: list[Row], right: list[Row], tolerances: Mapping[int, Tolerance]) -> bool:
    """Can as many rows as possible be put against each other without a difference that is not tolerated?"""
    few, many = sorted((left, right), key=len)
    return any(
        not any(
            exceeds(*(pair if few is left else pair[::-1]), tolerances.get(index))
            for one, other in zip(few, chosen, strict=True)
            for index, pair in enumerate(zip(one, other, strict=True))
        )
        for chosen in itertools.permutations(many, len(few))
    )


def values_of(rows: Counter[Row], index: int, tolerances: Mapping[int, Tolerance]) -> Counter[Any]:
    tolerance = tolerances.get(index)
    if is_ignored(tolerance):
        return Counter()
    return Counter(cut(row[index], tolerance) for row in rows.elements())


def violations(rows: list[Row], key: list[int]) -> int:
    keys = [tuple(row[index] for index in key) for row in rows]
    return len(keys) - len({key for key in keys if None not in key})


@st.composite
def cases(draw: st.DrawFn, families: list[dict[str, list[Any]]] = FAMILIES) -> Case:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    shared: list[tuple[str, str, str, str]] = []
    for name in names:
        family = draw(st.sampled_from(families))
        legacy_kind = draw(st.sampled_from(sorted(family)))
        # One pair in eight is of two families.
        other = draw(st.sampled_from([family] * 7 + [draw(st.sampled_from(families))]))
        renamed = name.swapcase() if name.isascii() and draw(st.booleans()) else name
        shared.append((name, legacy_kind, renamed, draw(st.sampled_from(sorted(other)))))
    legacy = draw(st.lists(st.tuples(*(values(kind) for _, kind, _, _ in shared)), max_size=6))
    key: list[str] = draw(st.sampled_from([[], names[:1], names]))
    if draw(st.booleans()):
        # A key as tables have it: hardly ever repeated or NULL.
        ids = st.lists(
            st.sampled_from([1, 2, 3, 4, 5, 6, 7, None]),
            min_size=len(legacy),
            max_size=len(legacy),
            unique=draw(st.integers(0, 3)) > 0,
        )
        legacy = [(own, *row) for own, row in zip(draw(ids), legacy, strict=True)]
        integers = st.sampled_from(KEY_KINDS[next(iter(families[0]))])
        shared = [("key", draw(integers), "KEY", draw(integers)), *shared]
        key = ["Key"]

    candidate = [row for row in legacy for _ in range(draw(st.sampled_from([1, 1, 1, 1, 1, 1, 0, 2])))]
    candidate = [
        tuple(counterpart(draw, pair[1], pair[3], value) for pair, value in zip(shared, row, strict=True))
        for row in candidate
    ]
    for _ in range(draw(st.integers(0, 2)) if candidate else 0):
        row_index = draw(st.integers(0, len(candidate) - 1))
        column = draw(st.integers(0, len(shared) - 1))
        changed = list(candidate[row_index])
        changed[column] = draw(values(shared[column][3]))
        candidate[row_index] = tuple(changed)
    candidate = draw(st.permutations(candidate))

    legacy_columns = {name: kind for name, kind, _, _ in shared}
    candidate_columns = {name: kind for _, _, name, kind in shared}
    only = draw(st.sampled_from([None] * 8 + list(Side)))
    if only is Side.LEGACY:
        legacy_columns["only here"] = "INTEGER"
        legacy = [(*row, 1) for row in legacy]
    elif only is Side.CANDIDATE:
        candidate_columns["only here"] = "INTEGER"
        candidate = [(*row, 1) for row in candidate]

    times = [name for name, own, _, other in shared if own in INSTANT_KINDS and other in INSTANT_KINDS]
    time = draw(st.sampled_from(times)) if times else None
    dated = any("DATE" in (own.upper(), other.upper()) for name, own, _, other in shared if name == time)
    lower, upper = draw(st.sampled_from(DAYS if dated else WINDOWS)) if times else (None, None)
    tolerances = draw(tolerances_of(shared, key, only)) if draw(st.booleans()) else ()
    return Case(
        legacy_columns, candidate_columns, legacy, candidate, tuple(key), time, lower, upper, tolerances
    )


@st.composite
def tolerances_of(
    draw: st.DrawFn, shared: list[tuple[str, str, str, str]], key: list[str], only: Side | None
) -> tuple[Tolerance, ...]:
    """At most one of numbers: with several, rows of a repeated key may be put against each other otherwise."""
    found: list[Tolerance] = []
    folded = {name.lower() for name in key}
    for name, own, _, other in shared:
        if name.lower() in folded or draw(st.booleans()):
            continue
        kinds = [ToleranceKind.IGNORED]
        if own in NUMBER_KINDS and other in NUMBER_KINDS and key and not any(each.value for each in found):
            kinds += [ToleranceKind.ABSOLUTE, ToleranceKind.RELATIVE] * 2
        if own in INSTANT_KINDS and other in INSTANT_KINDS:
            kinds += [ToleranceKind.TIMESTAMP_PRECISION] * 4
        kind = draw(st.sampled_from(kinds))
        amounts: dict[ToleranceKind, list[Any]] = {
            ToleranceKind.IGNORED: [None],
            ToleranceKind.ABSOLUTE: [Decimal("0.005"), 0.1, 1, "0.025", 5],
            ToleranceKind.RELATIVE: [Decimal("0.04"), 0.25, "0.5"],
            ToleranceKind.TIMESTAMP_PRECISION: ["second", "hour", "day", 0.1, 7],
        }
        expires = draw(st.sampled_from([None, TODAY, TODAY + timedelta(days=1), TODAY - timedelta(days=1)]))
        value = draw(st.sampled_from(amounts[kind]))
        found.append(
            Tolerance(
                draw(st.sampled_from([name, name.lower() if name.isascii() else name])),
                kind,
                value,
                "drawn",
                expires,
            )
        )
    if only is not None and draw(st.booleans()):
        found.append(Tolerance("only here", ToleranceKind.IGNORED))
    return tuple(found)


def values(kind: str) -> st.SearchStrategy[Any]:
    return st.sampled_from([*POOLS[kind], None])


def counterpart(draw: st.DrawFn, legacy_kind: str, candidate_kind: str, value: Any) -> Any:
    """The same value as the candidate's type writes it, or any where that type has no such value."""
    if value is None:
        return None
    same = [
        other
        for other in POOLS[candidate_kind]
        if meaning(candidate_kind, other) == meaning(legacy_kind, value)
    ]
    return draw(st.sampled_from(same)) if same else draw(values(candidate_kind))


@pytest.mark.thorough
@pytest.mark.timeout(2400)  # a minute and a half, and more where every core is taken
@settings(
    max_examples=2_000,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(case=cases(), sample_limit=st.sampled_from([0, 0, 0, 100]), as_wide=st.booleans())
def test_verdict_and_counts_are_those_of_the_reference(
    reader: MemoryReader, put: Put, case: Case, sample_limit: int, as_wide: bool
) -> None:
    """For any two small tables the engine says what comparing value by value in Python says.

    Both ways of looking into rows have to: that of few columns, and (`as_wide`) that of many.
    """
    agree_on(case, reader, put, sample_limit, as_wide)


class LawReader(Reader, Protocol):
    statements: list[str]


def agree_on(case: Case, reader: LawReader, put: Put, sample_limit: int, as_wide: bool) -> None:
    """Asserts that engine and reference say the same."""
    spec = ComparisonSpec(
        "law",
        put(Side.LEGACY, case.legacy_columns, case.legacy),
        put(Side.CANDIDATE, case.candidate_columns, case.candidate),
        key=case.key,
        time_column=case.time,
        lower=case.lower,
        upper=case.upper,
        tolerances=case.tolerances,
    )
    reader.statements.clear()
    with pytest.MonkeyPatch.context() as patched:
        if as_wide:
            patched.setattr(wide, "WIDE", 0)
            patched.setattr(wide, "_AT_ONCE", 2)
            patched.setattr(wide, "_CELLS", 6)
        check = compare(spec, reader, today=TODAY, sample_limit=sample_limit)
    expected = reference(case)
    # Equal rows have equal hashes, so that nothing is looked at beyond the one pass.
    assert expected.pop("differs") == any('"counts"' in statement for statement in reader.statements)

    one_sided = {
        kind: [each.column for each in check.schema_differences if each.kind is kind]
        for kind in (SchemaChange.MISSING, SchemaChange.EXTRA)
    }
    found = {
        "rows": (check.rows.legacy, check.rows.candidate),
        "null_times": check.null_time_rows.total,
        "only_in_legacy": check.only_in_legacy,
        "only_in_candidate": check.only_in_candidate,
        "modified": check.modified,
        "changed": check.changed_values,
        "tolerated": check.tolerated,
        "differing": check.differing_columns,
        "violations": check.key_violations.total,
        "missing": [name for name in one_sided[SchemaChange.MISSING] if name not in check.tolerated],
        "extra": [name for name in one_sided[SchemaChange.EXTRA] if name not in check.tolerated],
        "expired": [each.column for each in check.expired_tolerances],
        "verdict": check.verdict,
    }
    assert {name: found[name] for name in expected} == expected
    assert bool(check.modified) == bool(check.changed_values)
    sampled: Counter[str] = Counter()
    for sample in check.samples:
        sampled[sample["kind"]] += sample["copies"]
    if sample_limit:
        assert sampled["modified"] == check.modified
        assert sampled["only_in_legacy"] == check.only_in_legacy
        assert sampled["only_in_candidate"] == check.only_in_candidate
    else:
        assert not sampled
