"""What was made ahead, as text."""

from __future__ import annotations

from dagster_defs.lifecycle.prepared import ALL, PreparedProjects, PreparedTarget
from dagster_defs.render.text.base import out, print_error, print_plain, table


def print_preparation(prepared: PreparedProjects) -> None:
    for clone in prepared.fetched:
        print_plain(f"{clone.folder}: {clone.address} at {clone.commit[:12]}")
    if prepared.targets:
        rows = table("PROJECT", "TARGET", "NODES", "UNITS", "PARSED", "SECONDS", "IN")
        for each in prepared.targets:
            figures = (f"{each.nodes:,}", f"{each.units:,}", _parsed(each), f"{each.seconds:.1f}")
            rows.add_row(each.project, each.target, *figures, each.folder)
        out.print(rows)
    elif not prepared.broken:
        print_plain("no unit runs dbt: there is nothing to prepare")
    for fault in prepared.broken:
        print_error(f"broken: {fault}")
    for folder in prepared.unused:
        print_error(
            f"not used: {folder} has a manifest of no target here: it was made by another version of dbt, with other "
            "--vars, or for another --target"
        )


def _parsed(target: PreparedTarget) -> str:
    """How many files dbt had to parse, and after which manifest."""
    said: dict[int | str | None, str] = {None: "?", ALL: "everything", 0: "nothing", 1: "1 file"}
    files = said.get(target.parsed, f"{target.parsed} files")
    return f"{files} after {target.built}" if target.built else files
