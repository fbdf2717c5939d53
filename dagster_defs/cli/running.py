"""Commands that run things."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dagster_defs.cli.app import (
    RUNNING,
    AsJson,
    DbtProjects,
    InventoryFile,
    Prefer,
    app,
    exit_by,
)
from dagster_defs.settings import Settings


@app.command(rich_help_panel=RUNNING)
def init(as_json: AsJson = False) -> None:
    """Write what this Dagster project lacks for a migration; in an empty folder, a whole project."""
    from dagster_defs import render
    from dagster_defs.usecases.init.write import init

    project = init(Path.cwd())
    if as_json:
        render.print_json(project.as_json())
    else:
        render.print_init(project)


@app.command(rich_help_panel=RUNNING)
def scaffold(
    file: Annotated[Path, typer.Argument(help="The file that inventory.py exported from Airflow.")],
    dbt_project: DbtProjects,
    out: Annotated[
        Path | None, typer.Option("--out", help="The folder for the mirrors; the project's defs/ by default.")
    ] = None,
    prefer: Prefer = None,
    as_json: AsJson = False,
) -> None:
    """Write the mirrors' YAML, one folder per DAG; files that were edited by hand are left alone."""
    from dagster_defs import render
    from dagster_defs.usecases.scaffold import scaffold

    written = list(scaffold(Settings.from_process(), file, dbt_project, out, prefer or ()))
    if as_json:
        render.print_json(render.scaffold_json(written))
    else:
        render.print_scaffold(written)


@app.command(rich_help_panel=RUNNING)
def prepare(
    no_fetch: Annotated[
        bool, typer.Option("--no-fetch", help="Do not clone the git repositories of parity.yaml first.")
    ] = False,
    manifest: Annotated[
        list[Path] | None,
        typer.Option(
            help="A folder with a manifest that dbt has made elsewhere, and what it keeps beside it; repeatable."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make ahead what runs need of their dbt projects, as when an image is built: clones and manifests."""
    from dagster_defs import render
    from dagster_defs.usecases.prepare import prepare

    prepared = prepare(
        Settings.from_process(), fetching=not no_fetch, manifests=manifest or (), say=render.say
    )
    if as_json:
        render.print_json(prepared.as_json())
    else:
        render.print_preparation(prepared)
    raise typer.Exit(1 if prepared.broken or prepared.unused else 0)


@app.command(rich_help_panel=RUNNING)
def rehearse(
    unit: Annotated[str, typer.Argument(help="A unit (dag_id.task_id).")],
    last: Annotated[int, typer.Option(min=0, help="How many of the inventory's latest windows to run.")] = 0,
    first: Annotated[str, typer.Option("--from", help="Instead of --last: first partition key.")] = "",
    until: Annotated[str, typer.Option("--to", help="Last partition; --from alone by default.")] = "",
    inventory: InventoryFile = None,
    as_json: AsJson = False,
) -> None:
    """Run a unit's windows on both sides without Airflow, from its rendered commands, and compare them."""
    from dagster_defs import render
    from dagster_defs.usecases.rehearse.run import rehearse
    from dagster_defs.usecases.rehearse.windows import Span

    if last and (first or until):
        raise typer.BadParameter("give either --last, or --from and --to, not both")
    rehearsal = rehearse(Settings.from_process(), unit, Span(last, first, until), inventory, render.Steps())
    if as_json:
        render.print_json(rehearsal.as_json())
    else:
        render.print_verdicts(rehearsal.checks)
    exit_by(rehearsal.checks)


@app.command(rich_help_panel=RUNNING)
def demo(
    leave: Annotated[
        bool, typer.Option("--exit", help="Stop everything at the end instead of leaving it running.")
    ] = False,
    airflow: Annotated[
        Literal["2", "3"], typer.Option(help="The major version of Airflow that it runs.")
    ] = "2",
) -> None:
    """Run the taxi estate on a real Airflow and a real Dagster, and compare what both produce."""
    import os
    import sys

    from dagster_defs.errors import DemoMissing
    from dagster_defs.settings import find_project

    root = find_project()
    if not (root / "demo" / "__main__.py").is_file():
        raise DemoMissing(root)
    # The product does not import the demo, which is a separate program: it replaces this process.
    os.chdir(root)
    chosen = ["--airflow", airflow, *(["--exit"] if leave else [])]
    os.execv(sys.executable, [sys.executable, "-m", "demo", *chosen])  # noqa: S606 - no shell


@app.command(rich_help_panel=RUNNING)
def watch(as_json: AsJson = False) -> None:
    """Look once whether Dagster's daemon lives and starts its windows, and tell the receivers if not."""
    from datetime import datetime, timezone

    from dagster_defs import render
    from dagster_defs.usecases.alerts.watch import watch as look

    report = look(Settings.from_process(), datetime.now(timezone.utc))
    if as_json:
        render.print_json(report.as_json())
    else:
        render.print_watch(report.alerts, report.lines, report.troubles)
    raise typer.Exit(0 if report.is_well else 1)
