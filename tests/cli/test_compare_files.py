"""`parity compare` of files: many of one side, of changing columns and types, and CSV files, which have text."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from dagster_defs.cli import app

Answer = Callable[..., dict[str, Any]]


@pytest.fixture
def answer(tmp_path: Path) -> Answer:
    """What `parity compare --spec` says of the files `legacy*` and `candidate*` of the test's folder."""

    def ask(pattern: str = "*.csv", **more: Any) -> dict[str, Any]:
        sides = {side: {"files": f"{side}{pattern}"} for side in ("legacy", "candidate")}
        spec = tmp_path / "spec.yaml"
        spec.write_text(yaml.safe_dump({"comparisons": [{"name": "files", **sides, **more}]}))
        done = CliRunner().invoke(app, ["compare", "--spec", str(spec), "--json"])
        [document] = json.loads(done.stdout)
        assert isinstance(document, dict)
        return document

    return ask


def put(tmp_path: Path, legacy: list[Any], candidate: list[Any]) -> None:
    """Each file of a side: a text for a CSV file, a mapping of Arrow arrays for a Parquet file."""
    for side, files in (("legacy", legacy), ("candidate", candidate)):
        for number, content in enumerate(files):
            if isinstance(content, str | bytes):
                data = content if isinstance(content, bytes) else content.encode()
                (tmp_path / f"{side}{number}.csv").write_bytes(data)
            else:
                pq.write_table(pa.table(content), tmp_path / f"{side}{number}.parquet")


def ints(*values: Any, kind: Any = None) -> pa.Array:
    return pa.array(list(values), kind or pa.int32())


def doubles(*values: Any) -> pa.Array:
    return pa.array(list(values), pa.float64())


