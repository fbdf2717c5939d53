"""What `parity windows` shows: the continuity of the named units."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from dagster_defs.adapters.dagster.sensor_cursors import cursors_of
from dagster_defs.errors import EventLogMissing
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.mirrors import Mirror
from dagster_defs.lifecycle.started import SCHEDULES, places
from dagster_defs.lifecycle.trigger_place import TRIGGERS, TriggerPlace, trigger_places, waiting_for
from dagster_defs.lifecycle.waits import WaitedFor, Waiting
from dagster_defs.lifecycle.written import Continuity
from dagster_defs.settings import Settings
from dagster_defs.usecases.check import requested_windows
from dagster_defs.usecases.continuity import continuity_of
from dagster_defs.usecases.move.facts import read_record
from dagster_defs.usecases.move.propose import match_units
from dagster_defs.usecases.waits import key_at


def read_windows(
    settings: Settings, patterns: Sequence[str], first: str, last: str, now: datetime
) -> list[Continuity]:
    """The continuity of units (all mirrored units without patterns), from one partition or day to another.

    Raises EventLogMissing, NoSuchUnit, UnknownPartition, and what reading the record raises.
    """
    record = read_record(settings)
    matching = match_units(patterns, record) if patterns else record.readable_units
    units = [unit for unit in matching if unit in record.mirrors]
    only = {unit: _keys(record.mirrors[unit], first, last or first) for unit in units} if first else None
    continuities = continuity_of(settings, units, now, record=record, only=only)
    if continuities is None or settings.dagster_home is None:
        raise EventLogMissing()
    waiting, started = _waiting(settings.dagster_home), _started(settings.dagster_home)
    return [
        replace(
            continuity,
            waited_for=_waited_for(record.mirrors[unit], waiting.get(unit.dag_id, ()), only),
            **_started_by(record.mirrors[unit], started.get(unit.dag_id)),
        )
        for unit, continuity in continuities.items()
    ]


def _started(home: Path) -> Mapping[str, TriggerPlace]:
    """By retired DAG without a clock, how far its start has come, as the sensor that starts it has left it."""
    places: dict[str, TriggerPlace] = {}
    for cursor in cursors_of(home, TRIGGERS):
        with suppress(ValueError, KeyError, TypeError, AttributeError):  # another sensor of that name
            places |= trigger_places(cursor)
    return places


def _started_by(mirror: Mirror, place: TriggerPlace | None) -> Mapping[str, Any]:
    if mirror.starters is None:
        return {}
    seen = [place.last, waiting_for(place, mirror.starters)] if place else []
    return {"started_by": mirror.starters.in_words, "last_event": "; ".join(filter(None, seen))}


def _waiting(home: Path) -> Mapping[str, Sequence[Waiting]]:
    """By retired DAG, the windows that wait, as the sensor that starts them has left it."""
    waiting: dict[str, Sequence[Waiting]] = {}
    for cursor in cursors_of(home, SCHEDULES):
        with suppress(ValueError, KeyError, TypeError, AttributeError):  # another sensor of that name
            waiting |= {dag_id: place.waiting for dag_id, place in places(cursor).items()}
    return waiting


def _waited_for(
    mirror: Mirror, waiting: Sequence[Waiting], only: Mapping[Unit, Collection[str]] | None
) -> Mapping[str, Sequence[WaitedFor]]:
    if mirror.event is not None:
        return {}
    keys = {key_at(mirror.partitions, each.logical_date): each for each in waiting}
    wanted = keys.keys() if only is None else only[mirror.legacy_unit]
    return {key: tuple(each.told(mirror.waits)) for key, each in keys.items() if key and key in wanted}


def _keys(mirror: Mirror, first: str, last: str) -> frozenset[str]:
    if mirror.event is not None:
        return frozenset({first, last})  # ids of runs: nothing lies between two of them
    return frozenset(mirror.partitions.key_of(window) for window in requested_windows(mirror, first, last))
