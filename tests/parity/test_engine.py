# ruff: noqa: DTZ001 - times without a zone are what most tables hold, and half of what is tested here
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest

from dagster_defs.errors import (
    ReversedWindow,
    StatementFailed,
    UnknownColumn,
    UnusableBound,
    UsageError,
    WindowWithoutTime,
)
from dagster_defs.parity import (
    Column,
    ComparisonSpec,
    Dialect,
    Reader,
    Relation,
    SchemaChange,
    SchemaDifference,
    Side,
    SideCounts,
    Verdict,
    compare,
)

Put = Callable[[Side, Mapping[str, str], Iterable[tuple[Any, ...]]], Relation]

TRIPS = {"id": "INTEGER", "at": "TIMESTAMP", "fare": "DECIMAL(9,2)", "zone": "VARCHAR"}
NOON = datetime(2024, 3, 10, 12)
ROWS = [(1, NOON, 10, "a"), (2, NOON, 20, "b"), (3, NOON, 30, "c")]
NOWHERE = Relation("legacy", "main", "nowhere")


@pytest.fixture
def spec(put: Put) -> ComparisonSpec:
    return ComparisonSpec("trips", put(Side.LEGACY, TRIPS, ROWS), put(Side.CANDIDATE, TRIPS, ROWS), ("id",))


def with_(spec: ComparisonSpec, **changes: Any) -> ComparisonSpec:
    fields = {name: getattr(spec, name) for name in ComparisonSpec.__slots__}
    return ComparisonSpec(**(fields | changes))


def test_equal_tables_match(spec: ComparisonSpec, reader: Reader) -> None:
    """Equal tables match, and the reason says how much was compared."""
    check = compare(spec, reader)
    assert (check.verdict, check.reason) == (Verdict.MATCH, "3 rows equal")
    assert check.rows == SideCounts(3, 3)


