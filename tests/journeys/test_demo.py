"""The main job on real servers: `parity demo` from nothing to verdicts, and its end in every way."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from dagster_defs.adapters.processes import last_lines
from tests.estate import BIN, ROOT, foreign_environment

pytestmark = [pytest.mark.journey, pytest.mark.timeout(1000)]

DAYS = ("2024-03-09", "2024-03-10", "2024-03-11", "2024-03-12")
SPRING_DAY = DAYS[0]  # to 06:00 on the 10th, New York: 23 hours


@dataclass(frozen=True)
class Place:
    """A folder for a demo of one's own, so that a developer's demo is left alone."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)])
        return {**foreign_environment(), "PATH": path, "PARITY_DEMO_DIR": str(self.folder)}

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(BIN / "parity"), "demo", "--exit"],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def ends_of_logs(self) -> str:
        """The folder is gone after the test: what its servers said last, for whoever reads the failure."""
        logs = sorted((self.folder / "run" / "logs").glob("*.log"))
        return "".join(f"\n=== {log.name}\n{last_lines(log, 25)}" for log in logs)

    def processes(self) -> list[psutil.Process]:
        """Every process that belongs to this demo: its command line or its environment names the folder."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                    continue
                said = [*process.cmdline(), *process.environ().values()]
            except psutil.Error:
                continue
            if any(str(self.folder) in text for text in said):
                found.append(process)
        return found


def eventually(fact: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    # Not pytest's own folder, which is closed to others: started by root, PostgreSQL runs as another user.
    with tempfile.TemporaryDirectory(prefix="parity-demo-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        place = Place(Path(folder) / "estate")
        yield place
        for process in place.processes():
            process.kill()


@pytest.fixture(scope="module")
def interrupted(place: Place) -> subprocess.CompletedProcess[str]:
    """A demo that got Ctrl-C while its servers were starting."""
    demo = place.start()
    # The scheduler's log is there: PostgreSQL, scheduler and web server have been started, nothing is ready.
    log = place.folder / "run" / "logs" / "airflow-scheduler.log"
    assert eventually(lambda: log.exists() or demo.poll() is not None, 120), "Airflow was never started"
    assert demo.poll() is None, demo.communicate()
    assert len(place.processes()) > 2
    demo.send_signal(signal.SIGINT)
    out, err = demo.communicate(timeout=60)
    return subprocess.CompletedProcess(demo.args, demo.returncode, out, err)


@pytest.fixture(scope="module")
def told(place: Place, interrupted: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    """The whole demo, right after the interrupted one, in the same folder."""
    demo = place.start()
    out, err = demo.communicate(timeout=900)
    return subprocess.CompletedProcess(demo.args, demo.returncode, out, err)


def test_ctrl_c_stops_every_child(place: Place, interrupted: subprocess.CompletedProcess[str]) -> None:
    """Ctrl-C in the middle of the start ends every process of the demo, says so, and exits 130."""
    assert interrupted.returncode == 130, interrupted.stderr
    assert "interrupted; everything that was started has been stopped" in interrupted.stderr
    assert "Traceback" not in interrupted.stderr
    assert eventually(lambda: place.processes() == [], 15), place.processes()


def test_the_demo_succeeds_after_an_interrupted_one(
    place: Place, told: subprocess.CompletedProcess[str]
) -> None:
    """A demo in the folder that an interrupted one has left behind runs to its end and exits 0."""
    assert told.returncode == 0, told.stdout + told.stderr[-4000:] + place.ends_of_logs()


def test_the_report_is_written(place: Place, told: subprocess.CompletedProcess[str]) -> None:
    """The demo ends with the address of a page that has every compared unit and its windows."""
    [said] = [line for line in told.stdout.splitlines() if line.startswith("Report:")]
    page = Path(said.removeprefix("Report:").strip()).read_text()

    assert {"taxi_daily.dbt_daily", "taxi_ingest.load_trips"} <= {*re.findall(r"taxi_\w+\.\w+", page)}
    assert all(day in page for day in DAYS)
    assert "set DAGSTER_HOME" not in page


def test_every_verdict_is_a_match(told: subprocess.CompletedProcess[str]) -> None:
    """Every unit matches in every window, the 23-hour one among them, and rows were compared."""
    rows = [
        line.split() for line in told.stdout.splitlines() if line.startswith(("taxi_daily.", "taxi_ingest."))
    ]

    assert {row[-1] for row in rows} == {"match"}
    windows = {(row[0], row[1], row[2]) for row in rows}
    assert {("taxi_daily.dbt_daily", "daily_metrics", day) for day in DAYS} <= windows
    assert {("taxi_daily.export_daily", "daily_metrics_export", day) for day in DAYS} <= windows
    assert ("taxi_ingest.load_trips", "taxi_trips", "2024-03-01") in windows
    for row in rows:
        assert row[-3] == row[-2] != "0", row
    assert SPRING_DAY in {row[2] for row in rows}
    assert f"{len(rows)}/{len(rows)} match" in told.stdout


def test_both_addresses_are_told(told: subprocess.CompletedProcess[str]) -> None:
    """The output ends with the addresses of both UIs, on loopback."""
    lines = told.stdout.splitlines()

    assert any(line.startswith("Airflow: http://127.0.0.1:") for line in lines)
    assert any(line.startswith("Dagster: http://127.0.0.1:") for line in lines)


def test_progress_is_told_on_the_way(told: subprocess.CompletedProcess[str]) -> None:
    """Progress goes to stderr: the hand-over of a unit, its way back, and the comparison are in it."""
    for said in (
        "Airflow started",
        "Dagster started",
        "taxi_daily.dbt_daily is marked as proxied",
        "taxi_daily.dbt_daily is Airflow's again",
        "Dagster has run every window as a candidate, and compared it",
    ):
        assert said in told.stderr, said


def test_one_day_went_through_the_proxy(place: Place, told: subprocess.CompletedProcess[str]) -> None:
    """Airflow's own logs say it: dbt_daily of the third day ran in Dagster, and of no other day."""
    assert told.returncode == 0
    logs = place.folder / "airflow" / "logs" / "dag_id=taxi_daily"
    proxied = {
        log.parts[len(logs.parts)].split("__")[1][:10]
        for log in logs.rglob("attempt=*.log")
        if "Dagster run" in log.read_text(errors="replace")
    }

    assert proxied == {DAYS[2]}


def test_the_marks_are_as_before(place: Place, told: subprocess.CompletedProcess[str]) -> None:
    """After the demo no unit is marked as proxied any more."""
    from dagster_defs.adapters.proxied_state import read_marks

    assert told.returncode == 0
    assert set(read_marks(place.folder / "proxied_state").values()) == {False}


def test_nothing_is_left_running(place: Place, told: subprocess.CompletedProcess[str]) -> None:
    """With --exit everything that was started has ended when the command returns."""
    assert told.returncode == 0
    assert eventually(lambda: place.processes() == [], 15), place.processes()


def test_two_demos_do_not_share_a_folder(place: Place, told: subprocess.CompletedProcess[str]) -> None:
    """A second demo in a folder where one runs is refused by name, and starts nothing."""
    held = "import sys, filelock\nwith filelock.FileLock(sys.argv[1]): print('held', flush=True); sys.stdin.read()"
    lock = place.folder.with_name(place.folder.name + ".lock")
    with subprocess.Popen(
        [sys.executable, "-c", held, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        second = place.start()
        _, err = second.communicate(timeout=60)
        holder.communicate("")

    assert second.returncode == 1
    assert f"another demo is running in {place.folder}" in err
