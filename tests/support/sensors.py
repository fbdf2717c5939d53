"""The installed Airflow's own code, asked from here: the client of `sensor_oracle.py` and `dataset_oracle.py`."""

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
class Oracle:
    """A running program in Airflow's environment: one line of JSON for each question. One question at a time."""

    process: subprocess.Popen[str]

    def answer(self, question: Mapping[str, Any]) -> Any:
        asked, answers = self.process.stdin, self.process.stdout
        assert asked is not None
        assert answers is not None
        asked.write(json.dumps(question) + "\n")
        asked.flush()
        ready, _, _ = select.select([answers], [], [], PATIENCE)
        assert ready, f"Airflow has not answered for {PATIENCE} s: {question}"
        line = answers.readline()
        assert line, f"the oracle ended with {self.process.wait(PATIENCE)} on {question}"
        return json.loads(line)


class Sensors(Oracle):
    """Airflow's `ExternalTaskSensor`."""

    def ask(self, sensor: Mapping[str, Any], looks: Sequence[Look], **more: Any) -> list[str]:
        """The sensor's state after each look."""
        told = [
            (
                look.at.isoformat(),
                [(at.isoformat(), task, state) for (at, task), state in look.states.items()],
            )
            for look in looks
        ]
        answer: list[str] = self.answer({"sensor": sensor, "looks": told, **more})
        return answer


@contextmanager
def running_sensors(home: Path) -> Iterator[Sensors]:
    with running_oracle(home, "sensor_oracle.py") as oracle:
        yield Sensors(oracle.process)


@contextmanager
def running_oracle(home: Path, program: str) -> Iterator[Oracle]:
    """Airflow keeps its files in `home`, its standard error goes to a file there. `program`: beside this file."""
    assert AIRFLOW_PYTHON.exists(), f"{AIRFLOW_PYTHON} is missing: make setup"
    with (home / "stderr").open("w") as errors:
        process = GUARDIAN.start(
            [str(AIRFLOW_PYTHON), str(Path(__file__).with_name(program))],
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
            yield Oracle(process)
        finally:
            process.kill()
            process.communicate()
