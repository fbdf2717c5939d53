"""The installed Airflow's timetables, asked from here: the client of `timetable_oracle.py`."""

from __future__ import annotations

import json
import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path

from dagster_defs.adapters.processes.guardian import GUARDIAN
from dagster_defs.older_python import StrEnum
from dagster_defs.windows import Window
from tests.support.estate import AIRFLOW_PYTHON, foreign_environment

PATIENCE = 60  # seconds for one answer; the first includes the import of Airflow


class Kind(StrEnum):
    CRON = "cron"
    PRESET = "preset"
    DELTA = "delta"


class Outcome(Enum):
    """How Airflow's walk ended: see `timetable_oracle.py`."""

    ENDED = "ended"
    GOES_ON = "goes_on"
    STUCK = "stuck"
    RAISED = "raised"


@dataclass(frozen=True)
class Case:
    """A DAG's schedule: an expression, or the seconds of a delta. `start` and `end` are naive wall-clock
    text of the zone; `most` bounds the walk."""

    kind: Kind
    schedule: str | int
    timezone: str
    start: str
    end: str | None
    most: int


@dataclass(frozen=True)
class Walk:
    """What Airflow schedules."""

    windows: tuple[Window, ...]
    outcome: Outcome
    reason: str


@dataclass(frozen=True)
class Timetables:
    """A running oracle. One question at a time."""

    process: subprocess.Popen[str]

    def walk(self, case: Case) -> Walk:
        asked, answers = self.process.stdin, self.process.stdout
        assert asked is not None
        assert answers is not None
        asked.write(json.dumps(asdict(case)) + "\n")
        asked.flush()
        # Nothing is left in the buffer between two answers, so the pipe itself tells when one comes.
        ready, _, _ = select.select([answers], [], [], PATIENCE)
        assert ready, f"Airflow has not answered for {PATIENCE} s: {case}"
        line = answers.readline()
        assert line, f"the oracle ended with {self.process.wait(PATIENCE)} on {case}"
        answer = json.loads(line)
        windows = tuple(Window.between(*interval) for interval in answer["intervals"])
        return Walk(windows, Outcome(answer["outcome"]), answer["reason"])


@contextmanager
def running_timetables(home: Path) -> Iterator[Timetables]:
    """Airflow keeps its files in `home`, its standard error goes to a file there."""
    python = AIRFLOW_PYTHON
    assert python.exists(), f"{python} is missing: make setup"
    with (home / "stderr").open("w") as errors:
        process = GUARDIAN.start(
            [str(python), str(Path(__file__).with_name("timetable_oracle.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={
                **foreign_environment(),
                "AIRFLOW_HOME": str(home),
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            },
        )
        try:
            yield Timetables(process)
        finally:
            process.kill()
            process.communicate()
