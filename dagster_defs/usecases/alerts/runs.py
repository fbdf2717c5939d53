"""What has happened in Dagster's runs since the last look: failures, tries, ends, and verdicts on candidates."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from dagster_defs.adapters.dagster.event_log import EventReader, StepEvent
from dagster_defs.lifecycle import Stage, Unit, tags
from dagster_defs.lifecycle.alert_text import last_lines
from dagster_defs.lifecycle.alerts import Alert, Cause
from dagster_defs.lifecycle.verdicts import WindowCheck
from dagster_defs.parity import Side, Verdict
from dagster_defs.usecases.alerts.watched import Watched, between

if TYPE_CHECKING:
    import dagster as dg

RUNS, PAGES = 200, 10  # that one query reads, and queries of one look
INSTANT = timedelta(microseconds=1)
OVERLAP = timedelta(
    minutes=5
)  # clocks of two machines; facts that are found twice are known by their identity
QUIET = frozenset({Cause.RETRY, Cause.SUCCESS, Cause.SKIPPED, Cause.EXECUTE})
NOT_OURS = "NotOwner"  # an error of ours: the run was refused, and the unit has not failed
OF_STEPS = {
    "start": Cause.EXECUTE,
    "retry": Cause.RETRY,
    "failure": Cause.FAILURE,
    "success": Cause.SUCCESS,
    "skipped": Cause.SKIPPED,
}


@dataclass(frozen=True)
class RunsRead:
    """`until`: where the next look begins."""

    alerts: Sequence[Alert]
    until: datetime


@dataclass(frozen=True)
class RunLook:
    """`wants`: whether anybody is to be told of such a thing."""

    instance: dg.DagsterInstance
    watched: Watched
    wants: Callable[[Cause], bool]

    def since(self, looked: datetime, now: datetime) -> RunsRead:
        """Of runs that have changed since then, the oldest first; as many as one look may read."""
        import dagster as dg

        runs, until = self._changed(looked - OVERLAP)
        alerts = [alert for run in runs for alert in self._of(run)]
        if any(self._asked_of(unit, QUIET - {Cause.SUCCESS}) for unit in self.watched.mirrors):
            # A try that is followed by another changes no run: it is read from those that go on.
            live = self.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]), limit=RUNS)
            alerts += [alert for run in live for alert in self._of(run)]
        return RunsRead(alerts, until or now)

    def _changed(self, since: datetime) -> tuple[Sequence[dg.DagsterRun], datetime | None]:
        """Page by page; and where the next look begins if there are more than one look reads, else None."""
        import dagster as dg

        found: dict[str, dg.DagsterRun] = {}
        for _ in range(PAGES):
            records = self.instance.get_run_records(
                dg.RunsFilter(updated_after=since), limit=RUNS, order_by="update_timestamp", ascending=True
            )
            found |= {record.dagster_run.run_id: record.dagster_run for record in records}
            if len(records) < RUNS:
                return [*found.values()], None
            # Several runs may have changed at one moment: the last one is read again, unless it fills a page.
            last = records[-1].update_timestamp
            since = max(last - INSTANT, since + INSTANT)
        return [*found.values()], since + OVERLAP

    def _asked_of(self, unit: Unit, causes: Collection[Cause]) -> bool:
        mail = self.watched.mirrors[unit].promised.mail
        return any(self.wants(cause) or mail.of(cause) for cause in causes)

    def _of(self, run: dg.DagsterRun) -> Iterator[Alert]:
        side = run.tags.get(tags.SIDE)
        if side == Side.CANDIDATE.value:
            if run.is_finished:
                yield from self._verdicts(run)
        elif tags.AIRFLOW_TRY not in run.tags and tags.REFUSED not in run.tags:
            # Of what its proxy launched, and of what it tries again, Airflow tells by itself.
            yield from self._steps(run)

    def _steps(self, run: dg.DagsterRun) -> Iterator[Alert]:
        import dagster as dg

        failed = run.status is dg.DagsterRunStatus.FAILURE
        is_whole_dag = tags.DAG in run.tags
        if not failed and not any(map(self.wants, QUIET)) and not self._mails_retries:
            return
        if not is_whole_dag and tags.UNIT not in run.tags and not failed:
            return
        events = EventReader(self.instance).steps(run.run_id)
        told: set[str] = set()
        tries: dict[str, int] = {}
        for event in events:
            if event.step not in self.watched.by_step:
                continue
            tried = tries.setdefault(event.step, 1)
            cause = OF_STEPS[event.what]
            if event.what == "retry":
                tries[event.step] += 1
            else:
                told |= {event.step} if event.what != "start" else set()
            if any(name == NOT_OURS for name, _ in event.errors):
                continue
            if cause in QUIET and not self._asked_of(self.watched.by_step[event.step].legacy_unit, [cause]):
                continue
            yield self._of_step(run, event, cause, tried)
        if failed:
            yield from self._without_step(run, events, told)

    @property
    def _mails_retries(self) -> bool:
        return any(mirror.promised.mail.of(Cause.RETRY) for mirror in self.watched.mirrors.values())

    def _without_step(
        self, run: dg.DagsterRun, events: Sequence[StepEvent], ended: Collection[str]
    ) -> Iterator[Alert]:
        """Steps that began and of whose end nobody has heard, because their process is gone; and a run that failed
        before or beside any step, such as one that has waited in vain."""
        of_run = next((event for event in reversed(events) if not event.step), None)
        begun = [event for event in events if event.what == "start" and event.step in self.watched.by_step]
        lost = {event.step: event for event in begun if event.step not in ended}
        why = of_run.message if of_run else "the run has failed"
        for event in lost.values():
            reason = f"its process ended before the task did, and nobody knows how far it came. {why}"
            alert = self._of_step(run, replace(event, message=reason), Cause.FAILURE, 1)
            # The process that would have called it is gone.
            called = self.watched.by_step[event.step].promised.calls.get("on_failure", ())
            yield replace(alert, calls=tuple(called))
        if begun or (tags.DAG not in run.tags and tags.UNIT not in run.tags):
            return
        others = [event for event in events if event.what == "failure" and event.errors]
        yield self._alert(run, _unit_of(run), Cause.FAILURE, _reason(others[0]) if others else why)

    def _of_step(self, run: dg.DagsterRun, event: StepEvent, cause: Cause, tried: int) -> Alert:
        mirror = self.watched.by_step[event.step]
        unit = mirror.legacy_unit
        reason = _reason(event) if cause in (Cause.FAILURE, Cause.RETRY) else ""
        alert = self._alert(run, (unit.dag_id, unit.task_id), cause, reason)
        most = mirror.promised.retries + 1
        return replace(
            alert,
            identity=f"{alert.identity} {tried}",
            at=event.at,
            attempt=f"{tried} of {most}" if most >= tried else str(tried),
            mail_to=mirror.promised.mail.of(cause),
        )

    def _alert(self, run: dg.DagsterRun, about: tuple[str, str], cause: Cause, reason: str) -> Alert:
        dag_id, task_id = about
        partition = partition_of(run.tags)
        watched = self.watched
        return Alert(
            cause,
            f"{cause} {dag_id}.{task_id} {run.run_id}",
            _at(self.instance, run),
            dag_id,
            task_id,
            partition,
            between(run.tags.get(tags.WINDOW_START, ""), run.tags.get(tags.WINDOW_END, ""))
            or watched.window(Unit(dag_id, task_id), partition),
            owner=watched.owner(dag_id, task_id),
            owners=watched.owners(dag_id, task_id),
            reason=reason,
            todo=tuple(self._todo(run, cause, dag_id, task_id)),
            link=watched.link(run.run_id),
            run_id=run.run_id,
        )

    def _todo(self, run: dg.DagsterRun, cause: Cause, dag_id: str, task_id: str) -> Iterator[str]:
        if cause is not Cause.FAILURE:
            return
        name = f"{dag_id}.{task_id}" if task_id else dag_id
        if tags.IN_VAIN in run.tags:
            yield f"parity windows {name}"
            yield "run what it waited for, then start the DAG's job for this partition in Dagster"
            return
        yield f"re-execute run {run.run_id[:8]} from failure in Dagster once the cause is gone"
        yield f"parity windows {name}"
        units = self.watched.units_of(dag_id)
        if any(self.watched.state(unit).stage is Stage.CUT_OVER for unit in units):
            yield f"parity rollback {name} --apply   (gives it back to Airflow)"

    def _verdicts(self, run: dg.DagsterRun) -> Iterator[Alert]:
        if not self.wants(Cause.MISMATCH):
            return
        found: dict[tuple[Unit, str], list[WindowCheck]] = {}
        for event in EventReader(self.instance).verdicts(run.run_id):
            if tags.CHECK not in event.noted:
                continue
            checked = WindowCheck.from_json(event.noted[tags.CHECK])
            if checked.verdict is Verdict.MISMATCH:
                found.setdefault((checked.unit, event.partition or ""), []).append(checked)
        for (unit, partition), checks in found.items():
            reason = "\n".join(f"{checked.check.name}: {checked.check.reason}" for checked in checks)
            alert = self._alert(run, (unit.dag_id, unit.task_id), Cause.MISMATCH, reason)
            yield replace(
                alert,
                partition=partition or alert.partition,
                identity=f"{Cause.MISMATCH} {unit} {partition} {run.run_id}",
                window=self.watched.window(unit, partition) or alert.window,
                todo=(f"parity explain {unit}", f"parity check {unit} --evidence"),
            )


def partition_of(said: Mapping[str, str]) -> str:
    """A run's partition, or the first and the last one."""
    if tags.PARTITION in said:
        return said[tags.PARTITION]
    first, last = said.get(tags.RANGE_START, ""), said.get(tags.RANGE_END, "")
    return f"{first} to {last}" if first and last else ""


def _unit_of(run: dg.DagsterRun) -> tuple[str, str]:
    if tags.DAG in run.tags:
        return run.tags[tags.DAG], ""
    unit = Unit.parse(run.tags[tags.UNIT])
    return unit.dag_id, unit.task_id


def _reason(event: StepEvent) -> str:
    """The innermost error, with the end of where it came from."""
    if not event.errors:
        return last_lines(event.message)
    return last_lines(f"{event.stack}{event.errors[-1][1]}")


def _at(instance: dg.DagsterInstance, run: dg.DagsterRun) -> datetime:
    record = instance.get_run_record_by_id(run.run_id)
    assert record is not None  # noqa: S101 - it was read a moment ago
    return record.update_timestamp


__all__ = ["RunLook", "RunsRead", "partition_of"]