PARTS: dict[str, tuple[list[Any], list[Any], str]] = {
    "01-parquet-glob-evolving extra": (
        [{"ride": ints(1)}, {"ride": ints(2), "tip": doubles(1.00)}],
        [{"ride": ints(1)}, {"ride": ints(2), "tip": doubles(9.99)}],
        "mismatch",
    ),
    "01-parquet-glob-evolving narrow": (
        [{"ride": ints(1), "fare": ints(10)}, {"ride": ints(2), "fare": doubles(20.4)}],
        [{"ride": ints(1), "fare": ints(10)}, {"ride": ints(2), "fare": doubles(19.6)}],
        "mismatch",
    ),
    "01-parquet-glob-evolving missing": (
        [{"ride": ints(1), "tip": ints(5)}, {"ride": ints(2), "tip": ints(None)}],
        [{"ride": ints(1), "tip": ints(5)}, {"ride": ints(2)}],
        "match",
    ),
    "an extra column of a later file of the candidate only": (
        [{"ride": ints(1)}, {"ride": ints(2)}],
        [{"ride": ints(1)}, {"ride": ints(2), "tip": ints(7)}],
        "mismatch",
    ),
    "columns in another order, and in another case": (
        [{"a": ints(1), "b": ints(2)}, {"B": ints(4), "A": ints(3)}],
        [{"a": ints(3, 1), "b": ints(4, 2)}],
        "match",
    ),
    "a number that a double cannot hold": (
        [{"id": ints(2**53 + 1, kind=pa.int64())}, {"id": doubles(0.5)}],
        [{"id": ints(2**53 + 1, kind=pa.int64())}, {"id": doubles(0.5)}],
        "inconclusive",
    ),
    "whole numbers that a double can hold": (
        [{"id": ints(2**53, kind=pa.int64())}, {"id": doubles(0.5)}],
        [{"id": doubles(2.0**53, 0.5)}],
        "match",
    ),
    "text in one file, a number in the other": (
        [{"id": ints(1)}, {"id": pa.array(["1"])}],
        [{"id": ints(1)}, {"id": pa.array(["1"])}],
        "inconclusive",
    ),
    "a time with a zone beside one without": (
        [{"at": pa.array([datetime(2024, 3, 10, tzinfo=timezone.utc)])}, {"at": pa.array([datetime(2024, 3, 10)])}],  # noqa: DTZ001
        [{"at": pa.array([datetime(2024, 3, 10, tzinfo=timezone.utc)])}, {"at": pa.array([datetime(2024, 3, 10)])}],  # noqa: DTZ001
        "inconclusive",
    ),
    "nanoseconds in the second file only": (
        [{"at": pa.array([0], pa.timestamp("us"))}, {"at": pa.array([1], pa.timestamp("ns"))}],
        [{"at": pa.array([0], pa.timestamp("us"))}, {"at": pa.array([2], pa.timestamp("ns"))}],
        "mismatch",
    ),
    "a file that has nothing but NULL, without a type": (
        [{"a": pa.array([None], pa.null())}, {"a": pa.array(["x"])}],
        [{"a": pa.array([None, "x"], pa.string())}],
        "match",
    ),
    "more digits than the warehouse holds": (
        [{"a": pa.array([Decimal("1234567890123456789012345678901234567890.1")], pa.decimal256(42, 1))}],
        [{"a": pa.array([Decimal("1234567890123456789012345678901234567890.2")], pa.decimal256(42, 1))}],
        "inconclusive",
    ),
    "decimals of two scales": (
        [
            {"a": pa.array([Decimal("1.10")], pa.decimal128(9, 2))},
            {"a": pa.array([Decimal("1.125")], pa.decimal128(9, 3))},
        ],
        [{"a": pa.array([Decimal("1.100"), Decimal("1.125")], pa.decimal128(20, 3))}],
        "match",
    ),
    "unsigned and signed": (
        [{"a": ints(2**64 - 1, kind=pa.uint64())}, {"a": ints(-1, kind=pa.int64())}],
        [{"a": ints(2**64 - 2, kind=pa.uint64())}, {"a": ints(-1, kind=pa.int64())}],
        "mismatch",
    ),
    "CSV: a column of the second file": (["a\n1\n", "a,b\n2,x\n"], ["a\n1\n", "a,b\n2,y\n"], "mismatch"),
    "CSV: columns in another order": (["a,b\n1,2\n", "b,a\n4,3\n"], ["a,b\n3,4\n1,2\n"], "match"),
    "CSV: fractions in the second file": (["a\n10\n", "a\n20.4\n"], ["a\n10\n", "a\n19.6\n"], "mismatch"),
    "CSV: text in the second file": (["a\n007\n", "a\nx\n"], ["a\n7\n", "a\nx\n"], "mismatch"),
    "CSV: a column twice": (["a,A\n1,2\n"], ["a,A\n1,2\n"], "inconclusive"),
    "CSV: no header": ([""], [""], "inconclusive"),
    "CSV: a row too short": (["a,b\n1\n"], ["a,b\n1\n"], "inconclusive"),
    "CSV: a row too long": (["a\n1,2\n"], ["a\n1,2\n"], "inconclusive"),
    "CSV: no text": ([b"a\n\xe9\n"], [b"a\n\xe9\n"], "inconclusive"),
    "CSV: a delimiter of its own": (["a;b\n1;2\n"], ["a,b\n1,2\n"], "match"),
    "CSV: delimiters that nobody can tell": (["a;b|c\n1;2|3\n"], ["a;b|c\n1;2|3\n"], "inconclusive"),
    "CSV: line breaks in quotes": (['a,b\n1,"x\ny"\n'], ['a,b\n1,"x y"\n'], "mismatch"),
    "CSV: a mark of the byte order": (["\ufeffa\n1\n"], ["a\n1\n"], "match"),
}  # fmt: skip


@pytest.mark.parametrize(("legacy", "candidate", "verdict"), PARTS.values(), ids=PARTS)
def test_many_files(
    answer: Answer, tmp_path: Path, legacy: list[Any], candidate: list[Any], verdict: str
) -> None:
    """Columns and types are those of all files; what cannot be read without a loss is never a match."""
    put(tmp_path, legacy, candidate)
    outcome = answer("*.csv" if isinstance(legacy[0], str | bytes) else "*.parquet")
    assert outcome["verdict"] == verdict, outcome["reason"]
    assert not outcome["error"]


