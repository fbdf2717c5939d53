"""What one tick does for one retired DAG that something in Airflow listens to: it tells what has ended in Dagster."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

import dagster as dg
from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG, WILL_RETRY_TAG

from dagster_defs.adapters.dagster.event_log import instant
from dagster_defs.adapters.dagster.runs import partition_bounds
from dagster_defs.errors import AirflowFault, EchoOutstanding, ParityError
from dagster_defs.lifecycle import tags
from dagster_defs.lifecycle.echo_place import EchoPlace, Outstanding
from dagster_defs.lifecycle.listening import Listening
from dagster_defs.lifecycle.trigger_place import OVERLAP
from dagster_defs.parity import Side
from dagster_defs.usecases.echoes.tell import Echo, EchoedDag, is_told, note_told

ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


@dataclass
class EchoTurn:
    """`echo`: asked for only if there is something to tell. `is_spent`: whether the tick has no time for another run.
    `after`, `told`, `failed`: what comes of the turn: the place from then on, what Airflow was told, and what it was
    not, in words."""

    instance: dg.DagsterInstance
    dag: EchoedDag
    place: EchoPlace
    listening: Listening
    echo: Callable[[], Echo]
    is_spent: Callable[[], bool]
    after: EchoPlace = field(default_factory=EchoPlace)
    told: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @cached_property
    def _echo(self) -> Echo:
        return self.echo()

    def take(self, retired_at: datetime, now: datetime) -> None:
        heard = replace(
            self.place, heard_by=self.listening.heard_by, refused=dict(self.listening.refused), outstanding={}
        )
        if not self.listening.tasks and (self.place.heard_by or self.place.outstanding):
            # Whoever listens may be missing as well, as when a file did not import during the export.
            raise EchoOutstanding(f"the inventory does not have {self.dag.dag_id}", "Export it again")
        if not self.listening.heard_by:
            self.after = replace(heard, since=now)
            return
        since = self.place.since or retired_at
        changed = list(self._changed(since))
        left = self._tell([record for record in changed if instant(record.end_time) > retired_at])
        newest = max((record.update_timestamp for record in changed), default=since)
        self.after = replace(heard, since=max(since, newest - OVERLAP), outstanding=left)

    def _changed(self, since: datetime) -> Iterator[Any]:
        """Runs of the DAG and of its units that have ended and were changed since then, and those that are outstanding:
        first what was tried least, so that what cannot be told holds up nothing else, and of that the oldest."""
        own = [str(each.unit) for each in self.dag.units]
        wanted = [
            dg.RunsFilter(tags=which, statuses=list(ENDED), updated_after=since)
            for which in ({tags.DAG: self.dag.dag_id}, {tags.UNIT: own, tags.SIDE: Side.LEGACY.value})
        ]
        if self.place.outstanding:
            wanted.append(dg.RunsFilter(run_ids=[*self.place.outstanding], statuses=list(ENDED)))
        found = {
            record.storage_id: record for each in wanted for record in self.instance.get_run_records(each)
        }
        records = (record for record in found.values() if record.end_time is not None)
        yield from sorted(
            records, key=lambda record: (self._tries(record), record.end_time, record.storage_id)
        )

    def _tries(self, record: Any) -> int:
        late = self.place.outstanding.get(record.dagster_run.run_id)
        return late.tries if late else 0

    def _tell(self, records: Sequence[Any]) -> dict[str, Outstanding]:
        """What is left. If Airflow does not answer, nothing more is asked of it."""
        left: dict[str, Outstanding] = {}
        silence = ""
        for record in records:
            run = record.dagster_run
            # One that was refused may be what another run of its window has waited for, to be told.
            if is_told(run) or run.tags.get(AUTO_RETRY_RUN_ID_TAG):
                continue
            late = self.place.outstanding.get(run.run_id) or Outstanding(
                _about(run), instant(record.end_time), ""
            )
            if run.tags.get(WILL_RETRY_TAG) == "true":
                late = replace(late, why="Dagster will try again")
            elif silence or self.is_spent():
                late = replace(late, why=silence or "this tick has no time left")
            else:
                late, silence = self._tried(record, late)
            if late.why:
                left[run.run_id] = late
                self.failed.append(f"{self.dag.dag_id} {_about(run)}: {late.why}")
        return left

    def _tried(self, record: Any, late: Outstanding) -> tuple[Outstanding, str]:
        """What is left of a run, without a reason if nothing is; and why Airflow does not answer, if it does not."""
        silence, told = "", late.told
        try:
            echo = self._echo
            try:
                echo.tell(record, late.told, self.is_spent)
            finally:
                told = tuple(sorted(echo.done))
            note_told(self.instance, record.dagster_run, echo.told)
            if echo.told:
                self.told.append(f"{self.dag.dag_id}: Airflow was told {', '.join(echo.told)}")
            return replace(late, why=""), ""
        except AirflowFault as error:
            why = str(error)
            silence = "" if error.lasting else why
        except ParityError as error:  # of one run; the others are told
            why = str(error)
        return replace(late, why=why, tries=late.tries + 1, told=told), silence


def _about(run: dg.DagsterRun) -> str:
    """The window of a run, or windows, or what else names it."""
    first, last = partition_bounds(run) or ("", "")
    if first:
        return first if first == last else f"{first} to {last}"
    return run.tags.get(tags.STARTED_BY, run.run_id[:8])
