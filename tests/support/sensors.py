"""The installed Airflow's `ExternalTaskSensor`, asked from here: the client of `sensor_oracle.py`."""

from __future__ import annotations

import json
import select
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from dagster_defs.adapters.processes.guardian import GUARDIAN
from tests.support.estate import AIRFLOW_PYTHON, foreign_environment

PATIENCE = 60  # seconds for one answer; the first includes the import of Airflow


@dataclass(frozen=True)
class Look:
    """How the upstream DAG stands at an instant: by logical date and task, empty for the whole run."""

    at: datetime
    states: Mapping[tuple[datetime, str], str]


@dataclass(frozen=True)
class Sensors:
    """A running oracle. One question at a time."""

    process: subprocess.Popen[str]

    def ask(self, sensor: Mapping[str, Any], looks: Sequence[Look], **more: Any) -> list[str]:
        """The sensor's state after each look."""
        asked, answers = self.process.stdin, self.process.stdout
        assert asked is not None
        assert answers is not None
        told = [
            (
                look.at.isoformat(),
                [(at.isoformat(), task, state) for (at, task), state in look.states.items()],
            )
            for look in looks
        ]
        asked.write(json.dumps({"sensor": sensor, "looks": told, **more}) + "\n")
        asked.flush()
        ready, _, _ = select.select([answers], [], [], PATIENCE)
        assert ready, f"Airflow has not answered for {PATIENCE} s: {sensor}"
        line = answers.readline()
        assert line, f"the oracle ended with {self.process.wait(PATIENCE)} on {sensor}"
        answer: list[str] = json.loads(line)
        return answer


@contextmanager
def running_sensors(home: Path) -> Iterator[Sensors]:
    """Airflow keeps its files in `home`, its standard error goes to a file there."""
    assert AIRFLOW_PYTHON.exists(), f"{AIRFLOW_PYTHON} is missing: make setup"
    with (home / "stderr").open("w") as errors:
        process = GUARDIAN.start(
            [str(AIRFLOW_PYTHON), str(Path(__file__).with_name("sensor_oracle.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={
                **foreign_environment(),
                "AIRFLOW_HOME": str(home),
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                "AIRFLOW__LOGGING__LOGGING_LEVEL": "CRITICAL",
            },
        )
        try:
            yield Sensors(process)
        finally:
            process.kill()
            process.communicate()