PLANTED: dict[str, tuple[list[tuple[Any, ...]], dict[str, int]]] = {
    "one value": ([(1, NOON, 10, "a"), (2, NOON, 21, "b"), (3, NOON, 30, "c")], {"fare": 1}),
    "two that cancel in a sum": ([(1, NOON, 11, "a"), (2, NOON, 19, "b"), (3, NOON, 30, "c")], {"fare": 2}),
    "swapped values": ([(1, NOON, 20, "a"), (2, NOON, 10, "b"), (3, NOON, 30, "c")], {"fare": 2}),
    "a value that became NULL": ([(1, NOON, 10, None), (2, NOON, 20, "b"), (3, NOON, 30, "c")], {"zone": 1}),
    "a space": ([(1, NOON, 10, "a "), (2, NOON, 20, "b"), (3, NOON, 30, "c")], {"zone": 1}),
    "case": ([(1, NOON, 10, "A"), (2, NOON, 20, "b"), (3, NOON, 30, "c")], {"zone": 1}),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_a_changed_value_names_its_column(
    spec: ComparisonSpec, put: Put, reader: Reader, planted: str
) -> None:
    """With a key, a changed value is a modified row and its column is named."""
    rows, changed = PLANTED[planted]
    put(Side.CANDIDATE, TRIPS, rows)
    check = compare(spec, reader)
    assert check.verdict is Verdict.MISMATCH
    assert check.changed_values == changed
    assert check.modified == sum(changed.values())
    assert not check.only_in_legacy
    assert not check.only_in_candidate


def test_a_sample_shows_both_values(spec: ComparisonSpec, put: Put, reader: Reader) -> None:
    """The sample of a modified row carries its key and, for the changed columns only, both values."""
    put(Side.CANDIDATE, TRIPS, [(1, NOON, 10, "a"), (2, NOON, 21, "b"), (3, NOON, 30, "c")])
    assert compare(spec, reader).samples == (
        {
            "kind": "modified",
            "copies": 1,
            "key": {"id": "2"},
            "columns": {"fare": {"legacy": "20.00", "candidate": "21.00"}},
        },
    )


@pytest.mark.parametrize("limit", [0, 2])
def test_samples_are_bounded(spec: ComparisonSpec, put: Put, reader: Reader, limit: int) -> None:
    """No more rows than asked for leave the warehouse."""
    put(Side.CANDIDATE, TRIPS, [(row[0], row[1], 0, row[3]) for row in ROWS])
    check = compare(spec, reader, sample_limit=limit)
    assert check.modified == 3
    assert len(check.samples) == limit


@pytest.mark.parametrize("key", [(), ("id",)])
def test_one_copy_is_not_two(spec: ComparisonSpec, put: Put, reader: Reader, key: tuple[str, ...]) -> None:
    """A doubled row is a difference, with and without a key, and a violation of the key."""
    put(Side.CANDIDATE, TRIPS, [*ROWS, ROWS[0]])
    check = compare(with_(spec, key=key), reader)
    assert (check.verdict, check.only_in_candidate) == (Verdict.MISMATCH, 1)
    assert check.key_violations == (SideCounts(0, 1) if key else SideCounts())


def test_equal_violations_still_match(spec: ComparisonSpec, put: Put, reader: Reader) -> None:
    """Rows with a NULL or repeated key are compared like any others and shown beside a match."""
    rows = [*ROWS, ROWS[0], (None, NOON, 1, "x"), (None, NOON, 2, "x")]
    put(Side.LEGACY, TRIPS, rows)
    put(Side.CANDIDATE, TRIPS, rows[::-1])
    check = compare(spec, reader)
    assert (check.verdict, check.key_violations) == (Verdict.MATCH, SideCounts(3, 3))
    assert check.reason == "6 rows equal; the key is violated by 3 rows of legacy and 3 of candidate"


def test_separators_inside_strings(put: Put, reader: Reader) -> None:
    """Two columns are never glued together: moving a separator from one to the other is a difference."""
    columns = {"x": "VARCHAR", "y": "VARCHAR"}
    legacy = put(Side.LEGACY, columns, [("a|", "b"), ("a", "")])
    candidate = put(Side.CANDIDATE, columns, [("a", "|b"), ("", "a")])
    check = compare(ComparisonSpec("separators", legacy, candidate), reader)
    assert (check.only_in_legacy, check.only_in_candidate) == (2, 2)


@pytest.mark.parametrize(
    ("lower", "upper", "rows"),
    [
        ("2024-03-10", "2024-03-11", 2),
        ("2024-03-10T04:00:00+00:00", "2024-03-11T04:00:00+00:00", 2),
        (date(2024, 3, 10), date(2024, 3, 11), 2),
        (datetime(2024, 3, 11, tzinfo=timezone.utc), None, 1),
        (None, datetime(2024, 3, 10, 5, 45, tzinfo=timezone(timedelta(hours=5, minutes=45))), 0),
        (None, None, 3),
    ],
)
def test_windows_are_half_open(put: Put, reader: Reader, lower: Any, upper: Any, rows: int) -> None:
    """A row at the lower bound counts and one at the upper does not; a bound without a zone is UTC."""
    columns = {"at": "TIMESTAMP"}
    times = [(datetime(2024, 3, 10),), (datetime(2024, 3, 10, 23, 59, 59, 999999),), (datetime(2024, 3, 11),)]
    if isinstance(lower, str) and "T" in lower:
        times = [(time + timedelta(hours=4),) for (time,) in times]
    spec = ComparisonSpec(
        "w", put(Side.LEGACY, columns, times), put(Side.CANDIDATE, columns, times), (), "at", lower, upper
    )
    check = compare(spec, reader)
    assert check.rows == SideCounts(rows, rows)
    assert check.verdict is (Verdict.MATCH if rows else Verdict.INCONCLUSIVE)


@pytest.mark.parametrize(
    ("kind", "values", "lower", "upper"),
    [
        ("DATE", [date(2024, 3, 10), date(2024, 3, 11)], "2024-03-10 00:00", "2024-03-11"),
        ("INTEGER", [20240310, 20240311], "20240310", 20240311),
        ("VARCHAR", ["2024-03-10", "2024-03-11"], "2024-03-10", "2024-03-11"),
        ("TIMESTAMP_NS", [datetime(2024, 3, 10), datetime(2024, 3, 11)], "2024-03-10", "2024-03-11"),
    ],
)
def test_any_column_can_tell_the_time(
    put: Put, reader: Reader, kind: str, values: list[Any], lower: Any, upper: Any
) -> None:
    """Dates, numbers and text bound a window too, each in its own order."""
    legacy, candidate = (put(side, {"at": kind}, [(value,) for value in values]) for side in Side)
    check = compare(ComparisonSpec("w", legacy, candidate, (), "at", lower, upper), reader)
    assert check.rows == SideCounts(1, 1)


def test_rows_outside_the_window_do_not_count(spec: ComparisonSpec, put: Put, reader: Reader) -> None:
    """A difference outside the window is none."""
    put(Side.CANDIDATE, TRIPS, [*ROWS, (4, datetime(2024, 3, 11), 1, "z")])
    window = with_(spec, time_column="AT", lower="2024-03-10", upper="2024-03-11")
    assert compare(window, reader).verdict is Verdict.MATCH


def test_rows_without_time_make_it_inconclusive(spec: ComparisonSpec, put: Put, reader: Reader) -> None:
    """Rows without a time are counted on each side; equal windows are then inconclusive."""
    put(Side.LEGACY, TRIPS, [*ROWS, (4, None, 1, "z"), (5, None, 1, "z")])
    window = with_(spec, time_column="at", lower="2024-03-10", upper="2024-03-11")
    check = compare(window, reader)
    assert (check.verdict, check.null_time_rows) == (Verdict.INCONCLUSIVE, SideCounts(2, 0))
    assert "2 rows of legacy and 0 of candidate have no time" in check.reason

    put(Side.CANDIDATE, TRIPS, ROWS[:2])
    assert compare(window, reader).verdict is Verdict.MISMATCH


@pytest.mark.parametrize("side", list(Side))
def test_one_empty_side_is_a_mismatch(spec: ComparisonSpec, put: Put, reader: Reader, side: Side) -> None:
    """A side without rows does not match one that has some, and the reason says so."""
    put(side, TRIPS, [])
    check = compare(spec, reader)
    assert check.verdict is Verdict.MISMATCH
    assert check.reason.startswith(f"{side} is empty")


def test_nothing_on_either_side_is_inconclusive(spec: ComparisonSpec, put: Put, reader: Reader) -> None:
    """Two empty tables prove nothing."""
    for side in Side:
        put(side, TRIPS, [])
    assert compare(spec, reader).verdict is Verdict.INCONCLUSIVE


def test_a_missing_table_is_inconclusive(spec: ComparisonSpec, reader: Reader) -> None:
    """A table that is not there makes the check inconclusive and is named."""
    check = compare(with_(spec, legacy=NOWHERE), reader)
    assert check.verdict is Verdict.INCONCLUSIVE
    assert check.reason == "legacy relation legacy.main.nowhere does not exist"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"key": ("id", "nope")}, UnknownColumn),
        ({"time_column": "nope"}, UnknownColumn),
        ({"lower": "2024-03-10"}, WindowWithoutTime),
        ({"time_column": "at", "lower": "2024-03-11", "upper": "2024-03-10"}, ReversedWindow),
        ({"time_column": "at", "lower": "2024-03-10T01:00+05:00", "upper": "2024-03-09"}, ReversedWindow),
        ({"time_column": "at", "lower": 10, "upper": 9}, ReversedWindow),
        ({"time_column": "at", "lower": "yesterday"}, UnusableBound),
        ({"time_column": "id", "lower": "2024-03-10"}, UnusableBound),
    ],
)
@pytest.mark.parametrize("missing", [False, True])
def test_a_wrong_request_comes_first(
    spec: ComparisonSpec, reader: Reader, changes: dict[str, Any], error: type[UsageError], missing: bool
) -> None:
    """What is wrong in the request is an error, even when a table is missing too."""
    wrong = with_(spec, **changes, **({"legacy": NOWHERE} if missing else {}))
    with pytest.raises(error):
        compare(wrong, reader)


