"""What a window waits for, beside Airflow's own `ExternalTaskSensor` on drawn histories."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dagster_defs.lifecycle.waits import States, Wait, Waiting
from tests.support.sensors import Look, Sensors, running_sensors

START = datetime(2024, 3, 9, 11, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
OF_TASKS = ("success", "failed", "skipped", "upstream_failed", "running", "up_for_retry")
OF_RUNS = ("success", "failed", "running", "queued")
LATER = START + timedelta(days=1)


@dataclass(frozen=True)
class Case:
    """A sensor, how it tries, and the history that it looks at."""

    wait: Wait
    mode: str
    looks: tuple[Look, ...]

    @property
    def arguments(self) -> dict[str, Any]:
        """Of Airflow's class."""
        wait = self.wait
        states = {
            "allowed_states": wait.allowed,
            "failed_states": wait.failed,
            "skipped_states": wait.skipped,
        }
        given: dict[str, Any] = {name: sorted(each) for name, each in states.items()}
        given |= {"timeout": wait.timeout, "soft_fail": wait.soft_fail}
        given |= {"external_task_ids": list(wait.tasks)} if wait.tasks else {}
        return given | ({"execution_delta": wait.delta.total_seconds()} if wait.dates is None else {})

    @property
    def dates(self) -> list[str] | None:
        """What the sensor's function returns."""
        return None if self.wait.dates is None else [date.isoformat() for date in self.wait.dates[START]]

    def by_airflow(self, sensors: Sensors) -> list[str]:
        return sensors.ask(
            self.arguments, self.looks, mode=self.mode, retries=self.wait.retries,
            retry_delay=self.wait.retry_delay, logical_date=START.isoformat(), dates=self.dates,
        )  # fmt: skip

    def by_us(self) -> list[str]:
        waiting, outcomes = Waiting(START), []
        for look in self.looks:
            waiting = waiting.looked([self.wait], states_of(look), look.at)
            waiting = Waiting.from_json(START.isoformat(), waiting.as_json())  # as between two ticks
            outcomes.append(waiting.outcome([self.wait]).value)
        return outcomes


def states_of(look: Look) -> Callable[[Wait], States]:
    def state(date: datetime, task: str) -> str | None:
        return look.states.get((date, task))

    return lambda _wait: state


@st.composite
def cases(draw: st.DrawFn) -> Case:
    tasks = draw(st.sampled_from([(), ("a",), ("a", "b"), ("a", "b", "c")]))
    words = OF_TASKS if tasks else OF_RUNS
    roles = {word: draw(st.sampled_from(["allowed", "failed", "skipped", "", ""])) for word in words}
    if not draw(st.booleans()):
        roles["success"] = "allowed"

    def of_role(role: str) -> frozenset[str]:
        return frozenset(word for word in words if roles[word] == role)

    near = st.sampled_from([START - HOUR * hours for hours in range(4)])
    dates = draw(st.none() | st.lists(near, max_size=3).map(tuple))
    mode = draw(st.sampled_from(["poke", "reschedule"]))
    wait = Wait(
        "sensor",
        "upstream",
        tasks,
        delta=draw(st.sampled_from([timedelta(), HOUR, 2 * HOUR])),
        dates=None if dates is None else {START: dates},
        allowed=of_role("allowed") or frozenset({"success"}),
        failed=of_role("failed") - {"success"} if not of_role("allowed") else of_role("failed"),
        skipped=of_role("skipped") - {"success"} if not of_role("allowed") else of_role("skipped"),
        timeout=draw(st.sampled_from([0.0, 60.0, 600.0, 3600.0])),
        soft_fail=draw(st.booleans()),
        retries=draw(st.integers(0, 2)),
        retry_delay=draw(st.sampled_from([0.0, 60.0, 300.0])),
        restarts=mode == "poke",
    )
    # Most histories come to an end, so states are mostly those that the sensor has a word for.
    state = st.sampled_from([*words, "success", "success", *sorted(wait.allowed) * 3])
    asked = list(dict.fromkeys(wait.asks_about(START) or ()))
    looks, at = [], LATER
    for _ in range(draw(st.integers(1, 5))):
        there = {
            (date, name): draw(state)
            for date in [*asked, START - 9 * HOUR]
            for name in (*wait.names, "other")
            if draw(st.integers(0, 4))
        }
        # A task instance has a run.
        runs = {date for date, name in there if not name}
        there = {
            (date, name): word
            for (date, name), word in there.items()
            if wait.tasks or not name or date in runs
        }
        looks.append(Look(at, there))
        at += timedelta(seconds=draw(st.sampled_from([0, 30, 60, 61, 300, 900, 4000])))
    return Case(wait, mode, tuple(looks))


def examples(many: int) -> settings:
    return settings(max_examples=many, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def sensors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sensors]:
    with running_sensors(tmp_path_factory.mktemp("airflow")) as running:
        yield running


LOST_START = Case(
    Wait("sensor", "upstream", ("a",), failed=frozenset({"failed"}), timeout=60, retries=1, retry_delay=0),
    "reschedule",
    (
        Look(LATER, {(START, "a"): "failed"}),
        Look(LATER + HOUR, {(START, "a"): "running"}),
        Look(LATER + 9 * HOUR, {(START, "a"): "running"}),
    ),
)


@pytest.mark.airflow
@example(LOST_START)
@given(cases())
@examples(200)
def test_a_wait_ends_as_airflows_sensor_does(sensors: Sensors, case: Case) -> None:
    """After each look at the same metadata both wait, or are met, failed or skipped: whatever the states, dates, tries
    and time-outs."""
    assert case.by_us() == case.by_airflow(sensors)


@pytest.mark.airflow
@pytest.mark.thorough
@given(cases())
@examples(5_000)
def test_thousands_of_waits_end_as_airflows_sensor_does(sensors: Sensors, case: Case) -> None:
    """The same law, on many more histories."""
    assert case.by_us() == case.by_airflow(sensors)
