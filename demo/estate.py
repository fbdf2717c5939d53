"""The taxi estate on real servers: both orchestrators, started together, running and empty."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from dagster_defs.adapters.airflow.client import AirflowClient
from dagster_defs.adapters.processes.supervisor import Supervisor
from dagster_defs.adapters.store.registry import open_store
from dagster_defs.errors import DagNotImported
from dagster_defs.lifecycle.report import Report
from dagster_defs.older_python import date_of
from dagster_defs.settings import Settings
from dagster_defs.usecases.report import read_report
from demo.checkout import PROJECT_ROOT
from demo.local_airflow import LocalAirflow
from demo.local_dagster import LocalDagster

if TYPE_CHECKING:
    import dagster as dg

FIRST_DAY, LAST_DAY = "2024-03-07", "2024-03-13"  # the third window, to 03-10 06:00, has 23 hours


class Steps(Protocol):
    """Where progress is reported."""

    def step(self, title: str) -> AbstractContextManager[None]: ...

    def say(self, line: str) -> None: ...


class Estate:
    """The running estate, and the story that the demo tells with it."""

    def __init__(
        self, steps: Steps, folder: Path, supervisor: Supervisor, airflow: LocalAirflow, dagster: LocalDagster
    ) -> None:
        self.steps = steps
        self._folder = folder
        self._supervisor = supervisor
        self._airflow = airflow
        self._dagster = dagster
        self._airflow_api: AirflowClient

    @property
    def variables(self) -> Mapping[str, str]:
        """What a team would set for its commands."""
        return {**self._dagster.variables, "DAGSTER_URL": self.dagster_url}

    @property
    def settings(self) -> Settings:
        return self._dagster.settings.with_variables(self.variables)

    @property
    def airflow_url(self) -> str:
        return self._airflow.address.url

    @property
    def dagster_url(self) -> str:
        return self._dagster.url

    def start(self) -> None:
        """Make the landing data and start Airflow in parallel, then Dagster, which asks Airflow what it contains."""
        with ThreadPoolExecutor(2) as pool, self.steps.step("Landing data made, Airflow started"):
            landing = pool.submit(make_landing_data)
            self._airflow.prepare(self._supervisor)
            self._airflow_api = self._airflow.start(self._supervisor)
            trips = landing.result()
        self.steps.say(f"Landing: {trips}")
        self.steps.say(f"Airflow: {self.airflow_url} (admin / admin)")
        open_store(self.settings).create()
        self._airflow_api.make_pool("duckdb", 1)
        self.wait("Airflow's DAGs", self._dags_are_there, 60)
        with ThreadPoolExecutor(1) as pool, self.steps.step("Dagster started, Airflow's inventory taken"):
            file = Path(self._dagster.env["PARITY_INVENTORY"])
            inventory = pool.submit(
                self._airflow.export_inventory, self._supervisor, file, FIRST_DAY, LAST_DAY
            )
            refresh_estate(self._supervisor, self._dagster)
            self._dagster.start(self._supervisor)
            inventory.result()
        self.steps.say(f"Dagster: {self.dagster_url}")

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """Dagster's event log and runs, from this process."""
        with self._dagster.instance() as instance:
            yield instance

    @property
    def days(self) -> list[str]:
        """The partitions of a daily unit."""
        first, last = date_of(FIRST_DAY), date_of(LAST_DAY)
        return [(first + timedelta(days=day)).isoformat() for day in range((last - first).days + 1)]

    def report(self) -> Report:
        """The report on the estate as it is now."""
        return read_report(self.settings, datetime.now(timezone.utc))

    @property
    def report_file(self) -> Path:
        return self._folder / "report.html"

    def wait_for_ever(self) -> None:
        """Wait until Ctrl-C; raises ServerDied if a server ends first."""
        while True:
            for child in self._supervisor.children:
                child.check_alive()
            time.sleep(1)

    def _dags_are_there(self) -> bool:
        for error in self._airflow_api.import_errors():
            raise DagNotImported(error["filename"], error["stack_trace"].strip(), self.airflow_url)
        return {"taxi_ingest", "taxi_daily"} <= {dag["dag_id"] for dag in self._airflow_api.dags()}

    def wait(
        self,
        what: str,
        ready: Callable[[], bool],
        seconds: float,
        so_far: Callable[[], str] | None = None,
        pause: float = 1,
    ) -> None:
        """Raises ServerDied if a server ends in the meantime, ServerSilent after that many seconds. `pause`: seconds
        between two polls, each of which costs Airflow a tenth of a second and slows down what is being waited for."""
        self._supervisor.wait_until(what, ready, seconds=seconds, pause=pause, so_far=so_far)


def make_landing_data() -> str:
    """Generate missing landing data with the estate's own generator; returns a summary of all of it."""
    legacy_dags = str(PROJECT_ROOT / "legacy_dags")
    if legacy_dags not in sys.path:
        sys.path.insert(0, legacy_dags)
    import pyarrow.parquet
    from include import landing, settings

    if settings.landing_is_generated():
        landing.generate(settings.landing_dir(), settings.MONTHS)
    files = sorted(settings.landing_dir().glob("*.parquet"))
    rows = sum(pyarrow.parquet.ParquetFile(file).metadata.num_rows for file in files)
    return f"{rows:,} trips in {len(files)} months"


def refresh_estate(supervisor: Supervisor, dagster: LocalDagster) -> None:
    """Ask Airflow what it contains, for the definitions. Raises ServerDied."""
    program = [str(dagster.programs / "dg"), "utils", "refresh-defs-state"]
    supervisor.run("refresh-defs-state", program, env=dagster.env, cwd=dagster.project)