def test_a_column_of_one_side_is_a_mismatch(spec: ComparisonSpec, put: Put, reader: Reader) -> None:
    """A column without a partner is a mismatch, whatever the rows say, and the common ones are compared."""
    put(Side.CANDIDATE, {**TRIPS, "tip": "INTEGER"}, [(*row, 0) for row in ROWS])
    check = compare(spec, reader)
    assert (check.verdict, check.reason) == (Verdict.MISMATCH, "column tip only in candidate")
    assert check.schema_differences == (
        SchemaDifference(SchemaChange.EXTRA, "tip", candidate_type="INTEGER"),
    )


def test_no_common_column_is_a_mismatch(put: Put, reader: Reader) -> None:
    """Tables that share no column differ, without a failing statement."""
    legacy = put(Side.LEGACY, {"x": "INTEGER"}, [(1,), (2,)])
    candidate = put(Side.CANDIDATE, {"y": "INTEGER"}, [(1,)])
    check = compare(ComparisonSpec("apart", legacy, candidate), reader)
    assert check.verdict is Verdict.MISMATCH
    assert (check.rows, check.only_in_legacy) == (SideCounts(2, 1), 1)


@pytest.mark.parametrize(
    ("legacy", "candidate", "equal"),
    [
        (("BIGINT", 2**53), ("DOUBLE", 2.0**53), True),
        (("BIGINT", 2**53 + 1), ("DOUBLE", 2.0**53), False),
        (("DECIMAL(9,1)", "0.1"), ("DOUBLE", 0.1), True),
        (("DECIMAL(9,1)", "0.3"), ("DOUBLE", 0.1 + 0.2), False),
        (("DECIMAL(9,2)", "0.13"), ("DOUBLE", 0.125), False),
        (("DOUBLE", 0.1), ("FLOAT", 0.1), False),
        (("DOUBLE", 0.125), ("FLOAT", 0.125), True),
        (("DECIMAL(38,38)", "0.5"), ("DECIMAL(20,2)", "0.50"), True),
        (("HUGEINT", 10**38), ("DECIMAL(38,2)", "1"), False),
        (("DOUBLE", float("nan")), ("DOUBLE", float("nan")), True),
        (("DOUBLE", float("inf")), ("DOUBLE", float("-inf")), False),
        (("DOUBLE", -0.0), ("INTEGER", 0), True),
        (("INTEGER", 1), ("BOOLEAN", True), False),
        (("INTEGER", 1), ("VARCHAR", "1"), False),
        (("BOOLEAN", True), ("VARCHAR", "true"), False),
        (("INTEGER", None), ("VARCHAR", None), True),
        (("VARCHAR", None), ("VARCHAR", ""), False),
        (("DATE", date(2024, 3, 10)), ("TIMESTAMP", datetime(2024, 3, 10)), True),
        (("DATE", date(2024, 3, 10)), ("TIMESTAMPTZ", datetime(2024, 3, 10, tzinfo=timezone.utc)), True),
        (("TIMESTAMP", datetime(2024, 3, 10)), ("TIMESTAMP_NS", "2024-03-10 00:00:00.000000001"), False),
        (("INTERVAL", "1 month"), ("INTERVAL", "30 days"), False),
        (("INTERVAL", "1 day"), ("INTERVAL", "24 hours"), False),
        (("VARCHAR COLLATE NOCASE", "a"), ("VARCHAR COLLATE NOCASE", "A"), False),
        (("VARCHAR", "é"), ("VARCHAR", "e\u0301"), False),
        (("INTEGER[]", [1, 2]), ("INTEGER[]", [2, 1]), False),
        (("INTEGER[]", []), ("INTEGER[]", None), False),
        (("INTEGER[]", [None]), ("INTEGER[]", []), False),
        (("INTEGER[]", [0]), ("DOUBLE[]", [-0.0]), True),
        (("INTEGER[2]", [1, 2]), ("BIGINT[]", [1, 2]), True),
        (("VARCHAR[]", ["a, b"]), ("VARCHAR[]", ["a", "b"]), False),
        (("DATE[]", [date(2024, 3, 10)]), ("TIMESTAMP[]", [datetime(2024, 3, 10)]), True),
        (("DATE[]", [date(2024, 3, 10)]), ("VARCHAR[]", ["2024-03-10"]), False),
        (
            ("STRUCT(a INTEGER, b INTEGER)", {"a": 1, "b": 2}),
            ("STRUCT(b INTEGER, a INTEGER)", {"b": 2, "a": 1}),
            True,
        ),
        (
            ("STRUCT(a INTEGER, b INTEGER)", {"a": 1, "b": 2}),
            ("STRUCT(b INTEGER, a INTEGER)", {"b": 1, "a": 2}),
            False,
        ),
        (("STRUCT(a INTEGER)", {"a": 1}), ("STRUCT(A DOUBLE)", {"A": 1.0}), True),
        (("STRUCT(a INTEGER)", {"a": None}), ("STRUCT(a INTEGER)", None), False),
        (("STRUCT(a INTEGER)", {"a": 1}), ("STRUCT(a INTEGER, b INTEGER)", {"a": 1, "b": None}), False),
        (("MAP(VARCHAR, INTEGER)", "{a=1, b=2}"), ("MAP(VARCHAR, BIGINT)", "{b=2, a=1}"), True),
        (("JSON", '{"a": 1, "b": [1, 2]}'), ("JSON", '{"b":[1.0,2e0],"a":1}'), True),
        (("JSON", '{"b": [1, 2]}'), ("JSON", '{"b": [2, 1]}'), False),
        (("JSON", '{"a": null}'), ("JSON", "{}"), False),
        (("JSON", "null"), ("JSON", None), False),
        (("JSON", '"1"'), ("JSON", "1"), False),
        (("JSON", "9007199254740993"), ("JSON", "9007199254740992"), False),
        (("JSON", '{"a": 1, "a": 2}'), ("JSON", '{"a": 2, "a": 1}'), False),
        (("JSON", '{"a.b": 1}'), ("JSON", '{"a": {"b": 1}}'), False),
        (("JSON", '{"a": 1}'), ("VARCHAR", '{"a": 1}'), False),
        (("VARCHAR", '{"a": 1}'), ("VARCHAR", '{"a":1}'), False),
        (
            ("STRUCT(a JSON)[]", [{"a": '{"x": 1, "y": 2}'}]),
            ("STRUCT(a JSON)[]", [{"a": '{"y":2,"x":1.0}'}]),
            True,
        ),
        (("UNION(i INTEGER, s VARCHAR)", 1), ("UNION(i INTEGER, s VARCHAR)", "1"), False),
        (("VARIANT", 1), ("VARIANT", "1"), False),
        (("DATE", "infinity"), ("TIMESTAMP", "infinity"), True),
    ],
    ids=str,
)
def test_what_equal_means(
    put: Put, reader: Reader, legacy: tuple[str, Any], candidate: tuple[str, Any], equal: bool
) -> None:
    """Values are equal by what they mean, across types of one family and never across families."""
    spec = ComparisonSpec(
        "value",
        put(Side.LEGACY, {"v": legacy[0]}, [(legacy[1],)]),
        put(Side.CANDIDATE, {"v": candidate[0]}, [(candidate[1],)]),
    )
    check = compare(spec, reader)
    assert check.verdict is (Verdict.MATCH if equal else Verdict.MISMATCH)
    assert bool(check.schema_differences) == (legacy[0] != candidate[0])


