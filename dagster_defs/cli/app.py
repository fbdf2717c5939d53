"""The program, and what its commands have in common."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from dagster_defs import render
from dagster_defs.errors import ParityError
from dagster_defs.lifecycle.verdicts import WindowCheck, all_match

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


def exit_by(checks: Sequence[WindowCheck]) -> NoReturn:
    """2 for a wrong request among them, 3 unless all match."""
    if any(one.check.error for one in checks):
        raise typer.Exit(2)
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
