"""Runs all benches, or the named ones, and prints their rows; exit code 1 if a bound is exceeded."""

import sys

from rich.console import Console

from bench import (
    answers,
    compare,
    ledger,
    location,
    lookup,
    mixed_estate,
    no_reparse,
    observe,
    one_window,
    proxied,
    question,
    task,
    thirty,
    unit_run,
    whole_estate,
)
from bench.table import print_rows
from dagster_defs.adapters.processes.supervisor import signals_interrupt

BENCHES = {
    "answers": ("CPU time of commands, milliseconds", answers.measure, answers.BOUNDS),
    "one-window": ("One window of taxi_daily.dbt_daily, seconds", one_window.measure, ()),
    "no-reparse": (
        "From the start of a run to the first model's start, seconds",
        no_reparse.measure,
        no_reparse.BOUNDS,
    ),
    "whole-estate": ("The map of a whole estate, seconds", whole_estate.measure, whole_estate.BOUNDS),
    "mixed-estate": (
        "A company of 1,000 tasks over two months, seconds of CPU",
        mixed_estate.measure,
        mixed_estate.BOUNDS,
    ),
    "ledger": ("The ledger's file, seconds of CPU", ledger.measure, ledger.BOUNDS),
    "location": ("Loading a code location, seconds of CPU", location.measure, location.BOUNDS),
    "unit-run": ("A run of one unit, seconds of CPU of its worker", unit_run.measure, unit_run.BOUNDS),
    "observe": (
        f"A burst of {observe.BURST:,} finished task instances, seconds for each thousand (peak memory)",
        observe.measure,
        observe.BOUNDS,
    ),
    "lookup": (
        "What a proxy asks before it launches, milliseconds; daily assets with three years of partitions",
        lookup.measure,
        lookup.BOUNDS,
    ),
    "question": (
        "What a task with a switch asks before it begins, milliseconds",
        question.measure,
        (),
    ),
    "proxied": (
        "A proxied task from start to end in Airflow, seconds",
        proxied.measure,
        proxied.BOUNDS,
    ),
    "task": ("One task in Airflow's environment, seconds of CPU", task.measure, task.BOUNDS),
    "compare": (
        "Two tables of 10 M rows × 12 columns that differ in 7 rows, seconds (peak memory)",
        compare.measure,
        compare.BOUNDS,
    ),
    "compare-wide": (
        "Two tables of 1 M rows × 300 columns that differ in 7 rows, seconds (peak memory)",
        compare.measure_wide,
        compare.WIDE_BOUNDS,
    ),
}
# Only on request: these take minutes, and gigabytes of disk
LARGE = {
    "thirty": ("Thirty windows of one unit again, seconds", thirty.measure, thirty.BOUNDS),
    "compare-large": (
        "Two tables of 100 M rows × 12 columns, seconds (peak memory)",
        compare.measure_large,
        compare.LARGE_BOUNDS,
    ),
}

if __name__ == "__main__":
    console = Console(width=None if Console().is_terminal else 160)
    kept = True
    with signals_interrupt():
        for name in sys.argv[1:] or BENCHES:
            title, measure, bounds = (BENCHES | LARGE)[name]
            kept &= print_rows(console, title, measure(console), bounds)
    sys.exit(0 if kept else 1)
