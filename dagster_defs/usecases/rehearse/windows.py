"""Which windows a rehearsal covers, and whether Airflow has rendered them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from dagster_defs.errors import NotRendered, Unaligned
from dagster_defs.inventory.document import Dag
from dagster_defs.lifecycle.mirrors import Mirror
from dagster_defs.usecases.check import requested_windows
from dagster_defs.windows import Scheduled, scheduled_between, zone_named


@dataclass(frozen=True, slots=True)
class Span:
    """The last N windows, or the windows from one partition key (or day) to another."""

    last: int = 0
    first_key: str = ""
    last_key: str = ""

    @property
    def is_empty(self) -> bool:
        return not (self.last or self.first_key)


def windows_in(span: Span, mirror: Mirror, dag: Dag, rendered: Collection[Scheduled]) -> list[Scheduled]:
    """The requested windows, oldest first. Raises NotRendered, UnknownPartition."""
    if span.first_key:
        requested = requested_windows(mirror, span.first_key, span.last_key or span.first_key)
        if missing := [window for window in requested if window not in rendered]:
            raise _not_rendered(mirror, dag, missing)
        return requested
    over = [window for window in sorted(rendered, key=_begin) if _is_over(window)]
    if len(over) < span.last:
        every = sorted((scheduled_between(*bounds) for bounds in dag.windows), key=_begin)
        requested = [window for window in every if _is_over(window)][-span.last :]
        raise _not_rendered(
            mirror, dag, [window for window in requested if window not in rendered] or every[-1:]
        )
    return over[-span.last :]


def name_of(mirror: Mirror, window: Scheduled) -> str:
    """The partition key, or the interval if the mirror has no such partition."""
    try:
        return mirror.partitions.key_of(window)
    except Unaligned:
        return str(window)


def _begin(window: Scheduled) -> datetime:
    return window.start


def _is_over(window: Scheduled) -> bool:
    return window.end <= datetime.now(timezone.utc)


def _not_rendered(mirror: Mirror, dag: Dag, missing: Sequence[Scheduled]) -> NotRendered:
    if not missing:
        return NotRendered(str(mirror.legacy_unit), ["any window"], "DATE", "DATE", "START/END")
    zone = zone_named(dag.timezone)
    first, last = (window.start.in_timezone(zone) for window in (missing[0], missing[-1]))
    return NotRendered(
        str(mirror.legacy_unit),
        [name_of(mirror, window) for window in missing],
        first.to_date_string(),
        last.to_date_string(),
        f"{first.to_date_string()}/{last.add(days=1).to_date_string()}",
    )
