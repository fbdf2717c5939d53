"""A bench that is ended by whatever hand leaves no server behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dagster_defs.adapters.processes.guardian import GUARDIAN, postgres_of
from tests.adapters.processes.test_processes import eventually
from tests.support.estate import ROOT, foreign_environment

pytestmark = pytest.mark.timeout(1500)

# The benches' own way to start everything, with two processes in the place of Airflow's: one that forks a worker into
# a session of its own, as its executor does, and one that makes itself a daemon.
BENCH = """
import sys
from pathlib import Path
from rich.console import Console
from bench import servers
from dagster_defs.adapters.processes.supervisor import signals_interrupt
from demo.local_airflow import LocalAirflow

SCHEDULER = '''
import os, time
for _ in range(2):
    if os.fork() == 0:
        os.setsid()
        break
time.sleep(600)
'''
WEB = '''
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(600)
    os._exit(0)
os.wait()
time.sleep(600)
'''

def start(airflow, supervisor):
    for name, program in (("airflow-scheduler", SCHEDULER), ("airflow-webserver", WEB)):
        supervisor.start(name, [sys.executable, "-c", program], env=airflow.env)

LocalAirflow.prepare, LocalAirflow.start = lambda airflow, supervisor: None, start
with signals_interrupt(), servers.running_servers(Console(stderr=True), Path(sys.argv[1])):
    pass
"""
STARTED = {
    "airflow-scheduler",
    "airflow-webserver",
    "dagster-code-parity",
    "dagster-webserver",
    "dagster-daemon",
}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that PostgreSQL can reach: started by root, it runs as another user."""
    with tempfile.TemporaryDirectory(prefix="parity-bench-", ignore_cleanup_errors=True) as made:
        Path(made).chmod(0o755)
        yield Path(made) / "bench"
        for process in processes_of(Path(made)):
            process.kill()


def processes_of(folder: Path) -> list[psutil.Process]:
    """Every process whose command line or environment names the folder."""
    found = []
    for process in psutil.process_iter():
        try:
            said = [*process.cmdline(), *process.environ().values()]
            if process.status() != psutil.STATUS_ZOMBIE and any(str(folder) in text for text in said):
                found.append(process)
        except psutil.Error:
            continue
    return found


def started_in(folder: Path) -> set[str]:
    try:
        return {row["name"] for row in json.loads((folder / "run" / "processes.json").read_bytes())}
    except (OSError, ValueError):
        return set()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_bench_that_is_killed_leaves_no_server(folder: Path, number: signal.Signals) -> None:
    """PostgreSQL, Dagster's servers and what stands for Airflow's are gone after SIGTERM, and after kill -9 too."""
    with (folder.parent / "said").open("w") as said:
        bench = GUARDIAN.start(
            [sys.executable, "-c", BENCH, str(folder)],
            cwd=ROOT,
            env={**foreign_environment(), "PYTHONPATH": str(ROOT)},
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    assert eventually(lambda: started_in(folder) >= STARTED or bench.poll() is not None, 200)
    assert bench.poll() is None, (folder.parent / "said").read_text()
    postgres = postgres_of(folder / "postgres")
    assert postgres is not None
    below = [each.pid for each in psutil.Process(bench.pid).children(recursive=True)]
    named = [each.pid for each in processes_of(folder)]
    assert (
        len(named) > len(STARTED) + 4
    )  # forked workers, the daemon and the server's own children among them

    os.kill(bench.pid, number)
    bench.wait(60)

    def left() -> list[int]:
        alive = [each.pid for each in processes_of(folder)]
        return alive + [pid for pid in below if psutil.pid_exists(pid) and _runs(pid)]

    assert eventually(lambda: not left(), 40), [psutil.Process(pid).cmdline() for pid in left()]
    assert postgres.process is None


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
