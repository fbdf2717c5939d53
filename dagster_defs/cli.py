"""`parity`: parse, call, print."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from dagster_defs import render
from dagster_defs.errors import ParityError, ReasonMissing
from dagster_defs.lifecycle.gates import Proposal
from dagster_defs.lifecycle.stages import Move
from dagster_defs.lifecycle.verdicts import WindowCheck, all_match, evidence_as_json
from dagster_defs.parity import Verdict

LOOKING, RUNNING, MOVING = "Only looks", "Runs things", "Moves units (with --apply)"

app = typer.Typer(
    name="parity",
    help="Move a dbt estate from Airflow to Dagster, one task at a time, with proof and a way back.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 error, 2 usage, 3 gate closed or mismatch.",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON to stdout instead of a table.")]
Units = Annotated[
    list[str], typer.Argument(help="Units (dag_id.task_id), globs such as 'taxi_daily.*', or whole DAGs.")
]
Apply = Annotated[
    bool, typer.Option("--apply", help="Do it; without this the plan is shown and nothing is done.")
]
Force = Annotated[bool, typer.Option("--force", help="Although a gate is closed; --reason says why.")]
Reason = Annotated[
    str, typer.Option("--reason", help="Why; the ledger keeps it, and status shows a forced one.")
]
EndRuns = Annotated[
    bool, typer.Option("--end-runs", help="End Dagster's live runs instead of waiting for them.")
]


@app.callback()
def _root() -> None:
    """Keeps subcommands subcommands, however few they are."""


@app.command(rich_help_panel=LOOKING)
def status(as_json: AsJson = False) -> None:
    """Show every mirrored unit with its stage, its owner and the evidence on it."""
    from dagster_defs.adapters.status import read_status

    found = read_status(facets=True, evidence=True)
    if as_json:
        render.print_json(render.status_json(found))
    else:
        render.print_status(found)
    raise typer.Exit(1 if found.not_in_airflow else 0)


@app.command(rich_help_panel=LOOKING)
def check(
    units: Annotated[list[str] | None, typer.Argument(help="Units (dag_id.task_id); none: all.")] = None,
    first: Annotated[str, typer.Option("--from", help="First partition, a key such as 2024-03-08.")] = "",
    last: Annotated[str, typer.Option("--to", help="Last partition; without it, just the first.")] = "",
    evidence: Annotated[
        bool, typer.Option("--evidence", help="The verdicts that Dagster's event log keeps; compare nothing.")
    ] = False,
    noise: Annotated[
        bool, typer.Option("--noise", help="Run one unit's legacy command twice and compare both runs.")
    ] = False,
    inventory: Annotated[
        Path | None,
        typer.Option(help="For --noise: what inventory.py exported; without it PARITY_INVENTORY names it."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare legacy and candidate, row for row, for each window from one partition to another."""
    from dagster_defs.adapters.comparison import check_units

    if noise:
        if evidence or len(units or []) != 1:
            raise typer.BadParameter("--noise takes one unit, and no --evidence")
        _check_noise((units or [])[0], first, last, inventory, as_json)
    elif inventory:
        raise typer.BadParameter("--inventory is for --noise alone")
    if evidence:
        _check_evidence(units or [], first, last, as_json)
    checks = list(check_units(units or [], first, last or first))
    if as_json:
        render.print_json([one.as_json() for one in checks])
    else:
        render.print_verdicts(checks)
    _exit_by(checks)


def _exit_by(checks: Sequence[WindowCheck]) -> NoReturn:
    if any(one.check.error for one in checks):
        raise typer.Exit(2)
    raise typer.Exit(0 if all_match(checks) else 3)


def _check_evidence(units: list[str], first: str, last: str, as_json: bool) -> NoReturn:
    from dagster_defs.adapters.explain import kept_evidence, not_kept

    kept = kept_evidence(units, first, last)
    missing = list(not_kept(units, first, last, kept))
    checks = [*(one.checked for one in kept), *missing]
    if as_json:
        render.print_json(evidence_as_json(kept, missing))
    else:
        render.print_verdicts(checks)
    raise typer.Exit(0 if all_match(checks) else 3)


