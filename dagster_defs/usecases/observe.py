"""Reads the tasks that Airflow has finished, slice by slice, as far as one tick's budget allows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from dagster_defs.adapters.airflow.client import AirflowReader
from dagster_defs.adapters.airflow.reading import PAGE
from dagster_defs.adapters.airflow.rows import DagRun, TaskInstance
from dagster_defs.errors import AirflowFault
from dagster_defs.lifecycle.echo_place import is_echo
from dagster_defs.lifecycle.observing import INSTANT, Budget, Cursor, fitting

MOST_PAGES = 5  # pages of DAG runs per request; runs that are not among them are requested one by one


@dataclass(frozen=True, slots=True)
class Finished:
    """A try that is over, and its DAG run, which is None if it was deleted."""

    task: TaskInstance
    run: DagRun | None


class Memory(Protocol):
    """What was told of several rows together, for as long as any of these rows may be read again."""

    def knows(self, identity: str, end: datetime) -> bool: ...

    def note(self, identity: str, end: datetime) -> None: ...


@dataclass(frozen=True, slots=True)
class Slice:
    """`tasks`: the new ones, oldest first. `before`: the end of the slice, None if it is open.

    `is_whole`: whether nothing in the slice was left out.
    """

    tasks: Sequence[TaskInstance]
    before: datetime | None
    is_whole: bool


@dataclass
class ObservationTick:
    """One tick of the observer. `tell` turns new tasks into events, one after the other; its `Memory` is the cursor.

    `seconds` returns how long this tick has taken so far.
    """

    client: AirflowReader
    dag_ids: Sequence[str]
    cursor: Cursor
    tell: Callable[[Sequence[Finished], Memory], Iterable[Sequence[Any]]]
    seconds: Callable[[], float]
    budget: Budget = Budget()  # noqa: RUF009 - frozen
    events: list[Any] = field(default_factory=list)
    tasks: int = 0
    trouble: AirflowFault | None = None
    _runs: dict[tuple[str, str], DagRun | None] = field(default_factory=dict)

    def look(self, now: datetime) -> None:
        """Read until the present is reached or the budget is spent. `cursor` never moves past what is in `events`.

        If Airflow stops answering, `trouble` says so, and what was read before still counts.
        """
        self.cursor = self.cursor.begun(now)
        try:
            while self.cursor.ceiling and not self._is_spent():
                if part := self._next():
                    self._take(part)
        except AirflowFault as error:
            self.trouble = error

    def knows(self, identity: str, end: datetime) -> bool:
        return self.cursor.knows(identity, end)

    def note(self, identity: str, end: datetime) -> None:
        self.cursor = self.cursor.telling([(identity, end)])

    def _is_spent(self) -> bool:
        spent = self.tasks >= self.budget.tasks or len(self.events) >= self.budget.events
        return spent or self.seconds() >= self.budget.seconds

    def _take(self, part: Slice) -> None:
        finished = [
            Finished(task, run) for task, run in zip(part.tasks, self._runs_of(part.tasks), strict=True)
        ]
        handled = 0
        for task, events in zip(part.tasks, self.tell(finished, self), strict=True):
            self.events += events
            # At once: Airflow may fall silent before the next task of the slice is told.
            if task.end:
                self.note(task.identity, task.end)
            handled += 1
            self.tasks += 1
            if len(self.events) >= self.budget.events or self.seconds() >= self.budget.seconds:
                break
        if not part.is_whole or handled < len(part.tasks):
            return
        late = self.client.lateness
        self.cursor = (
            self.cursor.arrived(late) if part.before is None else self.cursor.passing(part.before, late)
        )

    def _next(self) -> Slice | None:
        """The next slice from the cursor: everything there is if one answer can hold it, else as much as one can hold.

        None if the slice was too wide: the next one is narrower, in this tick or a later one.
        """
        start, width = self.cursor.reached, self.cursor.width
        ceiling = self.cursor.ceiling or start
        before = None if width is None else start + width
        rows, total = self.client.finished_page(self.dag_ids, start, before)
        if total <= len(rows):
            is_last = width is None or start + width >= ceiling
            self._try(None if is_last else fitting(width or INSTANT, total, PAGE))
            return self._news(rows, before, is_whole=True)
        if before and width and width <= INSTANT:
            return self._crowd(start, before, total)
        # If only the future is left, the clocks disagree: advance by seconds.
        wide = width or max(ceiling - start, timedelta(seconds=1))
        self._try(max(INSTANT, min(wide / 2, fitting(wide, total, PAGE))))
        return None

    def _try(self, width: timedelta | None) -> None:
        self.cursor = replace(self.cursor, width=width)

    def _crowd(self, start: datetime, before: datetime, total: int) -> Slice:
        """More tasks ended in one instant than one answer can hold, such as when Airflow skips many at once."""
        news: dict[str, TaskInstance] = {}
        seen: set[str] = set()
        for task in self.client.finished_task_instances(self.dag_ids, start, before):
            seen.add(task.identity)
            if self._is_news(task) and len(news) <= self._left():
                news[task.identity] = task
        # Unordered pages may repeat one row and miss another: then the instant is read again.
        is_whole = len(seen) >= total or not news
        self._try(None)
        return self._news(list(news.values()), before, is_whole=is_whole)

    def _news(self, rows: Sequence[TaskInstance], before: datetime | None, *, is_whole: bool) -> Slice:
        news = sorted(
            filter(self._is_news, rows), key=lambda task: (task.end is None, task.end, task.identity)
        )
        kept = news[: self._left()]
        return Slice(kept, before, is_whole=is_whole and len(kept) == len(news))

    def _left(self) -> int:
        return self.budget.tasks - self.tasks

    def _is_news(self, task: TaskInstance) -> bool:
        """What Airflow was told of Dagster's runs is no work of Airflow's."""
        is_told = is_echo(task.run_id)
        return task.end is not None and not is_told and not self.cursor.knows(task.identity, task.end)

    def _runs_of(self, tasks: Sequence[TaskInstance]) -> Iterator[DagRun | None]:
        dates = {(task.unit.dag_id, task.run_id): task.run_date for task in tasks}
        missing = {place: at for place, at in dates.items() if place not in self._runs}
        dated = [at for at in missing.values() if at]
        if len(missing) > 1 and dated:
            runs = self.client.dag_runs_between(
                sorted({dag_id for dag_id, _ in missing}), min(dated), max(dated), MOST_PAGES
            )
            self._runs |= {place: run for run in runs if (place := (run.dag_id, run.run_id)) in missing}
        for place in missing:
            if place not in self._runs:
                self._runs[place] = self.client.find_dag_run(*place)
        return iter([self._runs[task.unit.dag_id, task.run_id] for task in tasks])
