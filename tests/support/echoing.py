"""The retired DAG `feeder` in Dagster, and a real Airflow, where sensors, a consumer and a DAG that it starts wait."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pendulum
import pytest

from dagster_defs.adapters.airflow.address import AirflowAddress
from dagster_defs.adapters.airflow.echo_client import KEY, EchoClient
from dagster_defs.lifecycle.echo_place import EchoPlace, echo_places
from tests.support.estate import AIRFLOW3_PYTHON, AIRFLOW_PYTHON, NOBODY
from tests.support.exporting import export
from tests.support.triggering import Triggers, unit

ECHO_DAGS = Path(__file__).with_name("echo_dags")
DAILY = {"cron": "0 6 * * *", "start": "2024-03-01"}
DAY = "2024-03-09"
URI = "file://lake/a"
PYTHONS = {"2.11": AIRFLOW_PYTHON, "3.3": AIRFLOW3_PYTHON}


def feeder() -> list[tuple[str, dict[str, Any]]]:
    load, inner = unit("feeder.load", DAILY), unit("feeder.group.inner", DAILY)
    inner[1]["outputs"] = [{"key": "feeder_inner", "deps": ["feeder_load"]}]
    return [load, inner]


def exported(version: str, out: Path) -> Path:
    """What Airflow says about the DAGs."""
    done = export(PYTHONS[version], ECHO_DAGS, out, ("2024-03-01", "2024-03-20"))
    assert done.returncode == 0, done.stderr
    return out


def at(day: str) -> pendulum.DateTime:
    """The logical date of a day's run."""
    return pendulum.from_format(day, "YYYY-MM-DD").add(hours=6)


@dataclass
class Echoes(Triggers):
    """The sensor that echoes, tick after tick."""

    inventory: Path = Path()
    told: str = ""
    client: EchoClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = EchoClient(AirflowAddress(self.airflow_url, "admin", "admin"), patience=20)

    @property
    def place(self) -> EchoPlace:
        return echo_places(self.cursor)["feeder"]

    def look(self, *, away: bool = False) -> str:
        """One tick, in words. `away`: Airflow does not answer."""
        url = self.airflow_url
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setattr("dagster_defs.components.sensors.echo_sensor.PATIENCE", 0.2 if away else 20)
            try:
                self.airflow_url = NOBODY if away else url
                self.evaluate("airflow_echoes", PARITY_INVENTORY=str(self.inventory))
            finally:
                self.airflow_url = url
        return self.skipped

    def states(self, day: str = DAY) -> dict[str, str]:
        """Of the run with a day's date, and its tasks; empty if there is none."""
        run = self.client.run_at("feeder", at(day))
        if run is None:
            return {}
        tasks = self.client.task_instances("feeder", run.run_id)
        return {"": run.state, **{task.unit.task_id: task.state for task in tasks}}

    def events(self) -> int:
        """How many the dataset has that were told."""
        kind = self.client._api.datasets
        found = self.client._call("GET", f"/{kind}/events", params={"limit": 100, "order_by": "-timestamp"})
        return sum(KEY in (row["extra"] or {}) for row in found[f"{kind[:-1]}_events"])

    def started(self) -> list[dict[str, Any]]:
        """The conf of each run of the DAG that `feeder` starts."""
        return [dict(run.occasion.conf) for run in self.client.dag_runs("started") if run.occasion]
