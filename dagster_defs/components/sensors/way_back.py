"""The sensor that gives a unit back to Airflow when a proxied run fails while it soaks, where its YAML says so."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from dagster_defs.adapters.dagster.runs import record_of, related_before
from dagster_defs.errors import ParityError
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.lifecycle.claims import claims_proxy, why_not_the_proxys
from dagster_defs.lifecycle.settings import GateSettings
from dagster_defs.settings import Settings


def build_way_back_sensor(
    name: str, jobs: Sequence[Any], settings: Mapping[Unit, GateSettings]
) -> dg.SensorDefinition:
    """`jobs`: of the legacy side of the units that have `rollback_on_failure`."""

    by_job = {unit.identifier: unit for unit in settings}

    @dg.run_failure_sensor(
        name=f"{name}_way_back",
        monitored_jobs=jobs,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=5,
        description="A unit whose proxied run fails while it soaks is rolled back, if its YAML says so.",
    )
    def way_back(context: dg.RunFailureSensorContext) -> dg.SkipReason:
        from dagster_defs.usecases.move.apply import auto_rollback

        run = record_of(context.dagster_run)
        unit = by_job[run.job]
        if not claims_proxy(run):
            return dg.SkipReason("no proxy of Airflow has launched the run")
        if refused := run.tags.get(tags.REFUSED):
            return dg.SkipReason(f"the run was refused before it did anything: {refused}")
        earlier = related_before(context.instance, context.dagster_run)
        if flaw := why_not_the_proxys(unit, run, earlier):
            return dg.SkipReason(f"no proxy of Airflow has launched the run: {flaw}")
        reason = f"Dagster run {context.dagster_run.run_id} failed: {context.failure_event.message}"
        try:
            done = auto_rollback(
                Settings.from_process(),
                unit,
                settings[unit],
                reason,
                datetime.now(UTC),
                context.log.info,
            )
        except ParityError as error:
            # Half-done at most: the sensor below goes on with it.
            context.log.error(str(error))
            return dg.SkipReason(str(error))
        return dg.SkipReason(f"{unit} is rolled back" if done else f"{unit} does not soak")

    return way_back


def build_go_on_sensor(name: str, units: Collection[Unit], poll_seconds: int) -> dg.SensorDefinition:
    """`units`: those that have `rollback_on_failure`."""

    @dg.sensor(
        name=f"{name}_way_back_go_on",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=poll_seconds,
        description="A rollback that a failure began, and that stopped half-done, is finished.",
    )
    def go_on(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        from dagster_defs.usecases.move.apply import resume_auto_rollbacks

        try:
            finished = resume_auto_rollbacks(Settings.from_process(), sorted(units), context.log.info)
        except ParityError as error:
            return dg.SkipReason(str(error))
        said = f"rolled back: {', '.join(map(str, finished))}" if finished else "nothing is half-done"
        return dg.SkipReason(said)

    return go_on
