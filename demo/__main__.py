"""`python -m demo`, which is `make demo`: the story on real servers, its verdicts, both addresses and a report."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from dagster_defs import render
from dagster_defs.errors import ParityError
from dagster_defs.lifecycle.verdicts import all_match
from dagster_defs.render.html import report as page_of
from dagster_defs.settings import Settings
from dagster_defs.usecases.report import write_page
from demo.servers import AIRFLOWS, Demo
from demo.story import tell_the_story


def tell(
    leave: Annotated[
        bool, typer.Option("--exit", help="Stop everything at the end instead of leaving it running.")
    ] = False,
    airflow: Annotated[
        str, typer.Option(help="The major version of Airflow: 2 or 3.", metavar="VERSION")
    ] = "2",
) -> None:
    """Run the taxi estate on a real Airflow and a real Dagster, and compare what both produce."""
    if airflow not in AIRFLOWS:
        raise typer.BadParameter(f"{airflow!r} is neither {' nor '.join(AIRFLOWS)}", param_hint="--airflow")
    try:
        with Demo(render.Steps(), Settings.from_process(), airflow).running() as estate:
            checks = tell_the_story(estate)
            render.print_verdicts(checks)
            render.print_plain(f"Airflow: {estate.airflow_url}   (admin / admin)")
            render.print_plain(f"Dagster: {estate.dagster_url}")
            render.print_plain(f"Report:  {write_page(estate.report_file, page_of.page(estate.report()))}")
            if not leave:
                render.print_plain("Both stay up until you press Ctrl-C.")
                estate.wait_for_ever()
    except KeyboardInterrupt:
        render.print_error("interrupted; everything that was started has been stopped")
        raise typer.Exit(130) from None
    raise typer.Exit(0 if all_match(checks) else 3)


def main() -> None:
    try:
        typer.run(tell)
    except ParityError as error:
        render.print_error(str(error))
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
