"""Events in Dagster's event log, as records of what they say about a window."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dagster_defs.lifecycle import tags
from dagster_defs.windows import Window

if TYPE_CHECKING:
    import dagster as dg

PAGE = 1_000  # events of one asset per query


@dataclass(frozen=True, slots=True)
class WindowEvent:
    """One event of one asset: a run in Airflow or Dagster that has written a window, or has failed to.

    The observer records Airflow's runs this way; the sensors, the comparison, the gates and the report read them.
    `position`: in the event log. `run_id`: Dagster's, empty for what was observed in Airflow. `airflow_*`, `state`,
    `began`, `ended`, `start`, `end`: as recorded, None or empty if they were not; `start` and `end` bound the window.
    `written_by`: the unit whose run wrote another unit's asset. `baseline`: why the rows may be a copy of legacy's.
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

    @classmethod
    def of(cls, record: Any) -> WindowEvent:
        """From a record of a materialization or of an observation."""
        event = record.asset_materialization or record.asset_observation
        noted: Mapping[str, Any] = {name: value.value for name, value in event.metadata.items()}

        def said(name: str) -> str:
            return str(noted.get(name, ""))

        def at(name: str) -> datetime | None:
            return instant(noted[name]) if name in noted else None

        return cls(
            record.storage_id,
            event.partition,
            instant(record.timestamp),
            record.run_id or "",
            said(tags.SHOWN_RUN_ID),
            said(tags.SHOWN_TRY),
            said(tags.SHOWN_RUN),
            said(tags.SHOWN_STATE),
            event.description or "",
            at(tags.BEGAN),
            at(tags.ENDED),
            at(tags.WINDOW_START),
            at(tags.WINDOW_END),
            said(tags.WRITTEN_BY),
            said(tags.BASELINE),
        )

    def may_be_of(self, window: Window) -> bool:
        """Whether it overlaps the window, or its own window is unknown."""
        if self.start is None or self.end is None:
            return True
        return self.start < window.end and window.start < self.end


def pages(fetch: Callable[..., Any], wanted: dg.AssetRecordsFilter, page: int = PAGE) -> Iterator[Any]:
    """All records, newest first."""
    cursor: str | None = None
    while True:
        found = fetch(wanted, limit=page, cursor=cursor)
        yield from found.records
        if not found.has_more:
            return
        cursor = found.cursor


def instant(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, tz=UTC)
