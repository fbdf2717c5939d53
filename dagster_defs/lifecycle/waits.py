"""What a window of a retired DAG waits for: another DAG's tasks, by the rules of Airflow's `ExternalTaskSensor`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from dagster_defs.older_python import StrEnum, datetime_of
from dagster_defs.windows import instant_text

WEEK = 7 * 24 * 3600.0  # Airflow's default `timeout` of a sensor
RETRY_DELAY = 300.0  # Airflow's default `retry_delay`
WHOLE_DAG = ""  # stands for the DAG's run among the names of its tasks

#: What is known about a task, or about the whole DAG (`WHOLE_DAG`), of the run with a logical date: Airflow's word for
#: its state; None if there is no such run, or none has ended yet.
States = Callable[[datetime, str], str | None]


class Answer(StrEnum):
    """What one look finds."""

    MET = "met"
    NOT_YET = "not_yet"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Wait:
    """One sensor. `tasks`: those of `dag` that it waits for; empty for the DAG's whole run.

    It asks about the logical date of its own run less `delta`, or about those that `dates` lists for it: what an
    `execution_date_fn` returns. `timeout` and `retry_delay` are in seconds. `restarts`: each further try has the whole
    time-out, as in the mode `poke`. `after`: sensors that must be met before this one begins to look.
    """

    sensor: str
    dag: str
    tasks: tuple[str, ...] = ()
    delta: timedelta = timedelta()
    dates: Mapping[datetime, tuple[datetime, ...]] | None = None
    allowed: frozenset[str] = frozenset({"success"})
    failed: frozenset[str] = frozenset()
    skipped: frozenset[str] = frozenset()
    timeout: float = WEEK
    soft_fail: bool = False
    retries: int = 0
    retry_delay: float = RETRY_DELAY
    restarts: bool = False
    after: tuple[str, ...] = ()

    def asks_about(self, logical_date: datetime) -> tuple[datetime, ...] | None:
        """The logical dates, as often as the sensor counts them; None if nobody has listed them for this one."""
        if self.dates is None:
            return (logical_date - self.delta,)
        return self.dates.get(logical_date)

    @property
    def names(self) -> tuple[str, ...]:
        """The tasks, or `WHOLE_DAG`."""
        return self.tasks or (WHOLE_DAG,)

    def look(self, dates: Sequence[datetime], states: States) -> Answer:
        """What `ExternalTaskSensor.poke` finds: any failed state fails, then any skipped one skips, and it is met only
        when everything is in an allowed state, for as many dates as it asks about. A date that is asked about twice is
        therefore never met."""
        found = [states(date, name) for date in dict.fromkeys(dates) for name in self.names]
        if any(state in self.failed for state in found):
            return Answer.SKIPPED if self.soft_fail else Answer.FAILED
        if any(state in self.skipped for state in found):
            return Answer.SKIPPED
        met = sum(state in self.allowed for state in found)
        return Answer.MET if met == len(dates) * len(self.names) else Answer.NOT_YET

    @property
    def what(self) -> str:
        return ", ".join(f"{self.dag}.{task}" for task in self.tasks) or f"all of {self.dag}"


class Outcome(StrEnum):
    """How the waiting stands; only `waiting` changes any more."""

    WAITING = "waiting"
    MET = "met"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one wait has come. `since`: its first look; `tried_since`: the first one of the current try. `again`: the
    next try is not due before. `why`: what the last look found, in words. `timeless`: no time-out ends it."""

    since: datetime
    tried_since: datetime
    timeless: bool = False
    failures: int = 0
    again: datetime | None = None
    outcome: Outcome = Outcome.WAITING
    why: str = ""

    @classmethod
    def begun(cls, now: datetime) -> Progress:
        return cls(now, now)

    def after(self, wait: Wait, answer: Answer, why: str, now: datetime) -> Progress:
        """The progress once a look at `now` has found `answer`, as `BaseSensorOperator.execute` goes on: a time-out is
        final, whatever `retries` say; a failed state is final only after the last try."""
        match answer:
            case Answer.MET:
                return replace(self, outcome=Outcome.MET, why=why)
            case Answer.SKIPPED:
                return replace(self, outcome=Outcome.SKIPPED, why=why)
            case Answer.FAILED if self.failures >= wait.retries:
                return replace(self, failures=self.failures + 1, outcome=Outcome.FAILED, why=why)
            case Answer.FAILED:
                again = now + timedelta(seconds=wait.retry_delay)
                # In the mode `reschedule` Airflow counts from the first reschedule of the first try, and from each look
                # anew if that try had none.
                is_first = now == self.since and not self.why
                timeless = self.timeless or (not wait.restarts and not self.failures and is_first)
                return replace(self, failures=self.failures + 1, again=again, why=why, timeless=timeless)
        since = self.tried_since if wait.restarts else self.since
        if not self.timeless and (now - since).total_seconds() > wait.timeout:
            over = f"{why}, and its time-out of {wait.timeout:g} s is over"
            return replace(self, outcome=Outcome.SKIPPED if wait.soft_fail else Outcome.FAILED, why=over)
        return replace(self, why=why)

    def later(self, gap: timedelta) -> Progress:
        """As if a wait that goes on had begun so much later."""
        if self.outcome is not Outcome.WAITING:
            return self
        return replace(self, since=self.since + gap, tried_since=self.tried_since + gap)

    def as_json(self) -> Mapping[str, Any]:
        return {
            "since": self.since.isoformat(),
            "tried_since": self.tried_since.isoformat(),
            "timeless": self.timeless,
            "failures": self.failures,
            "again": self.again and self.again.isoformat(),
            "outcome": self.outcome.value,
            "why": self.why,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Progress:
        again = document.get("again")
        return cls(
            datetime_of(document["since"]),
            datetime_of(document["tried_since"]),
            bool(document.get("timeless")),
            int(document.get("failures", 0)),
            datetime_of(again) if again else None,
            Outcome(document.get("outcome", "waiting")),
            str(document.get("why", "")),
        )


@dataclass(frozen=True, slots=True)
class Waiting:
    """A window that is over and whose run waits. `logical_date`: that of the run that Airflow would have made. `begun`:
    when its turn came. `seen`: when it was looked at last."""

    logical_date: datetime
    progress: Mapping[str, Progress] = field(default_factory=dict)
    begun: datetime | None = None
    seen: datetime | None = None

    def looked(self, waits: Sequence[Wait], states: Callable[[Wait], States], now: datetime) -> Waiting:
        """The same window after another look at everything whose turn it is."""
        progress = dict(self.progress)
        for wait in in_order(waits):
            before = [progress.get(name) for name in wait.after]
            if not all(each and each.outcome is Outcome.MET for each in before):
                continue
            own = progress.get(wait.sensor) or Progress.begun(now)
            if own.outcome is Outcome.WAITING:
                progress[wait.sensor] = self._look(wait, own, states(wait), now)
        return replace(self, progress=progress, seen=now)

    def resumed(self, now: datetime) -> Waiting:
        """The same window after a time in which nothing could look at it, which is no time of waiting: a look at `now`
        ends by a time-out only what the last look would have ended."""
        if self.seen is None:
            return self
        gap = now - self.seen
        return replace(
            self, progress={name: each.later(gap) for name, each in self.progress.items()}, seen=now
        )

    def _look(self, wait: Wait, own: Progress, states: States, now: datetime) -> Progress:
        if own.again is not None:
            if now < own.again:
                return own
            own = replace(own, again=None, tried_since=now)
        dates = wait.asks_about(self.logical_date)
        if dates is None:
            why = (
                f"which runs of {wait.dag} it asks about is not listed for {instant_text(self.logical_date)}"
            )
            return own.after(wait, Answer.NOT_YET, why, now)
        return own.after(wait, wait.look(dates, states), _found(wait, dates, states), now)

    def outcome(self, waits: Sequence[Wait]) -> Outcome:
        """One wait that has failed or skipped decides, because everything in the DAG comes after it; which of them does
        not matter if both are there: Airflow's `all_success` lets a failure prevail."""
        outcomes = [self.progress[wait.sensor].outcome for wait in waits if wait.sensor in self.progress]
        for outcome in (Outcome.FAILED, Outcome.SKIPPED):
            if outcome in outcomes:
                return outcome
        is_met = len(outcomes) == len(waits) and set(outcomes) <= {Outcome.MET}
        return Outcome.MET if is_met else Outcome.WAITING

    def told(self, waits: Sequence[Wait]) -> Iterator[WaitedFor]:
        """What it waits for, or has waited for in vain."""
        for wait in waits:
            own = self.progress.get(wait.sensor)
            if own is not None and own.outcome is not Outcome.MET:
                yield WaitedFor(wait.sensor, wait.what, own.why, own.since, own.outcome)

    def as_json(self) -> Mapping[str, Any]:
        return {
            "begun": self.begun and self.begun.isoformat(),
            "seen": self.seen and self.seen.isoformat(),
            "waits": {name: each.as_json() for name, each in self.progress.items()},
        }

    @classmethod
    def from_json(cls, logical_date: str, document: Mapping[str, Any]) -> Waiting:
        progress = {str(name): Progress.from_json(each) for name, each in document["waits"].items()}
        begun, seen = document["begun"], document["seen"]
        return cls(
            datetime_of(logical_date),
            progress,
            datetime_of(begun) if begun else None,
            datetime_of(seen) if seen else None,
        )


@dataclass(frozen=True, slots=True)
class WaitedFor:
    """One line of what a window waits for. `why`: what was found last."""

    sensor: str
    what: str
    why: str
    since: datetime
    outcome: Outcome

    def as_json(self) -> Mapping[str, Any]:
        return {
            "sensor": self.sensor,
            "what": self.what,
            "why": self.why,
            "since": self.since.isoformat(),
            "outcome": self.outcome.value,
        }

    def __str__(self) -> str:
        return f"{self.why} ({self.sensor}, since {instant_text(self.since)})"


def in_order(waits: Sequence[Wait]) -> list[Wait]:
    """Each after those that it names in `after`; those of a circle are left out, and never looked at."""
    ordered: dict[str, Wait] = {}
    while more := [wait for wait in waits if wait.sensor not in ordered and ordered.keys() >= {*wait.after}]:
        ordered |= {wait.sensor: wait for wait in more}
    return list(ordered.values())


def _found(wait: Wait, dates: Sequence[datetime], states: States) -> str:
    """What stands in the way, in words: the first that is not in an allowed state."""
    for date in dates:
        for name in wait.names:
            if (state := states(date, name)) not in wait.allowed:
                what = f"{wait.dag}.{name}" if name else f"all of {wait.dag}"
                return f"{what} of {instant_text(date)} is {state or 'not written'}"
    return f"{wait.what} of {', '.join(map(instant_text, dates)) or 'no date'} is written"
