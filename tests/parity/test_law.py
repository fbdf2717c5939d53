"""The engine against a slow reference that compares Python values one by one."""

# ruff: noqa: DTZ001 - times without a zone are what most tables hold, and half of what is tested here

from __future__ import annotations

import math
import struct
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagster_defs.parity import ComparisonSpec, Reader, Relation, SchemaChange, Side, Verdict, compare

Put = Callable[[Side, Mapping[str, str], Iterable[tuple[Any, ...]]], Relation]
Row = tuple[Any, ...]

_NEPAL = timezone(timedelta(hours=5, minutes=45))
NUMBERS: dict[str, list[Any]] = {
    "SMALLINT": [-1, 0, 1, 2, 3, 4, 5, 6, 7],
    "INTEGER": [-1, 0, 1, 2, 2147483647],
    "BIGINT": [0, 1, 2**53, 2**53 + 1, -(2**63)],
    "UBIGINT": [0, 1, 2**53, 2**64 - 1],
    "HUGEINT": [0, 1, 2**53 + 1, 10**38, 2**127 - 1],
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
        *(0.0, -0.0, 1.0, -0.5, 0.1, 0.125, 0.13, 0.1 + 0.2, 1e-7, 2.0**53, 1e20, 1e38, 1e300, 12345678901.5),
        *(123456789012345680.0, math.nan, math.inf, -math.inf),
    ],
    "FLOAT": [0.0, -0.0, 1.0, 0.1, 0.125, math.nan, math.inf, 16777216.0],
}
INSTANTS: dict[str, list[Any]] = {
    "DATE": [date(2024, 3, 10), date(2024, 3, 11), date(1500, 1, 1)],
    "TIMESTAMP_S": [datetime(2024, 3, 10), datetime(2024, 3, 10, 4)],
    "TIMESTAMP": [
        *(datetime(2024, 3, 10), datetime(2024, 3, 10, 4), datetime(2024, 3, 11), datetime(1500, 1, 1)),
        datetime(2024, 3, 10, 4, 0, 0, 120000),
    ],
    "TIMESTAMP_NS": [datetime(2024, 3, 10), datetime(2024, 3, 10, 4, 0, 0, 120000)],
    "TIMESTAMPTZ": [
        datetime(2024, 3, 10, tzinfo=UTC),
        datetime(2024, 3, 10, 9, 45, tzinfo=_NEPAL),
        datetime(2024, 3, 11, 4, tzinfo=UTC),
    ],
}
TEXTS: dict[str, list[Any]] = {
    "VARCHAR": ["", " ", "a", "A", "a ", "1", "true", "NULL", "é", "e\u0301", "x|y", "'; --", "日本", "\\"],
    "VARCHAR COLLATE NOCASE": ["", "a", "A", "1"],
    "ENUM('a', 'A', '1')": ["a", "A", "1"],
}
FAMILIES = [NUMBERS, INSTANTS, TEXTS, {"BOOLEAN": [True, False]}, {"BLOB": [b"", b"a", b"\x00\xff"]}]
POOLS = {kind: pool for family in FAMILIES for kind, pool in family.items()}
NAMES = ["id", "select", 'quo"te', "a.b", "Ünï", "x'; drop table t; --", "with space", "V0", "copies", "日"]
WINDOWS = [
    (None, None),
    ("2024-03-10", "2024-03-11"),
    ("2024-03-10T04:00:00", datetime(2024, 3, 11, 9, 45, tzinfo=_NEPAL)),
    (date(2024, 3, 11), None),
    (None, "2024-03-10 04:00:00+00:00"),
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


def meaning(kind: str, value: Any) -> Any:
    """What a stored value stands for; two values are equal iff these are."""
    if value is None:
        return None
    if kind in NUMBERS:
        return ("number", number(kind, value))
    if kind in INSTANTS:
        return ("instant", instant(value))
    if kind in TEXTS:
        return ("text", value)
    return (kind, value)


def number(kind: str, value: Any) -> Fraction | str:
    if not isinstance(value, float):
        return Fraction(value)
    if kind == "FLOAT":
        value = struct.unpack("f", struct.pack("f", value))[0]
    return Fraction(repr(value)) if math.isfinite(value) else repr(value)


def instant(value: Any) -> datetime:
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day)
    return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value


