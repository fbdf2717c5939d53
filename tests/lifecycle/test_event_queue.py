"""Which runs dataset events start, beside Airflow's own queue and scheduler on drawn histories."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dagster_defs.lifecycle.event_queue import EventQueue, Extent
from dagster_defs.lifecycle.starters import Condition, Starters
from dagster_defs.older_python import datetime_of
from tests.support.sensors import Oracle, running_oracle

START = datetime(2024, 3, 9, 11, tzinfo=timezone.utc)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
A, B, C, OTHER = (f"s3://lake/{name}" for name in ("a", "b", "c", "other"))


@dataclass(frozen=True)
class Moment:
    """A task that writes these datasets at that minute, for a run whose interval begins so many days before and is so
    long; before, so many of the active runs have ended."""

    minute: int
    writes: tuple[str, ...]
    days: tuple[int, int] = (1, 1)
    ended: int = 0

    @property
    def at(self) -> datetime:
        return START + self.minute * MINUTE

    @property
    def extent(self) -> Extent:
        start = self.at - self.days[0] * DAY
        return Extent(start, start + self.days[1] * DAY)

    def as_json(self) -> Mapping[str, Any]:
        start, end = self.extent.as_json()
        return {
            "at": self.at.isoformat(), "writes": self.writes, "start": start, "end": end, "ended": self.ended
        }  # fmt: skip


@dataclass(frozen=True)
class Case:
    condition: Any
    limit: int
    moments: Sequence[Moment]

    def by_airflow(self, oracle: Oracle) -> list[Any]:
        moments = [moment.as_json() for moment in self.moments]
        question = {"condition": self.condition, "max_active_runs": self.limit, "moments": moments}
        answer: list[Any] = oracle.answer(question)
        return [each and {**each, "run_id": _utc(each["run_id"])} for each in answer]

    def by_us(self) -> list[Any]:
        starters = Starters(condition=Condition.read(self.condition))
        assert starters.condition is not None
        queue, active = EventQueue(), 0
        told: list[dict[str, Any] | None] = []
        for moment in self.moments:
            active -= min(active, moment.ended)
            own = [address for address in moment.writes if address in starters.condition.addresses]
            queue = queue.with_event(own, moment.at, moment.extent) if own else queue
            occasion = queue.occasion(starters)
            if occasion is None or active >= self.limit:
                told.append(None)
            else:
                active, queue = active + 1, queue.emptied()
                document = occasion.as_json()
                told.append({name: document[name] for name in ("run_id", "logical_date", "start", "end")})
            queue = EventQueue.from_json(json.loads(json.dumps(queue.as_json())))  # as between two ticks
        return told


def _utc(run_id: str) -> str:
    kind, _, at = run_id.partition("__")
    return f"{kind}__{datetime_of(at).astimezone(timezone.utc).isoformat()}"


def conditions() -> st.SearchStrategy[Any]:
    leaf = st.sampled_from([A, B, C])

    def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        parts = st.lists(inner, min_size=1, max_size=3, unique_by=str)
        return st.builds(lambda key, listed: {key: listed}, st.sampled_from(["all", "any"]), parts)

    return nested(leaf | nested(leaf))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    minutes = sorted(draw(st.lists(st.integers(0, 5_000), min_size=1, max_size=12, unique=True)))
    writes = st.lists(st.sampled_from([A, B, C, OTHER]), max_size=3, unique=True).map(tuple)
    days = st.tuples(st.integers(-1, 5), st.integers(0, 3))
    moments = [Moment(minute, draw(writes), draw(days), draw(st.integers(0, 2))) for minute in minutes]
    return Case(draw(conditions()), draw(st.integers(1, 3)), moments)


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    with running_oracle(tmp_path_factory.mktemp("datasets"), "dataset_oracle.py") as running:
        yield running


@pytest.mark.airflow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases())
@example(
    Case(
        {"all": [A, B]},
        1,
        [Moment(0, (A,)), Moment(1, (A,), (5, 1)), Moment(2, (B,)), Moment(3, (A, B), ended=1)],
    )
)
@example(
    Case(
        {"any": [A, B]},
        1,
        [Moment(0, (A,)), Moment(1, (A,)), Moment(2, (A,), (3, 1)), Moment(3, (), ended=1)],
    )
)
def test_runs_start_as_airflows_scheduler_starts_them(oracle: Oracle, case: Case) -> None:
    """Whether one starts after each event, its id, its date and its interval: with `all` and `any` at will, several
    datasets of one task, repeated events, and a limit of active runs."""
    assert case.by_us() == case.by_airflow(oracle)


def test_a_run_of_airflow_3_has_no_dates() -> None:
    """As its scheduler creates them; the id alone says when."""
    starters = Starters(condition=Condition(True, (A,)), dates=False)
    occasion = EventQueue().with_event([A], START, None).occasion(starters)

    assert occasion is not None
    assert (occasion.logical_date, occasion.start, occasion.end) == (None, None, None)
    assert occasion.run_id == f"asset_triggered__{START.isoformat()}"


def test_two_runs_never_have_one_date() -> None:
    """Also if an event is told late, so that it seems older than the last run."""
    starters = Starters(condition=Condition(False, (A,)))
    first = EventQueue().with_event([A], START, None)
    second = first.emptied().with_event([A], START - DAY, None).occasion(starters)

    assert second is not None
    assert second.logical_date == START + timedelta(microseconds=1)