def _check_noise(unit: str, first: str, last: str, inventory: Path | None, as_json: bool) -> NoReturn:
    from dagster_defs.adapters.noise import find_noise
    from dagster_defs.adapters.rehearsal_windows import Span

    found = find_noise(unit, Span(0, first, last), inventory, render.Steps())
    if as_json:
        render.print_json(found.as_json())
    else:
        render.print_noise(found)
    raise typer.Exit(0 if found.quiet else 3)


@app.command(rich_help_panel=LOOKING)
def explain(
    unit: Annotated[str, typer.Argument(help="A unit (dag_id.task_id).")],
    window: Annotated[
        str,
        typer.Option(
            "--window", help="A partition's key such as 2024-03-08, or a day; without it, all that is kept."
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Show what differs, where, an example row, and the SQL to look further."""
    from dagster_defs.adapters.explain import explain

    found = list(explain(unit, window))
    if as_json:
        render.print_json([one.as_json() for one in found])
    else:
        render.print_explanations(found)
    raise typer.Exit(0 if all_match([one.checked for one in found]) else 3)


@app.command(rich_help_panel=LOOKING)
def compare(
    legacy: Annotated[
        str, typer.Argument(help="file.duckdb::schema.table, a Parquet file, target::schema.table.")
    ] = "",
    candidate: Annotated[str, typer.Argument(help="As legacy.")] = "",
    key: Annotated[list[str] | None, typer.Option(help="A column of the key; repeat it for more.")] = None,
    time_column: Annotated[str | None, typer.Option(help="The column that --from and --to bound.")] = None,
    first: Annotated[str | None, typer.Option("--from", help="Rows from here on count.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Rows before this count.")] = None,
    zone: Annotated[str | None, typer.Option(help="Time zone of --from and --to; without it UTC.")] = None,
    tolerances: Annotated[Path | None, typer.Option(help="A YAML file of tolerances.")] = None,
    spec: Annotated[Path | None, typer.Option(help="A YAML file of many comparisons.")] = None,
    samples: Annotated[int, typer.Option(min=0, help="Differing rows to show of each kind; 0: none.")] = 5,
    mask: Annotated[list[str] | None, typer.Option(help="A column whose values are not shown.")] = None,
    dbt_project: Annotated[Path, typer.Option("--dbt-project", help="Where targets are.")] = Path("dbt"),
    as_json: AsJson = False,
) -> None:
    """Compare any two relations, row for row; or, with --spec, many."""
    from dagster_defs.adapters import compare

    if bool(spec) == bool(legacy or candidate) or bool(legacy) != bool(candidate):
        raise typer.BadParameter("give LEGACY and CANDIDATE, or --spec FILE")
    if spec and any((key, time_column, first, last, zone, tolerances, mask)):
        raise typer.BadParameter("beside --spec the file says key, window, tolerances and masks")
    if spec:
        checks = list(compare.compare_file(spec, dbt_project, samples))
    else:
        checks = [
            compare.compare_two(
                legacy,
                candidate,
                dbt_project,
                key=key or [],
                time_column=time_column,
                bounds=(first, last),
                zone=zone,
                tolerances=tolerances,
                masked=mask or [],
                sample_limit=samples,
            )
        ]
    if as_json:
        documents = [check.as_json() for check in checks]
        render.print_json(documents if spec else documents[0])
    else:
        render.print_comparisons(checks)
    if any(check.error for check in checks):
        raise typer.Exit(2)
    raise typer.Exit(0 if all(check.verdict is Verdict.MATCH for check in checks) else 3)


@app.command("migration-plan", rich_help_panel=LOOKING)
def migration_plan(
    write: Annotated[bool, typer.Option("--write", help="Put the block into migration_plan.md.")] = False,
    stale: Annotated[
        bool, typer.Option("--check", help="Exit 3 if the block in migration_plan.md is stale.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the status block of migration_plan.md, as it should be now."""
    from dagster_defs.adapters.migration_plan import MigrationPlan
    from dagster_defs.adapters.status import read_status

    block, document = render.plan_block(read_status()), MigrationPlan()
    if write:
        render.say("status block renewed" if document.write(block) else "status block is current already")
    current = document.is_current(block)
    if as_json:
        render.print_json(render.plan_json(block, current))
    elif not write:
        render.print_plain(block)
    if stale and not current:
        render.warn("the status block of migration_plan.md is stale. Renew it: parity migration-plan --write")
        raise typer.Exit(3)


@app.command(rich_help_panel=LOOKING)
def inventory(
    file: Annotated[Path, typer.Argument(help="What inventory.py exported from Airflow.")],
    dbt_project: Annotated[Path, typer.Option("--dbt-project", help="The dbt project that the DAGs run.")],
    as_json: AsJson = False,
) -> None:
    """Show what each Airflow task runs with dbt: models, window, convention, and traps."""
    from dagster_defs.adapters.inventory import report

    found = report(file, dbt_project)
    if as_json:
        render.print_json(found.as_json())
    else:
        render.print_inventory(found)
    if found.project_error:
        render.print_error(found.project_error)
        raise typer.Exit(1)


@app.command(rich_help_panel=LOOKING)
def verify(
    unit: Annotated[str, typer.Argument(help="A unit (dag_id.task_id); without it, all.")] = "",
    inventory: Annotated[
        Path | None,
        typer.Option(help="What inventory.py exported; without it PARITY_INVENTORY names it."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the mirrors with Airflow's inventory: windows, variables, selections, order and limits."""
    from dagster_defs.adapters.verify import verify

    found = list(verify(unit, inventory))
    if as_json:
        render.print_json(render.facets_json(found))
    else:
        render.print_facets(found)
    raise typer.Exit(3 if any(one.differing for one in found) else 0)


@app.command(rich_help_panel=LOOKING)
def report(
    file: Annotated[Path, typer.Argument(help="The page to write.")] = Path("parity-report.html"),
    html: Annotated[
        bool, typer.Option("--html", help="Write the page; needed only beside --json, which writes none.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write one page on all units: facets, windows, verdicts, runtimes, ledger. It needs no network."""
    from dagster_defs import render_html
    from dagster_defs.adapters.report import read_report, write_page

    found = read_report(datetime.now(UTC))
    if html or not as_json:
        render.say(f"written: {write_page(file, render_html.page(found))}")
    if as_json:
        render.print_json(found.as_json())


@app.command(rich_help_panel=RUNNING)
def scaffold(
    file: Annotated[Path, typer.Argument(help="What inventory.py exported from Airflow.")],
    dbt_project: Annotated[Path, typer.Option("--dbt-project", help="The dbt project that the DAGs run.")],
    out: Annotated[Path, typer.Option("--out", help="The folder for the mirrors: dagster_defs/defs.")],
    as_json: AsJson = False,
) -> None:
    """Write the mirrors' YAML, one folder for each DAG; a file that somebody has edited is left alone."""
    from dagster_defs.adapters.scaffold import scaffold

    written = list(scaffold(file, dbt_project, out))
    if as_json:
        render.print_json(render.scaffold_json(written))
    else:
        render.print_scaffold(written)


@app.command(rich_help_panel=RUNNING)
def rehearse(
    unit: Annotated[str, typer.Argument(help="A unit, dag_id.task_id.")],
    last: Annotated[int, typer.Option(min=0, help="The last so many windows that the inventory has.")] = 0,
    first: Annotated[str, typer.Option("--from", help="Instead: first partition, by its key.")] = "",
    until: Annotated[str, typer.Option("--to", help="Last partition; without it, just the first.")] = "",
    inventory: Annotated[
        Path | None,
        typer.Option(help="What inventory.py exported; without it PARITY_INVENTORY names it."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a unit's windows on both sides, from Airflow's rendered commands and without Airflow, and compare."""
    from dagster_defs.adapters.rehearsal import rehearse
    from dagster_defs.adapters.rehearsal_windows import Span

    if last and (first or until):
        raise typer.BadParameter("say --last, or --from and --to, not both")
    found = rehearse(unit, Span(last, first, until), inventory, render.Steps())
    if as_json:
        render.print_json(found.as_json())
    else:
        render.print_verdicts(found.checks)
    _exit_by(found.checks)


@app.command(rich_help_panel=MOVING)
def shadow(
    units: Units,
    apply: Apply = False,
    force: Force = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Let Dagster run each window too, into candidate tables, to be compared."""
    from dagster_defs.adapters.moving import propose

    _move(propose(Move.SHADOW, units), apply=apply, force=force, reason=reason, as_json=as_json)


@app.command(rich_help_panel=MOVING)
def cutover(
    units: Units,
    apply: Apply = False,
    force: Force = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Make the Airflow task a proxy, so that Dagster's run of each window counts."""
    from dagster_defs.adapters.moving import propose

    _move(propose(Move.CUTOVER, units), apply=apply, force=force, reason=reason, as_json=as_json)


@app.command(rich_help_panel=MOVING)
def rollback(
    units: Units,
    apply: Apply = False,
    end_runs: EndRuns = False,
    rehearsed: Annotated[
        bool,
        typer.Option("--rehearsed", help="Only note that it was rehearsed elsewhere; --reason says where."),
    ] = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Give the next task back to Airflow, or undo a half-done move. No gate stands in the way."""
    from dagster_defs.adapters.moving import propose, propose_noting

    found = propose_noting(units, reason) if rehearsed else propose(Move.ROLLBACK, units, end_runs=end_runs)
    _move(found, apply=apply, reason=reason, as_json=as_json)


@app.command(rich_help_panel=MOVING)
def hold(units: Units, apply: Apply = False, reason: Reason = "", as_json: AsJson = False) -> None:
    """Let nobody move a unit further; the way back stays open. Needs --reason."""
    from dagster_defs.adapters.moving import propose

    if not reason.strip():
        raise ReasonMissing("hold")
    _move(propose(Move.HOLD, units), apply=apply, reason=reason, as_json=as_json)


@app.command(rich_help_panel=MOVING)
def release(units: Units, apply: Apply = False, reason: Reason = "", as_json: AsJson = False) -> None:
    """End a hold."""
    from dagster_defs.adapters.moving import propose

    _move(propose(Move.RELEASE, units), apply=apply, reason=reason, as_json=as_json)


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
    from dagster_defs.adapters.moving import propose_resuming

    found = propose_resuming(units or [], end_runs=end_runs)
    if not found and not as_json:
        render.print_plain("nothing is half-done")
    _move(found, apply=apply, reason="", as_json=as_json)


def _move(found: Sequence[Proposal], *, apply: bool, reason: str, as_json: bool, force: bool = False) -> None:
    """Show the plans; with `apply` carry them out, all of them or, where a gate is closed, none."""
    from dagster_defs.adapters.moving import carry_out, refuse_closed

    todo = [one for one in found if one.plan.steps]
    if not as_json:
        render.print_proposals(found)
    if apply:
        refuse_closed(todo, force=force, reason=reason)
        for done in carry_out(todo, reason=reason, say=render.Steps().say):
            if not as_json:
                render.print_moved(done)
    if as_json:
        render.print_json(render.proposals_json(found, applied=apply))
    if todo and not apply:
        render.say("Nothing was done. To do it, add --apply")
        raise typer.Exit(3 if any(one.blockers for one in todo) and not force else 0)


@app.command(rich_help_panel=RUNNING)
def demo(
    leave: Annotated[
        bool, typer.Option("--exit", help="Stop everything at the end instead of staying up.")
    ] = False,
) -> None:
    """Run the taxi estate on a real Airflow and a real Dagster, and compare what both produce."""
    from dagster_defs import render_html
    from dagster_defs.adapters.demo import Demo
    from dagster_defs.adapters.report import write_page

    try:
        with Demo(render.Steps()).running() as estate:
            checks = estate.tell_the_story()
            render.print_verdicts(checks)
            render.print_plain(f"Airflow: {estate.airflow_url}   (admin / admin)")
            render.print_plain(f"Dagster: {estate.dagster_url}")
            render.print_plain(
                f"Report:  {write_page(estate.report_file, render_html.page(estate.report()))}"
            )
            if not leave:
                render.print_plain("Both stay up until you press Ctrl-C.")
                estate.wait_for_ever()
    except KeyboardInterrupt:
        render.print_error("interrupted; everything that was started has been stopped")
        raise typer.Exit(130) from None
    raise typer.Exit(0 if all_match(checks) else 3)


def main() -> None:
    """Entry point: an expected error is one message on stderr and its exit code, never a stack trace."""
    try:
        app()
    except ParityError as error:
        if os.environ.get("PARITY_DEBUG"):
            raise
        render.print_error(str(error))
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
