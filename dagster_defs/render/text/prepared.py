"""What was made ahead, as text."""

from __future__ import annotations

from dagster_defs.lifecycle.prepared import PreparedProjects
from dagster_defs.render.text.base import out, print_error, print_plain, table


def print_preparation(prepared: PreparedProjects) -> None:
    for clone in prepared.fetched:
        print_plain(f"{clone.folder}: {clone.address} at {clone.commit[:12]}")
    if prepared.targets:
        rows = table("PROJECT", "TARGET", "NODES", "UNITS", "SECONDS", "IN")
        for each in prepared.targets:
            figures = (f"{each.nodes:,}", f"{each.units:,}", f"{each.seconds:.1f}")
            rows.add_row(each.project, each.target, *figures, each.folder)
        out.print(rows)
    elif not prepared.broken:
        print_plain("no unit runs dbt: there is nothing to prepare")
    for fault in prepared.broken:
        print_error(f"broken: {fault}")
