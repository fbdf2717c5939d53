"""Commands about a deployment as a whole."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated

import typer

from dagster_defs.cli.app import LOOKING, AsJson, app
from dagster_defs.settings import Settings


@app.command(rich_help_panel=LOOKING)
def doctor(
    look: Annotated[
        bool,
        typer.Option("--look", help="Trigger the DAG parity_doctor, so that Airflow's worker looks now."),
    ] = False,
    wait: Annotated[
        float, typer.Option("--wait", min=0, help="With --look: for how many seconds its run is waited for.")
    ] = 120,
    as_json: AsJson = False,
) -> None:
    """Try this deployment out from where it runs: servers, log-ins, store, locks, channel, clocks, dbt's folders."""
    from dagster_defs import render
    from dagster_defs.usecases.doctor.airflow import Looking
    from dagster_defs.usecases.doctor.examine import examine

    settings, now = Settings.from_process(), datetime.now(timezone.utc)
    diagnosis = examine(settings, now, looking=Looking(look, wait), say=render.say)
    if as_json:
        render.print_json(diagnosis.as_json())
    else:
        render.print_diagnosis(diagnosis)
    raise typer.Exit(0 if diagnosis.is_sound else 3)
