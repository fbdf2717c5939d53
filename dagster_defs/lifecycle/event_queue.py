"""The queue of dataset events of one DAG, by the rules of Airflow's `DatasetDagRunQueue`.

From Airflow 2.11.2: `DatasetManager.register_dataset_change` (a dataset is queued once, and keeps the time at which
it was), `DagModel.dags_needing_dagruns` (the condition is asked about what is queued, and not while `max_active_runs`
are active), `SchedulerJobRunner._create_dag_runs_dataset_triggered` (the run's date is that of the newest entry, it
consumes all events up to that date, and the queue is empty afterwards) and
`DatasetTriggeredTimetable.data_interval_for_events`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from dagster_defs.lifecycle.starters import Starters
from dagster_defs.older_python import datetime_of
from dagster_defs.windows import Occasion
from dagster_defs.windows.window import utc

_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Extent:
    """Of the runs behind some events: from the first start to the last end."""

    start: datetime
    end: datetime

    def with_(self, other: Extent | None) -> Extent:
        if other is None:
            return self
        return Extent(min(self.start, other.start), max(self.end, other.end))

    def as_json(self) -> list[str]:
        return [self.start.isoformat(), self.end.isoformat()]


@dataclass(frozen=True, slots=True)
class EventQueue:
    """`queued`: by dataset, when its first event since the last run arrived. `due`: of the events that the next run
    consumes; `later`: of those that it does not, because they are newer than each first one. `last`: the date of the
    last run."""

    queued: Mapping[str, datetime] = field(default_factory=dict, hash=False)
    due: Extent | None = None
    later: Extent | None = None
    last: datetime | None = None

    def with_event(self, addresses: Iterable[str], at: datetime, extent: Extent | None) -> EventQueue:
        """After one task has written these datasets at `at`; `extent`: of its run, which may have none."""
        own = extent or Extent(at, at)
        new = {address: at for address in addresses if address not in self.queued}
        if new:
            # What was too new for the first entries is not for this one.
            return replace(
                self, queued={**self.queued, **new}, due=own.with_(self.due).with_(self.later), later=None
            )
        if at <= max(self.queued.values(), default=at):
            return replace(self, due=own.with_(self.due))
        return replace(self, later=own.with_(self.later))

    def occasion(self, starters: Starters) -> Occasion | None:
        """The run that is due; None if the condition does not hold."""
        if starters.condition is None or not starters.condition.holds(self.queued):
            return None
        at = utc(self._date)
        if not starters.dates:
            return Occasion(f"asset_triggered__{at.isoformat()}", None, None, None, "asset_triggered")
        extent = self.due or Extent(at, at)
        start, end = utc(extent.start), utc(extent.end)
        return Occasion(f"dataset_triggered__{at.isoformat()}", at, start, end, "dataset_triggered")

    def emptied(self) -> EventQueue:
        """After the run that was due has been created."""
        return EventQueue(due=self.later, last=self._date)

    @property
    def _date(self) -> datetime:
        """Two runs have no date in common, and their order is that of their dates."""
        newest = max(self.queued.values())
        return newest if self.last is None or newest > self.last else self.last + _INSTANT

    def missing(self, starters: Starters) -> list[str]:
        """The datasets of the condition that have no new event."""
        condition = starters.condition
        return [] if condition is None else [each for each in condition.addresses if each not in self.queued]

    def as_json(self) -> Mapping[str, Any]:
        return {
            "queued": {address: at.isoformat() for address, at in self.queued.items()},
            "due": self.due and self.due.as_json(),
            "later": self.later and self.later.as_json(),
            "last": self.last and self.last.isoformat(),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> EventQueue:
        due, later = (
            Extent(*map(datetime_of, document[name])) if document[name] else None for name in ("due", "later")
        )
        last = document["last"]
        queued = {str(address): datetime_of(at) for address, at in document["queued"].items()}
        return cls(queued, due, later, datetime_of(last) if last else None)
