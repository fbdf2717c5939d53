"""The main job on real servers: the taxi estate runs on both orchestrators and is compared.

Four days across the spring clock change: Airflow runs two by itself, then one unit is marked as proxied and Airflow
runs the third day through Dagster, then the mark is taken back and Airflow runs the fourth as before. Meanwhile
Dagster's own sensors see what Airflow has run, run it as candidates and compare: nothing here starts them.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Protocol

from filelock import FileLock, Timeout

from dagster_defs.adapters import local_airflow, local_dagster
from dagster_defs.adapters.airflow import AirflowClient, DagRun
from dagster_defs.adapters.comparison import windows_asked
from dagster_defs.adapters.evidence import read_evidence
from dagster_defs.adapters.local_airflow import LocalAirflow
from dagster_defs.adapters.local_dagster import LocalDagster
from dagster_defs.adapters.mirrors import PROJECT_ROOT, load_mirrors
from dagster_defs.adapters.postgres import end_leftover_postgres, running_postgres
from dagster_defs.adapters.processes import Supervisor, chosen_port
from dagster_defs.adapters.proxied_state import write_mark
from dagster_defs.adapters.report import read_report
from dagster_defs.errors import AlreadyRunning, RunFailed
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.report import Report
from dagster_defs.lifecycle.verdicts import WindowCheck

FIRST_DAY, LAST_DAY = "2024-03-09", "2024-03-12"  # the first window, to 03-10 06:00, has 23 hours
DAYS, DAYS_BEFORE_PROXY = 4, 2
PROXIED = Unit("taxi_daily", "dbt_daily")
COMPARED = (
    "taxi_ingest.load_zones",
    "taxi_ingest.load_trips",
    "taxi_daily.dbt_zones",
    "taxi_daily.dbt_daily",
    "taxi_daily.export_daily",
)  # the units of the DAGs that the demo runs; the others stay paused
RUN_SECONDS = 600


class Steps(Protocol):
    """Where progress goes."""

    def step(self, title: str) -> AbstractContextManager[None]: ...

    def say(self, line: str) -> None: ...


def demo_dir() -> Path:
    """PARITY_DEMO_DIR, or `.demo` in the project."""
    return Path(os.environ.get("PARITY_DEMO_DIR") or PROJECT_ROOT / ".demo").resolve()


@dataclass(frozen=True)
class Demo:
    """`folder` holds everything that the demo writes; it is emptied at the start."""

    steps: Steps
    folder: Path = field(default_factory=demo_dir)

    @contextmanager
    def running(self) -> Iterator[Estate]:
        """Both orchestrators, up and empty; they end with the block.

        Raises AlreadyRunning if another demo uses the folder.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder.with_name(self.folder.name + ".lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise AlreadyRunning(self.folder) from error
        with lock, _signals_interrupt():
            self._empty_folder()
            os.environ.update(self.env)
            databases = (local_airflow.DATABASE, local_dagster.DATABASE)
            with (
                running_postgres(self.folder / "postgres", databases) as postgres,
                self._supervisor() as supervisor,
            ):
                airflow_port = chosen_port("AIRFLOW_PORT", "Airflow")
                dagster_port = chosen_port("DAGSTER_PORT", "Dagster")
                task_env = {**self.env, "DAGSTER_URL": f"http://127.0.0.1:{dagster_port}"}
                airflow = LocalAirflow(self.folder / "airflow", airflow_port, postgres, task_env)
                dagster = LocalDagster(
                    self.folder / "dagster", dagster_port, postgres, airflow.address, self.env
                )
                estate = Estate(self.steps, self.folder, supervisor, airflow, dagster)
                estate.start()
                yield estate

    def _supervisor(self) -> Supervisor:
        return Supervisor(self.folder / "run")

    @property
    def env(self) -> dict[str, str]:
        """What the estate's code and both orchestrators are told: where, and which days."""
        return {
            "TAXI_DATA_DIR": str(self.folder / "data"),
            "TAXI_FIRST_DAY": FIRST_DAY,
            "TAXI_LAST_DAY": LAST_DAY,
            "TAXI_DBT_BIN_DIR": str(Path(sys.executable).parent),
            "PARITY_PROXIED_STATE": str(self.folder / "proxied_state"),
        }

    def _empty_folder(self) -> None:
        self._supervisor().end_leftovers()
        end_leftover_postgres(self.folder / "postgres")
        for name in ("data", "airflow", "dagster", "postgres", "proxied_state"):
            shutil.rmtree(self.folder / name, ignore_errors=True)


class Estate:
    """The running estate, and the story that the demo tells with it."""

    def __init__(
        self, steps: Steps, folder: Path, supervisor: Supervisor, airflow: LocalAirflow, dagster: LocalDagster
    ) -> None:
        self._steps = steps
        self._folder = folder
        self._supervisor = supervisor
        self._airflow = airflow
        self._dagster = dagster
        self._airflow_api: AirflowClient

    @property
    def airflow_url(self) -> str:
        return self._airflow.address.url

    @property
    def dagster_url(self) -> str:
        return self._dagster.url

    def start(self) -> None:
        """Landing data and Airflow at the same time, then Dagster, which asks Airflow what it contains."""
        with ThreadPoolExecutor(2) as pool, self._steps.step("Landing data made, Airflow started"):
            landing = pool.submit(make_landing_data)
            self._airflow.prepare(self._supervisor)
            self._airflow_api = self._airflow.start(self._supervisor)
            trips = landing.result()
        self._steps.say(f"Landing: {trips}")
        self._steps.say(f"Airflow: {self.airflow_url} (admin / admin)")
        self._airflow_api.make_pool("duckdb", 1)
        self._wait("Airflow's DAGs", self._dags_are_there, 60)
        self._unpause("taxi_ingest")
        with self._steps.step("Dagster started"):
            refresh_estate(self._dagster.env)
            self._dagster.start(self._supervisor)
        self._steps.say(f"Dagster: {self.dagster_url}")

    def tell_the_story(self) -> list[WindowCheck]:
        """Everything after the start; the verdicts on every unit and window."""
        with self._steps.step("Airflow has ingested the month"):
            self._wait_for_days("taxi_ingest", 1)
        self._unpause("taxi_daily")
        self._let_airflow_run()
        with self._steps.step("Dagster has run every window as a candidate, and compared it"):
            return self._wait_for_evidence()

    def report(self) -> Report:
        """What the report says of the estate as it is now."""
        os.environ.update(self._dagster.env)
        return read_report(datetime.now(UTC))

    @property
    def report_file(self) -> Path:
        return self._folder / "report.html"

    def wait_for_ever(self) -> None:
        """Until Ctrl-C; raises ServerDied if a server ends before."""
        while True:
            for child in self._supervisor.children:
                child.check_alive()
            time.sleep(1)

    def _let_airflow_run(self) -> None:
        """All days, the third one's unit through the proxy; nothing is paused for it."""
        self._wait_for_unit(DAYS_BEFORE_PROXY, f"Airflow has run {DAYS_BEFORE_PROXY} days of {PROXIED}")
        write_mark(self._proxied_state, PROXIED, proxied=True)
        self._steps.say(f"{PROXIED} is marked as proxied: what starts from now on runs in Dagster")
        self._wait_for_unit(DAYS_BEFORE_PROXY + 1, "Airflow has run one more day of it through Dagster")
        write_mark(self._proxied_state, PROXIED, proxied=False)
        self._steps.say(f"{PROXIED} is Airflow's again: the mark is taken back")
        with self._steps.step("Airflow has run the last day by itself"):
            runs = self._wait_for_days("taxi_daily", DAYS)
        self._check_who_ran(runs)

    def _check_who_ran(self, runs: list[DagRun]) -> None:
        """Raises RunFailed unless just the third day went through the proxy."""
        for day, run in enumerate(runs):
            tasks = self._airflow_api.task_instances(run.dag_id, run.run_id)
            [task] = [task for task in tasks if task.unit == PROXIED]
            if ("Dagster run" in self._airflow_api.log_of(task)) is not (day == DAYS_BEFORE_PROXY):
                raise RunFailed(f"{PROXIED} of {run.run_id}", "a run of the wrong operator", self.airflow_url)

    def _expected(self) -> set[tuple[Unit, str, str]]:
        """Unit, output and window of every verdict that the story ends with; of a whole table, the last window."""
        found = set()
        for mirror in load_mirrors():
            if str(mirror.legacy_unit) in COMPARED:
                windows = windows_asked(mirror, FIRST_DAY, LAST_DAY)
                for window in windows:
                    found |= {
                        (mirror.legacy_unit, output.name, mirror.partitions.key_of(window))
                        for output in mirror.outputs_of(window)
                        if window == windows[-1] or not output.as_a_whole
                    }
        return found

    def _wait_for_evidence(self) -> list[WindowCheck]:
        """Until every window has a verdict: the sensors have seen Airflow's runs, and the candidates have run."""
        expected = self._expected()
        with self._dagster.instance() as instance:

            def found() -> dict[tuple[Unit, str, str], WindowCheck]:
                kept = [(one.checked, one.partition) for one in read_evidence(instance)]
                return {(checked.unit, checked.check.name, key): checked for checked, key in kept}

            self._wait("verdicts", lambda: expected <= found().keys(), RUN_SECONDS)
            return [checked for place, checked in sorted(found().items()) if place in expected]

    def _wait_for_unit(self, count: int, title: str) -> None:
        """Until the unit has succeeded in that many runs."""
        with self._steps.step(title):
            self._wait(title, lambda: self._successes(PROXIED) >= count, RUN_SECONDS)

    def _successes(self, unit: Unit) -> int:
        """In how many runs the unit has succeeded. Raises RunFailed for a failed run."""
        count = 0
        for run in self._airflow_api.dag_runs(unit.dag_id):
            self._refuse_failed(run)
            tasks = self._airflow_api.task_instances(run.dag_id, run.run_id)
            count += any(task.unit == unit and task.state == "success" for task in tasks)
        return count

    def _wait_for_days(self, dag_id: str, count: int) -> list[DagRun]:
        def done() -> bool:
            runs = self._airflow_api.dag_runs(dag_id)
            for run in runs:
                self._refuse_failed(run)
            return sum(run.state == "success" for run in runs) >= count

        self._wait(f"{count} runs of {dag_id}", done, RUN_SECONDS)
        return self._airflow_api.dag_runs(dag_id)

    def _refuse_failed(self, run: DagRun) -> None:
        if run.state == "failed":
            link = f"{self.airflow_url}/dags/{run.dag_id}/grid?dag_run_id={run.run_id}"
            raise RunFailed(f"{run.dag_id} {run.run_id}", run.state, link)

    def _dags_are_there(self) -> bool:
        for error in self._airflow_api.import_errors():
            raise RunFailed(
                f"the import of {error['filename']}", error["stack_trace"].strip(), self.airflow_url
            )
        return {"taxi_ingest", "taxi_daily"} <= {dag["dag_id"] for dag in self._airflow_api.dags()}

    def _unpause(self, dag_id: str) -> None:
        self._airflow_api.set_paused(dag_id, paused=False)

    @property
    def _proxied_state(self) -> Path:
        return self._folder / "proxied_state"

    def _wait(self, what: str, ready: Callable[[], bool], seconds: float) -> None:
        self._supervisor.wait_until(what, ready, seconds=seconds)


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """Ctrl-C and a plain kill both unwind the stack, so that every child is stopped on the way out.

    SIGINT too is set: a process that a script starts in the background inherits it ignored.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def make_landing_data() -> str:
    """Make what is not there yet, with the estate's own generator; what there is then, in words."""
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


def refresh_estate(env: dict[str, str]) -> None:
    """Ask Airflow what it contains, for the definitions: `dg utils refresh-defs-state`. Raises RunFailed."""
    program = Path(sys.executable).parent / "dg"
    done = subprocess.run(
        [str(program), "utils", "refresh-defs-state"],
        env=env,
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RunFailed(
            "dg utils refresh-defs-state", f"exit code {done.returncode}", done.stdout + done.stderr
        )
