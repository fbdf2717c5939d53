from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from dagster_defs.errors import (
    BadTolerance,
    ToleranceOnKey,
    ToleranceOnType,
    ToleranceWithoutKey,
    UnknownColumn,
    UsageError,
)
from dagster_defs.parity import (
    Check,
    ComparisonSpec,
    Reader,
    Relation,
    Side,
    Tolerance,
    ToleranceKind,
    Verdict,
    compare,
)

Put = Callable[[Side, Mapping[str, str], Iterable[tuple[Any, ...]]], Relation]

TODAY = date(2024, 6, 1)
NOWHERE = Relation("legacy", "main", "nowhere")
ABSOLUTE, RELATIVE = ToleranceKind.ABSOLUTE, ToleranceKind.RELATIVE
IGNORED, PRECISION = ToleranceKind.IGNORED, ToleranceKind.TIMESTAMP_PRECISION


class Values:
    """One row on each side: `id` 1 and `v`."""

    def __init__(self, put: Put, reader: Reader) -> None:
        self.put, self.reader = put, reader

    def compare(
        self, legacy: tuple[str, Any], candidate: tuple[str, Any], *tolerances: Tolerance, key: bool = True
    ) -> Check:
        relations = (
            self.put(side, {"id": "INTEGER", "v": kind}, [(1, value)])
            for side, (kind, value) in zip(Side, (legacy, candidate), strict=True)
        )
        legacy_table, candidate_table = relations
        named = ("id",) if key else ()
        spec = ComparisonSpec("v", legacy_table, candidate_table, named, tolerances=tolerances)
        return compare(spec, self.reader, today=TODAY)


@pytest.fixture
def values(put: Put, reader: Reader) -> Values:
    return Values(put, reader)


