"""A code location in a real Dagster instance, launched in every way that Dagster offers: GraphQL and daemons."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import dagster as dg
import pendulum
import pytest
from dagster._core.code_pointer import load_python_file
from dagster._core.launcher.sync_in_memory_run_launcher import SyncInMemoryRunLauncher
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._daemon.backfill import execute_backfill_iteration
from dagster._daemon.sensor import execute_sensor_iteration
from dagster._scheduler.scheduler import launch_scheduled_runs
from dagster_graphql.schema import create_schema

from dagster_defs.adapters.store.ledger import NAME
from dagster_defs.adapters.store.proxied_state import write_mark
from dagster_defs.lifecycle import Stage, Unit, tags
from dagster_defs.lifecycle.ledger import Entry, Kind, Requested
from dagster_defs.lifecycle.stages import TRANSITIONS, Move
from dagster_defs.settings import Settings
from dagster_defs.usecases.continuity import WritesLog
from tests.support.owned import LONG_AGO, bring_to

SCHEMA = create_schema()
UNIT = Unit("dag", "task")
JOB, ASSET_JOB, OTHER_JOB = UNIT.identifier, "__ASSET_JOB", "everything"
KEYS = [dg.AssetKey("one"), dg.AssetKey("two")]

# The tests look at what the function does: it writes a line for each window that it is called for.
CODE = """
import os
from pathlib import Path


def note(day, side):
    with (Path(os.environ["NOTES"]) / side).open("a") as file:
        file.write(f"{day}\\n")
    if day in os.environ.get("FAILING", "").split():
        raise OSError("the share is not there")
    return {}
"""
LOCATION = """
import json
import sys
import types
from pathlib import Path

import dagster as dg

root = Path(__file__).parent
asked = root / "asked.txt"


def wanted(by):
    found = json.loads(asked.read_text()) if asked.exists() else {}
    return dg.RunRequest(partition_key=found["day"], tags=found["tags"]) if found.get("by") == by else dg.SkipReason("")


@dg.sensor(job_name="dag__task", minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING)
def somebodys_sensor(context):
    return wanted("sensor")


@dg.schedule(job_name="dag__task", cron_schedule="* * * * *", default_status=dg.DefaultScheduleStatus.RUNNING)
def somebodys_schedule(context):
    return wanted("schedule")


def load():
    module = types.ModuleType("own_defs")
    module.__path__ = [str(root / "own_defs")]
    module.__file__ = str(root / "own_defs" / "__init__.py")
    everything = dg.define_asset_job(
        "everything",
        selection=dg.AssetSelection.assets("one", "two"),
        tags={"parity/unit": "nobody.knows", "parity/side": "", "parity/dag": ""},
    )
    return dg.Definitions.merge(
        dg.ComponentTree(defs_module=module, project_root=root).build_defs(),
        dg.Definitions(jobs=[everything], sensors=[somebodys_sensor], schedules=[somebodys_schedule]),
        dg.Definitions(executor=dg.in_process_executor),
    )


# Otherwise each run in the same process would load it again.
loaded = sys.modules.setdefault(f"loaded {root}", types.ModuleType("loaded"))
if not hasattr(loaded, "it"):
    loaded.it = load()
