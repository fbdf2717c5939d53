"""The sensor that gives a unit back to Airflow if a proxied run fails while it soaks, if its YAML says so."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import dagster as dg

from dagster_defs.adapters.dagster.event_log import EventReader
from dagster_defs.adapters.dagster.runs import record_of, related_before
from dagster_defs.errors import ParityError
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.lifecycle.claims import claims_proxy, why_not_the_proxys
from dagster_defs.lifecycle.settings import GateSettings
from dagster_defs.settings import Settings


def build_way_back_sensor(
    name: str, jobs: Sequence[Any], settings: Mapping[Unit, GateSettings], root: Path
) -> dg.SensorDefinition:
    """`jobs`: the legacy-side jobs of the units with `rollback_on_failure`. `root`: the Dagster project."""

    by_job = {unit.identifier: unit for unit in settings}

    @dg.run_failure_sensor(
        name=f"{name}_way_back",
        monitored_jobs=jobs,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=5,
        description="Rolls a unit back if its proxied run fails while it soaks, if its YAML says so.",
    )
    def way_back(context: dg.RunFailureSensorContext) -> dg.SkipReason:
        from dagster_defs.usecases.move.apply import auto_rollback

        run = record_of(context.dagster_run)
        unit = by_job[run.job]
        if not claims_proxy(run):
            return dg.SkipReason("the run was not launched by an Airflow proxy")
        if refused := run.tags.get(tags.REFUSED):
            return dg.SkipReason(f"the run was refused before it did anything: {refused}")
        if why := _why_no_failure(context.instance, context.dagster_run):
            return dg.SkipReason(why)
        earlier = related_before(context.instance, context.dagster_run)
        if flaw := why_not_the_proxys(unit, run, earlier, of_event=bool(settings[unit].event)):
            return dg.SkipReason(f"the run was not launched by an Airflow proxy: {flaw}")
        reason = f"Dagster run {context.dagster_run.run_id} failed: {context.failure_event.message}"
        try:
            done = auto_rollback(
                Settings.from_process(root),
                unit,
                settings[unit],
                reason,
                datetime.now(timezone.utc),
                context.log.info,
            )
        except ParityError as error:
            # At worst the rollback is half-done: the sensor below continues it.
            context.log.error(str(error))
            return dg.SkipReason(str(error))
        return dg.SkipReason(f"{unit} was rolled back" if done else f"{unit} is not soaking")

    return way_back


def _why_no_failure(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """Why the end of a run says nothing about its unit; empty if it does. Some launchers' workers end a run that
    somebody has terminated as failed; that it was asked to end stands in the event log before that."""
    if tags.LOST in run.tags:
        return "the run's process was lost with its host"
    if EventReader(instance).was_asked_to_end(run.run_id):
        return "somebody has ended the run"
    return ""


def build_go_on_sensor(
    name: str, units: Collection[Unit], poll_seconds: int, root: Path
) -> dg.SensorDefinition:
    """`units`: the units with `rollback_on_failure`. `root`: the Dagster project."""

    @dg.sensor(
        name=f"{name}_way_back_go_on",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=poll_seconds,
        description="Finishes automatic rollbacks that stopped half-done.",
    )
    def go_on(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        from dagster_defs.usecases.move.apply import resume_auto_rollbacks

        try:
            settings = Settings.from_process(root)
            finished = resume_auto_rollbacks(settings, sorted(units), context.log.info)
        except ParityError as error:
            return dg.SkipReason(str(error))
        message = f"rolled back: {', '.join(map(str, finished))}" if finished else "nothing is half-done"
        return dg.SkipReason(message)

    return go_on
