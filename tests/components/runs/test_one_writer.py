"""Only the owner's run writes: real runs of real dbt, and what they leave of the database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run

from dagster_defs.adapters.store.ledger import NAME
from dagster_defs.adapters.store.proxied_state import write_mark
from dagster_defs.lifecycle import Stage, Unit, tags
from dagster_defs.lifecycle.ledger import Entry, Kind, Requested
from dagster_defs.lifecycle.stages import Move
from dagster_defs.parity import Side
from tests.components.conftest import Project
from tests.support.fakes import FakeAirflow
from tests.support.instances import instance_for_test
from tests.support.owned import LONG_AGO, bring_to, entries_to
from tests.support.small_dbt import DAYS, UPSTREAM, Small

FIRST, SECOND, THIRD = DAYS
UNIT = Unit("up", "build")
LIVE = dg.DagsterRunStatus.STARTED
PROXIED = {
    tags.AIRFLOW_DAG: "up",
    tags.AIRFLOW_RUN: "scheduled__1",
    tags.AIRFLOW_TASK: "build",
    tags.AIRFLOW_TASK_INSTANCE: "up.build scheduled__1",
    tags.AIRFLOW_MAP_INDEX: "-1",
    tags.AIRFLOW_TRY: "1",
    tags.AIRFLOW_ROUND: "7.0",
    tags.AIRFLOW_UPSTREAM: "",
    tags.LAUNCH: "0123456789abcdef0123456789abcdef",
}
OF_THE_SECOND = {
    tags.WINDOW_START: f"{SECOND}T00:00:00+00:00",
    tags.WINDOW_END: f"{THIRD}T00:00:00+00:00",
    **PROXIED,
}


@dataclass(frozen=True)
class Written:
    """A small project whose first day Dagster has written, with a ledger and marks of its own."""

    small: Small
    folder: Path
    instance: dg.DagsterInstance

    def bring_to(self, stage: Stage, *, marked: bool | None = None) -> None:
        bring_to(self.folder, UNIT, stage)
        if stage is Stage.CUT_OVER or marked is not None:
            write_mark(self.folder, UNIT, proxied=marked is not False)

    def run(self, day: str, last: str = "", said: Mapping[str, str] | None = None) -> Run:
        """The unit's own job, started by hand unless `said` tells otherwise."""
        return self.execute(self.small.definitions.resolve_job_def(UPSTREAM), day, last, said)

    def execute(
        self, job: dg.JobDefinition, day: str, last: str = "", said: Mapping[str, str] | None = None
    ) -> Run:
        wanted = {"dagster/partition": day} if not last else between(day, last)
        before = self.small.file(Side.LEGACY).read_bytes()
        with self.small.entered(), pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setenv("PARITY_PROXIED_STATE", str(self.folder))
            result = job.execute_in_process(
                instance=self.instance,
                tags={**wanted, **(said or {})},
                asset_selection=[dg.AssetKey("events")] if job.name.startswith("__") else None,
                raise_on_error=False,
            )
        return Run(result, self.small.file(Side.LEGACY).read_bytes() != before)

    def begin(self, said: Mapping[str, str], *, whole: bool = True) -> dg.DagsterRun:
        """A run that is under way; not `whole`: of one asset, as Dagster's UI starts it."""
        definitions = self.small.definitions
        job = definitions.resolve_job_def(UPSTREAM) if whole else asset_job(self.small)
        selection = None if whole else frozenset({dg.AssetKey("events")})
        return self.instance.create_run_for_job(
            job, status=LIVE, tags={**job.tags, **said}, asset_selection=selection
        )


@dataclass(frozen=True)
class Run:
    """How a run has ended; `wrote`: whether legacy's database is another one now."""

    result: dg.ExecuteInProcessResult
    wrote: bool

    @property
    def succeeded(self) -> bool:
        return self.result.success and self.wrote

    @property
    def refused(self) -> str:
        """Why it was refused. It has written nothing, and tells of nothing."""
        assert not self.result.success
        assert not self.wrote
        assert self.result.get_asset_materialization_events() == []
        return why(self.result)


def why(result: dg.ExecuteInProcessResult) -> str:
    [failure] = [event for event in result.all_events if event.is_step_failure]
    return str(failure.step_failure_data.error)


def between(first: str, last: str) -> dict[str, str]:
    return {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}


