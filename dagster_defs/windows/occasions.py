"""What a run is about, and runs without a window: those of a DAG that no clock starts, with what a template may ask.

An occasion has neither a window nor a partition. Its variables follow from what Airflow recorded about its run, and
from nothing else: the names are computed as in `TaskInstance`'s `_get_template_context` of Airflow 2.11.2, where `ds`
is the date of the logical date, and the data interval is the one that the DAG run has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

import pendulum
from typing_extensions import Self

from dagster_defs.errors import BadOccasion
from dagster_defs.older_python import StrEnum, datetime_of
from dagster_defs.windows.vocabulary import OF_RUNS_BESIDE
from dagster_defs.windows.window import utc
from dagster_defs.windows.zones import Zone, canonical_zone, zone_named

__all__ = [
    "EVENT_NAMES",
    "EVENT_REASONS",
    "EVENT_RECORDS",
    "EventKind",
    "EventSchedule",
    "Occasion",
    "OccasionKind",
]

_LONGEST_ID = 250  # characters of a run id in Airflow's database


class OccasionKind(StrEnum):
    """What the runs of a schedule are about. Only a window has a length; a tick is an instant; a run for a partition
    key has no instant of its own, and an event is nothing that a schedule decides."""

    WINDOW = "window"
    TICK = "tick"
    PARTITION = "partition"
    EVENT = "event"

    @property
    def in_words(self) -> str:
        return _ABOUT[self]


_ABOUT = {
    OccasionKind.WINDOW: "windows",
    OccasionKind.TICK: "ticks without a length",
    OccasionKind.PARTITION: "partition keys",
    OccasionKind.EVENT: "events",
}


class EventKind(StrEnum):
    """What starts the runs of a DAG without a clock."""

    MANUAL = "manual"
    ONCE = "once"
    DATASETS = "datasets"
    CONTINUOUS = "continuous"

    @property
    def in_words(self) -> str:
        return _IN_WORDS[self]


_IN_WORDS = {
    EventKind.MANUAL: "started by a person",
    EventKind.ONCE: "started once",
    EventKind.DATASETS: "started by datasets or assets",
    EventKind.CONTINUOUS: "started again as soon as it has ended",
}


@dataclass(frozen=True, slots=True)
class Occasion:
    """One run of a DAG without a clock, as Airflow recorded it. `start` and `end` bound its data interval, which may
    be empty; instants are None if the run has none."""

    run_id: str
    logical_date: pendulum.DateTime | None = None
    start: pendulum.DateTime | None = None
    end: pendulum.DateTime | None = None
    run_type: str = "manual"
    conf: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not self.run_id or len(self.run_id) > _LONGEST_ID:
            raise BadOccasion("it has no run id" if not self.run_id else "its run id is too long")
        for name in ("logical_date", "start", "end"):
            instant = getattr(self, name)
            if instant is not None:
                object.__setattr__(self, name, utc(instant))

    @classmethod
    def by_hand(cls, at: datetime, conf: Mapping[str, Any]) -> Self:
        """A run that a person starts at this instant, with what Airflow's `NullTimetable` infers for one."""
        moment = utc(at)
        return cls(f"manual__{moment.isoformat()}", moment, moment, moment, "manual", conf)

    @classmethod
    def from_json(cls, document: Any) -> Self:
        """Raises BadOccasion for anything that `as_json` does not write."""
        if not isinstance(document, Mapping):
            raise BadOccasion("it is not a mapping")
        conf, run_id = document.get("conf") or {}, document.get("run_id")
        if not isinstance(conf, Mapping) or not isinstance(run_id, str):
            raise BadOccasion("its `conf` is not a mapping, or its `run_id` is not a text")
        try:
            logical_date, start, end = (
                None if document.get(name) is None else utc(datetime_of(document[name]))
                for name in ("logical_date", "start", "end")
            )
        except (TypeError, ValueError) as error:
            raise BadOccasion(f"one of its instants is malformed ({error})") from error
        return cls(run_id, logical_date, start, end, str(document.get("run_type") or "manual"), dict(conf))

    def as_json(self) -> dict[str, Any]:
        return {
            "run_id": self.run_id,
            "logical_date": self.logical_date and self.logical_date.isoformat(),
            "start": self.start and self.start.isoformat(),
            "end": self.end and self.end.isoformat(),
            "run_type": self.run_type,
            "conf": dict(self.conf),
        }

    def __str__(self) -> str:
        return f"run {self.run_id}"


