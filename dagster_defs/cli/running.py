"""Commands that run things."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dagster_defs import render
from dagster_defs.cli.app import (
    RUNNING,
    AsJson,
    app,
    exit_by,
)
from dagster_defs.lifecycle.verdicts import all_match


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
    exit_by(found.checks)


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
