"""Runs every bench, or those that are named, and prints its rows."""

import sys

from rich.console import Console

from bench import no_reparse, one_window
from bench.table import print_rows

BENCHES = {
    "one-window": ("One window of taxi_daily.dbt_daily, seconds", one_window.measure),
    "no-reparse": ("From the start of a run to the first model's start, seconds", no_reparse.measure),
}

if __name__ == "__main__":
    console = Console(width=None if Console().is_terminal else 160)
    for name in sys.argv[1:] or BENCHES:
        title, measure = BENCHES[name]
        print_rows(console, title, measure(console))
