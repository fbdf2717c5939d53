"""Events in Dagster's event log, as records of what they say about a window."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TypedDict

from typing_extensions import Unpack

from dagster_defs.errors import BadOccasion
from dagster_defs.lifecycle import tags
from dagster_defs.windows import Occasion, Scheduled, Tick

if TYPE_CHECKING:
    import dagster as dg

PAGE = 1_000  # events of one asset per query
EVALUATIONS = 500  # of one check, per query


@dataclass(frozen=True, slots=True)
class WindowEvent:
    """One event of one asset: a run in Airflow or Dagster that has written a window, or has failed to.

    The observer records Airflow's runs this way; the sensors, the comparison, the gates and the report read them.
    `position`: in the event log. `run_id`: Dagster's, empty for what was observed in Airflow. `airflow_*`, `state`,
    `began`, `ended`, `start`, `end`: as recorded, None or empty if they were not; `start` and `end` bound the window.
    `written_by`: the unit whose run wrote another unit's asset. `baseline`: why the rows may be a copy of legacy's.
    `occasion`: what a run without a window is about.
    """

    position: int
    partition: str | None
    at: datetime
    run_id: str = ""
    airflow_run: str = ""
    airflow_try: str = ""
    address: str = ""
    state: str = ""
    description: str = ""
    began: datetime | None = None
    ended: datetime | None = None
    start: datetime | None = None
    end: datetime | None = None
    written_by: str = ""
    baseline: str = ""
    asset: tuple[str, ...] = ()
    task_instance: str = ""
    tick: str = ""
    occasion: Occasion | None = None

    @classmethod
    def of(cls, record: Any) -> WindowEvent:
        """From a record of a materialization or of an observation."""
        event = record.asset_materialization or record.asset_observation
        noted: Mapping[str, Any] = {name: value.value for name, value in event.metadata.items()}

        def text(name: str) -> str:
            return str(noted.get(name, ""))

        def at(name: str) -> datetime | None:
            return instant(noted[name]) if name in noted else None

        return cls(
            record.storage_id,
            event.partition,
            instant(record.timestamp),
            record.run_id or "",
            text(tags.SHOWN_RUN_ID),
            text(tags.SHOWN_TRY),
            text(tags.SHOWN_RUN),
            text(tags.SHOWN_STATE) or text(tags.AIRFLOW_STATE),
            event.description or "",
            at(tags.BEGAN),
            at(tags.ENDED),
            at(tags.WINDOW_START),
            at(tags.WINDOW_END),
            text(tags.WRITTEN_BY),
            text(tags.BASELINE),
            tuple(record.asset_key.path) if record.asset_key else (),
            text(tags.AIRFLOW_TASK_INSTANCE),
            text(tags.TICK),
            _occasion(noted.get(tags.OCCASION)),
        )

    @property
    def name(self) -> str | None:
        """Its partition or, for a run without a window, the id of that run; None for anything else."""
        return self.partition or (self.occasion.run_id if self.occasion else None)

    @property
    def is_skip(self) -> bool:
        """Whether the task was skipped, in Airflow or by the operator that Dagster ran: then nothing was written."""
        return self.state == "skipped"

    def may_be_of(self, window: Scheduled | None) -> bool:
        """Whether it overlaps the window, or one of the two is unknown: a tick does not say which rows its run is
        about."""
        if window is None or self.start is None or self.end is None:
            return True
        if isinstance(window, Tick) or self.start == self.end:
            return True
        return self.start < window.end and window.start < self.end


@dataclass(frozen=True, slots=True)
class CheckEvent:
    """One evaluation of an asset check. `noted`: its metadata, as plain values."""

    partition: str | None
    at: datetime
    run_id: str
    noted: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StepEvent:
    """What has happened to one step of a run, or to the run itself, whose step is empty. `what`: `start`, `retry`,
    `failure`, `success` or `skipped`. `errors`: from the outermost to the innermost, class and message; `stack`: of the
    innermost."""

    step: str
    what: str
    at: datetime
    message: str = ""
    errors: tuple[tuple[str, str], ...] = ()
    stack: str = ""


class Which(TypedDict, total=False):
    """Which events of an asset. `partitions`: of any of these. `after`: only those beyond this position in the event
    log. `limit`: only so many of the newest; without one all of them, page after page."""

    partition: str | None
    partitions: Collection[str]
    since: datetime | None
    after: int | None
    limit: int | None


@dataclass(frozen=True)
class EventReader:
    """All that is read from Dagster's event log, as records; nothing else asks the instance for events."""

    instance: dg.DagsterInstance

    def materializations(self, key: dg.AssetKey, **which: Unpack[Which]) -> Iterator[WindowEvent]:
        """The newest first."""
        return self._events(self.instance.fetch_materializations, key, which)

    def observations(self, key: dg.AssetKey, **which: Unpack[Which]) -> Iterator[WindowEvent]:
        """The newest first."""
        return self._events(self.instance.fetch_observations, key, which)

    def materialization(self, key: dg.AssetKey, position: int) -> WindowEvent | None:
        """The one at this position; None if it is gone."""
        import dagster as dg

        wanted = dg.AssetRecordsFilter(asset_key=key, storage_ids=[position])
        return next(
            iter(map(WindowEvent.of, self.instance.fetch_materializations(wanted, limit=1).records)), None
        )

    def _events(self, fetch: Callable[..., Any], key: dg.AssetKey, which: Which) -> Iterator[WindowEvent]:
        import dagster as dg

        partition, since = which.get("partition"), which.get("since")
        partitions = which.get("partitions") or ([partition] if partition else None)
        wanted = dg.AssetRecordsFilter(
            asset_key=key,
            asset_partitions=sorted(partitions) if partitions else None,
            after_timestamp=since.timestamp() if since else None,
            after_storage_id=which.get("after"),
        )
        yield from map(WindowEvent.of, _records(fetch, wanted, which.get("limit")))

    def written_after(
        self, position: int | None, since: datetime | None, limit: int
    ) -> Sequence[WindowEvent]:
        """Materializations of all assets, the oldest first; one query, whatever the number of assets."""
        import dagster as dg

        wanted = dg.EventRecordsFilter(
            dg.DagsterEventType.ASSET_MATERIALIZATION,
            after_cursor=position,
            after_timestamp=since.timestamp() if since else None,
        )
        records = self.instance.event_log_storage.get_event_records(wanted, limit=limit, ascending=True)
        return [WindowEvent.of(record) for record in records]

    def evaluations(self, key: dg.AssetCheckKey) -> Iterator[CheckEvent]:
        """All of one asset check that have ended, the newest first."""
        from dagster._core.storage.asset_check_execution_record import (
            AssetCheckExecutionRecordStatus as Status,
        )

        cursor: int | None = None
        while True:
            page = self.instance.event_log_storage.get_asset_check_execution_history(
                key, limit=EVALUATIONS, cursor=cursor, status={Status.SUCCEEDED, Status.FAILED}
            )
            for record in page:
                if (evaluation := record.evaluation) is not None:
                    yield CheckEvent(
                        evaluation.partition,
                        instant(record.event.timestamp if record.event else record.create_timestamp),
                        record.run_id,
                        {name: value.value for name, value in evaluation.metadata.items()},
                    )
            if len(page) < EVALUATIONS:
                return
            cursor = page[-1].id

    def steps(self, run_id: str) -> Sequence[StepEvent]:
        """What a run's steps have come to so far, and why the run failed, the oldest first."""
        import dagster as dg

        logs = self.instance.all_logs(run_id, of_type={dg.DagsterEventType(name) for name in _OF_STEPS})
        return [_step_event(log) for log in logs if log.dagster_event is not None]

    def was_asked_to_end(self, run_id: str) -> bool:
        """Whether somebody has terminated the run, however its worker has ended it."""
        import dagster as dg

        return bool(self.instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_CANCELING))

    def verdicts(self, run_id: str) -> Sequence[CheckEvent]:
        """The asset checks that the run has evaluated."""
        import dagster as dg

        logs = self.instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        found = [(log, log.dagster_event.asset_check_evaluation_data) for log in logs if log.dagster_event]
        return [
            CheckEvent(
                each.partition,
                instant(log.timestamp),
                run_id,
                {name: value.value for name, value in each.metadata.items()},
            )
            for log, each in found
        ]

    def passed(self, run_id: str) -> Mapping[dg.AssetCheckKey, bool]:
        """Whether each asset check that the run evaluated passed."""
        import dagster as dg

        logs = self.instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        events = [log.dagster_event for log in logs if log.dagster_event is not None]
        evaluations = [event.asset_check_evaluation_data for event in events]
        return {evaluation.asset_check_key: evaluation.passed for evaluation in evaluations}