def asset_job(small: Small) -> dg.JobDefinition:
    return small.definitions.resolve_implicit_global_asset_job_def()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    with instance_for_test() as instance, FakeAirflow() as airflow:
        small = Small.make(tmp_path_factory.mktemp("small"), instance, airflow.url)
        small.run(UPSTREAM, FIRST)
        yield small


@pytest.fixture
def written(built: Small, tmp_path: Path) -> Iterator[Written]:
    with instance_for_test() as instance:
        yield Written(built, tmp_path / "proxied_state", instance)


@pytest.mark.parametrize(("stage", "way"), [(Stage.OBSERVED, "shadow"), (Stage.SHADOWED, "cutover")])
def test_airflows_window_is_not_written_by_hand(written: Written, stage: Stage, way: str) -> None:
    """A run that somebody starts of a unit that Airflow owns writes nothing, and names the way to own it."""
    written.bring_to(stage)

    message = written.run(SECOND).refused

    assert "NotOwner: this run may not write up.build" in message
    assert f"it is {stage}: its windows are Airflow's" in message
    assert f"parity {way} up.build --apply" in message


def test_the_ui_cannot_go_around_it(written: Written) -> None:
    """A part of the unit, started from the page of an asset, is refused like the whole."""
    said = written.execute(asset_job(written.small), SECOND).refused

    assert "its windows are Airflow's" in said


def test_a_window_of_a_cut_over_unit_is_asked_for(written: Written) -> None:
    """A run by hand of a unit that is cut over is refused with the backfill that would be let through."""
    written.bring_to(Stage.CUT_OVER)

    message = written.run(FIRST, SECOND).refused

    assert f"parity backfill up.build --from {FIRST} --to {SECOND} --apply" in message


def test_a_proxied_run_is_let_through(written: Written) -> None:
    """A run that the task's proxy launches for its window writes it while the unit is marked, and not any more
    when the mark is gone."""
    written.bring_to(Stage.CUT_OVER)
    assert written.run(SECOND, said=OF_THE_SECOND).succeeded

    write_mark(written.folder, UNIT, proxied=False)
    message = written.run(SECOND, said={**OF_THE_SECOND, tags.LAUNCH: "f" * 32}).refused

    assert "Airflow owns it again" in message
    assert "Clear the task" in message


@pytest.mark.parametrize("stage", list(Stage))
def test_another_tasks_proxy_is_refused(written: Written, stage: Stage) -> None:
    """Tags of another task open nothing, wherever the unit stands."""
    written.bring_to(stage)

    message = written.run(SECOND, said={**OF_THE_SECOND, tags.AIRFLOW_TASK: "other"}).refused

    assert "the proxy of up.other has launched it" in message


def test_a_part_of_a_proxied_run_is_refused(written: Written) -> None:
    """Whole tags on a single model from the page of an asset write nothing: the proxy launches the unit's own job."""
    written.bring_to(Stage.CUT_OVER)

    said = written.execute(asset_job(written.small), SECOND, said=OF_THE_SECOND).refused

    assert "it is a run of the job __ASSET_JOB, not of up__build" in said


def test_a_backfill_is_let_through_for_its_windows(written: Written) -> None:
    """The one run that names a backfill of the ledger writes the windows of that, and no others."""
    written.bring_to(Stage.CUT_OVER)
    found = written.small.definitions.resolve_assets_def(dg.AssetKey("events")).partitions_def
    assert isinstance(found, dg.TimeWindowPartitionsDefinition)
    windows = [found.time_window_for_partition_key(day) for day in (FIRST, SECOND)]
    asked = Entry(
        "b1", LONG_AGO, "ada", UNIT, Move.BACKFILL, Kind.BACKFILLED, Stage.CUT_OVER,
        windows=Requested(windows[0].start, windows[-1].end),
    )  # fmt: skip
    with (written.folder / NAME).open("a") as file:
        file.write(json.dumps(asked.as_json()) + "\n")

    assert "parity backfill" in written.run(FIRST, said={tags.BACKFILL: "b2"}).refused
    assert written.run(FIRST, SECOND, {tags.BACKFILL: "b1"}).succeeded
    assert "has used it" in written.run(FIRST, SECOND, {tags.BACKFILL: "b1"}).refused
    assert "has used it" in written.run(SECOND, THIRD, {tags.BACKFILL: "b1"}).refused
    assert "parity backfill" in written.run(THIRD, said={tags.BACKFILL: "b1"}).refused


