"""The sensor that ends runs whose processes are gone, so that their windows are free again."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from dagster_defs.adapters.store.registry import open_store
from dagster_defs.adapters.store.seam import Heartbeat, Heartbeats
from dagster_defs.errors import ParityError
from dagster_defs.lifecycle import tags
from dagster_defs.settings import Settings

STILL = 180.0  # seconds without a beat: a process that lives beats each ten, or ends itself before
KEPT = 24 * 3600.0  # seconds that a declaration is remembered after its run has ended
LOOKS = 3  # and so many looks: a clock that jumps is not believed
MOST_LOOKS = 9  # and in no more of them: with a look each second, three would be over between two beats

# By run and unit: the count, when it was first seen, and in how many looks.
Seen = Mapping[str, tuple[int, float, int]]


def build_lost_runs_sensor(
    name: str, poll_seconds: int, root: Path, *, still: float = STILL
) -> dg.SensorDefinition:
    @dg.sensor(
        name=f"{name}_lost_runs",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=interval(poll_seconds, still),
        description="Ends runs whose processes are gone: they leave no sign of life in the store any more.",
    )
    def lost_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        try:
            heartbeats = open_store(Settings.from_process(root)).heartbeats()
            seen, ended = look(
                context.instance, heartbeats, read_cursor(context.cursor), _now(), still, context.log.warning
            )
        except ParityError as error:
            context.update_cursor("")  # what was seen before says nothing about the time without an answer
            return dg.SkipReason(str(error))
        context.update_cursor(json.dumps(seen))
        return dg.SkipReason(f"ended: {', '.join(ended)}" if ended else f"{len(seen)} at work")

    return lost_runs


def interval(poll_seconds: int, still: float) -> int:
    """Seconds between two looks."""
    return max(1, min(max(poll_seconds, int(still / MOST_LOOKS)), int(still / LOOKS)))


def look(
    instance: dg.DagsterInstance,
    heartbeats: Heartbeats,
    before: Seen,
    now: float,
    still: float,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[dict[str, tuple[int, float, int]], list[str]]:
    """What was seen now, and the runs that were ended. Raises what the store raises."""
    seen: dict[str, tuple[int, float, int]] = {}
    ended: list[str] = []
    for heartbeat in _of_live_runs(instance, heartbeats, now):
        key = f"{heartbeat.run_id} {heartbeat.unit}"
        count, since, looks = before.get(key, (heartbeat.count, now, 0))
        if count != heartbeat.count or since > now:
            since, looks = now, 0
        is_still = now - since >= still and looks + 1 >= LOOKS
        # One that was declared lost may still wait for its end: whoever declared it was stopped in between.
        if heartbeat.lost or (is_still and heartbeats.declare_lost(heartbeat)):
            _end(instance, heartbeat, say)
            ended.append(heartbeat.run_id)
        else:
            seen[key] = (heartbeat.count, since, looks + 1)
    return seen, ended


def _of_live_runs(instance: dg.DagsterInstance, heartbeats: Heartbeats, now: float) -> Iterator[Heartbeat]:
    """A step that beats in a run that has ended is declared lost, too: that run's windows are free. Such declarations
    are kept for a day, for the process that may still live; what belongs to no run any more is forgotten."""
    for heartbeat in heartbeats.all():
        record = instance.get_run_record_by_id(heartbeat.run_id)
        if record is not None and record.dagster_run.status in NOT_FINISHED_STATUSES:
            yield heartbeat
        elif record is None or (heartbeat.lost and now - (record.end_time or 0) > KEPT):
            heartbeats.rest(heartbeat.run_id, heartbeat.unit)
        elif not heartbeat.lost:
            heartbeats.declare_lost(heartbeat)


def _end(instance: dg.DagsterInstance, heartbeat: Heartbeat, say: Callable[[str], None]) -> None:
    run = instance.get_run_by_id(heartbeat.run_id)
    if run is None or run.status not in NOT_FINISHED_STATUSES:
        return
    why = f"The process of {heartbeat.unit} has left no sign of life: it, or its host, is gone"
    instance.add_run_tags(run.run_id, {tags.LOST: heartbeat.unit})
    instance.report_run_failed(run, why)
    say(f"{run.run_id}: {why}")


def read_cursor(cursor: str | None) -> Seen:
    """Nothing was seen, if it is not one of ours."""
    try:
        document = json.loads(cursor or "{}")
        return {
            str(key): (int(count), float(since), int(looks))
            for key, (count, since, looks) in document.items()
        }
    except (ValueError, TypeError, AttributeError):
        return {}


def _now() -> float:
    return datetime.now(timezone.utc).timestamp()
