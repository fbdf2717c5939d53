"""Plans of moves, and who wrote which window."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from typing_extensions import assert_never

from dagster_defs.lifecycle import Owner, Unit
from dagster_defs.lifecycle.backfills import Backfill
from dagster_defs.lifecycle.gates import Blocker, Proposal, Proposed
from dagster_defs.lifecycle.moves import Done, Planned, explained
from dagster_defs.lifecycle.programs_beside import once_cut_over
from dagster_defs.lifecycle.stages import Move
from dagster_defs.lifecycle.written import Continuity, Extent, Span
from dagster_defs.render.text.base import PlainText, err, out, table

LISTED = 5  # how many parts of a line are listed when there may be any number


def print_proposals(proposals: Sequence[Proposed]) -> None:
    """The plan of each unit, step by step, and what stands against it; or that nothing is left to do."""
    for proposed in proposals:
        match proposed:
            case Done(unit, said=why):
                out.print(PlainText(f"{unit}: {why}"), soft_wrap=True)
            case Proposal():
                _print_proposal(proposed)
            case _:
                assert_never(proposed)


def _print_proposal(proposal: Proposal) -> None:
    plan = proposal.plan
    change = f"{plan.from_} → {plan.to}" if plan.from_ is not plan.to else f"stays {plan.to}"
    out.print(PlainText(f"{plan.move} {plan.unit}: {change}", style="bold"), soft_wrap=True)
    for number, step in enumerate(explained(plan), start=1):
        out.print(PlainText(f"  {number}. {step}"), soft_wrap=True)
    if proposal.accepted:
        out.print(PlainText(f"  {proposal.accepted}"), soft_wrap=True)
    if proposal.beside:
        out.print(PlainText(f"  beside dbt: {once_cut_over(proposal.beside)}"), soft_wrap=True)
    _print_blockers(proposal.blockers)


def proposals_json(
    proposals: Sequence[Proposed],
    *,
    applied: bool,
    runs: Sequence[Mapping[str, str]] = (),
    written: Mapping[Unit, Mapping[Owner, Sequence[Span]]] | None = None,
) -> dict[str, Any]:
    """`{schema, applied, units: [{unit, move, from, to, already, steps, blockers}], runs, written}`; see
    docs/reference.md."""
    return {
        "schema": "parity/move/1",
        "applied": applied,
        "units": [proposal.as_json() for proposal in proposals],
        "runs": [dict(run) for run in runs],
        "written": {
            str(unit): {owner.value: [span.as_json() for span in spans] for owner, spans in by_side.items()}
            for unit, by_side in (written or {}).items()
        },
    }


def print_backfills(backfills: Sequence[Backfill]) -> None:
    """One line for each run, and what blocks it."""
    for each in backfills:
        if not each.runs:
            out.print(PlainText(f"{each.unit}: there is no window to fill"), soft_wrap=True)
        for run in each.runs:
            out.print(PlainText(f"backfill {each.unit}: Dagster runs {run}"), soft_wrap=True)
        _print_blockers(each.blockers)


def _print_blockers(blockers: Sequence[Blocker]) -> None:
    for blocker in blockers:
        out.print(
            PlainText("  blocked", style="bold red").append(f" ({blocker.gate}): {blocker}", "default"),
            soft_wrap=True,
        )


def print_windows(unit: Unit, by_side: Mapping[Owner, Sequence[Span]]) -> None:
    """The windows that each orchestrator wrote; empty means that it is not known."""
    if not by_side:
        err.print(
            PlainText("who wrote which window is not known: DAGSTER_HOME names no event log"), soft_wrap=True
        )
        return
    for owner, spans in by_side.items():
        listed = ", ".join(map(str, spans)) or "none"
        out.print(
            PlainText(f"  since the cutover of {unit}, written by {owner.value.title()}: {listed}"),
            soft_wrap=True,
        )


def print_continuity(units: Sequence[Continuity]) -> None:
    """A line for each unit and writer, then one for each gap, overlap and outstanding stretch."""
    lines = table("UNIT", "WRITTEN BY", "WINDOWS")
    for unit in units:
        rows = [(owner.value, _listed(spans)) for owner, spans in unit.by_owner.items() if spans]
        unknown = "no run known, and it has no windows" if unit.of_event else "none known"
        for cells in rows or [("–", "it writes none" if unit.nothing_to_write else unknown)]:
            lines.add_row(str(unit.unit), *cells)
    out.print(lines)
    out.print()
    for unit in units:
        for kind, line in _continuity_lines(unit):
            style = (
                "yellow" if kind in ("skipped", "waiting", "waits", "started by", "unknown") else "bold red"
            )
            out.print(PlainText(kind, style=style).append(f" {unit.unit}: {line}", "default"), soft_wrap=True)
    for unit in units:
        if unit.of_event and not unit.nothing_to_write:
            note = f" {unit.unit}: its DAG has no clock; these are the runs that have written something"
            out.print(PlainText("no windows", style="yellow").append(note, "default"), soft_wrap=True)
    windows = [window for unit in units for window in unit.windows]
    runs = sum(len(unit.windows) for unit in units if unit.of_event)
    counts = [(extent.value, sum(window.extent is extent for window in windows)) for extent in Extent]
    counts.append(("overlapping", sum(len(unit.overlaps) for unit in units)))
    listed = ", ".join(f"{count:,} {name}" for name, count in counts if count)
    counted = f"{len(windows) - runs:,} windows" + (f", {runs:,} runs without a window" if runs else "")
    out.print(f"{len(units)} units, {counted}{f': {listed}' if listed else ''}")


def _continuity_lines(continuity: Continuity) -> Iterator[tuple[str, str]]:
    """What a person should know or do, each with its kind."""
    if continuity.problem:
        yield "error", continuity.problem
    for lack in (*continuity.lacks, *continuity.waiting):
        yield lack.extent.value, f"{lack}. {lack.remedy}"
    for window in continuity.overlaps:
        wrote = ", ".join(map(str, window.wrote))
        yield "overlap", f"{window.partition}: {window.overlap}: {wrote}. {continuity.remedy_of(window)}"
    if continuity.skipped:
        yield "skipped", f"{_listed(continuity.skipped)}, because Airflow itself has skipped the task"
    for partition, waits in continuity.waited_for.items():
        yield "waits", f"{partition}: {', '.join(map(str, waits))}"
    if continuity.started_by:
        last = f". Last: {continuity.last_event}" if continuity.last_event else ""
        yield "started by", f"{continuity.started_by}{last}"
    if continuity.unknown:
        yield "unknown", f"{_listed(continuity.unknown)}: written, but not windows of the current schedule"


def _listed(parts: Sequence[object]) -> str:
    """All of them if there are few; else the first ones, and how many more there are."""
    more = f" and {len(parts) - LISTED:,} more" if len(parts) > LISTED else ""
    return ", ".join(map(str, parts[:LISTED])) + more


def continuity_json(units: Sequence[Continuity]) -> dict[str, Any]:
    """`{schema, units: [...]}`; see docs/reference.md."""
    return {"schema": "parity/windows/1", "units": [unit.as_json() for unit in units]}


def print_moved(plan: Planned) -> None:
    """The new stage, and how to undo it."""
    undo = {Move.CUTOVER: "rollback", Move.ROLLBACK: "cutover", Move.HOLD: "release", Move.RELEASE: "hold"}
    holding = {Move.HOLD: "held, still ", Move.RELEASE: "released, still "}
    moved = plan.from_ is not plan.to or plan.move in holding
    way = f" To undo it: parity {undo[plan.move]} {plan.unit}" if moved and plan.move in undo else ""
    out.print(PlainText(f"{plan.unit} is {holding.get(plan.move, '')}{plan.to}.{way}"), soft_wrap=True)
