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
    for each in tables:
        lines.add_row(
            each.name,
            ", ".join(each.asked) or "–",
            each.standing.value,
            each.asked_time or "–",
            f"{each.data.rows:,}",
            PlainText(each.data.verdict.value, style=STYLE[each.data.verdict]),
        )
    out.print(lines)
    out.print()
    for each in tables:
        out.print(f" {each.name}: key: {each.source}; time column: {each.time_source}", soft_wrap=True)
        if each.data.verdict is not KeyVerdict.NONE:
            out.print(f" {each.name}: {each.data.verdict.value}: {_on_data(each)}", soft_wrap=True)
    if proposals := [each.proposal for each in tables if each.proposal]:
        text = yaml.safe_dump({"compare": proposals}, sort_keys=False, allow_unicode=True, width=1000)
        print_plain(f"\nNot in the YAML of {unit} yet:\n\n{text}".rstrip())


def _on_data(table: TableKeys) -> str:
    reason = table.data.reason
    if table.data.example:
        key = ", ".join(f"{name}={value}" for name, value in table.data.example.items())
        reason += f", such as {key}, which occurs {table.data.copies:,} times"
    if table.data.null_times:
        reason += f"; {table.data.null_times:,} rows have no {table.asked_time} and belong to no window"
    return reason
