"""Commands about what Airflow is told of retired DAGs."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated

import typer

from dagster_defs.cli.app import LOOKING, RUNNING, AsJson, app
from dagster_defs.settings import Settings


@app.command(rich_help_panel=LOOKING)
def echoes(
    dags: Annotated[
        list[str] | None,
        typer.Argument(help="DAGs, or globs; by default all that are echoed or were tested."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what Airflow is told of retired DAGs, who waits for it there, and what is outstanding."""
    from dagster_defs import render
    from dagster_defs.usecases.echoes.listed import read_echoes

    found = read_echoes(Settings.from_process(), dags or ())
    if as_json:
        render.print_json(render.echoes_json(found))
    else:
        render.print_echoes(found)
    raise typer.Exit(3 if any(each.outstanding for each in found) else 0)


@app.command("echo-test", rich_help_panel=RUNNING)
def echo_test(
    dag: Annotated[str, typer.Argument(help="A DAG that something in Airflow waits for.")],
    as_json: AsJson = False,
) -> None:
    """Test on one window that Airflow can be told of a DAG once it is retired; `parity retire` asks for it."""
    from dagster_defs import render
    from dagster_defs.usecases.echoes.tested import try_echo

    tested = try_echo(Settings.from_process(), dag, datetime.now(timezone.utc))
    if as_json:
        render.print_json({"schema": "parity/echo-test/1", **tested.as_json()})
    else:
        render.print_echo_test(tested)
    raise typer.Exit(3 if tested.refused else 0)