# Text of legacy and of candidate: what the verdict on the two is.
PAIRS = [
    ("007", "7", "mismatch"), ("+5", "5", "mismatch"), ("5", " 5", "mismatch"), ("1e5", "100000", "mismatch"),
    ("-0", "0", "mismatch"), ("-0.0", "0.0", "mismatch"), ("1.50", "1.5", "match"), ("5", "5.0", "match"),
    ("12345678901234567", "12345678901234568", "mismatch"),
    ("0.1", "0.10000000000000000001", "mismatch"),
    ("1" * 40, "1" * 39 + "2", "mismatch"), ("1" * 40, "1" * 40, "match"),
    ("NaN", "nan", "mismatch"), ("true", "True", "mismatch"), ("t", "true", "mismatch"), ("NULL", "", "mismatch"),
    ('""', "", "mismatch"), ("1_000", "1000", "mismatch"), ('"1,000"', "1000", "mismatch"),
    ("01/02/2024", "2024-02-01", "mismatch"), ("2024-02-30", "2024-03-01", "mismatch"),
    ("2024-03-10", "2024-03-10 00:00:00", "mismatch"), ("24:00:00", "00:00:00", "mismatch"),
    ("2024-03-10 07:30:00", "2024-03-10T07:30:00.000", "match"),
    ("2024-03-10 07:30:00.123456789", "2024-03-10 07:30:00.123456788", "mismatch"),
    ("2024-03-10 07:30:00.1234567891", "2024-03-10 07:30:00.1234567892", "mismatch"),
    ("2024-03-10 07:30:00Z", "2024-03-10 08:30:00+01:00", "match"),
    ("2024-03-10 07:30:00Z", "2024-03-10 07:30:00+01", "mismatch"),
    ("2024-03-10 07:30:00Z", "2024-03-10 07:30:00", "mismatch"),
    ("2024-03-10 24:00:00", "2024-03-11 00:00:00", "mismatch"),
    ("é", "e\u0301", "mismatch"), ("x ", "x", "mismatch"), ("A", "a", "mismatch"),
]  # fmt: skip


@pytest.mark.parametrize(("legacy", "candidate", "verdict"), PAIRS)
def test_text_of_two_csv_files(
    answer: Answer, tmp_path: Path, legacy: str, candidate: str, verdict: str
) -> None:
    """Text is read as a number, a date or a time only where it says nothing more than that."""
    put(tmp_path, [f"id,v\n1,{legacy}\n"], [f"id,v\n1,{candidate}\n"])
    assert answer(key=["id"])["verdict"] == verdict


TYPED = [
    (ints(7), "7", "match"), (ints(7), "007", "mismatch"), (ints(7), "7.0", "match"), (ints(7), "+7", "mismatch"),
    (doubles(0.1), "0.1", "match"), (doubles(0.1), "0.10", "match"), (doubles(1e5), "1e5", "match"),
    (doubles(1e-7), "1e-07", "match"), (doubles(0.1), "0.1000000000000000055", "mismatch"),
    (doubles(float("nan")), "NaN", "match"), (doubles(float("inf")), "inf", "match"), (doubles(-0.0), "0", "match"),
    (pa.array([0.1], pa.float32()), "0.1", "match"), (pa.array([16777216.0], pa.float32()), "16777217", "mismatch"),
    (pa.array([True]), "True", "match"), (pa.array([True]), "1", "mismatch"), (pa.array(["007"]), "007", "match"),
    (pa.array(["1.50"]), "1.5", "mismatch"), (pa.array(["true"]), "True", "mismatch"),
    (pa.array([Decimal("1.50")]), "1.5", "match"),
    (pa.array([Decimal("9" * 38)]), "9" * 38, "match"), (pa.array([Decimal("9" * 38)]), "9" * 37 + "8", "mismatch"),
    (ints(19_792, kind=pa.int32()).cast(pa.date32()), "2024-03-10", "match"),
    (ints(19_792, kind=pa.int32()).cast(pa.date32()), "10/03/2024", "mismatch"),
    (pa.array([1_710_055_800_123_456_789], pa.timestamp("ns")), "2024-03-10 07:30:00.123456789", "match"),
    (pa.array([1_710_055_800_123_456_789], pa.timestamp("ns")), "2024-03-10 07:30:00.123456", "mismatch"),
    (pa.array([1_710_055_800_123_456_789], pa.timestamp("ns", "UTC")), "2024-03-10 07:30:00.123456789Z", "match"),
    (pa.array([1_710_055_800_123_456_789], pa.timestamp("ns", "UTC")), "2024-03-10 07:30:00.123456788Z", "mismatch"),
    (pa.array([1_710_055_800_000_000], pa.timestamp("us", "UTC")), "2024-03-10 02:30:00-05:00", "match"),
    (pa.array([None], pa.int32()), "", "match"), (pa.array([None], pa.string()), '""', "mismatch"),
    (pa.array([b"ab"]), "ab", "match"), (pa.array([[1]]), "[1]", "mismatch"),
]  # fmt: skip


