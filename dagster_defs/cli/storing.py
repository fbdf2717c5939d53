"""Commands about the store of the record."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dagster_defs.cli.app import LOOKING, RUNNING, AsJson, CommandsByIntent, app
from dagster_defs.settings import Settings

store = typer.Typer(
    cls=CommandsByIntent,
    help="Make, fill, describe and check the store of the record, which PARITY_STORE names.",
    no_args_is_help=True,
)
app.add_typer(store, name="store", rich_help_panel=RUNNING)


@store.command("status", rich_help_panel=LOOKING)
def store_status(as_json: AsJson = False) -> None:
    """Show where the store is, how much it holds, and which units are being moved."""
    from dagster_defs import render
    from dagster_defs.usecases.store.status import store_figures

    figures = store_figures(Settings.from_process())
    if as_json:
        render.print_json(figures.as_json())
    else:
        render.print_figures(figures)


@store.command("check", rich_help_panel=LOOKING)
def store_check(as_json: AsJson = False) -> None:
    """Read everything, and compare the marks with the ledger."""
    from dagster_defs import render
    from dagster_defs.usecases.store.check import check_store

    found = check_store(Settings.from_process())
    if as_json:
        render.print_json(found.as_json())
    else:
        render.print_store_check(found)
    raise typer.Exit(3 if found.drifts else 0)


@store.command("init", rich_help_panel=RUNNING)
def store_init(as_json: AsJson = False) -> None:
    """Make the store, or bring it up to date; what it holds is kept."""
    from dagster_defs import render
    from dagster_defs.usecases.store.init import create_store

    made = create_store(Settings.from_process())
    if as_json:
        render.print_json(made.as_json())
    else:
        render.print_made(made)


@store.command("import", rich_help_panel=RUNNING)
def store_import(
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="The folder with the ledger and the marks; that of PARITY_PROXIED_STATE by default."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring a record that was kept in files into an empty store: all of it, or nothing."""
    from dagster_defs import render
    from dagster_defs.usecases.store.load import import_record

    imported = import_record(Settings.from_process(), folder)
    if as_json:
        render.print_json(imported.as_json())
    else:
        render.print_imported(imported)
