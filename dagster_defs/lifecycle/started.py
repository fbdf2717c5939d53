"""How far the schedule of a retired DAG has come, as the cursor of its sensor keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dagster_defs.lifecycle.waits import Waiting
from dagster_defs.older_python import datetime_of

SCHEDULES = "_schedules"  # how the name of such a sensor ends
_FIRST = ""  # among the DAGs in the cursor: the one that comes first in the next tick


@dataclass(frozen=True, slots=True)
class Place:
    """`last`: the start of the newest window whose turn has come; None before the first. `waiting`: those of them that
    wait for other DAGs, oldest first. `held`: nothing could look at them in the last tick."""

    last: datetime | None = None
    waiting: tuple[Waiting, ...] = ()
    held: bool = False

    def as_json(self) -> Any:
        """Text if nothing waits, which is all that a former version knew."""
        last = self.last and self.last.isoformat()
        if not self.waiting:
            return last
        return {
            "last": last,
            "waiting": {each.logical_date.isoformat(): each.as_json() for each in self.waiting},
            "held": self.held,
        }

    @classmethod
    def from_json(cls, document: Any) -> Place:
        if not isinstance(document, dict):
            return cls(datetime_of(document) if document else None)
        waiting = tuple(Waiting.from_json(date, each) for date, each in document["waiting"].items())
        last = datetime_of(document["last"]) if document["last"] else None
        return cls(last, waiting, bool(document["held"]))


def places(cursor: str | None) -> dict[str, Place]:
    """By DAG, from the cursor of a schedule sensor."""
    stored = json.loads(cursor or "{}").items()
    return {dag_id: Place.from_json(place) for dag_id, place in stored if dag_id != _FIRST}


def first_of(cursor: str | None) -> str:
    """The DAG that the last tick had no time for and that comes first now; empty if it had time for all."""
    return str(json.loads(cursor or "{}").get(_FIRST, ""))


def cursor_of(by_dag: Mapping[str, Place], first: str = "") -> str:
    told = {_FIRST: first} | {dag_id: place.as_json() for dag_id, place in by_dag.items()}
    return json.dumps({dag_id: place for dag_id, place in told.items() if place})
