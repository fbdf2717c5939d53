"""The sensor that tells somebody what has happened, and what has not."""

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from time import monotonic

import dagster as dg

from dagster_defs.errors import ParityError
from dagster_defs.lifecycle.mirrors import Mirror
from dagster_defs.lifecycle.receivers import Alerting
from dagster_defs.settings import Settings

NAME = "alerts"
SECONDS = 20.0  # after which a look leaves the other receivers to the next one; Dagster ends a tick after 60


def build_alert_sensor(
    alerting: Alerting, mirrors: Sequence[Mirror], poll_seconds: int, root: Path
) -> dg.SensorDefinition:
    """`root`: the Dagster project. What it found and whom it told is kept in Dagster's storage, not in its cursor:
    that is written only when a tick has ended."""

    @dg.sensor(
        name=NAME,
        minimum_interval_seconds=poll_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells people and systems what went wrong, each fact once, as the component Alerts declares.",
    )
    def alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        from dagster_defs.usecases.alerts.look import tell

        began = monotonic()
        lines: list[str] = []
        try:
            troubles = tell(
                Settings.from_process(root),
                context.instance,
                alerting,
                mirrors,
                datetime.now(timezone.utc),
                lines.append,
                lambda: monotonic() - began >= SECONDS,
            )
        except ParityError as error:
            context.log.error(str(error))
            return dg.SkipReason(str(error))
        for line in lines:
            context.log.info(line)
        for line in troubles:
            context.log.error(line)
        return dg.SkipReason("; ".join([*lines, *troubles]) or "nothing to tell")

    return alerts
