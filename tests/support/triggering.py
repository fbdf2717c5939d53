"""A project with a retired DAG, `down`, that others start, and the sensor that starts it in Dagster."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import dagster as dg
import pendulum
import pytest

from dagster_defs.adapters.store.ledger import NAME
from dagster_defs.lifecycle import Stage, Unit, tags
from tests.components.conftest import Project
from tests.support.owned import LONG_AGO, entries_to

# Python imports it once for all projects of a test run, so each says where it is.
CODE = """
from pathlib import Path

def noted(side, folder, name, **said):
    if (Path(folder) / f"break_{name}").exists():
        raise ValueError("out of disk")
    return said
"""
DAILY = {"cron": "@daily", "start": "2024-03-01"}
A, B, C = (f"s3://lake/{name}" for name in "abc")
DAY = "2024-03-09"


def unit(name: str, schedule: Mapping[str, Any], **arguments: Any) -> tuple[str, dict[str, Any]]:
    task = name.partition(".")[2]
    return "PythonUnit", {
        "unit": name,
        "schedule": dict(schedule),
        "function": "own_triggers.noted",
        "arguments": {"name": task, **arguments},
        "outputs": [{"key": name.replace(".", "_")}],
    }


def down(event: str = "datasets", limit: int = 16, **by: Any) -> tuple[str, dict[str, Any]]:
    """The DAG that is started; its run tells what it was told."""
    schedule = {"event": event, "max_active_runs": limit, "triggered_by": by}
    return unit("down.work", schedule, conf="{{ dag_run.conf }}", run="{{ run_id }}")


@dataclass
class Triggers:
    """The sensor, tick after tick, as the daemon evaluates it; `run` runs what the last tick has asked for."""

    project: Project
    airflow_url: str
    cursor: str | None = None
    asked: list[dg.RunRequest] = field(default_factory=list)
    skipped: str = ""

    @property
    def instance(self) -> dg.DagsterInstance:
        return self.project.estate.instance

    def declare(self, *units: tuple[str, dict[str, Any]]) -> None:
        folder = self.project.estate.root / "legacy_dags"
        (folder / "own_triggers.py").write_text(CODE)
        for _, attributes in units:
            attributes["arguments"] = {**attributes["arguments"], "folder": str(folder)}
        self.project.declare("own", *units)
        self.project.declare("airflow", ("AirflowEstate", {}))
        self.project.load()

    def retire(self, *names: str, at: datetime = LONG_AGO) -> None:
        folder = self.project.estate.root / "proxied_state"
        folder.mkdir(exist_ok=True)
        with (folder / NAME).open("a") as file:
            for name in names:
                entries = entries_to(Unit.parse(name), Stage.RETIRED, at)
                file.writelines(f"{json.dumps(entry.as_json())}\n" for entry in entries)

    def breaks(self, task: str, *, broken: bool = True) -> None:
        flag = self.project.estate.root / "legacy_dags" / f"break_{task}"
        flag.touch() if broken else flag.unlink()

    def observe(self, *key: str, day: str | None = DAY, ended: pendulum.DateTime | None = None) -> None:
        """A success in Airflow, as the observer reports it."""
        at = ended or pendulum.now("UTC")
        noted: dict[str, Any] = {tags.ENDED: dg.MetadataValue.timestamp(at.timestamp())}
        if day is not None:
            start = pendulum.parse(day)
            assert isinstance(start, pendulum.DateTime)
            noted |= {
                tags.WINDOW_START: dg.MetadataValue.timestamp(start.timestamp()),
                tags.WINDOW_END: dg.MetadataValue.timestamp(start.add(days=1).timestamp()),
            }
        partition = day if len(key) == 1 else None
        self.instance.report_runless_asset_event(
            dg.AssetMaterialization([*key], partition=partition, metadata=noted)
        )

    def tick(self) -> list[str]:
        """What has started each run that the sensor asks for."""
        told = self.evaluate("airflow_triggers")
        self.asked = list(told.run_requests or [])
        return [request.tags[tags.STARTED_BY] for request in self.asked]

    def evaluate(self, name: str, **settings: str) -> Any:
        """A tick of the sensor with that name; `settings`: more variables."""
        definitions = self.project.estate.definitions
        sensor = definitions.resolve_sensor_def(name)
        with (
            self.project.estate.entered(),
            pytest.MonkeyPatch.context() as monkeypatch,
            dg.build_sensor_context(
                instance=self.instance, cursor=self.cursor, repository_def=definitions.get_repository_def()
            ) as context,
        ):
            for name, value in (("URL", self.airflow_url), ("USER", "admin"), ("PASSWORD", "admin")):
                monkeypatch.setenv(f"AIRFLOW_{name}", value)
            for variable, value in settings.items():
                monkeypatch.setenv(variable, value)
            told = sensor.evaluate_tick(context)
        self.cursor, self.skipped = told.cursor, told.skip_message or ""
        return told

    def run(self) -> list[dict[str, Any]]:
        """By run, what it was told."""
        return [
            self.run_job(str(asked.job_name), dict(asked.run_config), **asked.tags) for asked in self.asked
        ]

    def run_job(
        self, name: str, run_config: dict[str, Any] | None = None, *, day: str | None = None, **run_tags: str
    ) -> dict[str, Any]:
        """A run of a job; the metadata of the asset that it makes, empty if it fails."""
        job = self.project.estate.definitions.resolve_job_def(name)
        with self.project.estate.entered():
            result = job.execute_in_process(
                run_config=run_config, instance=self.instance, tags={**job.tags, **run_tags}, partition_key=day,
                raise_on_error=False,
            )  # fmt: skip
        made = [
            event.step_materialization_data.materialization
            for event in result.get_asset_materialization_events()
        ]
        return {name: value.value for each in made for name, value in each.metadata.items()}
