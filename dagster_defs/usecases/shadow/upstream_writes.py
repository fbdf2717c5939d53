"""What legacy wrote upstream of a window between legacy's run of the window and the candidate's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dagster_defs.adapters.dagster.event_log import WindowEvent
from dagster_defs.lifecycle.fairness import Upstream, Write
from dagster_defs.usecases.shadow.standing import EventLog
from dagster_defs.windows import Window

if TYPE_CHECKING:
    import dagster as dg

WRITES = 50  # how many of an asset's newest writes are read


def written_between(
    log: EventLog,
    reads: Mapping[dg.AssetKey, bool],
    legacy: Write | None,
    candidate: Write | None,
    window: Window,
) -> Upstream:
    """`reads`: the legacy assets that the rows are made from, and whether each run that writes one rewrites all of it.

    A write counts as touching the window's rows if it rewrites everything, overlaps the window, or has no known window.
    """
    import dagster as dg

    if legacy is None or candidate is None:
        return Upstream()
    spoiling: list[str] = []
    beside: list[str] = []
    for key, whole in sorted(reads.items()):
        wanted = dg.AssetRecordsFilter(asset_key=key, after_timestamp=legacy.began.timestamp())
        for record in reversed(log.instance.fetch_materializations(wanted, limit=WRITES).records):
            write = log.write(record)
            if write is None or write.ended <= legacy.began or write.began >= candidate.ended:
                continue
            name = " of ".join(part for part in (key.to_user_string(), write.partition) if part)
            apart = not whole and not WindowEvent.of(record).may_be_of(window)
            (beside if apart else spoiling).append(name)
    return Upstream(tuple(dict.fromkeys(spoiling)), tuple(dict.fromkeys(beside)))
