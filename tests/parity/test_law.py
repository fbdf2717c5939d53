"""The engine against a slow reference that compares Python values one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagster_defs.parity import (
    ComparisonSpec,
    Reader,
    Relation,
    SchemaChange,
    Side,
    Tolerance,
    ToleranceKind,
    compare,
    wide,
)
from tests.parity.conftest import MemoryReader
from tests.parity.law_reference import TODAY, Case, meaning, reference
from tests.parity.law_values import (
    DAYS,
    FAMILIES,
    INSTANT_KINDS,
    KEY_KINDS,
    NAMES,
    NUMBER_KINDS,
    POOLS,
    WINDOWS,
)

Put = Callable[[Side, Mapping[str, str], Iterable[tuple[Any, ...]]], Relation]


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
