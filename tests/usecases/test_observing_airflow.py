"""Looking at Airflow tick after tick: whatever is committed when, each task is told once, and none is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, cast

import pendulum
from hypothesis import given
from hypothesis import strategies as st

from dagster_defs.adapters.airflow.client import AirflowClient
from dagster_defs.adapters.airflow.dialect import Dialect
from dagster_defs.adapters.airflow.rows import DagRun, TaskInstance
from dagster_defs.adapters.airflow.v1 import V1
from dagster_defs.adapters.airflow.v2 import V2
from dagster_defs.errors import AirflowUnreachable
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.observing import Budget, Cursor
from dagster_defs.usecases.observe import Finished, Memory, ObservationTick

START = datetime(2026, 6, 1, 12, tzinfo=timezone.utc)
PAGE = 3


@dataclass
class Rows:
    """What Airflow's list has at an instant: of each task when it ended, and when that was committed."""

    rows: Sequence[tuple[TaskInstance, datetime]]
    now: datetime = START
    answers: Iterator[bool] = field(default_factory=lambda: iter(()))
    lateness: timedelta = V1.lateness

    def _between(self, since: datetime, before: datetime | None) -> list[TaskInstance]:
        if not next(self.answers, True):
            raise AirflowUnreachable("", "answered 500")
        return [
            task
            for task, committed in self.rows
            if committed <= self.now and task.end and since <= task.end and (not before or task.end < before)
        ]

    def finished_page(
        self, dag_ids: Sequence[str], since: datetime, before: datetime | None
    ) -> tuple[list[TaskInstance], int]:
        found = self._between(since, before)
        return found[:PAGE], len(found)

    def finished_task_instances(
        self, dag_ids: Sequence[str], since: datetime, before: datetime
    ) -> list[TaskInstance]:
        return self._between(since, before)

    def dag_runs_between(self, *_: object) -> list[DagRun]:
        return []

    def find_dag_run(self, dag_id: str, run_id: str) -> None:
        return None


def task(number: int, end: datetime) -> TaskInstance:
    ended = pendulum.instance(end)
    return TaskInstance(Unit("d", f"t{number}"), "run", -1, "success", 1, ended, ended, 0.0, "BashOperator")


# Seconds after the start at which a task ends, many of them alike, and how much of the time that it may take was taken
# until that is committed.
ends = st.lists(
    st.tuples(st.sampled_from([0, 1, 2, 60, 61, 300]) | st.integers(0, 900), st.floats(0, 1)), max_size=40
)
# Seconds between two ticks, and what a tick may tell.
ticks = st.lists(st.tuples(st.integers(0, 300), st.integers(1, 6)), max_size=15)


@given(ends, ticks, st.lists(st.booleans(), max_size=40), st.integers(-60, 60), st.sampled_from([V1, V2]))
def test_each_task_is_told_once(
    finished: list[tuple[int, float]],
    looks: list[tuple[int, int]],
    answers: list[bool],
    ahead: int,
    api: Dialect,
) -> None:
    """With ticks at any time, budgets of any size, an Airflow of either version that fails at any call and Dagster's
    clock up to a minute ahead of Airflow's or behind it: all are told, each once."""
    rows = []
    slowest = api.lateness - timedelta(seconds=10)
    for number, (after, share) in enumerate(finished):
        end = START + timedelta(seconds=after)
        # Seconds that the clock is ahead are taken from those that a commit may take.
        rows.append((task(number, end), end + min(share * slowest, slowest - timedelta(seconds=ahead))))
    airflow = Rows(rows, answers=iter(answers), lateness=api.lateness)
    told: Counter[str] = Counter()
    skew = timedelta(seconds=ahead)
    text = Cursor.first(START + skew).write()

    def tick(most: int) -> int:
        nonlocal text

        def tell(news: Sequence[Finished], memory: Memory) -> Iterable[list[Any]]:
            return [[one.task.identity] for one in news]

        cursor = Cursor.read(text)
        look = ObservationTick(
            cast("AirflowClient", airflow), ["d"], cursor, tell, lambda: 0.0, Budget(tasks=most)
        )
        look.look(airflow.now + skew)
        assert len(look.events) <= most
        told.update(look.events)
        text = look.cursor.write()
        return len(look.events) + (look.trouble is not None)

    for pause, most in looks:
        airflow.now += timedelta(seconds=pause)
        tick(most)
    airflow.now = max(airflow.now, START + timedelta(hours=1))
    # A round that a tick has left unfinished ends first, and the next reads the overlap again.
    quiet = 0
    while quiet < 2:
        quiet = 0 if tick(5) else quiet + 1

    assert told == Counter(each.identity for each, _ in rows)


def test_what_was_told_before_a_fault_is_not_told_again() -> None:
    """Airflow stops answering between two tasks of one slice: the first one's event is kept and told only once."""
    rows = [(task(number, START), START) for number in range(2)]
    airflow = cast("AirflowClient", Rows(rows, START + timedelta(minutes=1)))
    answers = iter([True, False])

    def tell(news: Sequence[Finished], memory: Memory) -> Iterator[list[Any]]:
        for one in news:
            if not next(answers, True):
                raise AirflowUnreachable("", "answered 500")
            yield [one.task.identity]

    first = ObservationTick(airflow, ["d"], Cursor.first(START), tell, lambda: 0.0)
    first.look(START + timedelta(minutes=1))
    assert first.trouble is not None
    second = ObservationTick(airflow, ["d"], Cursor.read(first.cursor.write()), tell, lambda: 0.0)
    second.look(START + timedelta(minutes=1))

    assert (first.events, second.events) == ([rows[0][0].identity], [rows[1][0].identity])
