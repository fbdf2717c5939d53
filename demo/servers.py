"""The demo's folder, and its servers, which end with the block that uses them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dagster_defs.adapters.files.own_folder import InUse, NotOurs, OwnFolder
from dagster_defs.adapters.processes.supervisor import Supervisor, chosen_port, signals_interrupt
from dagster_defs.errors import AlreadyRunning, DemoFolderTaken
from dagster_defs.settings import Settings, process_environment
from demo import local_airflow, local_dagster
from demo.estate import FIRST_DAY, LAST_DAY, Estate, Steps
from demo.local_airflow import LocalAirflow
from demo.local_airflow3 import LocalAirflow3
from demo.local_dagster import LocalDagster
from demo.postgres import end_leftover_postgres, running_postgres

_MARK = ".parity-demo"  # marks a folder that may be emptied
# By the major version. Airflow 3 is told to give a cron the windows that it has in Airflow 2.
AIRFLOWS: Mapping[str, Callable[..., LocalAirflow]] = {
    "2": LocalAirflow,
    "3": partial(LocalAirflow3, whole=True),
}
_EMPTIED = ("data", "airflow", "dagster", "postgres", "proxied_state")


@dataclass(frozen=True)
class Demo:
    """`folder` holds everything that the demo writes; it is emptied at the start. `of_airflow`: one of AIRFLOWS."""

    steps: Steps
    settings: Settings
    of_airflow: str = "2"

    @property
    def folder(self) -> Path:
        return self.settings.demo_dir

    @contextmanager
    def running(self) -> Iterator[Estate]:
        """Both orchestrators, running and empty; they end with the block.

        Raises AlreadyRunning if another demo uses the folder, DemoFolderTaken if the folder is not the demo's.
        """
        with self._own_folder(), signals_interrupt():
            databases = (local_airflow.DATABASE, local_dagster.DATABASE)
            with (
                running_postgres(self.folder / "postgres", databases) as postgres,
                self._supervisor() as supervisor,
            ):
                airflow_port = chosen_port(self.settings.airflow_port, "AIRFLOW_PORT", "Airflow")
                dagster_port = chosen_port(self.settings.dagster_port, "DAGSTER_PORT", "Dagster")
                task_env = {**self.env, "DAGSTER_URL": f"http://127.0.0.1:{dagster_port}"}
                airflow = AIRFLOWS[self.of_airflow](
                    self.folder / "airflow",
                    airflow_port,
                    postgres,
                    self.settings.with_variables(task_env),
                    parse_seconds=120,  # a move asks Airflow to parse its DAG at once, and no file is edited
                )
                dagster = LocalDagster(
                    self.folder / "dagster",
                    dagster_port,
                    postgres,
                    airflow.address,
                    self.settings.with_variables(self.env),
                )
                estate = Estate(self.steps, self.folder, supervisor, airflow, dagster)
                # The landing data's generator, the mirrors and dagster.yaml read this process's environment.
                with process_environment({**self.env, **estate.variables}):
                    estate.start()
                    yield estate

    def _supervisor(self) -> Supervisor:
        return Supervisor(self.folder / "run", self.steps.say)

    @property
    def env(self) -> dict[str, str]:
        """The settings for the estate's code and both orchestrators: places and days."""
        return {
            "TAXI_DATA_DIR": str(self.folder / "data"),
            "TAXI_FIRST_DAY": FIRST_DAY,
            "TAXI_LAST_DAY": LAST_DAY,
            "TAXI_DBT_BIN_DIR": str(Path(sys.executable).parent),
            "PARITY_PROXIED_STATE": str(self.folder / "proxied_state"),
            "TAXI_ENROLLED": "all",
            # A team would wait a week; the demo waits one day.
            "TAXI_GATE_WINDOWS": "1",
            "TAXI_SOAK_DAYS": "0",
            "PARITY_INVENTORY": str(self.folder / "inventory.json"),
        }

    @contextmanager
    def _own_folder(self) -> Iterator[None]:
        own = OwnFolder(self.folder, _MARK)
        try:
            with own.locked():
                self._supervisor().end_leftovers()
                end_leftover_postgres(self.folder / "postgres")
                own.clear(_EMPTIED)
                yield
        except InUse as error:
            raise AlreadyRunning(self.folder) from error
        except NotOurs as error:
            raise DemoFolderTaken(self.folder, str(error)) from error
