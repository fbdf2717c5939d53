"""The program, and what its commands have in common.

Help, the version and completion answer at once: modules of commands import typer and the standard library; whatever a
command needs besides is imported when it is called.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer import completion
from typer.core import TyperGroup

from dagster_defs.errors import ParityError
from dagster_defs.settings import Settings

if TYPE_CHECKING:
    from dagster_defs.lifecycle.verdicts import WindowCheck

LOOKING, RUNNING, MOVING = "Only looks", "Runs things", "Moves units (with --apply)"


class CommandsByIntent(TyperGroup):
    """Help that groups the commands by what they do to the estate. It is plain text: to import what draws boxes takes
    longer than everything else that help does."""

    def get_help_option(self, ctx: Any) -> Any:
        """The option with False as its default: without one, typer imports pydantic to read nothing as a bool, even
        where the help of a command is asked for."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.default = False
        return option

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for intent in (LOOKING, RUNNING, MOVING):
            rows = [
                (name, command.help or "")
                for name, command in self.commands.items()
                if getattr(command, "rich_help_panel", None) == intent
            ]
            with formatter.section(intent):
                formatter.write_dl(rows)


app = typer.Typer(
    name="parity",
    cls=CommandsByIntent,
    rich_markup_mode=None,
    help="Move a dbt estate from Airflow to Dagster, one task at a time, with proof and a way back.",
    no_args_is_help=True,
    # typer's own two options make every command import pydantic, to find that nobody has given them.
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
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


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"parity {version('airflow-parity')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit."),
    ] = False,
    install_completion: Annotated[
        bool,
        typer.Option(
            "--install-completion",
            callback=completion.install_callback,
            is_eager=True,
            help="Install completion for the shell that is running.",
        ),
    ] = False,
    show_completion: Annotated[
        bool,
        typer.Option(
            "--show-completion",
            callback=completion.show_callback,
            is_eager=True,
            help="Show that completion instead.",
        ),
    ] = False,
) -> None:
    """Options of the program itself."""


def exit_by(checks: Sequence[WindowCheck]) -> NoReturn:
    """2 for a wrong request among them, 3 unless all match."""
    from dagster_defs.lifecycle.verdicts import all_match

    if any(one.check.error for one in checks):
        raise typer.Exit(2)
    raise typer.Exit(0 if all_match(checks) else 3)


def main() -> None:
    """Entry point: an expected error is one message on stderr and its exit code, never a stack trace."""
    # typer does this itself only for options of its own.
    completion.completion_init()  # type: ignore[attr-defined]  # not among the names that it exports
    try:
        app()
    except ParityError as error:
        if Settings.from_process().debug:
            raise
        from dagster_defs import render

        render.print_error(str(error))
        sys.exit(error.exit_code)
