"""Gates of units without a clock: they count runs, and say what cannot be retired."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dagster_defs.lifecycle.compared import Compared, runs_between
from dagster_defs.lifecycle.gates import blockers
from dagster_defs.lifecycle.settings import Gate, GateSettings
from dagster_defs.lifecycle.stages import Move
from tests.lifecycle.test_retire_gates import NIGHT, SOAKED


def closed(event: str, compared: Compared | None = None, **settings: Any) -> list[tuple[Gate, str]]:
    facts = SOAKED if compared is None else replace(SOAKED, compared=compared)
    gates = GateSettings(event=event, **settings)
    return [(each.gate, each.why) for each in blockers(Move.RETIRE, facts, gates, NIGHT)]


@pytest.mark.parametrize("event", ["manual", "once"])
def test_what_people_start_can_be_retired(event: str) -> None:
    """A person starts it in Dagster too, and what has been started once needs nobody."""
    assert closed(event) == []


@pytest.mark.parametrize(
    ("event", "message"), [("datasets", "datasets or assets start"), ("continuous", "starts again")]
)
def test_what_nothing_in_dagster_starts_stays(event: str, message: str) -> None:
    """The reason is said by the mirror's gate."""
    [(gate, why)] = closed(event)
    assert gate is Gate.MIRROR
    assert message in why


def test_what_a_sensor_starts_can_be_retired() -> None:
    """The YAML says what starts it; what would not start it in Dagster is a reason, one by one."""
    assert closed("datasets", started=True) == []
    refused = closed("manual", started=True, not_started=("up.start fails", "alias x"))
    assert refused == [
        (Gate.MIRROR, "what starts its DAG would not start it in Dagster: up.start fails"),
        (Gate.MIRROR, "what starts its DAG would not start it in Dagster: alias x"),
    ]


def test_soaking_counts_runs() -> None:
    """There are no windows to count."""
    assert closed("manual", Compared()) == [(Gate.SOAK, "0 of 7 runs since the cutover")]


def test_a_run_between_two_compared_ones_counts() -> None:
    """Runs before the first and after the last that was compared do not: their candidates may still be on the way."""
    assert runs_between(["a", "b", "c", "d", "e"], ["b", "d"]) == ["b", "c", "d"]
    assert runs_between(["b"], ["a", "b"]) == ["a", "b"]
    assert runs_between(["x"], []) == []