_OF_STEPS = {
    "STEP_START": "start",
    "STEP_UP_FOR_RETRY": "retry",
    "STEP_FAILURE": "failure",
    "STEP_SUCCESS": "success",
    "STEP_SKIPPED": "skipped",
    "PIPELINE_FAILURE": "failure",
}


def _step_event(log: Any) -> StepEvent:
    event = log.dagster_event
    data = getattr(event, "event_specific_data", None)
    errors, error = [], getattr(data, "error", None)
    while error is not None:
        errors.append(error)
        error = error.cause or error.context
    stack = "".join(errors[-1].stack) if errors else ""
    named = tuple((each.cls_name or "", each.message.strip()) for each in errors)
    what = _OF_STEPS[event.event_type_value]
    return StepEvent(event.step_key or "", what, instant(log.timestamp), event.message or "", named, stack)


def _records(fetch: Callable[..., Any], wanted: dg.AssetRecordsFilter, limit: int | None) -> Iterator[Any]:
    if limit is not None:
        yield from fetch(wanted, limit=limit).records
        return
    cursor: str | None = None
    while True:
        page = fetch(wanted, limit=PAGE, cursor=cursor)
        yield from page.records
        if not page.has_more:
            return
        cursor = page.cursor


def _occasion(document: Any) -> Occasion | None:
    """None for anything that no run of ours has recorded."""
    try:
        return None if document is None else Occasion.from_json(document)
    except BadOccasion:
        return None


def instant(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, tz=timezone.utc)
