"""Programs that run in Airflow's environment, where neither Dagster nor pytest is installed."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dagster_defs.adapters.processes.guardian import GUARDIAN
from tests.support.estate import AIRFLOW_PYTHON, ROOT, foreign_environment
from tests.support.exporting import PYTHONS
from tests.support.unruly_dagsters import UnrulyDagster

InAirflow = Callable[..., Any]


class Started:
    """A program that runs in Airflow's environment: its log can be waited for, and it can be ended."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process, self._log = process, log

    def log(self) -> str:
        return self._log.read_text()

    def wait_for(self, text: str, seconds: float = 120) -> None:
        until = time.monotonic() + seconds
        while text not in self.log():
            assert self.process.poll() is None, f"ended without {text!r}: {self.log()}"
            assert time.monotonic() < until, f"no {text!r} after {seconds} s: {self.log()}"
            time.sleep(0.05)

    def answer(self, seconds: float = 180) -> Any:
        """What the program answers at its end."""
        self.process.wait(seconds)
        assert self.process.returncode == 0, self.log()
        for line in reversed(self.log().splitlines()):
            # Airflow's log lines begin with a bracket, too.
            with contextlib.suppress(json.JSONDecodeError):
                return json.loads(line)
        raise AssertionError(self.log())


StartInAirflow = Callable[..., Started]


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("airflow")


@pytest.fixture
def start_in_airflow(airflow_home: Path, tmp_path: Path) -> Iterator[StartInAirflow]:
    """Starts a program of this folder with a JSON document on stdin; what still runs at the end is ended."""
    started: list[Started] = []

    def start(program: str, document: Any, **settings: str) -> Started:
        log = tmp_path / f"airflow-{len(started)}.log"
        with log.open("w") as file:
            process = GUARDIAN.start(
                [str(AIRFLOW_PYTHON), str(Path(__file__).with_name(program))],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=_environment(airflow_home, settings),
                text=True,
            )
        assert process.stdin
        process.stdin.write(json.dumps(document))
        process.stdin.close()
        started.append(Started(process, log))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait(30)


def airflow_with_database(home: Path, dags: Path) -> dict[str, str]:
    """The settings of an Airflow with a database of its own, which is made."""
    settings = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    subprocess.run(
        [str(AIRFLOW_PYTHON), "-m", "airflow", "db", "migrate"],
        env={**foreign_environment(), **settings},
        check=True,
        capture_output=True,
        timeout=600,
    )
    return settings


def _environment(home: Path, settings: dict[str, str]) -> dict[str, str]:
    return {
        **foreign_environment(),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "legacy_dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": str(ROOT / "legacy_dags"),
        "PYTHONUNBUFFERED": "1",
        # An empty folder: no unit is proxied, whatever the estate's own state is.
        "PARITY_PROXIED_STATE": str(home),
        **settings,
    }


@pytest.fixture(scope="session")
def in_airflow(airflow_home: Path) -> InAirflow:
    """Runs a program of this folder with a JSON document on stdin; what it answers."""

    def run(program: str, document: Any, **settings: str) -> Any:
        done = subprocess.run(
            [str(AIRFLOW_PYTHON), str(Path(__file__).with_name(program))],
            input=json.dumps(document),
            env=_environment(airflow_home, settings),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


@pytest.fixture
def dagster_server() -> Iterator[UnrulyDagster]:
    """A made-up Dagster that knows its runs again, and misbehaves when told to."""
    with UnrulyDagster() as server:
        yield server


@pytest.fixture(scope="module", params=list(PYTHONS))
def version(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if not PYTHONS[name].exists():
        pytest.skip(f"no {name} environment here; `make test` makes it")
    return name
