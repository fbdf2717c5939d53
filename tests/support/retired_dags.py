"""The sensor that starts the windows of retired DAGs, evaluated tick by tick."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pendulum
import pytest

from dagster_defs.adapters.dagster.partitions import definition_of, partitioned
from dagster_defs.adapters.store.ledger import NAME
from dagster_defs.components.sensors.schedule_sensor import SECONDS, build_schedule_sensor
from dagster_defs.components.sensors.scheduled_dag import ScheduledDag
from dagster_defs.components.sensors.waited_job import waited_job
from dagster_defs.lifecycle import Stage, Unit
from dagster_defs.lifecycle.ledger import Entry
from dagster_defs.usecases.waits import Awaited
from dagster_defs.windows import Schedule
from tests.support.estate import ROOT
from tests.support.owned import entries_to

SUCCESS, FAILURE, LIVE = (
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.STARTED,
)
DAYS = partitioned(Schedule.of("0 6 * * *", "America/New_York", "2024-03-01", None))
UNITS = (Unit("taxi", "build"), Unit("taxi", "export"))
# The clocks go forward on the 10th: the window of the 9th ends an hour earlier than a day after its start.
TAKEN_OVER = pendulum.datetime(2024, 3, 9, 11)
SPRING_END = pendulum.datetime(2024, 3, 10, 10)
ALIKE = dict.fromkeys(UNITS, DAYS.schedule)
TAXI = ScheduledDag("taxi", "taxi", UNITS, DAYS, ALIKE, catchup=True, max_active_runs=1, in_order=False)


def jobs_of(dags: Iterable[ScheduledDag]) -> Iterator[tuple[Any, Any]]:
    """Each DAG's job, with an asset that it makes."""
    for dag in dags:

        @dg.asset(name=f"made_by_{dag.job}", partitions_def=definition_of(dag.partitions))
        def made() -> None:
            raise AssertionError("nothing is run here")

        yield made, dg.define_asset_job(dag.job, [made], tags={"parity/dag": dag.dag_id})
        if dag.waits:
            yield made, waited_job(dag.waited_job, dag.dag_id, [made.key])


@dataclass
class Schedules:
    """The sensor of some DAGs, evaluated as the daemon does; `end` ends the runs that ticks have asked for."""

    instance: dg.DagsterInstance
    folder: Path
    monkeypatch: pytest.MonkeyPatch
    dags: Sequence[ScheduledDag] = (TAXI,)
    cursor: str | None = None
    keys: list[str] = field(default_factory=list)
    begun: list[dg.DagsterRun] = field(default_factory=list)
    held: Mapping[str, str] = field(default_factory=dict)
    awaited: Mapping[str, Sequence[Awaited]] = field(default_factory=dict)
    asked: list[dg.RunRequest] = field(default_factory=list)
    skipped: str | None = None
    seconds: float = SECONDS
    definitions: dg.Definitions = field(default_factory=dg.Definitions)

    def retire(self, *units: Unit, at: pendulum.DateTime = TAKEN_OVER) -> None:
        for unit in units or UNITS:
            self.write(*entries_to(unit, Stage.RETIRED, at))

    def write(self, *entries: Entry) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / NAME).open("a") as file:
            file.writelines(f"{json.dumps(entry.as_json())}\n" for entry in entries)

    def tick(self, now: pendulum.DateTime) -> list[str]:
        """The partitions that are started at that instant; their runs are under way from then on."""
        made = list(jobs_of(self.dags))
        jobs = [job for _, job in made]
        sensor = build_schedule_sensor(
            "own", self.dags, jobs, 30, ROOT, self.held, self.awaited, self.seconds
        )
        assets = list({asset.key: asset for asset, _ in made}.values())
        definitions = self.definitions = dg.Definitions(assets=assets, jobs=jobs, sensors=[sensor])
        self.monkeypatch.setenv("PARITY_PROXIED_STATE", str(self.folder))
        self.monkeypatch.setattr(
            "dagster_defs.components.sensors.schedule_sensor.pendulum.now", lambda *_: now
        )
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, definitions=definitions
        ) as context:
            told = definitions.resolve_sensor_def("own_schedules").evaluate_tick(context)
        self.monkeypatch.undo()
        self.cursor, self.skipped = told.cursor, told.skip_message
        self.asked = list(told.run_requests or [])
        self.keys = [str(request.run_key) for request in self.asked]
        for request in self.asked:
            job = definitions.resolve_job_def(str(request.job_name))
            said = {**job.tags, **request.tags}
            self.begun.append(
                self.instance.create_run_for_job(job, run_config=request.run_config, status=LIVE, tags=said)
            )
        return [str(request.partition_key or request.tags["dagster/partition"]) for request in self.asked]

    def start_by_hand(self, day: str, *, only: Collection[str] = ()) -> None:
        """The job of the first DAG, as somebody starts it in the UI; `only`: some of its assets."""
        [dag, *_] = self.dags
        job = self.definitions.resolve_job_def(dag.job)
        said = {**job.tags, "dagster/partition": day}
        selection = {dg.AssetKey(name) for name in only} or None
        run = self.instance.create_run_for_job(job, status=LIVE, tags=said, asset_selection=selection)
        self.begun.append(run)

    def end(self, *statuses: dg.DagsterRunStatus) -> None:
        """Of the earliest runs that live."""
        live = [run for run in self.begun if self.instance.get_run_by_id(run.run_id).status is LIVE]  # type: ignore[union-attr]  # it was made above
        for run, status in zip(live, statuses, strict=False):
            ended = dg.DagsterEvent(
                {SUCCESS: "PIPELINE_SUCCESS", FAILURE: "PIPELINE_FAILURE"}[status], run.job_name
            )
            self.instance.report_dagster_event(ended, run.run_id)


def days_later(days: int) -> pendulum.DateTime:
    return SPRING_END.add(days=days)