def test_a_wider_type_is_told_from_another(put: Put, reader: Reader) -> None:
    """A type that holds every value of the other is `widened`; either is reported beside the match."""
    legacy = put(Side.LEGACY, {"a": "INTEGER", "b": "BIGINT"}, [(1, 1)])
    candidate = put(Side.CANDIDATE, {"A": "BIGINT", "B": "INTEGER"}, [(1, 1)])
    check = compare(ComparisonSpec("types", legacy, candidate), reader)
    assert check.verdict is Verdict.MATCH
    assert [(change.kind, change.column) for change in check.schema_differences] == [
        (SchemaChange.WIDENED, "a"),
        (SchemaChange.TYPE, "b"),
    ]
    assert "a is INTEGER in legacy and BIGINT in candidate" in check.reason


def test_three_hundred_columns(put: Put, reader: Reader) -> None:
    """A table of 300 columns is compared in one statement and the changed column is found."""
    columns = {f"c{index}": "INTEGER" for index in range(300)}
    legacy = put(Side.LEGACY, columns, [tuple(range(300))])
    candidate = put(Side.CANDIDATE, columns, [(*range(299), -1)])
    check = compare(ComparisonSpec("wide", legacy, candidate, ("c0",)), reader)
    assert check.differing_columns == ("c299",)


