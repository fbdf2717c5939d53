"""How far the start of a retired DAG without a clock has come, as the cursor of its sensor keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from dagster_defs.lifecycle.event_queue import EventQueue
from dagster_defs.lifecycle.starters import Starters
from dagster_defs.older_python import datetime_of
from dagster_defs.windows import Occasion

TRIGGERS = "_triggers"  # how the name of such a sensor ends
_FIRST = ""  # among the DAGs in the cursor: the one that comes first in the next tick
#: How much of what was read is read again: a row of Dagster's storage may appear after one with a later time.
OVERLAP = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Start:
    """A run that is to be started. `key`: of what starts it, the same whenever that is read again; `why`: in words."""

    key: str
    occasion: Occasion
    why: str

    def as_json(self) -> Mapping[str, Any]:
        return {"key": self.key, "occasion": self.occasion.as_json(), "why": self.why}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Start:
        return cls(str(document["key"]), Occasion.from_json(document["occasion"]), str(document["why"]))


@dataclass(frozen=True, slots=True)
class TriggerPlace:
    """`since`: nothing before it is read any more; None before the first look. `floor`: no dataset event up to then
    counts. `told`: what was read after `since` already, by key, and when it was noted. `queue`: the dataset events
    since the last run. `pending`: runs that wait for a free place, oldest first. `unanswered`: runs in Airflow's queue
    that Dagster runs. `last`: what was seen last, in words."""

    since: datetime | None = None
    floor: datetime | None = None
    told: Mapping[str, datetime] = field(default_factory=dict)
    queue: EventQueue = EventQueue()  # noqa: RUF009 - frozen
    pending: tuple[Start, ...] = ()
    unanswered: tuple[str, ...] = ()
    last: str = ""

    def knows(self, key: str) -> bool:
        return key in self.told

    def telling(self, keys: Mapping[str, datetime], oldest_open: datetime | None) -> TriggerPlace:
        """With these read. `oldest_open`: of what was read and is not known to count yet: it is read again."""
        told = {**self.told, **keys}
        assert self.since is not None  # noqa: S101 - there was a first look
        since = max([self.since, *(at - OVERLAP for at in told.values())])
        if oldest_open is not None:
            since = max(self.since, min(since, oldest_open - OVERLAP))
        return replace(self, since=since, told={key: at for key, at in told.items() if at >= since})

    def as_json(self) -> Mapping[str, Any]:
        return {
            "since": self.since and self.since.isoformat(),
            "floor": self.floor and self.floor.isoformat(),
            "told": {key: at.isoformat() for key, at in self.told.items()},
            "queue": self.queue.as_json(),
            "pending": [start.as_json() for start in self.pending],
            "unanswered": list(self.unanswered),
            "last": self.last,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> TriggerPlace:
        since, floor = (document[name] and datetime_of(document[name]) for name in ("since", "floor"))
        return cls(
            since,
            floor,
            {str(key): datetime_of(at) for key, at in document["told"].items()},
            EventQueue.from_json(document["queue"]),
            tuple(map(Start.from_json, document["pending"])),
            tuple(map(str, document["unanswered"])),
            str(document["last"]),
        )


def trigger_places(cursor: str | None) -> dict[str, TriggerPlace]:
    """By DAG, from the cursor of such a sensor."""
    stored = json.loads(cursor or "{}").items()
    return {dag_id: TriggerPlace.from_json(each) for dag_id, each in stored if dag_id != _FIRST}


def first_triggered(cursor: str | None) -> str:
    """The DAG that the last tick had no time for and that comes first now; empty if it had time for all."""
    return str(json.loads(cursor or "{}").get(_FIRST, ""))


def trigger_cursor(places: Mapping[str, TriggerPlace], first: str = "") -> str:
    return json.dumps({_FIRST: first} | {dag_id: place.as_json() for dag_id, place in places.items()})


def waiting_for(place: TriggerPlace, starters: Starters) -> str:
    """What a DAG waits for of which no run is due, in words."""
    if place.queue.queued:
        return f"waits for {', '.join(place.queue.missing(starters))}: {', '.join(place.queue.queued)} has been written"
    return f"waits for {starters.in_words}"
