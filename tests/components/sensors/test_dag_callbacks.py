"""A retired DAG's own callbacks, which Airflow's scheduler called: by sensors, when Dagster's run of it has ended."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_defs.lifecycle import Stage, Unit, tags
from tests.components.conftest import NEW_YORK_DAYS, Project
from tests.support.estate import Estate
from tests.support.instances import instance_for_test
from tests.support.owned import bring_to

DAY = "2024-03-09"  # to 06:00 on the 10th, when clocks have gone forward
DG = '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "own"\ndefs_module = "own_defs"\n'
CODE = """
import json
from pathlib import Path

here = Path(__file__).parent


def works(side):
    pass


def fails(side):
    raise OSError("the share is not there")


def tell(context):
    run, task = context["dag_run"], context["ti"]
    said = {"dag": context["dag"].dag_id, "run": run.run_id, "state": run.state, "reason": context["reason"],
            "task": task.task_id, "log": task.log_url, "start": str(run.data_interval_start),
            "end": str(context["data_interval_end"]), "date": str(run.execution_date)}
    with (here / "told.jsonl").open("a") as told:
        told.write(json.dumps(said) + "\\n")


def breaks(context):
    raise SystemExit("the pager does not answer")
"""


@dataclass
class Calling:
    """A DAG of two units, `first` and then `second`, whose mirrors name callbacks of the DAG."""

    project: Project
    module: str = field(default_factory=lambda: f"dag_callbacks_{time.monotonic_ns()}")

    @property
    def folder(self) -> Path:
        return self.project.estate.root / "code"

    @property
    def told(self) -> list[dict[str, str]]:
        file = self.folder / "told.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def declare(self, second: str, both: Mapping[str, Any], **of_first: Any) -> None:
        self.folder.mkdir()
        (self.folder / f"{self.module}.py").write_text(CODE)
        units = [
            (
                "PythonUnit",
                {
                    "unit": f"own.{name}", "schedule": NEW_YORK_DAYS, "function": f"{self.module}.{function}",
                    "python_path": "code", "outputs": [{"key": name, "deps": deps}], **both, **more,
                },
            )
            for name, function, deps, more in (
                ("first", "works", [], of_first), ("second", second, ["first"], {})
            )
        ]  # fmt: skip
        self.project.declare("own", *units)
        self.project.declare("airflow", ("AirflowEstate", {}))
        self.project.load()
        for name in ("first", "second"):
            bring_to(self.project.estate.root / "owned", Unit("own", name), Stage.RETIRED)

    def run(self, **more: str) -> dg.DagsterRun:
        """As Dagster's schedule starts the DAG's job for a window."""
        job = self.project.estate.definitions.resolve_job_def("own")
        with self.project.estate.entered():
            done = job.execute_in_process(
                instance=self.project.estate.instance,
                tags={"dagster/partition": DAY, **more},
                raise_on_error=False,
            )
        run = self.project.estate.instance.get_run_by_id(done.run_id)
        assert run is not None
        return run

    def look(self, kind: str, run: dg.DagsterRun) -> str:
        """What the sensor says of the run's end, as the daemon gives it that."""
        name = f"airflow_dag_on_{kind}"
        instance, definitions = self.project.estate.instance, self.project.estate.definitions
        of_kind = dg.DagsterEventType.RUN_FAILURE if kind == "failure" else dg.DagsterEventType.RUN_SUCCESS
        [entry] = instance.all_logs(run.run_id, of_type=of_kind)
        assert entry.dagster_event
        context = dg.build_run_status_sensor_context(name, entry.dagster_event, instance, run)
        context = context.for_run_failure() if kind == "failure" else context
        with self.project.estate.entered():
            told = definitions.resolve_sensor_def(name)(context)
        return str(told.skip_message)  # type: ignore[union-attr]


@dataclass(frozen=True)
class Reachable(Estate):
    """An estate whose environment says where Dagster answers, and whose record says that Dagster owns the units."""

    @property
    def settings(self) -> Mapping[str, str]:
        there = {
            "DAGSTER_URL": "http://dagster.example:3000",
            "PARITY_PROXIED_STATE": str(self.root / "owned"),
        }
        return {**super().settings, **there}


@pytest.fixture
def calling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Calling]:
    root = tmp_path / "project"
    root.mkdir()
    (root / "pyproject.toml").write_text(DG)
    # Dagster imports the package to learn where its state lies.
    monkeypatch.syspath_prepend(root)
    monkeypatch.delitem(sys.modules, "own_defs", raising=False)
    with instance_for_test() as instance:
        yield Calling(Project(Reachable(root, instance)))


def test_a_failed_run_is_told_as_airflow_told_it(calling: Calling) -> None:
    """With the run, its window, the task that failed and Airflow's word for the reason; once, though both mirrors
    name the function."""
    calling.declare("fails", {"dag_on_failure": f"{calling.module}.tell"})

    run = calling.run()
    said = calling.look("failure", run)

    assert said == f"called {calling.module}.tell"
    assert calling.told == [
        {
            "dag": "own", "run": run.run_id, "state": "failed", "reason": "task_failure", "task": "second",
            "log": f"http://dagster.example:3000/runs/{run.run_id}",
            "start": "2024-03-09 11:00:00+00:00", "end": "2024-03-10 10:00:00+00:00",
            "date": "2024-03-09 11:00:00+00:00",
        }
    ]  # fmt: skip


def test_a_successful_run_is_told(calling: Calling) -> None:
    """Each function is called, whatever the one before it does, and what one mirror names beside the other's too."""
    calling.declare("works", {}, dag_on_success=[f"{calling.module}.breaks", f"{calling.module}.tell"])

    said = calling.look("success", calling.run())

    assert "breaks failed itself, so nobody was notified: SystemExit('the pager does not answer')" in said
    assert [(told["state"], told["reason"]) for told in calling.told] == [("success", "success")]
    assert "airflow_dag_on_failure" not in {
        sensor.name for sensor in calling.project.estate.definitions.sensors or ()
    }


@pytest.mark.parametrize(
    ("run_tags", "why"),
    [
        ({tags.REFUSED: "it is Airflow's"}, "the run was refused before it did anything: it is Airflow's"),
        ({"dagster/will_retry": "true"}, "Dagster runs it again"),
    ],
    ids=["refused", "to be run again"],
)
def test_what_is_no_end_of_the_dags_run_is_not_told(
    calling: Calling, run_tags: dict[str, str], why: str
) -> None:
    """A run that may not write, and one that Dagster itself tries again."""
    calling.declare("fails", {"dag_on_failure": f"{calling.module}.tell"})

    said = calling.look("failure", calling.run(**run_tags))

    assert (said, calling.told) == (why, [])


def test_without_callbacks_there_are_no_sensors(calling: Calling) -> None:
    """Nothing is evaluated every few seconds for nobody."""
    calling.declare("works", {})

    names = {sensor.name for sensor in calling.project.estate.definitions.sensors or ()}

    assert names
    assert not [name for name in names if "dag_on" in name]
