"""The installed Airflow's timetables, asked from here: the client of `timetable_oracle.py`."""

from __future__ import annotations

import json
import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
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
    CRON_TRIGGER = "cron-trigger"
    DELTA_TRIGGER = "delta-trigger"
    SEVERAL = "several"
    PARTITION = "partition"


class Outcome(Enum):
    """How Airflow's walk ended: see `timetable_oracle.py`."""

    ENDED = "ended"
    GOES_ON = "goes_on"
    STUCK = "stuck"
    RAISED = "raised"


@dataclass(frozen=True)
class Case:
    """A DAG's schedule: an expression (several are joined by `|`), or the seconds of a delta. `start` and `end` are
    naive wall-clock text of the zone; `most` bounds the walk. `interval`: seconds, of a trigger. `last`: the
    interval of a run that another timetable has scheduled before."""

    kind: Kind
    schedule: str | int
    timezone: str
    start: str
    end: str | None
    most: int
    interval: int = 0
    last: tuple[str, str] | None = None


@dataclass(frozen=True)
class Walk:
    """What Airflow schedules: `windows`, or for other kinds than data intervals `runs`, which may be empty, and the
    keys of partitions."""

    windows: tuple[Window, ...]
    outcome: Outcome
    reason: str
    runs: tuple[tuple[datetime, datetime], ...] = ()
    keys: tuple[str, ...] = ()


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
        outcome, reason = Outcome(answer["outcome"]), answer["reason"]
        if case.kind in (Kind.CRON, Kind.PRESET, Kind.DELTA):
            return Walk(tuple(Window.between(*interval) for interval in answer["intervals"]), outcome, reason)
        runs = tuple(
            (datetime.fromisoformat(start), datetime.fromisoformat(end)) for start, end in answer["intervals"]
        )
        return Walk((), outcome, reason, runs, tuple(answer["keys"]))


@contextmanager
def running_timetables(home: Path, python: Path = AIRFLOW_PYTHON) -> Iterator[Timetables]:
    """Airflow keeps its files in `home`, its standard error goes to a file there."""
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
