"""The sensor that turns finished Airflow tasks into events of the mirrored assets."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic

import dagster as dg
import pendulum

from dagster_defs.adapters.airflow.address import AirflowAddress
from dagster_defs.adapters.airflow.client import AirflowReader
from dagster_defs.adapters.files.airflows import airflows
from dagster_defs.components.sensors.observed import EventTranslator, TickLog, mirrored_keys
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.observing import Budget, Cursor, digest
from dagster_defs.settings import Settings
from dagster_defs.usecases.observe import ObservationTick
from dagster_defs.windows import Times

PATIENCE = 5.0  # seconds for retrying one call; short, as the next tick is near


def build_sensor(
    name: str,
    times: Mapping[Unit, Times],
    also_written: Mapping[Unit, Sequence[dg.AssetKey]],
    dag_ids: Sequence[str],
    poll_seconds: int,
    root: Path,
    airflow: str = "",
    budget: Budget = Budget(),  # noqa: B008 - frozen
) -> dg.SensorDefinition:
    """`dag_ids`: the DAGs that Airflow was last seen to contain; those of mirrored units are watched in any case.

    `also_written`: keys that a unit writes but another unit's mirror defines; these get observations. `root`: the
    Dagster project. `airflow`: which of the project's Airflows this is, if it has several; then `times` and
    `also_written` are those of its units, and a DAG of another Airflow is not watched, whatever ids this one has.
    """
    declared = airflows(Settings({}, root))
    ids = {unit.dag_id for unit in times} | set(dag_ids)
    watched = sorted(dag_id for dag_id in ids if declared.may_be_in(dag_id, airflow))

    def is_here(unit: Unit) -> bool:
        return declared.has(airflow, unit.dag_id)

    @dg.sensor(
        name=f"{name}_observer",
        minimum_interval_seconds=poll_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Finished Airflow tasks become materializations, with the partition of the data interval if there "
        "is one; failed and retried ones become observations.",
    )
    def observe(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        began, now = monotonic(), pendulum.now("UTC")
        assert context.repository_def is not None  # noqa: S101 - a sensor always belongs to a repository
        settings = Settings.from_process(root).of_airflow(airflow)
        client = AirflowReader(AirflowAddress.of(settings), patience=PATIENCE)
        keys = {unit: own for unit, own in mirrored_keys(context.repository_def).items() if is_here(unit)}
        translator = EventTranslator(name, client, context.instance, keys, times, also_written, settings)
        cursor = Cursor.read(context.cursor) if context.cursor else Cursor.first(now)
        look = ObservationTick(client, watched, cursor, translator.tell, lambda: monotonic() - began, budget)
        look.look(now)
        log = TickLog(context.instance, dg.AssetKey([name, "observer"]))
        return dg.SensorResult(
            asset_events=log.opened(look.events, digest(context.cursor or ""), look.tasks),
            cursor=look.cursor.write(),
            skip_reason=str(look.trouble) if look.trouble else None,
        )

    return observe
