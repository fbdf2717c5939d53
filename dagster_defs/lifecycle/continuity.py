"""Who wrote each window of a unit since it was enrolled: exactly one writer, or a gap or an overlap to look at."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby, islice

from dagster_defs.errors import ParityError
from dagster_defs.lifecycle.units import Owner, Unit
from dagster_defs.lifecycle.written import (
    Continuity,
    Extent,
    Span,
    Unwritten,
    UnwrittenSpan,
    WindowWrites,
    Wrote,
    spans,
)
from dagster_defs.windows import Partitions, Scheduled

Writes = Mapping[str, Sequence[Wrote]]  # by partition, oldest first


def continuity(
    unit: Unit,
    owner: Owner,
    partitions: Partitions[Scheduled],
    writes: Iterable[Wrote],
    *,
    enrolled: datetime | None,
    now: datetime,
    unwritten: Mapping[str, Unwritten] | None = None,
    only: Collection[str] | None = None,
) -> Continuity:
    """`writes`: all known writes, in any order. `only`: report on these windows alone.

    Windows count from the first that ended after the enrolment, or from the first that was written or skipped after it,
    whichever is earlier: a unit may be catching up on windows that are years old. An asset counts from the first window
    in which it was written, so that a new model does not make gaps in the past.
    """
    by_key = _by_key(writes)
    since = enrolled or min((wrote[0].when for wrote in by_key.values()), default=None)
    if since is None:
        return Continuity(unit, owner)
    times = _times(by_key, unwritten or {})
    try:
        line = _line(partitions, times, since, now)
        first = _first(partitions, line, times, since)
        due = _windows(line, first, by_key, unwritten or {})
        windows = tuple(window for window in due if only is None or window.partition in only)
        lacks = list(_lacks(unit, owner, partitions, windows))
    except ParityError as error:
        return Continuity(unit, owner, since, problem=f"its windows cannot be determined: {error}")
    return Continuity(
        unit,
        owner,
        since,
        windows,
        tuple(lack for lack in lacks if lack.extent is not Extent.WAITING),
        tuple(lack for lack in lacks if lack.extent is Extent.WAITING),
        tuple(sorted(key for key in by_key.keys() - set(line) if not _is_key(partitions, key))),
    )


def event_continuity(
    unit: Unit,
    owner: Owner,
    writes: Iterable[Wrote],
    *,
    enrolled: datetime | None,
    only: Collection[str] | None = None,
) -> Continuity:
    """The runs of a DAG without a clock that wrote something since its enrolment, in the order of their first write,
    each under its id. There are no gaps: which runs there should have been is not known."""
    by_key = _by_key(writes)
    since = enrolled or min((wrote[0].when for wrote in by_key.values()), default=None)
    line = [key for key, wrote in by_key.items() if since and wrote[-1].when >= since]
    runs = tuple(run for run in _windows(line, 0, by_key, {}) if only is None or run.partition in only)
    parts = [run for run in runs if run.extent is Extent.PART]
    lacks = tuple(
        UnwrittenSpan(Span(run.partition, run.partition), run.extent, run.why, "Clear its task in Airflow")
        for run in parts
    )
    return Continuity(unit, owner, since, runs, lacks, of_event=True)


def spans_by_owner(
    partitions: Partitions[Scheduled], writes: Iterable[Wrote], now: datetime
) -> Mapping[Owner, tuple[Span, ...]]:
    """The finished windows that each orchestrator has written. Raises what the schedule raises."""
    by_key = _by_key(writes)
    line = _line(partitions, by_key, None, now)
    return {
        owner: spans(
            line, {key for key, wrote in by_key.items() if any(write.owner is owner for write in wrote)}
        )
        for owner in Owner
    }


def skips_among(writes: Iterable[Wrote]) -> Mapping[str, Unwritten]:
    """The latest Dagster run of each window that skipped the task, by partition."""
    skips = sorted((write for write in writes if write.skipped), key=lambda write: write.when)
    return {
        skip.partition: Unwritten(f"Dagster run {skip.run[:8]} skipped it", skipped=True, at=skip.when)
        for skip in skips
    }


def _by_key(writes: Iterable[Wrote]) -> Writes:
    by_key: dict[str, list[Wrote]] = {}
    for write in sorted(writes, key=lambda write: (write.when, write.run)):
        if not write.skipped:
            by_key.setdefault(write.partition, []).append(write)
    return by_key


def _times(by_key: Writes, unwritten: Mapping[str, Unwritten]) -> Mapping[str, Sequence[datetime]]:
    """When each window was written, or reported as skipped, by partition."""
    times = {key: [write.when for write in writes] for key, writes in by_key.items()}
    for key, tried in unwritten.items():
        if tried.skipped and tried.at:
            times.setdefault(key, []).append(tried.at)
    return times


def _line(
    partitions: Partitions[Scheduled], known: Iterable[str], since: datetime | None, now: datetime
) -> list[str]:
    """Keys of the finished windows, oldest first, from a window on before which nothing is known."""
    schedule = partitions.schedule
    earliest = [] if since is None else [window.start for window in islice(schedule.ending_after(since), 1)]
    # As text, keys are in the order of their windows, except for the hours of a day on which clocks go back.
    oldest = next((key for key in sorted(known) if _is_key(partitions, key)), "")
    earliest += [partitions.window_of(oldest).start - timedelta(days=1)] if oldest else []
    if not earliest:
        return []
    first = _first_key(partitions, schedule.windows(min(earliest), now))
    last = _first_key(partitions, schedule.ended_by(now))
    if not first or not last or partitions.window_of(last).start < partitions.window_of(first).start:
        return []
    return partitions.keys_between(first, last)


def _first(
    partitions: Partitions[Scheduled],
    line: Sequence[str],
    times: Mapping[str, Sequence[datetime]],
    since: datetime,
) -> int:
    """The index of the first window that counts; the length of the line if none does."""
    place = {key: number for number, key in enumerate(line)}
    fresh = {
        key: min(at for at in times[key] if at >= since)
        for key in times.keys() & place.keys()
        if max(times[key]) >= since
    }
    first = place.get(_first_key(partitions, partitions.schedule.ending_after(since)), len(line))
    if fresh:
        first = min(first, place[min(fresh, key=fresh.__getitem__)])
    # Several windows may be caught up on at once, and the first one to be over is then not the oldest.
    while first > 0 and line[first - 1] in fresh:
        first -= 1
    return first


def _windows(
    line: Sequence[str], first: int, by_key: Writes, unwritten: Mapping[str, Unwritten]
) -> Iterator[WindowWrites]:
    """The windows from `first` on; earlier ones only show which assets existed."""
    nothing = Unwritten("")
    done = {key for key in line if key in by_key or unwritten.get(key, nothing).skipped}
    last = max((number for number, key in enumerate(line) if key in done), default=-1)
    known: frozenset[str] = frozenset()
    for number, key in enumerate(line):
        wrote = tuple(by_key.get(key, ()))
        written = frozenset[str]().union(*(write.assets for write in wrote))
        known |= written
        if number >= first:
            yield _window(
                key, wrote, sorted(known - written), unwritten.get(key, nothing), is_late=number > last
            )


def _window(
    key: str, wrote: tuple[Wrote, ...], missing: Sequence[str], tried: Unwritten, *, is_late: bool
) -> WindowWrites:
    live = next((write.run for write in wrote if write.live), "")
    if wrote and not missing:
        return WindowWrites(key, Extent.WRITTEN, wrote)
    if live:
        return WindowWrites(key, Extent.WAITING, wrote, why=f"run {live[:8]} has not finished")
    if wrote:
        return WindowWrites(key, Extent.PART, wrote, why=f"without {', '.join(missing)}")
    if tried.skipped:
        return WindowWrites(key, Extent.SKIPPED, why=tried.why)
    return WindowWrites(key, Extent.WAITING if is_late or tried.live else Extent.GAP, why=tried.why)


def _lacks(
    unit: Unit, owner: Owner, partitions: Partitions[Scheduled], windows: Sequence[WindowWrites]
) -> Iterator[UnwrittenSpan]:
    for (extent, why), beside in groupby(windows, key=lambda window: (window.extent, window.why)):
        if extent in (Extent.WRITTEN, Extent.SKIPPED):
            continue
        keys = [window.partition for window in beside]
        span = Span(keys[0], keys[-1], len(keys))
        yield UnwrittenSpan(span, extent, why, _remedy(unit, owner, partitions, span, extent))


def _remedy(unit: Unit, owner: Owner, partitions: Partitions[Scheduled], span: Span, extent: Extent) -> str:
    if extent is Extent.WAITING:
        where = (
            f"DAG {unit.dag_id} in Airflow" if owner is Owner.AIRFLOW else f"the runs of {unit} in Dagster"
        )
        return f"If it is late, look at {where}"
    if owner is Owner.DAGSTER:
        return f"Fill it: parity backfill {unit} --from {span.first} --to {span.last}"
    # Airflow's commands take logical dates, which are the starts of windows, and include both ends.
    first, last = (partitions.window_of(key).start.isoformat() for key in (span.first, span.last))
    if extent is Extent.PART:
        return f"Clear it in Airflow: airflow tasks clear -s {first} -e {last} -t '^{unit.task_id}$' {unit.dag_id}"
    return (
        f"Fill it in Airflow: airflow dags backfill -s {first} -e {last} --rerun-failed-tasks {unit.dag_id}"
    )


def _is_key(partitions: Partitions[Scheduled], key: str) -> bool:
    try:
        partitions.window_of(key)
    except ParityError:
        return False
    return True


def _first_key(partitions: Partitions[Scheduled], windows: Iterable[Scheduled]) -> str:
    """The key of the first window that has a partition; empty if none has."""
    for window in windows:
        try:
            return partitions.key_of(window)
        except ParityError:
            continue
    return ""
