"""The program, and what its commands share.

Help, the version and completion must be instant, so command modules import only typer and the standard library at the
top; a command imports everything else when it is called.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer import completion
from typer.core import TyperGroup

from dagster_defs.errors import ParityError
from dagster_defs.older_python import StrEnum
from dagster_defs.settings import Settings

if TYPE_CHECKING:
    from dagster_defs.lifecycle.verdicts import WindowCheck


class Preferred(StrEnum):
    """A mirror in place of a LegacyTask; typer takes no list of a Literal."""

    COMMAND = "command"
    PYTHON = "python"


LOOKING, RUNNING, MOVING = "Only looks", "Runs things", "Moves units (with --apply)"


class CommandsByIntent(TyperGroup):
    """Help that groups the commands by what they do to the estate. It is plain text: importing rich to draw boxes would
    take longer than the rest of the help command."""

    def get_help_option(self, ctx: Any) -> Any:
        """Give the option a default of False: without one, typer imports pydantic just to parse a missing bool, even
        for a command's help."""
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
            if rows:
                with formatter.section(intent):
                    formatter.write_dl(rows)


app = typer.Typer(
    name="parity",
    cls=CommandsByIntent,
    rich_markup_mode=None,
    help="Move a dbt estate from Airflow to Dagster, one task at a time, with proof and a way back.",
    no_args_is_help=True,
    # typer's own two options make every command import pydantic, only to find that they were not given.
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 error, 2 usage, 3 gate closed or mismatch.",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON to stdout instead of a table.")]
DbtProjects = Annotated[
    list[Path],
    typer.Option("--dbt-project", help="The dbt project that the DAGs run; repeat it if there are several."),
]
Prefer = Annotated[
    list[Preferred] | None,
    typer.Option(
        help="A CommandUnit (command) or a PythonUnit (python), not a LegacyTask, if it is determined."
    ),
]
InventoryFile = Annotated[
    Path | None, typer.Option(help="The file exported by inventory.py; PARITY_INVENTORY by default.")
]
Units = Annotated[
    list[str], typer.Argument(help="Units (dag_id.task_id), globs such as 'taxi_daily.*', or whole DAGs.")
]
Apply = Annotated[bool, typer.Option("--apply", help="Apply the plan; without this it is only shown.")]
Force = Annotated[bool, typer.Option("--force", help="Move although a gate is closed; requires --reason.")]
Reason = Annotated[
    str, typer.Option("--reason", help="Why; kept in the ledger, and shown by status for a forced move.")
]
EndRuns = Annotated[
    bool, typer.Option("--end-runs", help="Terminate Dagster's live runs instead of waiting for them.")
]


def _print_version(requested: bool) -> None:
    if requested:
        from dagster_defs.distribution import own_version

        typer.echo(f"parity {own_version() or '(not installed)'}")
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
            help="Install completion for the current shell.",
        ),
    ] = False,
    show_completion: Annotated[
        bool,
        typer.Option(
            "--show-completion",
            callback=completion.show_callback,
            is_eager=True,
            help="Print the completion script instead of installing it.",
        ),
    ] = False,
) -> None:
    """Options of the program itself. Raises TwoVersions."""
    from dagster_defs.distribution import own_version

    own_version()


def exit_by(checks: Sequence[WindowCheck]) -> NoReturn:
    """Exit 2 if any check is a wrong request, 3 if not all match, 0 otherwise."""
    from dagster_defs.lifecycle.verdicts import all_match

    if any(checked.check.error for checked in checks):
        raise typer.Exit(2)
    raise typer.Exit(0 if all_match(checks) else 3)


def main() -> None:
    """Entry point: an expected error becomes one message on stderr and an exit code, never a stack trace."""
    # typer calls this itself only when its own completion options are enabled.
    completion.completion_init()  # type: ignore[attr-defined]  # typer does not export it
    try:
        app()
    except ParityError as error:
        if Settings.from_process().debug:
            raise
        from dagster_defs import render

        render.print_error(str(error))
        sys.exit(error.exit_code)
