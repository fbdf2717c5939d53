"""Commands that only look."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from dagster_defs.cli.app import (
    LOOKING,
    AsJson,
    app,
    exit_by,
)
from dagster_defs.settings import Settings


@app.command(rich_help_panel=LOOKING)
def status(as_json: AsJson = False) -> None:
    """Show every mirrored unit with its stage, its owner and the evidence on it."""
    from dagster_defs import render
    from dagster_defs.usecases.status import read_status

    found = read_status(Settings.from_process(), facets=True, evidence=True)
    if as_json:
        render.print_json(render.status_json(found))
    else:
        render.print_status(found)
    raise typer.Exit(1 if found.not_in_airflow or found.broken or found.problems else 0)


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
    from dagster_defs import render
    from dagster_defs.usecases.check import check_units

    if noise:
        if evidence or len(units or []) != 1:
            raise typer.BadParameter("--noise takes one unit, and no --evidence")
        _check_noise((units or [])[0], first, last, inventory, as_json)
    elif inventory:
        raise typer.BadParameter("--inventory is for --noise alone")
    if evidence:
        _check_evidence(units or [], first, last, as_json)
    checks = list(check_units(Settings.from_process(), units or [], first, last or first))
    if as_json:
        render.print_json([one.as_json() for one in checks])
    else:
        render.print_verdicts(checks)
    exit_by(checks)


def _check_evidence(units: list[str], first: str, last: str, as_json: bool) -> NoReturn:
    from dagster_defs import render
    from dagster_defs.lifecycle.verdicts import all_match, evidence_as_json
    from dagster_defs.usecases.explain import kept_evidence, not_kept

    kept = kept_evidence(Settings.from_process(), units, first, last)
    missing = list(not_kept(units, first, last, kept))
    checks = [*(one.checked for one in kept), *missing]
    if as_json:
        render.print_json(evidence_as_json(kept, missing))
    else:
        render.print_verdicts(checks)
    raise typer.Exit(0 if all_match(checks) else 3)


def _check_noise(unit: str, first: str, last: str, inventory: Path | None, as_json: bool) -> NoReturn:
    from dagster_defs import render
    from dagster_defs.usecases.rehearse.noise import find_noise
    from dagster_defs.usecases.rehearse.windows import Span

    found = find_noise(Settings.from_process(), unit, Span(0, first, last), inventory, render.Steps())
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
    from dagster_defs import render
    from dagster_defs.lifecycle.verdicts import all_match
    from dagster_defs.usecases.explain import explain

    found = list(explain(Settings.from_process(), unit, window))
    if as_json:
        render.print_json([one.as_json() for one in found])
    else:
        render.print_explanations(found)
    raise typer.Exit(0 if all_match([one.checked for one in found]) else 3)


@app.command(rich_help_panel=LOOKING)
def keys(
    unit: Annotated[str, typer.Argument(help="A unit (dag_id.task_id).")],
    as_json: AsJson = False,
) -> None:
    """Show by which key and time column a unit's tables are compared, and whether legacy's rows agree."""
    from dagster_defs import render
    from dagster_defs.lifecycle.keys import keys_as_json
    from dagster_defs.usecases.keys import read_keys

    found = list(read_keys(unit))
    if as_json:
        render.print_json(keys_as_json(unit, found))
    else:
        render.print_keys(unit, found)
    raise typer.Exit(0 if all(one.holds for one in found) else 3)


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
    naive_zone: Annotated[
        str | None, typer.Option(help="Time zone in which a time column without one counts; without it UTC.")
    ] = None,
    column_types: Annotated[
        list[str] | None,
        typer.Option(
            "--type", help="COLUMN=TYPE of CSV files, such as 'placed=date %d/%m/%Y'; repeat it for more."
        ),
    ] = None,
    tolerances: Annotated[Path | None, typer.Option(help="A YAML file of tolerances.")] = None,
    spec: Annotated[Path | None, typer.Option(help="A YAML file of many comparisons.")] = None,
    samples: Annotated[int, typer.Option(min=0, help="Differing rows to show of each kind; 0: none.")] = 5,
    mask: Annotated[list[str] | None, typer.Option(help="A column whose values are not shown.")] = None,
    dbt_project: Annotated[Path, typer.Option("--dbt-project", help="Where targets are.")] = Path("dbt"),
    as_json: AsJson = False,
) -> None:
    """Compare any two relations, row for row; or, with --spec, many."""
    from dagster_defs import render
    from dagster_defs.parity import Verdict
    from dagster_defs.usecases.compare import relations as compare

    if bool(spec) == bool(legacy or candidate) or bool(legacy) != bool(candidate):
        raise typer.BadParameter("give LEGACY and CANDIDATE, or --spec FILE")
    if spec and any((key, time_column, first, last, zone, naive_zone, column_types, tolerances, mask)):
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
                naive_zone=naive_zone,
                types=column_types or [],
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
    # A file that lists no comparison has compared nothing.
    raise typer.Exit(0 if checks and all(check.verdict is Verdict.MATCH for check in checks) else 3)


@app.command("migration-plan", rich_help_panel=LOOKING)
def migration_plan(
    write: Annotated[bool, typer.Option("--write", help="Put the block into migration_plan.md.")] = False,
    stale: Annotated[
        bool, typer.Option("--check", help="Exit 3 if the block in migration_plan.md is stale.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the status block of migration_plan.md, as it should be now."""
    from dagster_defs import render
    from dagster_defs.usecases.migration_plan import MigrationPlan
    from dagster_defs.usecases.status import read_status

    block, document = render.plan_block(read_status(Settings.from_process())), MigrationPlan()
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
    summary: Annotated[
        bool,
        typer.Option("--summary", help="Only count: tasks by kind, mirrors, gaps, and why there is none."),
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit code 1 if a DAG file does not import in Airflow.")
    ] = False,
) -> None:
    """Show what each Airflow task runs with dbt: models, window, convention, and traps."""
    from dagster_defs import render
    from dagster_defs.usecases.inventory import report

    if summary:
        from dagster_defs.usecases.scaffold import summarize

        counts = summarize(file, dbt_project)
        if as_json:
            render.print_json(counts.as_json())
        else:
            render.print_summary(counts)
        raise typer.Exit(1 if strict and counts.import_errors else 0)
    found = report(file, dbt_project)
    if as_json:
        render.print_json(found.as_json())
    else:
        render.print_inventory(found)
    if found.project_error:
        render.print_error(found.project_error)
    raise typer.Exit(1 if found.project_error or (strict and found.import_errors) else 0)


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
    from dagster_defs import render
    from dagster_defs.usecases.verify import verify

    found = verify(Settings.from_process(), unit, inventory)
    if as_json:
        render.print_json(render.facets_json(found.units, found.broken))
    else:
        render.print_facets(found.units, found.broken)
    raise typer.Exit(1 if found.broken else 3 if found.differs else 0)


