"""What `parity windows` shows: the continuity of the units that somebody names."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from dagster_defs.errors import EventLogMissing
from dagster_defs.lifecycle.mirrors import Mirror
from dagster_defs.lifecycle.written import Continuity
from dagster_defs.settings import Settings
from dagster_defs.usecases.check import windows_asked
from dagster_defs.usecases.continuity import continuity_of
from dagster_defs.usecases.move.facts import read_record
from dagster_defs.usecases.move.propose import chosen


def read_windows(
    settings: Settings, patterns: Sequence[str], first: str, last: str, now: datetime
) -> list[Continuity]:
    """Of units as a move takes them, all mirrored ones if none is named; from one partition, or day, to another.

    Raises EventLogMissing, NoSuchUnit, UnknownPartition, and what reading the record raises.
    """
    record = read_record(settings)
    named = chosen(patterns, record) if patterns else record.readable_units
    units = [unit for unit in named if unit in record.mirrors]
    only = {unit: _keys(record.mirrors[unit], first, last or first) for unit in units} if first else None
    found = continuity_of(settings, units, now, record=record, only=only)
    if found is None:
        raise EventLogMissing()
    return list(found.values())


def _keys(mirror: Mirror, first: str, last: str) -> frozenset[str]:
    return frozenset(mirror.partitions.key_of(window) for window in windows_asked(mirror, first, last))