@dataclass(frozen=True, slots=True)
class EventSchedule:
    """Instead of a schedule: what starts the DAG's runs. `timezone` is the DAG's. Raises ValueError for an unknown
    zone."""

    kind: EventKind
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        object.__setattr__(self, "timezone", canonical_zone(self.timezone))
        _ = self.zone

    def __str__(self) -> str:
        return f"no clock ({self.kind.in_words})"

    @property
    def zone(self) -> Zone:
        return zone_named(self.timezone)

    def example(self) -> Occasion:
        """An occasion that never was, to enumerate what any run writes."""
        moment = pendulum.datetime(2000, 1, 1)
        return Occasion("example", moment, moment, moment)


@dataclass(frozen=True, slots=True)
class EventContext:
    """What the templates of a unit without a clock know besides the occasion."""

    schedule: EventSchedule
    dag_id: str
    task_id: str


EventValue = Callable[[Occasion, EventContext], Any]


def _known(instant: pendulum.DateTime | None, what: str) -> pendulum.DateTime:
    if instant is None:
        raise ValueError(f"the run has no {what}")
    return instant


def _logical(occasion: Occasion, _: EventContext) -> pendulum.DateTime:
    return _known(occasion.logical_date, "logical date")


def _start(occasion: Occasion, _: EventContext) -> pendulum.DateTime:
    return _known(occasion.start, "data interval")


def _end(occasion: Occasion, _: EventContext) -> pendulum.DateTime:
    return _known(occasion.end, "data interval")


def _run_id(occasion: Occasion, _: EventContext) -> str:
    return occasion.run_id


def _on(days: int, layout: str) -> EventValue:
    return lambda occasion, context: (_logical(occasion, context) + timedelta(days)).strftime(layout)


EVENT_NAMES: Mapping[str, EventValue] = MappingProxyType(
    {
        "data_interval_start": _start,
        "data_interval_end": _end,
        "logical_date": _logical,
        "execution_date": _logical,
        "ds": _on(0, "%Y-%m-%d"),
        "ds_nodash": _on(0, "%Y%m%d"),
        "ts": lambda o, c: _logical(o, c).isoformat(),
        "ts_nodash": _on(0, "%Y%m%dT%H%M%S"),
        "ts_nodash_with_tz": lambda o, c: _logical(o, c).isoformat().replace("-", "").replace(":", ""),
        "yesterday_ds": _on(-1, "%Y-%m-%d"),
        "yesterday_ds_nodash": _on(-1, "%Y%m%d"),
        "tomorrow_ds": _on(1, "%Y-%m-%d"),
        "tomorrow_ds_nodash": _on(1, "%Y%m%d"),
        "run_id": _run_id,
        "task_instance_key_str": lambda o, c: f"{c.dag_id}__{c.task_id}__{_logical(o, c).strftime('%Y%m%d')}",
    }
)

_INSTANCE: Mapping[str, EventValue] = MappingProxyType(
    {"dag_id": lambda _, c: c.dag_id, "task_id": lambda _, c: c.task_id, "run_id": _run_id}
)

EVENT_RECORDS: Mapping[str, Mapping[str, EventValue]] = MappingProxyType(
    {
        "dag": {
            "dag_id": lambda _, c: c.dag_id,
            "safe_dag_id": lambda _, c: c.dag_id.replace(".", "__dot__"),
            "timezone": lambda _, c: c.schedule.zone,
        },
        "task": {"task_id": lambda _, c: c.task_id, "dag_id": lambda _, c: c.dag_id},
        "dag_run": {
            "dag_id": lambda _, c: c.dag_id,
            "run_id": _run_id,
            "run_type": lambda o, _: o.run_type,
            "logical_date": lambda o, _: o.logical_date,
            "execution_date": lambda o, _: o.logical_date,
            "data_interval_start": lambda o, _: o.start,
            "data_interval_end": lambda o, _: o.end,
            "conf": lambda o, _: deepcopy(dict(o.conf)),
        },
        "ti": _INSTANCE,
        "task_instance": _INSTANCE,
    }
)

# Why a name that a template of a scheduled run may use is missing here.
_NO_SCHEDULE = "a DAG without a clock has no run before or after a run"
EVENT_REASONS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(
            OF_RUNS_BESIDE,
            _NO_SCHEDULE,
        ),
        "params": "the run's conf may override a default, if the team's Airflow allows that: use dag_run.conf",
        "dag_run": "Airflow does not record it for a run",
    }
)