@app.command(rich_help_panel=LOOKING)
def report(
    file: Annotated[Path, typer.Argument(help="The page to write.")] = Path("parity-report.html"),
    html: Annotated[
        bool, typer.Option("--html", help="Write the page; needed only beside --json, which writes none.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write one page on all units: facets, windows, verdicts, runtimes, ledger. It needs no network."""
    from dagster_defs import render
    from dagster_defs.render.html import report as render_html
    from dagster_defs.usecases.report import read_report, write_page

    found = read_report(Settings.from_process(), datetime.now(UTC))
    if html or not as_json:
        render.say(f"written: {write_page(file, render_html.page(found))}")
    if as_json:
        render.print_json(found.as_json())


@app.command(rich_help_panel=LOOKING)
def windows(
    units: Annotated[list[str] | None, typer.Argument(help="As for a move; none: all.")] = None,
    first: Annotated[str, typer.Option("--from", help="First partition: a key, or a day.")] = "",
    last: Annotated[str, typer.Option("--to", help="Last partition; without it, just the first.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show who wrote each window since a unit was enrolled, and where nobody or both did."""
    from dagster_defs import render
    from dagster_defs.usecases.windows import read_windows

    if last and not first:
        raise typer.BadParameter("--to is the end of what --from begins")
    found = read_windows(Settings.from_process(), units or [], first, last, datetime.now(UTC))
    if as_json:
        render.print_json(render.continuity_json(found))
    else:
        render.print_continuity(found)
    raise typer.Exit(0 if all(one.is_continuous for one in found) else 3)
