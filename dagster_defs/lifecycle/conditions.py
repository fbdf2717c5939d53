"""The condition of a unit: derived afresh from what is known, and never stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dagster_defs.lifecycle.facts import Facts
from dagster_defs.lifecycle.gates import blockers, soak_end, soaked_windows
from dagster_defs.lifecycle.histories import hold_of
from dagster_defs.lifecycle.settings import GateSettings
from dagster_defs.lifecycle.stages import NEXT, Move
from dagster_defs.lifecycle.units import Stage
from dagster_defs.older_python import StrEnum


class ConditionKind(StrEnum):
    READY = "ready"
    WAITING = "waiting"
    HELD = "held"
    SOAKING = "soaking"
    HALF_DONE = "half_done"
    SETTLED = "settled"


@dataclass(frozen=True, slots=True)
class Condition:
    """`why` is empty for `ready` and `settled`. `until`: when the soak time is over. `next`: the command that a person
    would run now."""

    kind: ConditionKind
    why: str = ""
    until: datetime | None = None
    next: str = ""

    @property
    def held(self) -> bool:
        return self.kind is ConditionKind.HELD

    def __str__(self) -> str:
        text = self.kind.value.replace("_", "-")
        if not self.why:
            return text
        return f"{text}, {self.why}" if self.kind is ConditionKind.SOAKING else f"{text}: {self.why}"

    def as_json(self) -> Mapping[str, Any]:
        return {
            "condition": self.kind.value,
            "why": self.why,
            "until": self.until and self.until.isoformat(),
        }


def condition(facts: Facts, settings: GateSettings, now: datetime) -> Condition:
    """Based on what is on record: gates that need an answer from a server are left to the move itself."""
    unit, history = facts.unit, facts.history
    if history.open is not None:
        why = f"{history.open}, begun by {history.open.intent.operator}"
        return Condition(ConditionKind.HALF_DONE, why, next=f"parity resume {unit}")
    if (hold := hold_of(history)) is not None:
        why = f"{hold.reason} ({hold.operator})"
        return Condition(ConditionKind.HELD, why, next=f"parity release {unit}")
    if facts.stage is Stage.RETIRED:
        return Condition(ConditionKind.SETTLED)
    if facts.stage is Stage.CUT_OVER and not facts.drifted and (soak := _soaking(facts, settings, now)):
        return soak
    move = NEXT[facts.stage]
    if closed := blockers(move, facts, settings, now, on_record=True):
        more = f" ({len(closed) - 1} more)" if len(closed) > 1 else ""
        mending = f"parity resume {unit}" if facts.drifted else ""
        return Condition(ConditionKind.WAITING, closed[0].why + more, next=mending)
    # Retiring concerns a whole DAG.
    return Condition(ConditionKind.READY, next="" if move is Move.RETIRE else f"parity {move} {unit}")


def _soaking(facts: Facts, settings: GateSettings, now: datetime) -> Condition | None:
    end = soak_end(facts.history, settings)
    if end is None:
        return None
    if now < end:
        return Condition(ConditionKind.SOAKING, f"{_left(end - now)} left", end)
    windows = soaked_windows(facts, settings)
    if windows < settings.soak_windows:
        return Condition(
            ConditionKind.SOAKING, f"{windows} of {settings.soak_windows} {settings.counted}", end
        )
    return None


def _left(time: timedelta) -> str:
    """`3d 20h`, `5h 10m`, `1m`."""
    minutes = max(1, round(time.total_seconds() / 60))
    days, hours, minutes = minutes // 1440, minutes % 1440 // 60, minutes % 60
    if days:
        return f"{days}d {hours}h"
    return f"{hours}h {minutes}m" if hours else f"{minutes}m"