def test_the_answer_has_the_documented_fields(spec: ComparisonSpec, reader: Reader) -> None:
    """The JSON answer has every field of the contract, also those that nothing fills yet."""
    assert compare(spec, reader).as_json() == {
        "name": "trips",
        "verdict": "match",
        "error": False,
        "reason": "3 rows equal",
        "rows": {"legacy": 3, "candidate": 3},
        "only_in_legacy": 0,
        "only_in_candidate": 0,
        "modified": 0,
        "differing_columns": [],
        "tolerated": {},
        "expired_tolerances": [],
        "schema_differences": [],
        "key_violations": 0,
        "null_time_rows": 0,
        "samples": [],
    }


class FlakyReader:
    """A warehouse that goes away with the given statement."""

    def __init__(self, survives: int) -> None:
        self.survives, self.dialect = survives, Dialect.DUCKDB
        self.statements: list[str] = []

    def columns(self, relation: Relation) -> list[Column] | None:
        return [Column('i"d', "INTEGER"), Column("at", "TIMESTAMP"), Column("v", "FLOAT")]

    def rows(self, statement: str) -> list[dict[str, Any]]:
        self.statements.append(statement)
        if len(self.statements) > self.survives:
            raise StatementFailed("gone")
        names = (
            "first",
            "last",
            "keys",
            "only_in_legacy",
            "only_in_candidate",
            "modified",
            "bucket",
            "rows",
            "row_sum",
        )
        answer = dict.fromkeys(names, 1)
        return [answer | {"side": 0}, answer | {"side": 1, "row_sum": 2}]