@pytest.mark.parametrize(("legacy", "candidate", "verdict"), TYPED)
def test_a_csv_file_beside_a_typed_column(
    answer: Answer, tmp_path: Path, legacy: pa.Array, candidate: str, verdict: str
) -> None:
    """The other side's type says what a text can be; it is read so only where it says no more."""
    put(tmp_path, [{"id": ints(1), "v": legacy}], [f"id,v\n1,{candidate}\n"])
    assert answer("0.*", key=["id"])["verdict"] == verdict


DECLARED = [
    ("date %d/%m/%Y", "01/02/2024", "01/02/2024", "match", ""),
    ("date %d/%m/%Y", "01/02/2024", "1/2/2024", "match", ""),
    ("date %d/%m/%Y", "01/02/2024", "2024-02-01", "inconclusive", "is declared DATE as %d/%m/%Y, and a value is not"),
    ("timestamp %d/%m/%Y %H:%M", "01/02/2024 10:30", "01/02/2024 10:31", "mismatch", ""),
    ("date %d/%m/%Y %H:%M", "01/02/2024 10:30", "01/02/2024 10:30", "inconclusive", "'01/02/2024 10:30'"),
    ("decimal(10,2)", "+01.50", "1.5", "match", ""), ("decimal(10,2)", "1.005", "1.01", "inconclusive", "'1.005'"),
    ("integer", "1.5", "2", "inconclusive", "'1.5'"), ("integer", " 7 ", "007", "match", ""),
    ("text", "1.50", "1.5", "mismatch", ""), ("text", "2024-03-10", "2024-03-10", "match", ""),
    ("double", "1e5", "100000", "match", ""), ("boolean", "t", "True", "match", ""),
    ("timestamp", "2024-03-10 07:30:00.123456789", "2024-03-10 07:30:00.123456", "inconclusive", "123456789"),
    ("timestamp", "2024-03-10 07:30:00Z", "2024-03-10 07:30:00", "inconclusive", "'2024-03-10 07:30:00Z'"),
    ("timestamptz", "2024-03-10 07:30:00", "2024-03-10 07:30:00", "inconclusive", "is declared TIMESTAMPTZ"),
    ("timestamptz", "2024-03-10 07:30:00Z", "2024-03-10 07:30:00+00:00", "match", ""),
]  # fmt: skip


@pytest.mark.parametrize(("declared", "legacy", "candidate", "verdict", "says"), DECLARED)
def test_declared_types(
    answer: Answer, tmp_path: Path, declared: str, legacy: str, candidate: str, verdict: str, says: str
) -> None:
    """A declared type is how a column is read; a value that is none of it, or would lose a digit, is inconclusive."""
    put(tmp_path, [f"id,v\n1,{legacy}\n"], [f"id,v\n1,{candidate}\n"])
    outcome = answer(key=["id"], types={"v": declared})
    assert outcome["verdict"] == verdict, outcome["reason"]
    assert says in outcome["reason"]
    assert not outcome["error"]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"types": {"w": "integer"}}, "declared for column 'w'"),
        ({"types": {"v": "struct(a integer)"}}, "is not a type of a CSV column"),
        ({"types": {"v": "integer %d"}}, "has a format"),
    ],
)
def test_declared_types_that_cannot_be(
    answer: Answer, tmp_path: Path, more: dict[str, Any], says: str
) -> None:
    """What is wrong with a declaration is an error of the request."""
    put(tmp_path, ["id,v\n1,1\n"], ["id,v\n1,1\n"])
    outcome = answer(**more)
    assert (outcome["verdict"], outcome["error"]) == ("inconclusive", True)
    assert says in outcome["reason"]