@pytest.mark.parametrize(
    ("legacy", "candidate", "kind", "value", "within"),
    [
        (("DOUBLE", 1.0), ("DOUBLE", 1.1), ABSOLUTE, 0.1, True),
        (("DOUBLE", 1.0), ("DOUBLE", 1.1000000000000003), ABSOLUTE, 0.1, False),
        (("DOUBLE", 0.1), ("DOUBLE", 0.3), ABSOLUTE, "0.2", True),
        (("DECIMAL(9,2)", "1.00"), ("DECIMAL(9,2)", "1.01"), ABSOLUTE, Decimal("0.01"), True),
        (("DECIMAL(9,2)", "1.00"), ("DECIMAL(9,2)", "1.02"), ABSOLUTE, Decimal("0.0199"), False),
        (("INTEGER", 10), ("DECIMAL(9,3)", "10.500"), ABSOLUTE, "0.5", True),
        (("INTEGER", 10), ("DOUBLE", 9.5), ABSOLUTE, "0.5", True),
        (("BIGINT", 2**53), ("BIGINT", 2**53 + 1), ABSOLUTE, "0.9", False),
        (("BIGINT", 2**53), ("BIGINT", 2**53 + 1), ABSOLUTE, 1, True),
        (("BIGINT", -(2**63)), ("BIGINT", 2**63 - 1), ABSOLUTE, 1, False),
        (("HUGEINT", 2**126), ("HUGEINT", -(2**126)), ABSOLUTE, 1, False),
        (("DECIMAL(38,0)", 10**38 - 1), ("DECIMAL(38,0)", -(10**38) + 1), ABSOLUTE, 1, False),
        (("DOUBLE", 1e300), ("DOUBLE", 2e300), ABSOLUTE, 1e299, False),
        (("DOUBLE", 1e300), ("DOUBLE", 2e300), ABSOLUTE, 1e301, True),
        (("INTEGER", 1), ("INTEGER", 2), ABSOLUTE, 0, False),
        (("INTEGER", 1), ("INTEGER", None), ABSOLUTE, 100, False),
        (("DOUBLE", float("nan")), ("DOUBLE", 1.0), ABSOLUTE, 100, False),
        (("DOUBLE", float("inf")), ("DOUBLE", float("-inf")), ABSOLUTE, 100, False),
        (("DOUBLE", float("inf")), ("DOUBLE", 1.0), RELATIVE, 1, False),
        (("INTEGER", 100), ("INTEGER", 101), RELATIVE, "0.01", True),
        (("INTEGER", 101), ("INTEGER", 100), RELATIVE, "0.0099", False),
        (("INTEGER", -100), ("INTEGER", -99), RELATIVE, "0.01", True),
        (("INTEGER", 0), ("INTEGER", 1), RELATIVE, 1, False),
        (("INTEGER", 1), ("INTEGER", 0), RELATIVE, 1, True),
        (("DOUBLE", 0.3), ("DOUBLE", 0.33), RELATIVE, 0.1, True),
        (("FLOAT", 0.1), ("DOUBLE", 0.1), ABSOLUTE, "0.00000000149011612", True),
        (("FLOAT", 0.1), ("DOUBLE", 0.1), ABSOLUTE, "0.0000000014901161", False),
        # Further behind the point than most: exact all the same.
        (("DOUBLE", 1.1e-5), ("DOUBLE", 1.0000000000000123e-5), ABSOLUTE, "0.000000999999999999877", True),
        (("DOUBLE", 1.1e-5), ("DOUBLE", 1.0000000000000123e-5), ABSOLUTE, "0.000000999999999999876", False),
        (("DOUBLE", 1e-20), ("DOUBLE", 1.1e-20), RELATIVE, 0.1, True),
        (("DOUBLE", 1e-20), ("DOUBLE", 1.1e-20), RELATIVE, "0.0999999999999", False),
        (
            ("TIMESTAMP", "2024-03-10 04:00:00.9"),
            ("TIMESTAMP", "2024-03-10 04:00:00"),
            PRECISION,
            "second",
            True,
        ),
        (
            ("TIMESTAMP", "2024-03-10 04:00:01"),
            ("TIMESTAMP", "2024-03-10 04:00:00"),
            PRECISION,
            "second",
            False,
        ),
        (("TIMESTAMP", "1969-12-31 23:59:59.5"), ("TIMESTAMP", "1970-01-01"), PRECISION, "seconds", False),
        (("TIMESTAMP", "2024-03-10 04:00:59"), ("TIMESTAMP_NS", "2024-03-10 04:00:00"), PRECISION, 60, True),
        (("TIMESTAMP", "2024-03-10 23:00"), ("DATE", "2024-03-10"), PRECISION, "day", True),
        (("TIMESTAMPTZ", "2024-03-10 23:30+00"), ("TIMESTAMP", "2024-03-11 00:30"), PRECISION, "day", False),
        (("TIMESTAMP", "infinity"), ("TIMESTAMP", "-infinity"), PRECISION, "day", False),
        (("TIMESTAMP", None), ("TIMESTAMP", "1970-01-01"), PRECISION, "day", False),
        (("INTEGER", 1), ("VARCHAR", "x"), IGNORED, None, True),
        (("INTEGER", 1), ("INTEGER", None), IGNORED, None, True),
    ],
    ids=str,
)
def test_bounds_are_inclusive_and_exact(
    values: Values, legacy: Any, candidate: Any, kind: ToleranceKind, value: Any, within: bool
) -> None:
    """A difference of exactly the bound is tolerated, one above it is not, whatever the types."""
    check = values.compare(legacy, candidate, Tolerance("V", kind, value, "because"))
    # An ignored column beside a key leaves nothing that was compared.
    excused = Verdict.INCONCLUSIVE if kind is IGNORED else Verdict.MATCH
    assert check.verdict is (excused if within else Verdict.MISMATCH)
    assert check.tolerated == ({"v": 1} if within else {})
    assert check.modified == (not within)
    if check.verdict is Verdict.MATCH:
        assert check.reason.startswith("match, 1 tolerated (v 1), of 1 row")


@pytest.mark.parametrize("days", [-1, 0, 1])
def test_a_tolerance_applies_up_to_its_last_day(values: Values, days: int) -> None:
    """On the day that it expires it still applies; afterwards it does not, and the reason says so."""
    expires = TODAY + timedelta(days=days)
    check = values.compare(("INTEGER", 1), ("INTEGER", 2), Tolerance("v", ABSOLUTE, 1, "because", expires))
    if days >= 0:
        assert (check.verdict, check.expired_tolerances) == (Verdict.MATCH, ())
    else:
        assert check.verdict is Verdict.MISMATCH
        assert check.as_json()["expired_tolerances"] == ["v"]
        assert check.reason.endswith("the tolerance absolute of v expired after 2024-05-31")


def test_a_tolerance_that_is_not_used_is_not_mentioned(values: Values) -> None:
    """Equal values use nothing: a plain match."""
    check = values.compare(("INTEGER", 1), ("INTEGER", 1), Tolerance("v", ABSOLUTE, 1, "because"))
    assert (check.reason, check.tolerated) == ("1 row equal", {})


def test_an_ignored_column_may_be_missing(put: Put, reader: Reader) -> None:
    """A column of one side that is declared ignored is no mismatch, and is counted."""
    spec = ComparisonSpec(
        "i",
        put(Side.LEGACY, {"id": "INTEGER", "loaded_at": "DATE"}, [(1, TODAY)]),
        put(Side.CANDIDATE, {"id": "INTEGER"}, [(1,)]),
        tolerances=(Tolerance("LOADED_AT", IGNORED, reason="of the load"),),
    )
    check = compare(spec, reader)
    assert (check.verdict, check.tolerated) == (Verdict.MATCH, {"loaded_at": 1})
    assert check.reason == "match, 1 tolerated (loaded_at 1), of 1 row"
    assert [each.column for each in check.schema_differences] == ["loaded_at"]


