"""What `parity windows` shows: the continuity of the named units."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from dagster_defs.errors import EventLogMissing
from dagster_defs.lifecycle.mirrors import Mirror
from dagster_defs.lifecycle.written import Continuity
from dagster_defs.settings import Settings
from dagster_defs.usecases.check import requested_windows
from dagster_defs.usecases.continuity import continuity_of
from dagster_defs.usecases.move.facts import read_record
from dagster_defs.usecases.move.propose import match_units


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
    if continuities is None:
        raise EventLogMissing()
    return list(continuities.values())


def _keys(mirror: Mirror, first: str, last: str) -> frozenset[str]:
    if mirror.event is not None:
        return frozenset({first, last})  # ids of runs: nothing lies between two of them
    return frozenset(mirror.partitions.key_of(window) for window in requested_windows(mirror, first, last))
