"""The story that the demo tells: one DAG all the way from Airflow to Dagster, by the moves that a team would make.

Airflow runs taxi_daily day after day. Between two days the demo pauses the DAG and makes the next move, exactly as the
commands of the same names do, gates included. Nothing here starts a candidate run, or a run after the DAG is retired:
Dagster's own sensors do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from dagster_defs.adapters.airflow.client import AirflowClient
from dagster_defs.adapters.airflow.rows import DagRun
from dagster_defs.adapters.dagster.evidence import read_evidence
from dagster_defs.adapters.dagster.mirrors import load_mirrors
from dagster_defs.errors import RunFailed, WritersAmiss
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.lifecycle.gates import Proposal, Proposed
from dagster_defs.lifecycle.mirrors import Mirror
from dagster_defs.lifecycle.moves import PlannedMove
from dagster_defs.lifecycle.stages import Move
from dagster_defs.lifecycle.verdicts import WindowCheck
from dagster_defs.usecases.check import requested_windows
from dagster_defs.usecases.continuity import continuity_of
from dagster_defs.usecases.move.apply import carry_out
from dagster_defs.usecases.move.orchestrators import LiveOrchestrators
from dagster_defs.usecases.move.propose import propose, propose_rehearsal_note, refuse_closed
from demo.estate import Estate

if TYPE_CHECKING:
    import dagster as dg

INGEST, DAILY = "taxi_ingest", "taxi_daily"
LAST_TASK = Unit(DAILY, "export_daily")
RUN_SECONDS = 600
BETWEEN_DAYS = (
    0.3  # seconds between two looks at a day's last task: on a quick machine the next day begins soon
)
WHY = "the demo"


def tell_the_story(estate: Estate) -> list[WindowCheck]:
    """Tell everything after the start; returns the verdicts on every window that was compared."""
    with estate.instance() as instance:
        return Story(estate, instance).tell()


@dataclass
class Story:
    """`ran`: how many days of taxi_daily Airflow has run; `observed`: how many of them before any comparison."""

    estate: Estate
    instance: dg.DagsterInstance
    ran: int = 0
    observed: int = 0
    resting: bool = False
    world: LiveOrchestrators = field(init=False)

    def __post_init__(self) -> None:
        self.world = LiveOrchestrators.of(self.estate.settings, patience=20)

    def tell(self) -> list[WindowCheck]:
        """Go from observed to retired; returns the verdicts on every window that was compared on the way."""
        self._move(Move.SHADOW, INGEST)
        self._unpause(INGEST)
        with self.estate.steps.step("Airflow has ingested the month"):
            self._wait("the ingest", lambda: len(self._over(INGEST)) >= 1)
        self._days(1, "Airflow has run a day, and Dagster has observed it")
        self._wait_for_observation()
        self.observed = self.ran
        self._move(Move.SHADOW, DAILY)
        self._days(1, "Airflow has run another, and Dagster the same as a candidate")
        self._wait_for_verdicts()
        with self.estate.steps.step(f"parity rollback {DAILY} --rehearsed --apply"):
            self._carry_out(propose_rehearsal_note(self.estate.settings, [DAILY], WHY))
        self._move(Move.CUTOVER, DAILY)
        self._days(1, "Airflow has run a day through Dagster")
        self._move(Move.ROLLBACK, DAILY)
        self._days(1, "Airflow has run a day by itself again")
        self._wait_for_verdicts()
        self._move(Move.CUTOVER, DAILY)
        self._days(1, "Airflow has run one more day through Dagster, while it soaks")
        checks = self._wait_for_verdicts()
        self._move(Move.RETIRE, DAILY)
        with self.estate.steps.step("Dagster's own schedule has run the days that were left"):
            self._wait("Dagster's schedule", self._schedule_is_done, self._schedule_so_far)
        self._tell_who_wrote()
        return checks

    @property
    def _mirrors(self) -> list[Mirror]:
        return [
            mirror
            for mirror in load_mirrors(self.estate.settings.root)
            if mirror.legacy_unit.dag_id in (INGEST, DAILY)
        ]

    @property
    def _units(self) -> list[Unit]:
        return sorted(mirror.legacy_unit for mirror in self._mirrors if mirror.legacy_unit.dag_id == DAILY)

    def _move(self, move: PlannedMove, dag_id: str) -> None:
        """Does what `parity MOVE DAG --apply` does. Raises GateClosed."""
        with self.estate.steps.step(f"parity {move} {dag_id} --apply"):
            self._carry_out(propose(self.estate.settings, move, [dag_id]))

    def _carry_out(self, found: Sequence[Proposed]) -> None:
        todo = [one for one in found if isinstance(one, Proposal)]
        refuse_closed(todo, force=False, reason="")
        for _ in carry_out(self.estate.settings, todo, reason=WHY, say=self.estate.steps.say):
            pass

    def _days(self, count: int, title: str) -> None:
        """Let Airflow run that many more days, then pause the DAG. Raises RunFailed for a failed run."""
        wanted = self.ran + count
        self._unpause(DAILY)
        self.resting = False
        with self.estate.steps.step(title):
            self._wait(title, lambda: self._rests_after(wanted), pause=BETWEEN_DAYS)
        self.ran = len(self._over(DAILY))

    def _rests_after(self, days: int) -> bool:
        """Pause the DAG once the executor has the last task of its last day: otherwise another day would start."""
        if self.resting:
            return not self.world.rest(LAST_TASK, may_wake=True)
        # The task may begin and end between two polls; the next day begins two seconds later.
        started = self._airflow.task_instances_in(LAST_TASK, ("queued", "running", "success"))
        runs = {task.run_id for task in started}
        if runs and self._run_of(self.estate.days[days - 1]) in runs:
            self._airflow.set_paused(DAILY, paused=True)
            self.resting = True
        return False

    def _run_of(self, day: str) -> str | None:
        """Airflow's run of a day: Airflow 2 names it by the start of its window, Airflow 3 by the end."""
        runs = self._airflow.dag_runs(DAILY)
        return next((run.run_id for run in runs if run.window and str(run.window.start)[:10] == day), None)

    def _wait_for_observation(self) -> None:
        """Wait until the day that Airflow ran is a materialization of every unit's assets."""
        found = self.estate.days[: self.ran]
        with self.estate.steps.step("Dagster has observed what Airflow ran"):
            self._wait("the observation", lambda: found == self._observed())

    def _observed(self) -> list[str]:
        import dagster as dg

        return sorted(self.instance.get_materialized_partitions(dg.AssetKey("daily_metrics_export")))

    def _wait_for_verdicts(self) -> list[WindowCheck]:
        """Wait until every window since the units were shadowed has a verdict."""
        expected = set(self._expected())
        with self.estate.steps.step("Dagster has compared every window"):
            self._wait("verdicts", lambda: expected <= self._found().keys())
        found = self._found()
        return [found[place] for place in sorted(expected)]

    def _found(self) -> dict[tuple[Unit, str, str], WindowCheck]:
        kept = [(one.checked, one.partition) for one in read_evidence(self.instance)]
        return {(checked.unit, checked.check.name, key): checked for checked, key in kept}

    def _expected(self) -> Iterator[tuple[Unit, str, str]]:
        """Unit, output and window of every verdict; for a whole table only the last window's."""
        first, last = self.estate.days[self.observed], self.estate.days[self.ran - 1]
        for mirror in self._mirrors:
            windows = requested_windows(mirror, first, last)
            for window in windows:
                for output in mirror.outputs_of(window):
                    if window == windows[-1] or not output.as_a_whole:
                        yield mirror.legacy_unit, output.name, mirror.partitions.key_of(window)

    def _scheduled(self) -> Sequence[dg.DagsterRun]:
        import dagster as dg

        return self.instance.get_runs(dg.RunsFilter(tags={tags.DAG: DAILY}))

    def _schedule_so_far(self) -> str:
        left = ", ".join(self.estate.days[self.ran :])
        runs = [f"{run.tags[tags.PARTITION]} {run.status.value}" for run in reversed(self._scheduled())]
        return f"{left} are left; {', '.join(runs) or 'no run yet'}"

    def _schedule_is_done(self) -> bool:
        """Raises RunFailed for a failed run, WritersAmiss for a day that Airflow has run."""
        runs, left = self._scheduled(), set(self.estate.days[self.ran :])
        for run in runs:
            if run.is_failure_or_canceled:
                raise RunFailed(f"Dagster's run of {DAILY}", run.status.value, self.estate.dagster_url)
        if twice := sorted({run.tags[tags.PARTITION] for run in runs} - left):
            raise WritersAmiss(DAILY, [f"{day} by both" for day in twice], self.estate.dagster_url)
        return {run.tags[tags.PARTITION] for run in runs if run.is_success} == left

    def _tell_who_wrote(self) -> None:
        """Raises WritersAmiss unless each window has one writer."""
        written_by = continuity_of(self.estate.settings, self._units, datetime.now(timezone.utc))
        for unit, found in (written_by or {}).items():
            if found.against:
                raise WritersAmiss(str(unit), found.against, self.estate.dagster_url)
            written = "; ".join(
                f"{owner.value.title()} {', '.join(map(str, spans)) or 'nothing'}"
                for owner, spans in found.by_owner.items()
            )
            self.estate.steps.say(f"{unit} was written by {written}")

    def _over(self, dag_id: str) -> list[DagRun]:
        runs = self._airflow.dag_runs(dag_id)
        for run in runs:
            if run.state == "failed":
                link = self._airflow.run_link(run.dag_id, run.run_id)
                raise RunFailed(f"{run.dag_id} {run.run_id}", run.state, link)
        return [run for run in runs if run.state == "success"]

    @property
    def _airflow(self) -> AirflowClient:
        return self.world.airflow

    def _unpause(self, dag_id: str) -> None:
        self._airflow.set_paused(dag_id, paused=False)

    def _wait(
        self,
        what: str,
        ready: Callable[[], bool],
        so_far: Callable[[], str] | None = None,
        pause: float = 1,
    ) -> None:
        self.estate.wait(what, ready, RUN_SECONDS, so_far, pause)
