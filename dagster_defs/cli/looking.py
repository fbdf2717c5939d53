"""Read-only commands."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from dagster_defs.cli.app import (
    LOOKING,
    AsJson,
    DbtProjects,
    InventoryFile,
    Prefer,
    app,
    exit_by,
)
from dagster_defs.lifecycle import Owner, Stage
from dagster_defs.older_python import StrEnum
from dagster_defs.settings import Settings

if TYPE_CHECKING:
    from dagster_defs.lifecycle.status import Shown


class KeptVerdict(StrEnum):
    """The values of `parity.Verdict`, whose import takes longer than a command may."""

    MATCH = "match"
    MISMATCH = "mismatch"
    INCONCLUSIVE = "inconclusive"


OfStages = Annotated[
    list[Stage] | None, typer.Option("--stage", help="Only units in this stage; repeat it for several.")
]
OfOwner = Annotated[Owner | None, typer.Option("--owner", help="Only units of this owner.")]
OfTeam = Annotated[
    str, typer.Option("--team", help="Only units whose assets this team, or this e-mail address, owns.")
]
OfVerdicts = Annotated[
    list[KeptVerdict] | None,
    typer.Option("--verdict", help="Only units with a kept verdict of this kind; repeat it for several."),
]
Failing = Annotated[
    bool,
    typer.Option(
        "--failing",
        help="Only units that need somebody: a verdict that is no match, broken, half-done, drifted, or "
        "without a task in Airflow.",
    ),
]


@app.command(rich_help_panel=LOOKING)
def status(
    units: Annotated[
        list[str] | None,
        typer.Argument(help="Units, globs or whole DAGs, as for a move; all by default."),
    ] = None,
    stage: OfStages = None,
    owner: OfOwner = None,
    team: OfTeam = "",
    verdict: OfVerdicts = None,
    failing: Failing = False,
    as_json: AsJson = False,
) -> None:
    """Show every mirrored unit with its stage, owner and evidence."""
    from dagster_defs import render
    from dagster_defs.usecases.status import read_status

    current = read_status(
        Settings.from_process(),
        units or (),
        facets=True,
        evidence=True,
        shown=_shown(stage, owner, team, verdict, failing=failing),
    )
    if as_json:
        render.print_json(render.status_json(current))
    else:
        render.print_status(current)
    raise typer.Exit(1 if current.not_in_airflow or current.broken or current.problems else 0)


def _shown(
    stages: list[Stage] | None,
    owner: Owner | None,
    team: str,
    verdicts: list[KeptVerdict] | None,
    *,
    failing: bool,
) -> Shown | None:
    """None if nothing is asked for."""
    from dagster_defs.lifecycle.status import Shown
    from dagster_defs.parity import Verdict

    asked = Shown(None, stages or (), owner, team, tuple(map(Verdict, verdicts or ())), failing)
    return asked if asked != Shown() else None


@app.command(rich_help_panel=LOOKING)
def check(
    units: Annotated[list[str] | None, typer.Argument(help="Units (dag_id.task_id); all by default.")] = None,
    first: Annotated[str, typer.Option("--from", help="First partition key, such as 2024-03-08.")] = "",
    last: Annotated[str, typer.Option("--to", help="Last partition; --from alone by default.")] = "",
    evidence: Annotated[
        bool,
        typer.Option("--evidence", help="Show the verdicts kept in Dagster's event log; compare nothing."),
    ] = False,
    noise: Annotated[
        bool, typer.Option("--noise", help="Run one unit's legacy command twice and compare both runs.")
    ] = False,
    inventory: Annotated[
        Path | None,
        typer.Option(help="With --noise: the file exported by inventory.py; PARITY_INVENTORY by default."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare legacy and candidate row by row, for each window from one partition to another."""
    from dagster_defs import render
    from dagster_defs.usecases.check import check_units

    if noise:
        if evidence or len(units or []) != 1:
            raise typer.BadParameter("--noise takes exactly one unit, and cannot be combined with --evidence")
        _check_noise((units or [])[0], first, last, inventory, as_json)
    elif inventory:
        raise typer.BadParameter("--inventory requires --noise")
    if evidence:
        _check_evidence(units or [], first, last, as_json)
    checks = list(check_units(Settings.from_process(), units or [], first, last or first))
    if as_json:
        render.print_json([checked.as_json() for checked in checks])
    else:
        render.print_verdicts(checks)
    exit_by(checks)


