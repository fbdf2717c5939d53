"""The bench's promises: a figure beyond its bound, or one that is missing, is not kept."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import duckdb
import pytest
from rich.console import Console

from bench import lookup, phases, servers, table, thirty
from dagster_defs.lifecycle import Stage
from dagster_defs.lifecycle.histories import histories

Bound, Row = table.Bound, table.Row

ROWS = [Row("ours", [1.0, 1.2, 1.1], 0.7), Row("peer", [2.0]), Row("bare", [1.0])]


@pytest.mark.parametrize(
    ("bound", "kept", "message"),
    [
        (Bound("ours", 0.6, of="peer"), True, "kept: ours / peer: 0.55"),
        (Bound("ours", 0.5, of="peer"), False, "BEYOND: ours / peer: 0.55"),
        (Bound("ours", 0.2, of="peer", over="bare"), True, "kept: ours / peer, over bare: 0.10"),
        (Bound("ours", 0.05, of="peer", over="bare"), False, "BEYOND: ours / peer, over bare: 0.10"),
        (Bound("ours", 0.5, of="absent"), False, "NOT MEASURED: ours / absent"),
        (Bound("ours", seconds=1.1), True, "kept: ours, seconds: 1.10"),
        (Bound("ours", seconds=1.0), False, "BEYOND: ours, seconds"),
        (Bound("ours", gigabytes=0.5), False, "BEYOND: ours, GB: 0.70"),
    ],
)
def test_a_bound_can_fail(bound: Any, kept: bool, message: str) -> None:
    """The median counts, and each figure is printed beside its limit."""
    written = io.StringIO()

    assert table.print_rows(Console(file=written, width=200), "title", ROWS, [bound]) is kept
    assert message in written.getvalue()


def test_the_phases_of_a_task_add_up_to_it() -> None:
    """A moment that was not seen counts to the next phase, and no second is lost."""
    moments = {"created": 11.0, "STEP_START": 14.0, "first": 16.0, "last": 16.5, "task ends": 20.0}

    phases_of_run = phases.phases(10.0, moments)

    assert sum(phases_of_run.values()) == pytest.approx(10.0)
    assert phases_of_run["the step starts"] == pytest.approx(3.0)
    assert phases.medians([phases_of_run, phases_of_run])["the run's worker starts"] == 0.0


def test_the_first_and_the_last_result_are_told_apart() -> None:
    """Of many results of dbt the first and the last count, and a run's own events by either of their names."""
    events = [
        ("PIPELINE_START", 1.0),
        ("STEP_START", 2.0),
        ("ASSET_MATERIALIZATION", 3.0),
        ("ASSET_CHECK_EVALUATION", 4.0),
        ("ENGINE_EVENT", 4.5),
        ("PIPELINE_SUCCESS", 5.0),
    ]

    found = phases.moments_of(events)

    assert found == {"RUN_START": 1.0, "STEP_START": 2.0, "first": 3.0, "last": 4.0, "RUN_SUCCESS": 5.0}


@pytest.mark.parametrize("stage", [Stage.CUT_OVER, Stage.RETIRED])
def test_the_ledger_of_a_bench_is_one_that_commands_could_have_written(stage: Stage) -> None:
    """It leads to the stage, with no move open."""
    history = histories(servers.ledger_up_to(stage))[servers.UNIT]

    assert (history.stage, history.open) == (stage, None)


def test_a_question_is_asked_at_most_each_second() -> None:
    """Looks that come in between get no for an answer, and Airflow is left alone."""
    answers = iter([True])
    ready = servers.at_most_each_second(lambda: next(answers))

    assert [ready() for _ in range(3)] == [True, False, False]


def test_what_would_take_too_long_is_reckoned_from_ten_windows() -> None:
    """The table says so, and a way that is quick runs all thirty."""
    assert thirty.windows_for(thirty.LONGEST / 31) == 30
    assert thirty.windows_for(thirty.LONGEST / 29) == 10

    assert str(thirty.Backfill(30, 15.0, Path())) == "30 windows in 15.0 s, 0.50 s for each"
    assert "reckoned from them, 30 take 300 s" in str(thirty.Backfill(10, 100.0, Path()))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ([("2024-03-01", 1), ("2024-03-02", 2), ("2024-03-11", 9)], ""),
        ([("2024-03-01", 1), ("2024-03-02", 3)], "1 and 1 without a like"),
        ([("2024-03-01", 1), ("2024-03-02", 2), ("2024-03-02", 2)], "2 rows and 3, 0 and 1 without a like"),
        ([], "2 rows and 0"),
    ],
)
def test_tables_that_differ_have_no_figures(
    tmp_path: Path, other: list[tuple[str, int]], message: str
) -> None:
    """Rows are compared with their number, in the days that both backfills have run."""
    rows = {"one": [("2024-03-01", 1), ("2024-03-02", 2), ("2024-03-30", 30)], "other": other}
    done = {}
    for way, windows in (("one", 30), ("other", 10)):
        with duckdb.connect(str(tmp_path / f"{way}.duckdb")) as connection:
            connection.execute("create table daily_metrics (trip_date date, trips integer)")
            for row in rows[way]:
                connection.execute("insert into daily_metrics values (?, ?)", row)
        done[way] = thirty.Backfill(windows, 1.0, tmp_path / f"{way}.duckdb")
    names = {"one": "one", "other": "other"}
    written = io.StringIO()

    if message:
        with pytest.raises(RuntimeError, match=message):
            thirty.refuse_differences(Console(file=written, width=200), done, names)
    else:
        thirty.refuse_differences(Console(file=written, width=200), done, names)
        assert "equal: main.daily_metrics, one beside other, 10 days: 2 rows" in written.getvalue()


def test_the_bounds_of_the_look_up_are_about_rows_that_it_measures() -> None:
    """Each bound names a way and a size of the bench."""
    measured = {lookup.name_of(way, size) for way in lookup.WAYS for size in lookup.SIZES}

    assert {name for bound in lookup.BOUNDS for name in (bound.what, bound.of)} <= measured
    assert lookup.rounds("stock", lookup.SIZES[-1]) == 1
