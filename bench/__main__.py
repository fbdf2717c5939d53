"""Runs every bench and prints its rows."""

from rich.console import Console

from bench.one_window import measure
from bench.table import print_rows

if __name__ == "__main__":
    console = Console(width=None if Console().is_terminal else 160)
    print_rows(console, "One window of taxi_daily.dbt_daily, seconds", measure(console))