@pytest.mark.parametrize("survives", range(6))
def test_a_warehouse_that_goes_away_is_inconclusive(survives: int) -> None:
    """Whichever statement fails, the verdict is inconclusive with the warehouse's own words."""
    spec = ComparisonSpec("gone", NOWHERE, NOWHERE, ('i"d',), "at", "2024-03-10", "2024-03-11")
    reader = FlakyReader(survives)
    check = compare(spec, reader)
    assert len(reader.statements) == survives + 1
    assert (check.verdict, check.reason) == (
        Verdict.INCONCLUSIVE,
        "the warehouse rejected a statement: gone",
    )


def test_masked_values_stay_in_the_warehouse(spec: ComparisonSpec, put: Put, reader: Reader) -> None:
    """A masked column is compared and named, and its values are never fetched."""
    put(Side.CANDIDATE, TRIPS, [(1, NOON, 10, "secret"), (2, NOON, 20, "b"), (4, NOON, 30, "secret")])
    check = compare(with_(spec, masked=("ZONE",)), reader)
    assert check.changed_values == {"zone": 1}
    assert "secret" not in str(check.samples)
    assert check.samples[0]["columns"] == {"zone": {"legacy": "***", "candidate": "***"}}


def test_a_mask_of_no_column_is_an_error(spec: ComparisonSpec, reader: Reader) -> None:
    """A mask with a slip in its name would show what it is there to hide."""
    with pytest.raises(UnknownColumn, match="zoen"):
        compare(with_(spec, masked=("zoen",)), reader)


def test_without_a_key_the_differing_columns_are_named(
    spec: ComparisonSpec, put: Put, reader: Reader
) -> None:
    """Where as many rows were lost as gained, the columns that hold other values are named."""
    put(Side.CANDIDATE, TRIPS, [(1, NOON, 11, "a"), (2, NOON, 19, "b"), (3, NOON, 30, "c")])
    check = compare(with_(spec, key=()), reader)
    assert (check.only_in_legacy, check.only_in_candidate, check.modified) == (2, 2, 0)
    assert check.differing_columns == ("fare",)
    assert check.reason == "2 rows only in legacy; 2 rows only in candidate; their values differ in fare"


@pytest.mark.parametrize(
    ("legacy", "candidate", "said"),
    [
        ("TIMESTAMPTZ", "TIMESTAMP", ["2024-11-03 05:30:00 UTC", "2024-11-03 06:30:00 UTC"]),
        ("TIMESTAMP", "TIMESTAMPTZ", ["2024-11-03 05:30:00 UTC", "2024-11-03 06:30:00 UTC"]),
        ("TIMESTAMPTZ", "TIMESTAMPTZ", ["2024-11-03 11:15:00+05:45", "2024-11-03 12:15:00+05:45"]),
        ("TIMESTAMP", "TIMESTAMP", ["2024-11-03 05:30:00", "2024-11-03 06:30:00"]),
    ],
)
@pytest.mark.parametrize("key", [("id",), ()])
def test_a_sample_says_where_an_instant_is_read(
    put: Put, reader: Reader, legacy: str, candidate: str, said: list[str], key: tuple[str, ...]
) -> None:
    """An instant has an offset or UTC behind it in a sample, and a time of no zone stays as it stands."""
    rows = {}
    for side, kind, hour in ((Side.LEGACY, legacy, 5), (Side.CANDIDATE, candidate, 6)):
        at = datetime(2024, 11, 3, hour, 30, tzinfo=timezone.utc if kind == "TIMESTAMPTZ" else None)
        rows[side] = put(side, {"id": "INTEGER", "at": kind}, [(1, at)])

    samples = compare(ComparisonSpec("trips", rows[Side.LEGACY], rows[Side.CANDIDATE], key), reader).samples

    shown = [sample["columns"]["at"] if key else sample["row"]["at"] for sample in samples]
    assert ([*shown[0].values()] if key else shown) == said
