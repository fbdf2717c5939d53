"""The sensor that turns finished Airflow tasks into materializations of the mirrored assets."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import dagster as dg
import pendulum

from dagster_defs.adapters.airflow import AirflowAddress, AirflowClient, DagRun, TaskInstance
from dagster_defs.adapters.standing import AIRFLOW_RUN, AIRFLOW_RUN_ID, AIRFLOW_TRY
from dagster_defs.errors import ParityError, Unaligned
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.windows import PartitionedSchedule

OVERLAP = pendulum.duration(minutes=2)  # Airflow commits an end date a little after it has passed
FIRST_LOOK = pendulum.duration(days=1)


@dataclass(frozen=True)
class Cursor:
    """`until`: everything that ended before it has been seen; `seen`: what ended in the overlap before it."""

    until: pendulum.DateTime
    seen: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def read(cls, text: str | None) -> Self:
        if not text:
            return cls(pendulum.now("UTC") - FIRST_LOOK)
        stored = json.loads(text)
        return cls(pendulum.from_timestamp(stored["until"]), frozenset(stored["seen"]))

    def write(self) -> str:
        return json.dumps({"until": self.until.timestamp(), "seen": sorted(self.seen)})


def build_sensor(
    name: str,
    partitions: Mapping[Unit, PartitionedSchedule],
    also_written: Mapping[Unit, Sequence[dg.AssetKey]],
    dag_ids: Sequence[str],
    poll_seconds: int,
) -> dg.SensorDefinition:
    """`dag_ids`: the DAGs that Airflow was last seen to have; those of mirrored units are watched anyway.

    `also_written`: keys that a unit writes and another one's mirror defines; of these it leaves observations.
    """
    watched = sorted({unit.dag_id for unit in partitions} | set(dag_ids))

    @dg.sensor(
        name=f"{name}_observer",
        minimum_interval_seconds=poll_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Finished Airflow tasks become materializations; the partition is that of the data interval.",
    )
    def observe(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        client = AirflowClient(AirflowAddress.from_environment(), patience=5)
        cursor = Cursor.read(context.cursor)
        try:
            fresh = [
                task
                for task in client.finished_task_instances(watched, cursor.until - OVERLAP)
                if task.identity not in cursor.seen
            ]
        except ParityError as error:
            return dg.SkipReason(str(error))
        runs: dict[tuple[str, str], DagRun] = {}
        events: list[Any] = []
        for task in fresh:
            if task.state == "success" and not _ran_in_dagster(context.instance, task):
                place = (task.unit.dag_id, task.run_id)
                runs[place] = runs.get(place) or client.dag_run(*place)
                events.extend(_events(context, name, task, runs[place], partitions.get(task.unit)))
                events.extend(
                    dg.AssetObservation(
                        key, description=f"also built by {task.unit}", metadata=_written(task, runs[place])
                    )
                    for key in also_written.get(task.unit, ())
                )
        return dg.SensorResult(asset_events=events, cursor=_advance(cursor, fresh).write())

    return observe


def _advance(cursor: Cursor, fresh: Sequence[TaskInstance]) -> Cursor:
    ends = [task.end for task in fresh if task.end]
    until = max([cursor.until, *ends])
    edge = until - OVERLAP
    # What ended before the overlap is not asked for again, so it need not be remembered.
    kept = {identity for identity in cursor.seen if _end_of(identity) >= edge}
    return Cursor(until, frozenset(kept | {task.identity for task in fresh if task.end and task.end >= edge}))


def _end_of(identity: str) -> pendulum.DateTime:
    parsed = pendulum.parse(identity.rsplit("|", 1)[1])
    assert isinstance(parsed, pendulum.DateTime)  # noqa: S101 - written by TaskInstance.identity
    return parsed


def _ran_in_dagster(instance: dg.DagsterInstance, task: TaskInstance) -> bool:
    """Whether the task was a proxy: then its Dagster run has told everything already."""
    whose = {
        tags.AIRFLOW_DAG: task.unit.dag_id,
        tags.AIRFLOW_RUN: task.run_id,
        tags.AIRFLOW_TASK: task.unit.task_id,
    }
    return bool(instance.get_run_records(dg.RunsFilter(tags=whose), limit=1))


def _events(
    context: dg.SensorEvaluationContext,
    estate: str,
    task: TaskInstance,
    run: DagRun,
    partitions: PartitionedSchedule | None,
) -> Iterator[dg.AssetMaterialization | dg.AssetObservation]:
    """Materializations with the window's partition; observations, with the reason, if there is no such partition."""
    metadata = _metadata(task, run)
    keys = [*_mirrored_keys(context, task.unit)]
    if partitions is None or not keys:
        yield dg.AssetMaterialization(
            dg.AssetKey([estate, task.unit.dag_id, task.unit.task_id]), metadata=metadata
        )
        return
    try:
        if run.window is None:
            raise Unaligned(str(partitions.schedule), "a run without a data interval", ())
        partition = partitions.key_of(run.window)
    except ParityError as error:
        for key in keys:
            yield dg.AssetObservation(key, description=f"unaligned: {error}", metadata=_written(task, run))
        return
    for key in keys:
        yield dg.AssetMaterialization(key, partition=partition, metadata=metadata)


def _mirrored_keys(context: dg.SensorEvaluationContext, unit: Unit) -> Iterator[dg.AssetKey]:
    assert context.repository_def is not None  # noqa: S101 - a sensor always belongs to a repository
    handle = {"dag_id": unit.dag_id, "task_id": unit.task_id}
    for node in context.repository_def.asset_graph.asset_nodes:
        if handle in _plain(node.metadata.get(tags.TASK_MAPPING)):
            yield node.key


def _plain(value: Any) -> Any:
    return getattr(value, "value", value) or []


def _written(task: TaskInstance, run: DagRun) -> dict[str, Any]:
    """Of an observation that tells of a write, which a comparison wants to know of."""
    return {**_metadata(task, run), tags.WRITTEN_BY: str(task.unit)}


def _metadata(task: TaskInstance, run: DagRun) -> dict[str, Any]:
    link = AirflowAddress.from_environment().link(task.unit, run.run_id)
    facts: dict[str, Any] = {
        AIRFLOW_RUN: dg.MetadataValue.url(link),
        AIRFLOW_RUN_ID: run.run_id,
        AIRFLOW_TRY: task.try_number,
        "Operator": task.operator,
    }
    if task.duration is not None:
        facts["Duration (s)"] = task.duration
    if task.start and task.end:
        facts[tags.BEGAN] = dg.MetadataValue.timestamp(task.start.timestamp())
        facts[tags.ENDED] = dg.MetadataValue.timestamp(task.end.timestamp())
    if run.window:
        facts[tags.WINDOW_START] = dg.MetadataValue.timestamp(run.window.start.timestamp())
        facts[tags.WINDOW_END] = dg.MetadataValue.timestamp(run.window.end.timestamp())
    return facts
