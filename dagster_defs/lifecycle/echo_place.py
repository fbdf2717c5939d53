"""How far Airflow has been told what Dagster has run of retired DAGs, as the cursor of the echoing sensor keeps it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from dagster_defs.older_python import datetime_of

ECHOES = "_echoes"  # how the name of such a sensor ends
PREFIX = "parity_echo__"  # how the id of a run begins that Airflow was told of; Airflow starts no task of it
STARTED = (
    "parity_start__"  # how that of a run begins that Airflow was told to start: all its work is Airflow's own
)
_FIRST = ""  # among the DAGs in the cursor: the one that comes first in the next tick


def is_echo(run_id: str) -> bool:
    """Whether a DAG run in Airflow is one that Dagster has told it of."""
    return run_id.startswith(PREFIX)


@dataclass(frozen=True, slots=True)
class Outstanding:
    """A run of Dagster's that Airflow has not been told all of. `about`: its window, in words; `ended`: when it did.
    `tries`: how often that was tried: what was tried least comes first. `told`: which parts Airflow was told."""

    about: str
    ended: datetime
    why: str
    tries: int = 0
    told: tuple[str, ...] = ()

    def as_json(self) -> Mapping[str, Any]:
        return {"about": self.about, "ended": self.ended.isoformat(), "why": self.why}

    def kept(self) -> Mapping[str, Any]:
        return {**self.as_json(), "tries": self.tries, "told": list(self.told)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Outstanding:
        """Also from a cursor of a version that did not count the tries."""
        return cls(
            str(document["about"]),
            datetime_of(document["ended"]),
            str(document["why"]),
            int(document.get("tries", 0)),
            tuple(map(str, document.get("told", ()))),
        )


@dataclass(frozen=True, slots=True)
class EchoPlace:
    """`since`: runs that were changed before are not read any more; None before the first look. `outstanding`: by run
    of Dagster's. `heard_by`: who in Airflow listens; `refused`: who would, and why it is not told."""

    since: datetime | None = None
    outstanding: Mapping[str, Outstanding] = field(default_factory=dict)
    heard_by: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> Mapping[str, Any]:
        return {
            "since": self.since and self.since.isoformat(),
            "outstanding": {run_id: each.kept() for run_id, each in self.outstanding.items()},
            "heard_by": list(self.heard_by),
            "refused": dict(self.refused),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> EchoPlace:
        since = document["since"]
        return cls(
            datetime_of(since) if since else None,
            {str(run_id): Outstanding.from_json(each) for run_id, each in document["outstanding"].items()},
            tuple(map(str, document["heard_by"])),
            {str(name): str(why) for name, why in document["refused"].items()},
        )


@dataclass(frozen=True, slots=True)
class LateEchoes:
    """Runs of a retired DAG of which Airflow has not been told. `since`: when the first of them ended; `why`: what the
    last try for it ran into."""

    dag_id: str
    runs: int
    since: datetime
    why: str

    def as_json(self) -> Mapping[str, Any]:
        return {"dag": self.dag_id, "runs": self.runs, "since": self.since.isoformat(), "why": self.why}


LATE = timedelta(
    hours=1
)  # after which an outstanding echo is somebody's affair; a sensor that waits goes on waiting


def late_echoes(places: Mapping[str, EchoPlace], now: datetime) -> Iterator[LateEchoes]:
    for dag_id, place in sorted(places.items()):
        late = sorted(
            (each for each in place.outstanding.values() if now - each.ended > LATE),
            key=lambda each: each.ended,
        )
        if late:
            yield LateEchoes(dag_id, len(late), late[0].ended, late[0].why)


def echo_places(cursor: str | None) -> dict[str, EchoPlace]:
    """By DAG, from the cursor of such a sensor."""
    stored = json.loads(cursor or "{}").items()
    return {dag_id: EchoPlace.from_json(each) for dag_id, each in stored if dag_id != _FIRST}


def first_echoed(cursor: str | None) -> str:
    """The DAG that the last tick had no time for and that comes first now; empty if it had time for all."""
    return str(json.loads(cursor or "{}").get(_FIRST, ""))


def echo_cursor(places: Mapping[str, EchoPlace], first: str = "") -> str:
    return json.dumps({_FIRST: first} | {dag_id: place.as_json() for dag_id, place in places.items()})
