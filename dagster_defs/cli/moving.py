"""Commands that move units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
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

if TYPE_CHECKING:  # help is shown without importing a command's code
    from dagster_defs.lifecycle import Owner, Unit
    from dagster_defs.lifecycle.gates import Proposed
    from dagster_defs.lifecycle.moves import Planned, PlannedMove
    from dagster_defs.lifecycle.written import Span

Wait = Annotated[
    bool,
    typer.Option("--wait", help="With --apply: follow the unit's next run to its end. Ctrl-C stops waiting."),
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
    """Let Dagster run each window as well, into candidate tables, for comparison."""
    from dagster_defs.lifecycle.stages import Move

    _move_forward(Move.SHADOW, units, MoveOptions(apply, wait, force, reason, as_json))


@app.command(rich_help_panel=MOVING)
def cutover(
    units: Units,
    apply: Apply = False,
    wait: Wait = False,
    force: Force = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Make the Airflow task a proxy, so that Dagster's run of each window is the one that counts."""
    from dagster_defs.lifecycle.stages import Move

    _move_forward(Move.CUTOVER, units, MoveOptions(apply, wait, force, reason, as_json))


@app.command(rich_help_panel=MOVING)
def rollback(
    units: Units,
    apply: Apply = False,
    wait: Wait = False,
    end_runs: EndRuns = False,
    rehearsed: Annotated[
        bool,
        typer.Option("--rehearsed", help="Only record that it was rehearsed elsewhere; --reason says where."),
    ] = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Give the unit back to Airflow, or undo a half-done move. No gate can block this."""
    from dagster_defs.lifecycle.stages import Move
    from dagster_defs.usecases.move.propose import propose, propose_rehearsal_note

    settings = Settings.from_process()
    if rehearsed:
        proposals: Sequence[Proposed] = propose_rehearsal_note(settings, units, reason)
    else:
        proposals = propose(settings, Move.ROLLBACK, units, end_runs=end_runs)
    _move(proposals, MoveOptions(apply, wait and not rehearsed, False, reason, as_json))


@app.command(rich_help_panel=MOVING)
def retire(
    units: Units,
    apply: Apply = False,
    wait: Wait = False,
    force: Force = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Pause a whole DAG in Airflow after its current window; Dagster runs every window from the next one on."""
    from dagster_defs.lifecycle.stages import Move

    _move_forward(Move.RETIRE, units, MoveOptions(apply, wait, force, reason, as_json))


@app.command(rich_help_panel=MOVING)
def backfill(
    units: Units,
    first: Annotated[str, typer.Option("--from", help="First partition: a key or a day.")] = "",
    last: Annotated[str, typer.Option("--to", help="Last partition; --from alone by default.")] = "",
    gaps: Annotated[
        bool,
        typer.Option(
            "--gaps", help="Instead of --from: the windows that nobody wrote, as `parity windows` shows."
        ),
    ] = False,
    apply: Apply = False,
    wait: Annotated[bool, typer.Option("--wait", help="With --apply: follow the runs to their end.")] = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Let Dagster rerun windows of a unit that it owns, in a single run where the unit allows it."""
    from dagster_defs import render
    from dagster_defs.usecases.backfill import propose_backfill, run_backfills

    if gaps is bool(first):
        raise typer.BadParameter("give either --from (and --to), or --gaps")
    settings = Settings.from_process()
    backfills = propose_backfill(settings, units, first, last, gaps=gaps)
    if not as_json:
        render.print_backfills(backfills)
    todo = [planned for planned in backfills if planned.runs]
    say = render.Steps().say
    runs = run_backfills(settings, todo, reason=reason, wait=wait, say=say) if apply else ()
    launched = [
        {"unit": str(planned.unit), **run.span.as_json(), "run": run_id} for planned, run, run_id in runs
    ]
    if as_json:
        render.print_json(
            {
                "schema": "parity/backfill/1",
                "applied": apply,
                "backfills": [planned.as_json() for planned in backfills],
                "launched": launched,
            }
        )
    _end(todo=bool(todo), apply=apply, closed=any(planned.blockers for planned in todo))


@app.command(rich_help_panel=MOVING)
def hold(units: Units, apply: Apply = False, reason: Reason = "", as_json: AsJson = False) -> None:
    """Block a unit's moves forward; rollback stays possible. Requires --reason."""
    from dagster_defs.lifecycle.stages import Move
    from dagster_defs.usecases.move.propose import propose

    if not reason.strip():
        raise ReasonMissing("hold")
    _move(
        propose(Settings.from_process(), Move.HOLD, units), MoveOptions(apply, False, False, reason, as_json)
    )


@app.command(rich_help_panel=MOVING)
def release(units: Units, apply: Apply = False, reason: Reason = "", as_json: AsJson = False) -> None:
    """End a hold."""
    from dagster_defs.lifecycle.stages import Move
    from dagster_defs.usecases.move.propose import propose

    _move(
        propose(Settings.from_process(), Move.RELEASE, units),
        MoveOptions(apply, False, False, reason, as_json),
    )


@app.command(rich_help_panel=MOVING)
def resume(
    units: Annotated[
        list[str] | None,
        typer.Argument(help="Units, as for a move; everything half-done or drifted by default."),
    ] = None,
    apply: Apply = False,
    end_runs: EndRuns = False,
    as_json: AsJson = False,
) -> None:
    """Finish half-done moves, and correct marks that disagree with the ledger."""
    from dagster_defs import render
    from dagster_defs.usecases.move.propose import propose_resuming

    proposals = propose_resuming(Settings.from_process(), units or [], end_runs=end_runs)
    if not proposals and not as_json:
        render.print_plain("nothing is half-done")
    _move(proposals, MoveOptions(apply, False, False, "", as_json))


@dataclass(frozen=True, slots=True)
class MoveOptions:
    """The options that all moves share."""

    apply: bool
    wait: bool
    force: bool
    reason: str
    as_json: bool


def _move_forward(move: PlannedMove, units: list[str], options: MoveOptions) -> None:
    """A move that gates can block."""
    from dagster_defs.usecases.move.propose import propose

    _move(propose(Settings.from_process(), move, units), options)


def _move(proposals: Sequence[Proposed], options: MoveOptions) -> None:
    """Show the plans; with `apply`, carry out all of them, or none if a gate is closed.

    Raises typer.Exit with the command's exit code.
    """
    from dagster_defs import render
    from dagster_defs.lifecycle.gates import Proposal
    from dagster_defs.usecases.move.apply import carry_out
    from dagster_defs.usecases.move.next_run import follow_next
    from dagster_defs.usecases.move.propose import refuse_closed

    settings, todo = Settings.from_process(), [each for each in proposals if isinstance(each, Proposal)]
    if not options.as_json:
        render.print_proposals(proposals)
    runs: list[dict[str, str]] = []
    written: dict[Unit, Mapping[Owner, Sequence[Span]]] = {}
    if options.apply:
        refuse_closed(todo, force=options.force, reason=options.reason)
        steps, began = render.Steps(), datetime.now(timezone.utc)
        done = list(carry_out(settings, todo, reason=options.reason, say=steps.say))
        written = {plan.unit: _written_since(settings, plan.unit, plan.since) for plan in done if plan.since}
        if not options.as_json:
            _print_done(done, written)
        runs = [follow_next(settings, plan, began, steps.say) for plan in done] if options.wait else []
    if options.as_json:
        render.print_json(render.proposals_json(proposals, applied=options.apply, runs=runs, written=written))
    if any(run["state"] != "success" for run in runs):
        raise typer.Exit(1)
    _end(
        todo=bool(todo),
        apply=options.apply,
        closed=not options.force and any(proposal.blockers for proposal in todo),
    )


def _written_since(settings: Settings, unit: Unit, since: datetime) -> Mapping[Owner, Sequence[Span]]:
    """The windows that each orchestrator wrote; empty, with a warning, if that cannot be read."""
    from dagster_defs import render
    from dagster_defs.usecases.continuity import windows_by_side

    try:
        return windows_by_side(settings, unit, since)
    except ParityError as error:  # the move is done all the same
        render.warn(str(error))
        return {}


def _print_done(done: Sequence[Planned], written: Mapping[Unit, Mapping[Owner, Sequence[Span]]]) -> None:
    from dagster_defs import render

    for plan in done:
        render.print_moved(plan)
        if plan.unit in written:
            render.print_windows(plan.unit, written[plan.unit])


def _end(*, todo: bool, apply: bool, closed: bool) -> None:
    """Where a plan was only shown, say so and end the command: exit code 3 if a gate is `closed`, else 0."""
    from dagster_defs import render

    if todo and not apply:
        render.say("Nothing was done. To do it, add --apply")
        raise typer.Exit(3 if closed else 0)
