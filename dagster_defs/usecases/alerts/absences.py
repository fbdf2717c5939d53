"""What has not happened: windows that did not start, waits that last, data that is late, a daemon that is silent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pendulum

from dagster_defs.adapters.dagster.daemon import heartbeats, sensor_signs
from dagster_defs.adapters.dagster.mirrors import legacy_keys
from dagster_defs.adapters.http.question import without_credentials
from dagster_defs.errors import ParityError
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.lifecycle.alerts import Alert, Cause
from dagster_defs.lifecycle.histories import Retired
from dagster_defs.lifecycle.ledger import BY_ITSELF, Kind
from dagster_defs.lifecycle.receivers import Alerting
from dagster_defs.lifecycle.stages import Move
from dagster_defs.lifecycle.started import SCHEDULES, Place
from dagster_defs.lifecycle.waits import Wait
from dagster_defs.usecases.alerts.watched import Watched, between
from dagster_defs.usecases.waits import Awaited, AwaitedStates, key_at
from dagster_defs.windows import Scheduled, instant_text, widest

if TYPE_CHECKING:
    import dagster as dg

LOOKED_BACK = timedelta(days=40)  # older windows have been told of long ago
START_DAEMON = "start dagster-daemon again; windows that are over are then started one after the other"


@dataclass(frozen=True)
class Absences:
    """`places`: by DAG, how far its schedule has come, as its sensor has left it."""

    instance: dg.DagsterInstance
    watched: Watched
    alerting: Alerting
    places: Mapping[str, Place]

    def not_started(self, now: datetime) -> Iterator[Alert]:
        """Windows of retired DAGs whose turn has come and that nothing has started, the newest per DAG. A window that
        waits for another DAG has had its turn."""
        before = pendulum.instance(now) - timedelta(seconds=self.alerting.not_started_after)
        for dag_id in self.watched.dag_ids:
            if not self.watched.is_retired(dag_id):
                continue
            missing = [window for window in self._windows(dag_id) if window.end <= before]
            missing = [window for window in missing if not self._is_started(dag_id, window)]
            if missing:
                yield self._missing(dag_id, missing, now)

    def _windows(self, dag_id: str) -> Sequence[Scheduled]:
        """The newest windows of the DAG that are over, as far as they are Dagster's and not skipped on purpose."""
        units = self.watched.units_of(dag_id)
        mirrors = [self.watched.mirrors[unit] for unit in units]
        begins = [
            history.begins
            for unit in units
            if isinstance(history := self.watched.histories.get(unit), Retired)
        ]
        begin = max(filter(None, begins), default=None)
        if begin is None or any(mirror.event is not None for mirror in mirrors):
            return ()
        with suppress(ParityError):
            partitions = widest(mirrors[0].partitions, [mirror.partitions for mirror in mirrors])
            now = pendulum.now("UTC")
            windows: list[Scheduled] = []
            since = max(pendulum.instance(begin), now - LOOKED_BACK)
            for window in partitions.schedule.windows(since, now.add(microseconds=1)):
                if window.start >= begin and window.end <= now:
                    windows.append(window)
            catchup = all(mirror.promised.catchup for mirror in mirrors)
            return windows if catchup else windows[-1:]
        return ()

    def _is_started(self, dag_id: str, window: Scheduled) -> bool:
        place = self.places.get(dag_id)
        if place and place.last and window.start <= place.last:
            return True
        mirror = self.watched.mirrors[self.watched.units_of(dag_id)[0]]
        return self._has_runs(dag_id, key_at(mirror.partitions, window.start))

    def _has_runs(self, dag_id: str, key: str) -> bool:
        import dagster as dg

        wanted = dg.RunsFilter(tags={tags.DAG: dag_id, tags.PARTITION: key})
        return bool(key) and bool(self.instance.get_runs_count(wanted))

    def _missing(self, dag_id: str, missing: Sequence[Scheduled], now: datetime) -> Alert:
        first, last = missing[0], missing[-1]
        mirror = self.watched.mirrors[self.watched.units_of(dag_id)[0]]
        count = f"{len(missing)} windows have" if len(missing) > 1 else "its window has"
        late = int((now - first.end).total_seconds() // 60)
        lines = [
            f"{count} not started, the first for {late} min: its turn came at {instant_text(first.end)}.",
            *self._why_not_started(dag_id, now),
        ]
        return Alert(
            Cause.NOT_STARTED,
            # The fact is that the DAG stands still, however many windows that will be.
            f"{Cause.NOT_STARTED} {dag_id} after {self._last(dag_id)}",
            now,
            dag_id,
            partition=key_at(mirror.partitions, first.start),
            window=between(first.start.isoformat(), last.end.isoformat()),
            owner=self.watched.owner(dag_id),
            owners=self.watched.owners(dag_id),
            reason="\n".join(lines),
            todo=(f"parity windows {dag_id}", "look at the sensor of the schedules in Dagster: Automation"),
        )

    def _last(self, dag_id: str) -> str:
        """The newest window that its schedule has come to."""
        place = self.places.get(dag_id)
        return place.last.isoformat() if place and place.last else "none"

    def _why_not_started(self, dag_id: str, now: datetime) -> Iterator[str]:
        """What can be seen of the reason."""
        import dagster as dg

        if silence := self.silence(now):
            yield silence
        signs = list(sensor_signs(self.instance, SCHEDULES))
        for sign in signs:
            if not sign.running:
                yield f"The sensor {sign.name} is switched off."
            if sign.fault:
                yield f"The last tick of {sign.name} failed: {sign.fault}"
        if not signs:
            yield "No sensor of the schedules has ever ticked: is the code location loaded?"
        active = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
        of_dag = dg.RunsFilter(tags={tags.DAG: dag_id}, statuses=active)
        for run in self.instance.get_runs(of_dag, limit=3):
            yield f"Run {run.run_id[:8]} of {run.tags.get(tags.PARTITION, '?')} is {run.status.value.lower()}."

    def daemon(self, now: datetime) -> Iterator[Alert]:
        """That the daemon gives no sign of life: what it did not do is not known, only since when."""
        if silence := self.silence(now):
            seen = max(filter(None, heartbeats(self.instance).values()), default=None)
            mine = sorted(dag_id for dag_id in self.watched.dag_ids if self.watched.is_retired(dag_id))
            held = f"\nNothing starts the windows of: {', '.join(mine)}." if mine else ""
            yield Alert(
                Cause.DAEMON,
                f"{Cause.DAEMON} {seen.isoformat() if seen else 'never'}",
                now,
                reason=silence + held,
                todo=(START_DAEMON,),
                link=without_credentials(self.watched.settings.named_dagster_url)[0],
            )

    def silence(self, now: datetime) -> str:
        """One sentence; empty if the daemon lives. A part of it counts as dead if the others have outlived it by far:
        they give their signs one after the other."""
        limit = timedelta(seconds=self.alerting.silent_after)
        beats = heartbeats(self.instance)
        newest = max(filter(None, beats.values()), default=None)
        if newest is None:
            return "Dagster's daemon has never given a sign of life here."
        if now - newest > limit:
            return f"Dagster's daemon gave its last sign of life at {instant_text(newest, 'seconds')}."
        dead = [name for name, at in beats.items() if at is None or now - at > 2 * limit]
        return f"These parts of Dagster's daemon give no sign of life: {', '.join(dead)}." if dead else ""

    def stuck(self, now: datetime) -> Iterator[Alert]:
        """Windows that wait for another DAG for long."""
        limit = timedelta(seconds=self.alerting.stuck_after)
        for dag_id, place in self.places.items():
            units = self.watched.units_of(dag_id)
            if not units or not self.watched.is_retired(dag_id):
                continue
            mirror = self.watched.mirrors[units[0]]
            waits = {wait.sensor: wait for unit in units for wait in self.watched.mirrors[unit].waits}
            for waiting in place.waiting:
                key = key_at(mirror.partitions, waiting.logical_date)
                for each in waiting.told([*waits.values()]):
                    if now - each.since <= limit:
                        continue
                    yield Alert(
                        Cause.STUCK_WAIT,
                        f"{Cause.STUCK_WAIT} {dag_id} {key} {each.sensor}",
                        now,
                        dag_id,
                        each.sensor,
                        key,
                        self.watched.window(units[0], key),
                        owner=self.watched.owner(dag_id),
                        owners=self.watched.owners(dag_id),
                        reason=str(each),
                        todo=(f"parity windows {dag_id}", f"parity windows {waits[each.sensor].dag}"),
                    )

    def late(self, since: datetime, now: datetime) -> Iterator[Alert]:
        """Airflow's SLA misses: what has not succeeded `sla` seconds after the end of its window, if the moment lies
        between the last look and this one. Of a DAG that Airflow runs, Airflow tells."""
        for unit, mirror in sorted(self.watched.mirrors.items()):
            sla = mirror.promised.sla
            if sla is None or mirror.event is not None or not self.watched.is_retired(unit.dag_id):
                continue
            delta = timedelta(seconds=sla)
            with suppress(ParityError):
                for window in self._windows(unit.dag_id):
                    if since < window.end + delta <= now and not self._is_done(unit, window):
                        yield self._late(unit, window, window.end + delta, now)

    def _is_done(self, unit: Unit, window: Scheduled) -> bool:
        mirror = self.watched.mirrors[unit]
        keys = list(legacy_keys({unit: mirror}).get(unit, ()))
        awaited = Awaited(unit, mirror.partitions, keys, self.watched.step(mirror))
        states = AwaitedStates(self.instance, {unit.dag_id: [awaited]})
        state = states.of(Wait("", unit.dag_id, (unit.task_id,)))(window.start, unit.task_id)
        return state in ("success", "skipped")

    def _late(self, unit: Unit, window: Scheduled, deadline: datetime, now: datetime) -> Alert:
        key = key_at(self.watched.mirrors[unit].partitions, window.start)
        return Alert(
            Cause.LATE,
            f"{Cause.LATE} {unit} {window.start.isoformat()}",
            now,
            unit.dag_id,
            unit.task_id,
            key,
            between(window.start.isoformat(), window.end.isoformat()),
            owner=self.watched.owner(unit.dag_id, unit.task_id),
            owners=self.watched.owners(unit.dag_id, unit.task_id),
            reason=f"It was due at {instant_text(deadline)} and has not succeeded.",
            todo=(f"parity windows {unit}",),
            mail_to=self.watched.mirrors[unit].promised.mail.to,
        )

    def rolled_back(self, since: datetime) -> Iterator[Alert]:
        """Rollbacks that nobody's hand has made."""
        begun = {
            (entry.id, entry.unit): entry
            for entry in self.watched.contents.entries
            if entry.move is Move.ROLLBACK and entry.kind is Kind.INTENDED
        }
        for entry in self.watched.contents.entries:
            if entry.move is not Move.ROLLBACK or entry.kind is not Kind.DONE or entry.at < since:
                continue
            if not entry.operator.endswith(BY_ITSELF):
                continue
            intent = begun.get((entry.id, entry.unit), entry)
            unit = entry.unit
            yield Alert(
                Cause.ROLLED_BACK,
                f"{Cause.ROLLED_BACK} {unit} {entry.id}",
                entry.at,
                unit.dag_id,
                unit.task_id,
                owner=self.watched.owner(unit.dag_id, unit.task_id),
                owners=self.watched.owners(unit.dag_id, unit.task_id),
                reason=intent.reason,
                todo=(
                    f"clear {unit} in Airflow for the window that failed, unless it is tried again there anyway",
                    f"parity explain {unit}",
                ),
            )
