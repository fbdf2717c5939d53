"""Keys and time columns of a unit's tables."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from dagster_defs.lifecycle.keys import TableKeys
from dagster_defs.parity.row_key import KeyVerdict
from dagster_defs.render.text.base import PlainText, out, print_plain, table

STYLE = {
    KeyVerdict.UNIQUE: "green",
    KeyVerdict.VIOLATED: "bold red",
    KeyVerdict.INCONCLUSIVE: "yellow",
    KeyVerdict.NONE: "dim",
}


def print_keys(unit: str, tables: Sequence[TableKeys]) -> None:
    """The table, the origin of each column, and what to write into the YAML."""
    if not tables:
        out.print(f"{unit} builds no table that is compared")
        return
    lines = table("TABLE", "KEY", "STANDING", "TIME COLUMN", "ROWS", "IN LEGACY")
    for one in tables:
        lines.add_row(
            one.name,
            ", ".join(one.asked) or "–",
            one.standing.value,
            one.asked_time or "–",
            f"{one.data.rows:,}",
            PlainText(one.data.verdict.value, style=STYLE[one.data.verdict]),
        )
    out.print(lines)
    out.print()
    for one in tables:
        out.print(f" {one.name}: key: {one.source}; time column: {one.time_source}", soft_wrap=True)
        if one.data.verdict is not KeyVerdict.NONE:
            out.print(f" {one.name}: {one.data.verdict.value}: {_on_data(one)}", soft_wrap=True)
    if proposals := [one.proposal for one in tables if one.proposal]:
        text = yaml.safe_dump({"compare": proposals}, sort_keys=False, allow_unicode=True, width=1000)
        print_plain(f"\nNot in the YAML of {unit} yet:\n\n{text}".rstrip())


def _on_data(one: TableKeys) -> str:
    said = one.data.reason
    if one.data.example:
        key = ", ".join(f"{name}={value}" for name, value in one.data.example.items())
        said += f", such as {key}, which occurs {one.data.copies:,} times"
    if one.data.null_times:
        said += f"; {one.data.null_times:,} rows have no {one.asked_time} and belong to no window"
    return said