def test_without_a_key_ignored_and_cut_values_are_tolerated(put: Put, reader: Reader) -> None:
    """A multiset is compared by what has to be equal, copy by copy; what is left over is a difference."""
    columns = {"at": "TIMESTAMP", "zone": "VARCHAR", "batch": "INTEGER"}
    legacy = [("2024-03-10 00:00:00.1", "a", 1), ("2024-03-10 00:00:00.2", "a", 1), ("2024-03-10", "b", 1)]
    candidate = [("2024-03-10 00:00:00.3", "a", 2), ("2024-03-10", "b", 1), ("2024-03-10", "c", 1)]
    spec = ComparisonSpec(
        "k",
        put(Side.LEGACY, columns, legacy),
        put(Side.CANDIDATE, columns, candidate),
        tolerances=(Tolerance("at", PRECISION, "second"), Tolerance("batch", IGNORED)),
    )
    check = compare(spec, reader)
    assert (check.only_in_legacy, check.only_in_candidate) == (1, 1)
    assert check.tolerated == {"at": 1, "batch": 1}
    assert check.differing_columns == ("zone",)


def test_a_changed_row_still_counts_what_it_tolerates(values: Values, put: Put, reader: Reader) -> None:
    """Beside a mismatch the tolerated differences are counted, and are not among the changed columns."""
    columns = {"id": "INTEGER", "fare": "INTEGER", "tip": "INTEGER"}
    spec = ComparisonSpec(
        "c",
        put(Side.LEGACY, columns, [(1, 10, 5), (2, 10, 5)]),
        put(Side.CANDIDATE, columns, [(1, 11, 6), (2, 11, 5)]),
        ("id",),
        tolerances=(Tolerance("fare", ABSOLUTE, 1),),
    )
    check = compare(spec, reader)
    assert (check.modified, check.changed_values, check.tolerated) == (1, {"tip": 1}, {"fare": 2})
    assert check.reason == "1 row modified in tip; 2 tolerated (fare 2)"


@pytest.mark.parametrize(
    ("tolerance", "error"),
    [
        (Tolerance("nope", IGNORED), UnknownColumn),
        (Tolerance("ID", IGNORED), ToleranceOnKey),
        (Tolerance("zone", ABSOLUTE, 1), ToleranceOnType),
        (Tolerance("flag", RELATIVE, 1), ToleranceOnType),
        (Tolerance("fare", PRECISION, "second"), ToleranceOnType),
        (Tolerance("fare", ABSOLUTE, -1), BadTolerance),
        (Tolerance("fare", ABSOLUTE, float("nan")), BadTolerance),
        (Tolerance("fare", RELATIVE, "inf"), BadTolerance),
        (Tolerance("fare", ABSOLUTE, True), BadTolerance),
        (Tolerance("fare", ABSOLUTE), BadTolerance),
        (Tolerance("fare", ABSOLUTE, "much"), BadTolerance),
        (Tolerance("fare", IGNORED, 1), BadTolerance),
        (Tolerance("at", PRECISION, "fortnight"), BadTolerance),
        (Tolerance("at", PRECISION, 0), BadTolerance),
        (Tolerance("at", PRECISION, "0.0000001"), BadTolerance),
        (Tolerance("at", PRECISION, "1e40"), BadTolerance),
        (Tolerance("nope", ABSOLUTE, 1, expires=date(2020, 1, 1)), UnknownColumn),
    ],
    ids=str,
)
def test_a_wrong_tolerance_is_an_error(
    put: Put, reader: Reader, tolerance: Tolerance, error: type[UsageError]
) -> None:
    """What is wrong in a tolerance is said before anything is compared, also of one that has expired."""
    columns = {"id": "INTEGER", "zone": "VARCHAR", "flag": "BOOLEAN", "fare": "INTEGER", "at": "DATE"}
    legacy, candidate = (put(side, columns, []) for side in Side)
    spec = ComparisonSpec("w", legacy, candidate, ("id",), tolerances=(tolerance,))
    with pytest.raises(error):
        compare(spec, reader, today=TODAY)
    if error not in (UnknownColumn, ToleranceOnType):
        missing = ComparisonSpec("w", NOWHERE, NOWHERE, ("id",), tolerances=(tolerance,))
        with pytest.raises(error):
            compare(missing, reader, today=TODAY)


