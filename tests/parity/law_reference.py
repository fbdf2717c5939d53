"""The slow reference of the law: two tables compared value by value, in Python."""

# ruff: noqa: DTZ001, DTZ901 - times without a zone are what most tables hold, and half of what is tested here

from __future__ import annotations

import itertools
import json
import math
import struct
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any

from dagster_defs.parity import (
    PRECISIONS,
    Tolerance,
    ToleranceKind,
    Verdict,
)
from tests.parity.law_values import (
    INSTANT_KINDS,
    INTERVALS,
    MAPS,
    NUMBER_KINDS,
    TEXT_KINDS,
)

Row = tuple[Any, ...]


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
