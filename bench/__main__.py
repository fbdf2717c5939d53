"""Runs every bench, or those that are named, and prints its rows."""

import sys

from rich.console import Console

from bench import compare, no_reparse, one_window, whole_estate
from bench.table import print_rows

BENCHES = {
    "one-window": ("One window of taxi_daily.dbt_daily, seconds", one_window.measure),
    "no-reparse": ("From the start of a run to the first model's start, seconds", no_reparse.measure),
    "whole-estate": ("The map of a whole estate, seconds", whole_estate.measure),
    "compare": (
        "Two tables of 10 M rows × 12 columns that differ in 7 rows, seconds (peak memory)",
        compare.measure,
    ),
}
# Only by name: minutes, and gigabytes of disk
LARGE = {
    "compare-large": ("Two tables of 100 M rows × 12 columns, seconds (peak memory)", compare.measure_large),
}

if __name__ == "__main__":
    console = Console(width=None if Console().is_terminal else 160)
    for name in sys.argv[1:] or BENCHES:
        title, measure = (BENCHES | LARGE)[name]
        print_rows(console, title, measure(console))