@pytest.mark.parametrize(
    ("times", "types", "verdict", "says"),
    [
        (("2024-03-10", "2024-03-11"), {}, "match", "1 row equal"),
        (("2024-03-10 05:00:00", "2024-03-11 04:00:00"), {}, "match", "1 row equal"),
        (("2024-03-10T00:00:00-05:00", "2024-03-11T00:00:00-04:00"), {}, "match", "1 row equal"),
        (("10/03/2024", "11/03/2024"), {}, "inconclusive", "Declare its type"),
        (("10/03/2024", "11/03/2024"), {"at": "date %d/%m/%Y"}, "match", "1 row equal"),
        (("10/03/2024", "11/03/2024"), {"at": "date %m/%d/%Y"}, "inconclusive", "neither side has a row"),
        (("2024-03-10", "soon"), {}, "inconclusive", "Declare its type"),
        (("20240310", "20240311"), {}, "inconclusive", "cannot bound column 'at'"),
    ],
)
def test_a_window_on_a_csv_file(
    answer: Answer, tmp_path: Path, times: tuple[str, str], types: dict[str, str], verdict: str, says: str
) -> None:
    """The rows of the window count where the time column is unambiguous or declared; text is never put in order."""
    first, second = times
    put(tmp_path, [f"at,v\n{first},1\n{second},2\n"], [f"at,v\n{first},1\n{second},3\n"])
    window = {"start": "2024-03-10", "end": "2024-03-11", "timezone": "America/New_York"}
    outcome = answer(time_column="at", window=window, types=types)
    assert outcome["verdict"] == verdict, outcome["reason"]
    assert says in outcome["reason"]


def test_values_of_masked_columns_are_not_quoted(answer: Answer, tmp_path: Path) -> None:
    """What is wrong with a value is said without the value where it may not be shown."""
    put(tmp_path, ["v\nit's 1.5\n"], ["v\n1\n"])
    assert "1.5" not in answer(types={"v": "integer"}, masked=["v"])["reason"]


def test_folders_lists_and_one_declaration_for_each_side(tmp_path: Path, answer: Answer) -> None:
    """A folder is all its data files, and not what a writer has left beside them; a list is its files, each once."""
    for name, text in (
        ("legacy/a.csv", "id,at\n1,01/02/2024\n"),
        ("legacy/deep/b.csv", "id,at\n2,02/02/2024\n"),
        ("legacy/_temporary/c.csv", "id,at\n3,02/02/2024\n"),
        ("one.csv", "id,at\n1,2024-02-01\n"),
        ("two[1].csv", "id,at\n2,2024-02-02\n"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    legacy = {"files": "legacy", "types": {"at": "date %d/%m/%Y"}}
    candidate = {"files": ["one.csv", "two[1].csv", "o*.csv"]}
    outcome = answer(legacy=legacy, candidate=candidate, key=["id"])
    assert (outcome["verdict"], outcome["rows"]["legacy"]) == ("match", 2), outcome["reason"]
    pq.write_table(pa.table({"id": ints(1)}), tmp_path / "legacy" / "d.parquet")
    assert "both Parquet and CSV" in answer(legacy=legacy, candidate=candidate)["reason"]
    (tmp_path / "empty").mkdir()
    assert "empty has no data files" in answer(legacy={"files": "empty"}, candidate=candidate)["reason"]


def test_types_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--type COLUMN=TYPE` declares a column of both sides' CSV files."""
    monkeypatch.chdir(tmp_path)
    put(tmp_path, ["v\n007\n"], ["v\n7\n"])

    def ask(*more: str) -> Any:
        return CliRunner().invoke(app, ["compare", "legacy0.csv", "candidate0.csv", *more])

    assert ask().exit_code == 3
    assert ask("--type", "v=integer").exit_code == 0
    assert "'v' is not COLUMN=TYPE" in str(ask("--type", "v").exception)
