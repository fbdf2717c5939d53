"""The schedules of an inventory: Airflow's timetable by kind, and what its runs are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagster_defs.windows import OccasionKind, canonical_zone

__all__ = ["FAILS", "PartitionRun", "Partitions", "Schedule", "partition_runs", "read_schedule"]

#: Class of Airflow 3's timetables whose runs have partition keys, as inventories of older exporters name them.
_PARTITIONED = ("CronPartitionTimetable", "PartitionedAssetTimetable", "PartitionedAtRuntime")
#: What the exporter says of a name with which a template fails in Airflow 3.
FAILS = ("Airflow 3 has no such name any more", "has no logical date, and a template with this name fails")
_EVENTS = frozenset({"none", "once", "continuous", "dataset", "asset"})


@dataclass(frozen=True, slots=True)
class Partitions:
    """Where the partition keys of a timetable come from: `keys` is `cron`, `assets` or `runtime`."""

    keys: str
    key_format: str | None = None
    run_offset: int | None = None


@dataclass(frozen=True, slots=True)
class PartitionRun:
    """A scheduled run for a partition key. Instants are ISO text in UTC."""

    key: str
    date: str
    run_after: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """`occasion`: what a scheduled run is about; None where it is not known, or not the same for all runs. `condition`:
    the datasets or assets that start a run, as Airflow's own notation has them, or None."""

    text: str
    kind: str
    cron: str | None
    timezone: str
    interval_is_empty: bool
    delta_seconds: float | None = None
    timetable: str = ""
    occasion: OccasionKind | None = None
    partitions: Partitions | None = None
    condition: Any = None

    @property
    def in_words(self) -> str:
        """The schedule and the class of its timetable."""
        return f"{self.text} ({self.timetable.rpartition('.')[2] or self.kind})"


def read_schedule(schedule: Mapping[str, Any], windows: Sequence[tuple[str, str]]) -> Schedule:
    """Raises KeyError, TypeError, AttributeError and ValueError for what no exporter writes. `windows`: the DAG's."""
    kind, timetable = str(schedule["kind"]), str(schedule.get("timetable") or "")
    partitions = schedule.get("partitions")
    return Schedule(
        str(schedule["text"]),
        kind,
        schedule.get("cron"),
        canonical_zone(str(schedule.get("timezone") or "UTC")),
        bool(schedule.get("interval_is_empty")),
        schedule.get("delta_seconds"),
        timetable,
        _occasion(schedule, kind, timetable, windows),
        None
        if partitions is None
        else Partitions(str(partitions["keys"]), partitions.get("key_format"), partitions.get("run_offset")),
        schedule.get("asset_condition"),
    )


def partition_runs(listed: Sequence[Mapping[str, Any]] | None) -> tuple[PartitionRun, ...]:
    """The `partitions` of a DAG in an inventory, whose older exporters wrote none."""
    return tuple(
        PartitionRun(str(each["key"]), str(each["date"]), str(each["run_after"])) for each in listed or ()
    )


def _occasion(
    schedule: Mapping[str, Any], kind: str, timetable: str, windows: Sequence[tuple[str, str]]
) -> OccasionKind | None:
    """As the exporter says it, or else as it can be told from what older exporters wrote."""
    if "occasion" in schedule:
        return None if schedule["occasion"] is None else OccasionKind(schedule["occasion"])
    if timetable.endswith(_PARTITIONED):
        return OccasionKind.PARTITION
    if kind in _EVENTS:
        return OccasionKind.EVENT
    empty: set[bool | None] = {start == end for start, end in windows}
    empty = empty or {schedule.get("interval_is_empty")}
    if empty == {True}:
        return OccasionKind.TICK
    return OccasionKind.WINDOW if empty == {False} else None
