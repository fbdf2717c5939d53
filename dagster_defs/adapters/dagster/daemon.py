"""Signs of life of Dagster's daemon, and of the sensors that it evaluates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from dagster_defs.adapters.dagster.event_log import instant

if TYPE_CHECKING:
    import dagster as dg


@dataclass(frozen=True, slots=True)
class SensorSign:
    """`running`: whether somebody has switched it off. `fault`: of its newest tick, in one line."""

    name: str
    running: bool
    last: datetime | None
    fault: str = ""


def heartbeats(instance: dg.DagsterInstance) -> Mapping[str, datetime | None]:
    """By each part of the daemon that this instance needs, its last sign of life; None if it never gave one."""
    known = instance.get_daemon_heartbeats()
    return {
        name: instant(known[name].timestamp) if name in known else None
        for name in sorted(instance.get_required_daemon_types())
    }


def sensor_signs(instance: dg.DagsterInstance, ending: str) -> Iterator[SensorSign]:
    """Of the sensors whose names end like that. One that nobody ever switched, and that never ticked, has none."""
    from dagster._core.definitions.run_request import InstigatorType
    from dagster._core.scheduler.instigation import InstigatorStatus

    for state in instance.all_instigator_state(instigator_type=InstigatorType.SENSOR):
        if not state.name.endswith(ending):
            continue
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
        fault = ticks[0].error if ticks else None
        yield SensorSign(
            state.name,
            state.status is not InstigatorStatus.STOPPED,
            instant(ticks[0].timestamp) if ticks else None,
            " ".join(fault.message.split())[:300] if fault else "",
        )