def spoil_ledger(folder: Path) -> str:
    with (folder / NAME).open("a") as file:
        file.write("<<<<<<< a merge\n")
    return "LedgerUnreadable"


def tear_ledger(folder: Path) -> str:
    """The crash came while the end of the retirement was written."""
    write_mark(folder, UNIT, proxied=True)
    *lines, last = entries_to(UNIT, Stage.RETIRED)
    whole = "".join(json.dumps(entry.as_json()) + "\n" for entry in lines)
    (folder / NAME).write_text(whole + json.dumps(last.as_json())[:-9])
    return "did not start this one"


def spoil_marks(folder: Path) -> str:
    (folder / "up.yaml").write_text("tasks: [{id: build, proxied: perhaps}]")
    return "ProxiedStateUnreadable"


def forbid_ledger(folder: Path) -> str:
    (folder / NAME).unlink()
    (folder / NAME).mkdir()
    return "LedgerUnreadable"


@pytest.mark.parametrize("spoil", [spoil_ledger, tear_ledger, spoil_marks, forbid_ledger])
def test_nobody_writes_where_the_owner_is_not_known(written: Written, spoil: Callable[[Path], str]) -> None:
    """Where ledger or marks cannot be read, or a ledger is torn before its last word, nothing is written."""
    written.bring_to(Stage.RETIRED)
    said = spoil(written.folder)

    assert said in written.run(SECOND).refused


def test_the_marks_of_another_dag_cost_nobody_a_run(written: Written) -> None:
    """A file of marks that cannot be read holds up the units of its own DAG only."""
    written.bring_to(Stage.RETIRED)
    (written.folder / "other.yaml").write_text("<<<<<<< a merge")

    assert written.run(SECOND).succeeded


@pytest.mark.parametrize(
    ("live", "whole"),
    [
        ({"dagster/partition": SECOND}, True),
        (between(FIRST, SECOND), True),
        ({"dagster/partition": SECOND, tags.UNIT: "", tags.SIDE: "", tags.DAG: "up"}, True),
        ({"dagster/partition": SECOND}, False),
        (between(FIRST, THIRD), False),
    ],
    ids=["its-own-job", "a-range", "its-dags-job", "the-ui", "the-uis-range"],
)
def test_one_run_writes_a_window_at_a_time(written: Written, live: Mapping[str, str], whole: bool) -> None:
    """While a run of the window lives, of whatever job, a second one is refused with the first one's id."""
    written.bring_to(Stage.RETIRED)
    first = written.begin(live, whole=whole)

    message = written.run(SECOND).refused

    assert f"RunLives: run {first.run_id} was already launched for windows of up.build" in message


def test_another_window_is_free(written: Written) -> None:
    """A live run holds up its own windows only, and those until it has ended."""
    written.bring_to(Stage.RETIRED)
    first = written.begin({"dagster/partition": SECOND})

    assert written.run(FIRST).succeeded
    written.instance.report_run_canceled(first)
    assert written.run(SECOND).succeeded


def test_the_first_run_is_not_held_up_by_the_second(written: Written) -> None:
    """Of two live runs of a window the earlier one writes: they do not refuse each other."""
    written.bring_to(Stage.RETIRED)
    job, said = written.small.definitions.resolve_job_def(UPSTREAM), {"dagster/partition": SECOND}
    first = written.instance.create_run_for_job(job, tags={**job.tags, **said})
    written.begin(said)

    with written.small.entered(), pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("PARITY_PROXIED_STATE", str(written.folder))
        ended = execute_run(InMemoryJob(job), first, written.instance)

    assert ended.success


@pytest.mark.parametrize("refusal", ["owner", "second"])
def test_a_refusal_is_not_tried_again(
    project: Project, dbt_unit: Callable[..., tuple[str, dict[str, Any]]], refusal: str
) -> None:
    """Neither a foreign run nor a second one is tried again, however many tries the unit has: it gets no better."""
    project.declare("own", dbt_unit(retries=2, retry_delay=0))
    project.load()
    job, day = project.estate.definitions.resolve_job_def("own__dbt"), "2024-03-09"
    if refusal == "second":
        project.estate.instance.create_run_for_job(
            job, status=LIVE, tags={**job.tags, "dagster/partition": day}
        )

    result = project.estate.run("own__dbt", (day, day), must_succeed=False, by_owner=refusal == "second")

    assert ("NotOwner" if refusal == "owner" else "RunLives") in why(result)
    assert [event for event in result.all_events if event.is_step_up_for_retry] == []
