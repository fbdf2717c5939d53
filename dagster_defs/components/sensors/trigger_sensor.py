"""The sensor that starts the runs of retired DAGs without a clock, on the same events as Airflow did."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import dagster as dg

from dagster_defs.adapters.airflow.address import AirflowAddress
from dagster_defs.adapters.airflow.client import AirflowClient
from dagster_defs.adapters.files.airflows import settings_of_dag
from dagster_defs.adapters.store.registry import store_reader
from dagster_defs.components.sensors.airflow_sensor import PATIENCE
from dagster_defs.components.sensors.schedule_sensor import SECONDS, round_from, shown
from dagster_defs.components.sensors.trigger_turn import TriggeredDag, TriggerTurn
from dagster_defs.errors import ParityError
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.histories import Histories
from dagster_defs.lifecycle.trigger_place import (
    TRIGGERS,
    TriggerPlace,
    first_triggered,
    trigger_cursor,
    trigger_places,
)
from dagster_defs.settings import Settings


def build_trigger_sensor(
    name: str,
    dags: Sequence[TriggeredDag],
    jobs: Sequence[Any],
    units: Collection[Unit],
    poll_seconds: int,
    root: Path,
    held: Mapping[str, str] | None = None,
    seconds: float = SECONDS,
) -> dg.SensorDefinition:
    """`jobs`: those of `dags`. `units`: all that have a mirror. `held`: DAGs, and why nothing can start them. `root`:
    the Dagster project. `seconds`: how long a tick looks; at least one DAG has its turn, and the next tick begins with
    the first that had none. The cursor holds the `TriggerPlace` of each DAG."""
    own = {dag.dag_id: dag for dag in dags}

    @dg.sensor(
        name=f"{name}{TRIGGERS}",
        jobs=jobs,
        minimum_interval_seconds=poll_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Runs a retired DAG without a clock when another DAG's task, or datasets, would have started it.",
    )
    def triggers(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        began, settings = monotonic(), Settings.from_process(root)
        places, first = trigger_places(context.cursor), first_triggered(context.cursor)
        try:
            histories = store_reader(settings).read().histories()
        except ParityError as error:
            return dg.SensorResult(skip_reason=str(error), cursor=context.cursor)
        requests: list[dg.RunRequest] = []
        waiting: list[str] = []
        retired = {
            dag_id: at for dag_id in round_from(first, [*own]) if (at := own[dag_id].retired_at(histories))
        }
        gone = wholly_retired(units, histories)
        first, has_looked = "", False
        for dag_id, at in retired.items():
            if dag_id in (held or {}):
                waiting.append(f"{dag_id}: nothing starts it, because {(held or {})[dag_id]}")
                context.log.error(waiting[-1])
                continue
            if has_looked and monotonic() - began >= seconds:
                first = dag_id
                context.log.info(f"this tick has taken its {seconds:g} s; the next one begins with {dag_id}")
                break
            has_looked = True

            def airflow(dag_id: str = dag_id) -> AirflowClient:
                return AirflowClient(AirflowAddress.of(settings_of_dag(settings, dag_id)), patience=PATIENCE)

            turn = TriggerTurn(
                context.instance, own[dag_id], places.get(dag_id, TriggerPlace()), airflow, gone
            )
            try:
                turn.take(at)
            except ParityError as error:  # one DAG's fault must not stop the others
                context.log.error(f"{dag_id}: {error}")
                waiting.append(f"{dag_id}: {error}")
                continue
            requests += turn.requests
            waiting += turn.told + turn.dropped
            places[dag_id] = turn.after
            for line in turn.dropped:
                context.log.warning(line)
        for line in waiting:
            context.log.info(line)
        why = None if requests else "; ".join(shown(waiting)) or "no DAG that others start is retired"
        return dg.SensorResult(run_requests=requests, cursor=trigger_cursor(places, first), skip_reason=why)

    return triggers


def wholly_retired(units: Iterable[Unit], histories: Histories) -> set[str]:
    """The DAGs all of whose mirrored units are retired: of their runs Airflow has none any more."""
    known = [*units]
    left = {unit.dag_id for unit in known if histories.retired(unit) is None}
    return {unit.dag_id for unit in known} - left