def _check_evidence(units: list[str], first: str, last: str, as_json: bool) -> NoReturn:
    from dagster_defs import render
    from dagster_defs.lifecycle.verdicts import all_match, evidence_as_json
    from dagster_defs.usecases.explain import kept_evidence, not_kept

    settings = Settings.from_process()
    kept = kept_evidence(settings, units, first, last)
    missing = list(not_kept(settings, units, first, last, kept))
    checks = [*(record.checked for record in kept), *missing]
    if as_json:
        render.print_json(evidence_as_json(kept, missing))
    else:
        render.print_verdicts(checks)
    raise typer.Exit(0 if all_match(checks) else 3)


def _check_noise(unit: str, first: str, last: str, inventory: Path | None, as_json: bool) -> NoReturn:
    from dagster_defs import render
    from dagster_defs.usecases.rehearse.noise import find_noise
    from dagster_defs.usecases.rehearse.windows import Span

    noise = find_noise(Settings.from_process(), unit, Span(0, first, last), inventory, render.Steps())
    if as_json:
        render.print_json(noise.as_json())
    else:
        render.print_noise(noise)
    raise typer.Exit(0 if noise.quiet else 3)


@app.command(rich_help_panel=LOOKING)
def explain(
    unit: Annotated[str, typer.Argument(help="A unit (dag_id.task_id).")],
    window: Annotated[
        str,
        typer.Option(
            "--window", help="A partition key or a day, such as 2024-03-08; everything kept by default."
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Show what differs and where, with an example row and the SQL to look further."""
    from dagster_defs import render
    from dagster_defs.lifecycle.verdicts import all_match
    from dagster_defs.usecases.explain import explain

    explanations = list(explain(Settings.from_process(), unit, window))
    if as_json:
        render.print_json([explanation.as_json() for explanation in explanations])
    else:
        render.print_explanations(explanations)
    raise typer.Exit(0 if all_match([explanation.checked for explanation in explanations]) else 3)


@app.command(rich_help_panel=LOOKING)
def keys(
    unit: Annotated[str, typer.Argument(help="A unit (dag_id.task_id).")],
    as_json: AsJson = False,
) -> None:
    """Show the key and time column that a unit's tables are compared by, and whether legacy's rows obey them."""
    from dagster_defs import render
    from dagster_defs.lifecycle.keys import keys_as_json
    from dagster_defs.usecases.keys import read_keys

    tables = list(read_keys(Settings.from_process(), unit))
    if as_json:
        render.print_json(keys_as_json(unit, tables))
    else:
        render.print_keys(unit, tables)
    raise typer.Exit(0 if all(table.holds for table in tables) else 3)


@app.command(rich_help_panel=LOOKING)
def compare(
    legacy: Annotated[
        str, typer.Argument(help="file.duckdb::schema.table, a Parquet file, or target::schema.table.")
    ] = "",
    candidate: Annotated[str, typer.Argument(help="Same forms as LEGACY.")] = "",
    key: Annotated[list[str] | None, typer.Option(help="A key column; repeatable.")] = None,
    time_column: Annotated[str | None, typer.Option(help="The column that --from and --to apply to.")] = None,
    first: Annotated[
        str | None, typer.Option("--from", help="Compare rows from here on (inclusive).")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", help="Compare rows before this (exclusive).")] = None,
    zone: Annotated[str | None, typer.Option(help="Time zone of --from and --to; UTC by default.")] = None,
    naive_zone: Annotated[
        str | None, typer.Option(help="Time zone of a time column that has none; UTC by default.")
    ] = None,
    column_types: Annotated[
        list[str] | None,
        typer.Option("--type", help="COLUMN=TYPE for CSV files, such as 'placed=date %d/%m/%Y'; repeatable."),
    ] = None,
    tolerances: Annotated[Path | None, typer.Option(help="A YAML file of tolerances.")] = None,
    spec: Annotated[Path | None, typer.Option(help="A YAML file that lists comparisons.")] = None,
    samples: Annotated[int, typer.Option(min=0, help="Differing rows to show per kind; 0 for none.")] = 5,
    mask: Annotated[
        list[str] | None, typer.Option(help="A column whose values are hidden; repeatable.")
    ] = None,
    dbt_project: Annotated[
        Path, typer.Option("--dbt-project", help="The dbt project that defines the targets.")
    ] = Path("dbt"),
    as_json: AsJson = False,
) -> None:
    """Compare any two relations row by row, or many pairs with --spec."""
    from dagster_defs import render
    from dagster_defs.parity import Verdict
    from dagster_defs.usecases.compare import relations as compare

    if bool(spec) == bool(legacy or candidate) or bool(legacy) != bool(candidate):
        raise typer.BadParameter("give LEGACY and CANDIDATE, or --spec FILE")
    if spec and any((key, time_column, first, last, zone, naive_zone, column_types, tolerances, mask)):
        raise typer.BadParameter("with --spec, put key, window, types, tolerances and masks into the file")
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
    # A file that lists no comparisons has compared nothing, which is not a match.
    raise typer.Exit(0 if checks and all(check.verdict is Verdict.MATCH for check in checks) else 3)


@app.command("migration-plan", rich_help_panel=LOOKING)
def migration_plan(
    write: Annotated[bool, typer.Option("--write", help="Update the block in migration_plan.md.")] = False,
    stale: Annotated[
        bool, typer.Option("--check", help="Exit 3 if the block in migration_plan.md is stale.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print the status block of migration_plan.md as it should be now."""
    from dagster_defs import render
    from dagster_defs.usecases.migration_plan import MigrationPlan
    from dagster_defs.usecases.status import read_status

    settings = Settings.from_process()
    block, document = render.plan_block(read_status(settings)), MigrationPlan(settings.migration_plan)
    if write:
        render.say("status block updated" if document.write(block) else "status block is already current")
    current = document.is_current(block)
    if as_json:
        render.print_json(render.plan_json(block, current))
    elif not write:
        render.print_plain(block)
    if stale and not current:
        render.warn(
            "the status block of migration_plan.md is stale. Update it: parity migration-plan --write"
        )
        raise typer.Exit(3)


@app.command(rich_help_panel=LOOKING)
def inventory(
    file: Annotated[Path, typer.Argument(help="The file that inventory.py exported from Airflow.")],
    dbt_project: DbtProjects,
    as_json: AsJson = False,
    summary: Annotated[
        bool,
        typer.Option(
            "--summary", help="Only counts: tasks by kind, mirrors, gaps, and why a mirror is missing."
        ),
    ] = False,
    prefer: Prefer = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit code 1 if a DAG file does not import in Airflow.")
    ] = False,
) -> None:
    """Show what each Airflow task runs with dbt: models, window, convention and traps."""
    from dagster_defs import render
    from dagster_defs.usecases.inventory import report

    settings = Settings.from_process()
    if prefer and not summary:
        raise typer.BadParameter("it changes only what --summary counts", param_hint="--prefer")
    if summary:
        from dagster_defs.usecases.scaffold import summarize

        counts = summarize(settings, file, dbt_project, prefer or ())
        if as_json:
            render.print_json(counts.as_json())
        else:
            render.print_summary(counts)
        raise typer.Exit(1 if strict and counts.import_errors else 0)
    estate = report(file, settings.team_file, dbt_project)
    if as_json:
        render.print_json(estate.as_json())
    else:
        render.print_inventory(estate)
    if estate.project_error:
        render.print_error(estate.project_error)
    raise typer.Exit(1 if estate.project_error or (strict and estate.import_errors) else 0)


@app.command(rich_help_panel=LOOKING)
def verify(
    unit: Annotated[str, typer.Argument(help="A unit (dag_id.task_id); all by default.")] = "",
    inventory: InventoryFile = None,
    before: Annotated[
        Path | None,
        typer.Option("--from", help="With --to: compare two inventories of the same DAGs, without mirrors."),
    ] = None,
    after: Annotated[
        Path | None, typer.Option("--to", help="The inventory from the other Airflow, or another setting.")
    ] = None,
    at: Annotated[
        datetime | None,
        typer.Option("--at", help="When the Airflow of --to takes over, in UTC: what is never run then."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the mirrors with Airflow's inventory, or (--from, --to) the inventories of two Airflows."""
    from dagster_defs import render

    if before or after or at:
        _verify_upgrade(before, after, at, as_json=as_json, beside=bool(unit or inventory))
    from dagster_defs.usecases.verify import verify

    verification = verify(Settings.from_process(), unit, inventory)
    if as_json:
        render.print_json(render.facets_json(verification.units, verification.broken))
    else:
        render.print_facets(verification.units, verification.broken)
    raise typer.Exit(1 if verification.broken else 3 if verification.differs else 0)


def _verify_upgrade(
    before: Path | None, after: Path | None, at: datetime | None, *, as_json: bool, beside: bool
) -> NoReturn:
    from dagster_defs import render
    from dagster_defs.usecases.verify_upgrade import verify_upgrade

    if before is None or after is None or beside:
        raise typer.BadParameter("--from and --to belong together, without UNIT and --inventory")
    upgrade = verify_upgrade(before, after, at.replace(tzinfo=timezone.utc) if at else None)
    if as_json:
        render.print_json(render.upgrade_json(upgrade))
    else:
        render.print_upgrade(upgrade)
    raise typer.Exit(0 if upgrade.is_whole and not upgrade.differs else 3)


@app.command(rich_help_panel=LOOKING)
def report(
    file: Annotated[Path, typer.Argument(help="The page to write.")] = Path("parity-report.html"),
    html: Annotated[
        bool,
        typer.Option("--html", help="Write the page; needed only with --json, which otherwise writes none."),
    ] = False,
    unit: Annotated[
        list[str] | None,
        typer.Option("--unit", help="Only this unit, glob or DAG; repeat it for several."),
    ] = None,
    stage: OfStages = None,
    owner: OfOwner = None,
    team: OfTeam = "",
    verdict: OfVerdicts = None,
    failing: Failing = False,
    as_json: AsJson = False,
) -> None:
    """Write one HTML page on units, by default all: facets, windows, verdicts, run times, ledger. Needs no network."""
    from dagster_defs import render
    from dagster_defs.render.html import report as render_html
    from dagster_defs.usecases.report import read_report, write_page

    asked = _shown(stage, owner, team, verdict, failing=failing)
    content = read_report(Settings.from_process(), datetime.now(timezone.utc), unit or (), asked)
    if html or not as_json:
        render.say(f"written: {write_page(file, render_html.page(content))}")
    if as_json:
        render.print_json(content.as_json())


@app.command(rich_help_panel=LOOKING)
def windows(
    units: Annotated[
        list[str] | None, typer.Argument(help="Units, globs or whole DAGs, as for a move; all by default.")
    ] = None,
    first: Annotated[str, typer.Option("--from", help="First partition: a key or a day.")] = "",
    last: Annotated[str, typer.Option("--to", help="Last partition; --from alone by default.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show who wrote each window since a unit was enrolled, and which windows nobody or both wrote."""
    from dagster_defs import render
    from dagster_defs.usecases.windows import read_windows

    if last and not first:
        raise typer.BadParameter("--to requires --from")
    continuities = read_windows(Settings.from_process(), units or [], first, last, datetime.now(timezone.utc))
    if as_json:
        render.print_json(render.continuity_json(continuities))
    else:
        render.print_continuity(continuities)
    raise typer.Exit(0 if all(continuity.is_continuous for continuity in continuities) else 3)