def test_numbers_are_near_only_with_a_key(values: Values) -> None:
    """Without a key nothing tells which numbers belong together."""
    with pytest.raises(ToleranceWithoutKey):
        values.compare(("INTEGER", 1), ("INTEGER", 2), Tolerance("v", ABSOLUTE, 1), key=False)


def test_two_tolerances_of_one_column_are_refused(values: Values) -> None:
    """A column has one tolerance, so that it is clear which one excused a difference."""
    with pytest.raises(BadTolerance, match="second"):
        values.compare(
            ("INTEGER", 1), ("INTEGER", 2), Tolerance("v", ABSOLUTE, 1), Tolerance("V", RELATIVE, 1)
        )


def test_whether_a_tolerance_expired_needs_a_date(put: Put, reader: Reader) -> None:
    """The engine has no clock: a tolerance that expires cannot be judged without today's date."""
    legacy, candidate = (put(side, {"v": "INTEGER"}, [(1,)]) for side in Side)
    spec = ComparisonSpec("t", legacy, candidate, tolerances=(Tolerance("v", IGNORED, expires=TODAY),))
    with pytest.raises(ValueError, match="today"):
        compare(spec, reader)


def ignoring(*columns: str, **more: Any) -> tuple[Tolerance, ...]:
    return tuple(Tolerance(column, ToleranceKind.IGNORED, reason="any", **more) for column in columns)


NOTHING_LEFT = "no column outside the key was compared"


@pytest.mark.parametrize(
    ("key", "tolerances", "verdict", "message"),
    [
        (("id",), ignoring("v", "w"), Verdict.INCONCLUSIVE, f"{NOTHING_LEFT}: v, w are ignored"),
        ((), ignoring("id", "v", "w"), Verdict.INCONCLUSIVE, f"{NOTHING_LEFT}: id, v, w are ignored"),
        (("id", "v"), ignoring("W"), Verdict.INCONCLUSIVE, f"{NOTHING_LEFT}: w is ignored"),
        (("id",), ignoring("v"), Verdict.MATCH, "2 rows equal"),
        ((), ignoring("v", "w"), Verdict.MATCH, "2 rows equal"),
        (("id", "v", "w"), (), Verdict.MATCH, "2 rows equal"),
        (("id",), ignoring("v", "w", expires=date(2024, 1, 1)), Verdict.MATCH, "2 rows equal"),
    ],
)
def test_a_match_needs_a_column_that_was_compared(
    put: Put,
    reader: Reader,
    key: tuple[str, ...],
    tolerances: tuple[Tolerance, ...],
    verdict: Verdict,
    message: str,
) -> None:
    """Where ignored columns leave nothing but a key, the verdict is inconclusive; a table that is its key is not so."""
    columns = {"id": "INTEGER", "v": "INTEGER", "w": "VARCHAR"}
    legacy, candidate = (put(side, columns, [(1, 2, "a"), (2, 3, "b")]) for side in Side)
    spec = ComparisonSpec("left", legacy, candidate, key, tolerances=tolerances)
    check = compare(spec, reader, today=date(2024, 6, 1))

    assert check.verdict is verdict
    assert check.reason.startswith(message)


@pytest.mark.parametrize("legacy_only", [True, False])
def test_columns_of_one_side_that_are_ignored_leave_only_the_key(
    put: Put, reader: Reader, legacy_only: bool
) -> None:
    """A renamed column, ignored under both names, or one that a side alone has: only keys were compared."""
    legacy = put(Side.LEGACY, {"id": "INTEGER", "old": "INTEGER"}, [(1, 2)])
    more = {} if legacy_only else {"new": "INTEGER"}
    candidate = put(Side.CANDIDATE, {"id": "INTEGER", **more}, [(1, *(3 for _ in more))])
    spec = ComparisonSpec("alone", legacy, candidate, ("id",), tolerances=ignoring("old", *more))
    check = compare(spec, reader)

    assert check.verdict is Verdict.INCONCLUSIVE
    assert NOTHING_LEFT in check.reason


def test_other_rows_differ_even_where_columns_are_ignored(put: Put, reader: Reader) -> None:
    """A row of one side alone is a mismatch, whatever is ignored."""
    columns = {"id": "INTEGER", "v": "INTEGER"}
    legacy = put(Side.LEGACY, columns, [(1, 2)])
    candidate = put(Side.CANDIDATE, columns, [(1, 2), (2, 2)])
    for key, ignored in ((("id",), ignoring("v")), ((), ignoring("id", "v"))):
        check = compare(ComparisonSpec("rows", legacy, candidate, key, tolerances=ignored), reader)
        assert check.verdict is Verdict.MISMATCH