def bound(value: Any) -> datetime | None:
    if value is None:
        return None
    return instant(datetime.fromisoformat(value) if isinstance(value, str) else value)


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

    key = [[name.lower() for name in partner].index(name.lower()) for name in case.key]
    lost, gained = Counter(rows[0]) - Counter(rows[1]), Counter(rows[1]) - Counter(rows[0])
    lost_by_key, gained_by_key = by_key(lost, key), by_key(gained, key)
    modified = 0
    if key:
        modified = sum(min(len(lost_by_key[k]), len(gained_by_key[k])) for k in lost_by_key)
    counts = {
        "rows": (len(rows[0]), len(rows[1])),
        "null_times": sum(null_times),
        "only_in_legacy": lost.total() - modified,
        "only_in_candidate": gained.total() - modified,
        "modified": modified,
        "violations": sum(violations(side, key) for side in rows) if key else 0,
        "missing": missing,
        "extra": sorted(folded.values()),
    }
    if missing or folded or lost or gained:
        verdict = Verdict.MISMATCH
    elif not rows[0] or any(null_times):
        verdict = Verdict.INCONCLUSIVE
    else:
        verdict = Verdict.MATCH
    counts["verdict"] = verdict
    if all(len(group) == 1 for group in [*lost_by_key.values(), *gained_by_key.values()]):
        # With several changed rows of one key it is open which became which.
        counts["changed"] = {
            name: changed
            for index, name in enumerate(partner)
            if key
            and (
                changed := sum(
                    lost_by_key[k][0][index] != gained_by_key[k][0][index]
                    for k in lost_by_key.keys() & gained_by_key.keys()
                )
            )
        }
    return counts


def by_key(rows: Counter[Row], key: list[int]) -> defaultdict[Row, list[Row]]:
    grouped: defaultdict[Row, list[Row]] = defaultdict(list)
    for row in rows.elements():
        grouped[tuple(row[index] for index in key)].append(row)
    return grouped


def violations(rows: list[Row], key: list[int]) -> int:
    keys = [tuple(row[index] for index in key) for row in rows]
    return len(keys) - len({key for key in keys if None not in key})


@st.composite
def cases(draw: st.DrawFn) -> Case:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    shared: list[tuple[str, str, str, str]] = []
    for name in names:
        family = draw(st.sampled_from(FAMILIES))
        legacy_kind = draw(st.sampled_from(sorted(family)))
        # One pair in eight is of two families.
        other = draw(st.sampled_from([family] * 7 + [draw(st.sampled_from(FAMILIES))]))
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
        integers = st.sampled_from(["SMALLINT", "DECIMAL(18,3)", "DOUBLE"])
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

    times = [name for name, own, _, other in shared if own in INSTANTS and other in INSTANTS]
    time = draw(st.sampled_from(times)) if times else None
    lower, upper = draw(st.sampled_from(WINDOWS)) if times else (None, None)
    return Case(legacy_columns, candidate_columns, legacy, candidate, tuple(key), time, lower, upper)


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


@settings(
    max_examples=400,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(case=cases())
def test_verdict_and_counts_are_those_of_the_reference(reader: Reader, put: Put, case: Case) -> None:
    """For any two small tables the engine says what comparing value by value in Python says."""
    spec = ComparisonSpec(
        "law",
        put(Side.LEGACY, case.legacy_columns, case.legacy),
        put(Side.CANDIDATE, case.candidate_columns, case.candidate),
        key=case.key,
        time_column=case.time,
        lower=case.lower,
        upper=case.upper,
    )
    check = compare(spec, reader, sample_limit=100)
    expected = reference(case)

    found = {
        "rows": (check.rows.legacy, check.rows.candidate),
        "null_times": check.null_time_rows.total,
        "only_in_legacy": check.only_in_legacy,
        "only_in_candidate": check.only_in_candidate,
        "modified": check.modified,
        "violations": check.key_violations.total,
        "missing": [d.column for d in check.schema_differences if d.kind is SchemaChange.MISSING],
        "extra": [d.column for d in check.schema_differences if d.kind is SchemaChange.EXTRA],
        "verdict": check.verdict,
    }
    if "changed" in expected:
        found["changed"] = check.changed_values
    assert found == {name: expected[name] for name in found}
    assert bool(check.modified) == bool(check.differing_columns)
    sampled: Counter[str] = Counter()
    for sample in check.samples:
        sampled[sample["kind"]] += sample["copies"]
    assert sampled["modified"] == check.modified
    assert sampled["only_in_legacy"] == check.only_in_legacy
    assert sampled["only_in_candidate"] == check.only_in_candidate
