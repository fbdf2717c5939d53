"""Commands that move units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from dagster_defs.cli.app import (
    MOVING,
    Apply,
    AsJson,
    EndRuns,
    Force,
    Reason,
    Units,
    app,
)
from dagster_defs.errors import ParityError, ReasonMissing
from dagster_defs.settings import Settings

if TYPE_CHECKING:  # a verb's help is shown without its code
    from dagster_defs.lifecycle import Owner, Unit
    from dagster_defs.lifecycle.gates import Proposal
    from dagster_defs.lifecycle.moves import Plan, PlannedMove
    from dagster_defs.lifecycle.written import Span

Wait = Annotated[
    bool,
    typer.Option(
        "--wait", help="With --apply: follow the unit's next run to its end. Ctrl-C ends the waiting."
    ),
]


@app.command(rich_help_panel=MOVING)
def shadow(
    units: Units,
    apply: Apply = False,
    wait: Wait = False,
    force: Force = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Let Dagster run each window too, into candidate tables, to be compared."""
    from dagster_defs.lifecycle.stages import Move

    _forward(Move.SHADOW, units, How(apply, wait, force, reason, as_json))


@app.command(rich_help_panel=MOVING)
def cutover(
    units: Units,
    apply: Apply = False,
    wait: Wait = False,
    force: Force = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Make the Airflow task a proxy, so that Dagster's run of each window counts."""
    from dagster_defs.lifecycle.stages import Move

    _forward(Move.CUTOVER, units, How(apply, wait, force, reason, as_json))


@app.command(rich_help_panel=MOVING)
def rollback(
    units: Units,
    apply: Apply = False,
    wait: Wait = False,
    end_runs: EndRuns = False,
    rehearsed: Annotated[
        bool,
        typer.Option("--rehearsed", help="Only note that it was rehearsed elsewhere; --reason says where."),
    ] = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Give the next task back to Airflow, or undo a half-done move. No gate stands in the way."""
    from dagster_defs.lifecycle.stages import Move
    from dagster_defs.usecases.move.propose import propose, propose_noting

    settings = Settings.from_process()
    if rehearsed:
        found = propose_noting(settings, units, reason)
    else:
        found = propose(settings, Move.ROLLBACK, units, end_runs=end_runs)
    _move(found, How(apply, wait and not rehearsed, False, reason, as_json))


@app.command(rich_help_panel=MOVING)
def retire(
    units: Units,
    apply: Apply = False,
    wait: Wait = False,
    force: Force = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Pause a whole DAG in Airflow after its last window; Dagster starts every window from the next one on."""
    from dagster_defs.lifecycle.stages import Move

    _forward(Move.RETIRE, units, How(apply, wait, force, reason, as_json))


@app.command(rich_help_panel=MOVING)
def backfill(
    units: Units,
    first: Annotated[str, typer.Option("--from", help="First partition: a key, or a day.")] = "",
    last: Annotated[str, typer.Option("--to", help="Last partition; without it, just the first.")] = "",
    gaps: Annotated[
        bool,
        typer.Option(
            "--gaps", help="Instead: the windows that nobody has written, as `parity windows` says."
        ),
    ] = False,
    apply: Apply = False,
    wait: Annotated[bool, typer.Option("--wait", help="With --apply: follow the runs to their end.")] = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Let Dagster run windows of a unit that it owns: in one run where the unit can take them together."""
    from dagster_defs import render
    from dagster_defs.usecases.backfill import propose_backfill, run_backfills

    if gaps is bool(first):
        raise typer.BadParameter("say --from (and --to), or --gaps")
    settings = Settings.from_process()
    found = propose_backfill(settings, units, first, last, gaps=gaps)
    if not as_json:
        render.print_backfills(found)
    todo = [one for one in found if one.runs]
    say = render.Steps().say
    runs = run_backfills(settings, todo, reason=reason, wait=wait, say=say) if apply else ()
    launched = [{"unit": str(one.unit), **run.span.as_json(), "run": run_id} for one, run, run_id in runs]
    if as_json:
        render.print_json(
            {
                "schema": "parity/backfill/1",
                "applied": apply,
                "backfills": [one.as_json() for one in found],
                "launched": launched,
            }
        )
    _close(todo=bool(todo), apply=apply, closed=any(one.blockers for one in todo))


@app.command(rich_help_panel=MOVING)
def hold(units: Units, apply: Apply = False, reason: Reason = "", as_json: AsJson = False) -> None:
    """Let nobody move a unit further; the way back stays open. Needs --reason."""
    from dagster_defs.lifecycle.stages import Move
    from dagster_defs.usecases.move.propose import propose

    if not reason.strip():
        raise ReasonMissing("hold")
    _move(propose(Settings.from_process(), Move.HOLD, units), How(apply, False, False, reason, as_json))


@app.command(rich_help_panel=MOVING)
def release(units: Units, apply: Apply = False, reason: Reason = "", as_json: AsJson = False) -> None:
    """End a hold."""
    from dagster_defs.lifecycle.stages import Move
    from dagster_defs.usecases.move.propose import propose

    _move(propose(Settings.from_process(), Move.RELEASE, units), How(apply, False, False, reason, as_json))


@app.command(rich_help_panel=MOVING)
def resume(
    units: Annotated[
        list[str] | None, typer.Argument(help="As for a move; none: whatever is half-done or has drifted.")
    ] = None,
    apply: Apply = False,
    end_runs: EndRuns = False,
    as_json: AsJson = False,
) -> None:
    """Finish half-done moves, and put marks right that are not what the ledger says."""
    from dagster_defs import render
    from dagster_defs.usecases.move.propose import propose_resuming

    found = propose_resuming(Settings.from_process(), units or [], end_runs=end_runs)
    if not found and not as_json:
        render.print_plain("nothing is half-done")
    _move(found, How(apply, False, False, "", as_json))


@dataclass(frozen=True, slots=True)
class How:
    """The options that all moves share."""

    apply: bool
    wait: bool
    force: bool
    reason: str
    as_json: bool


def _forward(move: PlannedMove, units: list[str], how: How) -> None:
    from dagster_defs.usecases.move.propose import propose

    _move(propose(Settings.from_process(), move, units), how)


def _move(found: Sequence[Proposal], how: How) -> None:
    """Show the plans; with `apply` carry them out, all of them or, where a gate is closed, none."""
    from dagster_defs import render
    from dagster_defs.usecases.move.apply import carry_out
    from dagster_defs.usecases.move.next_run import follow_next
    from dagster_defs.usecases.move.propose import refuse_closed

    settings, todo = Settings.from_process(), [one for one in found if one.plan.steps]
    if not how.as_json:
        render.print_proposals(found)
    runs: list[dict[str, str]] = []
    written: dict[Unit, Mapping[Owner, Sequence[Span]]] = {}
    if how.apply:
        refuse_closed(todo, force=how.force, reason=how.reason)
        steps, began = render.Steps(), datetime.now(UTC)
        done = list(carry_out(settings, todo, reason=how.reason, say=steps.say))
        written = {plan.unit: _written_since(settings, plan.unit, plan.since) for plan in done if plan.since}
        if not how.as_json:
            _show(done, written)
        runs = [follow_next(settings, plan, began, steps.say) for plan in done] if how.wait else []
    if how.as_json:
        render.print_json(render.proposals_json(found, applied=how.apply, runs=runs, written=written))
    if any(run["state"] != "success" for run in runs):
        raise typer.Exit(1)
    _close(todo=bool(todo), apply=how.apply, closed=not how.force and any(one.blockers for one in todo))


def _written_since(settings: Settings, unit: Unit, since: datetime) -> Mapping[Owner, Sequence[Span]]:
    from dagster_defs import render
    from dagster_defs.usecases.continuity import windows_by_side

    try:
        return windows_by_side(settings, unit, since)
    except ParityError as error:  # the move is done, and nothing that cannot be read changes that
        render.warn(str(error))
        return {}


def _show(done: Sequence[Plan], written: Mapping[Unit, Mapping[Owner, Sequence[Span]]]) -> None:
    from dagster_defs import render

    for plan in done:
        render.print_moved(plan)
        if plan.unit in written:
            render.print_windows(plan.unit, written[plan.unit])


def _close(*, todo: bool, apply: bool, closed: bool) -> None:
    from dagster_defs import render

    if todo and not apply:
        render.say("Nothing was done. To do it, add --apply")
        raise typer.Exit(3 if closed else 0)
