"""The store of the record: where it is, what it holds, what is wrong in it."""

from __future__ import annotations

from dagster_defs.lifecycle.stores import Figures, Imported, Made, StoreCheck
from dagster_defs.render.text.base import out, print_plain, table, warn


def print_figures(figures: Figures) -> None:
    print_plain(f"store     {figures.place}")
    print_plain(f"version   {figures.version}")
    print_plain(
        f"entries   {figures.entries:,} of {figures.units:,} units, the newest at position {figures.position:,}"
    )
    print_plain(f"marks     {figures.marks:,}")
    if figures.held is None:
        print_plain("moving    files do not tell")
    elif not figures.held:
        print_plain("moving    nothing")
    else:
        rows = table("MOVING", "BY", "SINCE")
        for held in figures.held:
            rows.add_row(held.unit, held.who, held.since)
        out.print(rows)


def print_store_check(check: StoreCheck) -> None:
    figures = check.figures
    print_plain(f"{figures.place}: {figures.entries:,} entries and {figures.marks:,} marks were read")
    for drift in check.drifts:
        warn(f"{drift.about}: {drift.why}")
    if not check.drifts:
        print_plain("the marks are what the ledger says")


def print_made(made: Made) -> None:
    if not made.before:
        print_plain(f"{made.place}: made, version {made.after}")
    elif made.before == made.after:
        print_plain(f"{made.place}: is there already, version {made.after}")
    else:
        print_plain(f"{made.place}: brought from version {made.before} to {made.after}")


def print_imported(imported: Imported) -> None:
    what = f"{imported.entries:,} entries and {imported.marks:,} marks of {imported.source}"
    said = "imported" if imported.is_new else "are there already"
    print_plain(f"{imported.place}: {what} {said}")
