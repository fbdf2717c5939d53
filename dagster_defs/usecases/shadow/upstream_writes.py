"""What legacy wrote upstream of a window between legacy's run of the window and the candidate's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dagster_defs.lifecycle.fairness import Upstream, Write
from dagster_defs.usecases.shadow.standing import EventLog
from dagster_defs.windows import Scheduled

if TYPE_CHECKING:
    import dagster as dg

WRITES = 50  # how many of an asset's newest writes are read


def written_between(
    log: EventLog,
    reads: Mapping[dg.AssetKey, bool],
    legacy: Write | None,
    candidate: Write | None,
    window: Scheduled | None,
) -> Upstream:
    """`reads`: the legacy assets that the rows are made from, and whether each run that writes one rewrites all of it.

    A write counts as touching the window's rows if it rewrites everything, overlaps the window, or has no known window.
    """
    if legacy is None or candidate is None:
        return Upstream()
    spoiling: list[str] = []
    beside: list[str] = []
    for key, whole in sorted(reads.items()):
        newest = log.events.materializations(key, since=legacy.began, limit=WRITES)
        for event in reversed(list(newest)):
            write = log.write(event)
            if write is None or write.ended <= legacy.began or write.began >= candidate.ended:
                continue
            name = " of ".join(part for part in (key.to_user_string(), write.partition) if part)
            apart = not whole and not event.may_be_of(window)
            (beside if apart else spoiling).append(name)
    return Upstream(tuple(dict.fromkeys(spoiling)), tuple(dict.fromkeys(beside)))
