"""No six lines stand twice in the product without a reason beside them."""

from __future__ import annotations

import ast
import io
import tokenize
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import combinations_with_replacement

import pytest

from tests.support.estate import ROOT

FOLDERS = ("dagster_defs", "legacy_dags", "demo", "bench")
LINES = 6
_LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING}

_READER_ENDS = "each reader closes a session of its own driver; the seam has a protocol and no base class"
_SEAM = "the signature that the seam asks each warehouse for"
_ALONE = "a file of Airflow's environment works by itself, beside nothing else of the project"
_LEGACY = "DAGs as a team has them: the migration moves them as they stand"
_OPTIONS = "a command's options are its signature: typer reads them there"
_PROTOCOL = "a protocol and what implements it have the same signature"

_WAREHOUSE = "dagster_defs/adapters/warehouse"

# Pairs of files that may have lines in common, and why these are not shared; a file paired with itself repeats them.
REASONS: Mapping[tuple[str, str], str] = {
    ("dagster_defs/cli/looking.py", "dagster_defs/cli/looking.py"): _OPTIONS,
    ("dagster_defs/cli/moving.py", "dagster_defs/cli/moving.py"): _OPTIONS,
    ("dagster_defs/parity/nearness.py", "dagster_defs/parity/nearness.py"): _PROTOCOL,
    ("dagster_defs/usecases/move/live.py", "dagster_defs/usecases/move/live.py"): _PROTOCOL,
    ("dagster_defs/adapters/store/marks.py", "legacy_dags/handover/marks.py"): _ALONE,
    (
        f"{_WAREHOUSE}/duckdb/reader.py",
        f"{_WAREHOUSE}/postgres/reader.py",
    ): _READER_ENDS,
    (
        f"{_WAREHOUSE}/duckdb/reader.py",
        f"{_WAREHOUSE}/snowflake/reader.py",
    ): _READER_ENDS,
    (
        f"{_WAREHOUSE}/duckdb/warehouse.py",
        f"{_WAREHOUSE}/postgres/warehouse.py",
    ): _SEAM,
    (f"{_WAREHOUSE}/duckdb/warehouse.py", f"{_WAREHOUSE}/seam.py"): _SEAM,
    (
        f"{_WAREHOUSE}/duckdb/warehouse.py",
        f"{_WAREHOUSE}/snowflake/warehouse.py",
    ): _SEAM,
    (
        f"{_WAREHOUSE}/postgres/reader.py",
        f"{_WAREHOUSE}/snowflake/reader.py",
    ): _READER_ENDS,
    (
        f"{_WAREHOUSE}/postgres/warehouse.py",
        f"{_WAREHOUSE}/seam.py",
    ): _SEAM,
    (
        f"{_WAREHOUSE}/postgres/warehouse.py",
        f"{_WAREHOUSE}/snowflake/warehouse.py",
    ): _SEAM,
    (
        f"{_WAREHOUSE}/seam.py",
        f"{_WAREHOUSE}/snowflake/warehouse.py",
    ): _SEAM,
    ("legacy_dags/handover/inventory.py", "legacy_dags/handover/run_task.py"): _ALONE,
    ("legacy_dags/handover/inventory.py", "legacy_dags/include/files.py"): _ALONE,
    ("legacy_dags/taxi_boroughs.py", "legacy_dags/taxi_daily.py"): _LEGACY,
    ("legacy_dags/taxi_boroughs.py", "legacy_dags/taxi_hourly.py"): _LEGACY,
    ("legacy_dags/taxi_daily.py", "legacy_dags/taxi_hourly.py"): _LEGACY,
    ("legacy_dags/taxi_daily.py", "legacy_dags/taxi_weekly.py"): _LEGACY,
    ("legacy_dags/taxi_ingest.py", "legacy_dags/taxi_weekly.py"): _LEGACY,
}


def lines_of(program: str) -> list[tuple[int, str]]:
    """Each line with its number, as its tokens; without comments, imports, docstrings and closing brackets."""
    skipped: set[int] = set()
    for node in ast.walk(ast.parse(program)):
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant(value=str())):
                assert isinstance(node, ast.stmt)
                skipped |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    by_line: defaultdict[int, list[str]] = defaultdict(list)
    for token in tokenize.generate_tokens(io.StringIO(program).readline):
        if token.type not in _LAYOUT and token.start[0] not in skipped and token.string.strip():
            by_line[token.start[0]].append(token.string)
    return [
        (number, " ".join(tokens))
        for number, tokens in sorted(by_line.items())
        if any(part not in ")]},:" for part in tokens)
    ]


def shared(programs: Mapping[str, str]) -> Iterator[tuple[str, str, int, int]]:
    """Two files, or one file twice, and the line of each at which six equal ones begin; the first such place of each
    pair of files. Places in one file do not overlap."""
    places: defaultdict[tuple[str, ...], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    numbers: dict[str, list[int]] = {}
    for name, program in programs.items():
        lines = lines_of(program)
        numbers[name] = [number for number, _ in lines]
        for start in range(len(lines) - LINES + 1):
            places[tuple(text for _, text in lines[start : start + LINES])][name].append(start)
    seen: set[tuple[str, str]] = set()
    for starts_by_file in places.values():
        for first, second in combinations_with_replacement(sorted(starts_by_file), 2):
            start, end = starts_by_file[first][0], starts_by_file[second][-1]
            if (first, second) in seen or (first == second and end < start + LINES):
                continue
            seen.add((first, second))
            yield first, second, numbers[first][start], numbers[second][end]


CODE = "def f(a):\n    b = g(a)\n    c = g(b)\n    d = g(c)\n    e = g(d)\n    return e\n"


@pytest.mark.parametrize(
    ("other", "found"),
    [
        (f"import os\n\n\n{CODE}", True),
        (CODE.replace("    c", "\n    # a comment\n    c").replace("g(a)", "g( a )"), True),
        (CODE.replace("g(c)", "g(0)"), False),
        ("from a import (\n    b,\n    c,\n    d,\n    e,\n    f,\n)\n", False),
    ],
    ids=["a-copy", "other-layout", "another-line", "imports"],
)
def test_six_equal_lines_are_seen(other: str, found: bool) -> None:
    """However they are laid out and commented; five are not enough, and imports are no code."""
    assert bool(list(shared({"a.py": CODE, "b.py": other}))) is found


@pytest.mark.parametrize(
    ("program", "places"),
    [
        (CODE + CODE.replace("f(a)", "h(a)", 1).replace("e = g(d)", "e = g(d)\n    e = g(e)"), []),
        (CODE + "\n\n" + CODE, [("a.py", "a.py", 1, 9)]),
        ("a = 1\n" * (2 * LINES - 1), []),
    ],
    ids=["five-lines", "a-copy", "overlapping"],
)
def test_a_file_that_repeats_itself_is_seen(program: str, places: list[tuple[str, str, int, int]]) -> None:
    """Six lines that stand twice in one file are a pair too, unless they are partly the same lines."""
    assert list(shared({"a.py": program})) == places


def test_no_code_stands_twice_without_a_reason() -> None:
    """Each pair of files of the product with six lines in common is listed here with its reason, and no other is."""
    programs = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "__pycache__" not in path.parts
    }
    pairs = {
        (first, second): f"{first}:{at} ~ {second}:{there}" for first, second, at, there in shared(programs)
    }

    assert {place for pair, place in pairs.items() if pair not in REASONS} == set()
    assert REASONS.keys() - pairs.keys() == set(), "they have nothing in common any more"
    assert all(reason.strip() for reason in REASONS.values())