defs = loaded.it
"""
UNITS = {
    "type": "dagster_defs.components.PythonUnit",
    "attributes": {
        "unit": str(UNIT),
        "schedule": {"cron": "@daily", "start": "2020-01-01"},
        "function": "noted.note",
        "arguments": {"day": "{{ ds }}"},
        "outputs": [{"key": key.to_user_string()} for key in KEYS],
    },
}

LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { id } }
    ... on PythonError { message }
    ... on InvalidSubsetError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""
AGAIN = """
mutation Again($params: ReexecutionParams) {
  launchRunReexecution(reexecutionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { id } }
    ... on PythonError { message }
  }
}
"""
STEPS_AGAIN = """
mutation StepsAgain($params: ExecutionParams) {
  launchPipelineReexecution(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { id } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""
BACKFILL = """
mutation Backfill($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""


class InThread(SyncInMemoryRunLauncher):
    """Executes a run to its end before the launch is answered, in its own thread: GraphQL's has an event loop."""

    def launch_run(self, context: Any) -> None:
        thread = threading.Thread(target=super().launch_run, args=(context,))
        thread.start()
        thread.join()


@dataclass
class Attacked:
    """The location, its instance, and who owns the unit. `days`: one for each case, used by no other."""

    root: Path
    instance: dg.DagsterInstance
    workspace: WorkspaceProcessContext
    state: Path = Path()
    stage: Stage = Stage.OBSERVED
    days: Iterator[str] = field(default_factory=lambda: map(_day, count(2, 4)))
    numbers: Iterator[int] = field(default_factory=count)
    clock: pendulum.DateTime | None = None

    def free_day(self) -> str:
        """The day, the day before it and the two after it."""
        return next(self.days)

    def owned(self, stage: Stage, monkeypatch: pytest.MonkeyPatch, *, marked: bool | None = None) -> None:
        self.stage, self.state = stage, self.root / f"state-{next(self.numbers)}"
        bring_to(self.state, UNIT, stage)
        if stage in (Stage.CUT_OVER, Stage.RETIRED) or marked is not None:
            write_mark(self.state, UNIT, proxied=marked is not False)
        monkeypatch.setenv("PARITY_PROXIED_STATE", str(self.state))
        monkeypatch.setenv("NOTES", str(self.root))

    def permit(self, first: str, last: str, entry: str) -> None:
        """An entry as `parity backfill` makes it, for the windows of these days, of a unit that Dagster owns."""
        if (self.stage, Move.BACKFILL) not in TRANSITIONS:
            return
        begin, end = pendulum.parse(first), pendulum.parse(last)
        assert isinstance(begin, pendulum.DateTime)
        assert isinstance(end, pendulum.DateTime)
        asked = Entry(
            entry, LONG_AGO, "ada", UNIT, Move.BACKFILL, Kind.BACKFILLED, self.stage,
            windows=Requested(begin, end.add(days=1)),
        )  # fmt: skip
        self.append(asked)

    def append(self, *entries: Entry) -> None:
        with (self.state / NAME).open("a") as file:
            file.writelines(f"{json.dumps(entry.as_json())}\n" for entry in entries)

    @property
    def definitions(self) -> dg.Definitions:
        module = load_python_file(str(self.root / "location.py"), str(self.root))
        definitions = module.defs
        assert isinstance(definitions, dg.Definitions)
        return definitions

    # Ways to start a run. Each executes it to its end, in this process, and returns its id where there is one.

    def launch(
        self, run_tags: Mapping[str, str], *, job: str = JOB, assets: Sequence[dg.AssetKey] = ()
    ) -> str:
        """As the launchpad does, with `launchPipelineExecution`; with `assets`, as the page of an asset does."""
        selector: dict[str, Any] = self._selector(job)
        if assets:
            selector["assetSelection"] = [{"path": key.path} for key in assets]
            selector["assetCheckSelection"] = []
        return self._ask(LAUNCH, {"selector": selector, **self._execution(run_tags)})

    def again(self, parent: str, strategy: str, run_tags: Mapping[str, str] | None = None) -> str:
        """As `Re-execute all` or `from failure` in Dagster's UI do, with the parent's tags."""
        extra = [{"key": key, "value": value} for key, value in (run_tags or {}).items()]
        asked = {"parentRunId": parent, "strategy": strategy, "useParentRunTags": True, "extraTags": extra}
        return self._ask(AGAIN, asked)

    def steps_again(self, parent: str) -> str:
        """`Re-execute selected`: the step by name, with the parent's tags."""
        run = self.instance.get_run_by_id(parent)
        assert run is not None
        execution = self._execution({**run.tags})
        execution["executionMetadata"] |= {"parentRunId": parent, "rootRunId": parent}
        steps = {"stepKeys": [f"run__{JOB}"]}
        return self._ask(STEPS_AGAIN, {"selector": self._selector(JOB), **steps, **execution})

    def backfill(self, days: Sequence[str], run_tags: Mapping[str, str]) -> str:
        """A backfill from the page of the assets, and the daemon's iterations that start its runs."""
        asked = {
            "assetSelection": [{"path": key.path} for key in KEYS],
            "partitionNames": list(days),
            "tags": [{"key": key, "value": value} for key, value in run_tags.items()],
        }
        self._ask(BACKFILL, asked)
        for _ in range(4):
            list(execute_backfill_iteration(self.workspace, logging.getLogger("backfill")))
        return ""

    def ask_sensor(self, day: str, run_tags: Mapping[str, str]) -> str:
        return self._daemon("sensor", day, run_tags, self._tick_sensors)

    def ask_schedule(self, day: str, run_tags: Mapping[str, str]) -> str:
        if self.clock is None:
            self.clock = pendulum.now("UTC")
            self._tick_schedules()  # the first tick of a schedule only records the time
        self.clock = self.clock.add(minutes=1)
        return self._daemon("schedule", day, run_tags, self._tick_schedules)

    # The outcome.

    def notes(self, side: str = "legacy") -> list[str]:
        file = self.root / side
        return file.read_text().split() if file.exists() else []

    def seen(self) -> list[str]:
        """The windows that were written according to Dagster's event log, once for each run."""
        return sorted(write.partition for write in WritesLog(self.instance, Settings()).writes(KEYS))

    def failure(self, run_id: str) -> str:
        """Why a run failed; empty if it did not."""
        logs = self.instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
        errors = [log.dagster_event.step_failure_data.error for log in logs if log.dagster_event]
        return " ".join(str(error) for error in errors)

    def began_work(self, run_id: str) -> bool:
        """Whether a run has done something: it succeeded, or the function itself failed."""
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run.is_success or "the share is not there" in self.failure(run_id)

    def broken(self, runs: Sequence[dg.DagsterRun]) -> set[str]:
        """Days on which all runs failed midway: the function was called, but nothing is materialized."""
        done = {run.tags.get(tags.PARTITION) for run in runs if run.is_success}
        failed = {run.tags.get(tags.PARTITION, "") for run in runs if self.began_work(run.run_id)}
        return failed - done

    def materialized(self, run_id: str) -> list[str]:
        logs = self.instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
        return [str(log.dagster_event) for log in logs]

    def _selector(self, job: str) -> dict[str, Any]:
        return {
            "repositoryLocationName": self.workspace.create_request_context().code_location_names[0],
            "repositoryName": "__repository__",
            "pipelineName": job,
        }

    def _execution(self, run_tags: Mapping[str, str]) -> dict[str, Any]:
        listed = [
            {"key": key, "value": value} for key, value in run_tags.items() if not key.startswith(".dagster")
        ]
        return {"mode": "default", "runConfigData": "{}", "executionMetadata": {"tags": listed}}

    def _ask(self, query: str, params: Mapping[str, Any]) -> str:
        context = self.workspace.create_request_context()
        asked = SCHEMA.execute_async(query, context_value=context, variable_values={"params": params})
        result = asyncio.run(asked)
        assert not result.errors, result.errors
        [answer] = result.data.values()
        assert answer["__typename"] in ("LaunchRunSuccess", "LaunchBackfillSuccess"), answer
        return str(answer.get("run", {}).get("id", ""))

    def _daemon(self, by: str, day: str, run_tags: Mapping[str, str], tick: Callable[[], None]) -> str:
        file = self.root / "asked.txt"
        file.write_text(json.dumps({"by": by, "day": day, "tags": dict(run_tags)}))
        before = {*self.instance.get_run_ids()}
        started: list[str] = []
        until = time.monotonic() + 30
        try:
            # A sensor is evaluated at most once a second: a tick right after another's may be too early.
            while not started and time.monotonic() < until:
                tick()
                started = [run_id for run_id in self.instance.get_run_ids() if run_id not in before]
        finally:
            file.unlink()
        [run_id] = started
        return run_id

    def _tick_sensors(self) -> None:
        list(execute_sensor_iteration(self.workspace, logging.getLogger("sensor"), None, None))

    def _tick_schedules(self) -> None:
        assert self.clock is not None
        list(launch_scheduled_runs(self.workspace, logging.getLogger("schedule"), self.clock, {}))


def _day(number: int) -> str:
    return pendulum.datetime(2020, 1, 1).add(days=number).to_date_string()
