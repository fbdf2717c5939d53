"""Runs one task of a DAG file in Airflow's environment and waits for it, leaving no process behind."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dagster_defs.adapters.files import atomic
from dagster_defs.adapters.processes.piped import Log, Say, run_piped
from dagster_defs.errors import LegacyTaskRefused, TimedOut

SCHEMA = "parity/task/2"
LIMIT_SLACK = 10.0  # first let Airflow enforce `execution_timeout` itself, and call `on_kill`
# Variables for this process's Python; Airflow's Python has its own.
OF_PYTHON = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")


@dataclass(frozen=True, slots=True)
class AirflowEnvironment:
    """`python`: a Python with Airflow. `program`: `run_task.py`, or None if Airflow's environment has the package
    `handover`. `variables`: the process's whole environment."""

    python: Path
    dags_folder: Path
    dag_file: str
    program: Path | None
    databases: Path
    variables: Mapping[str, str] = field(repr=False)

    def run(self, request: Mapping[str, Any], *, say: Say, limit: float | None) -> Mapping[str, Any]:
        """Run the task; returns `record`, or `waiting` with the reason. `limit`: seconds that the operator may take.

        Raises LegacyTaskRefused if it was not run or its outcome is unknown, and TimedOut.
        """
        what = f"{request['dag_id']}.{request['task_id']}"
        if not self.python.is_file():
            remedy = "Name it in the unit's YAML (airflow: {python: …}) or in PARITY_AIRFLOW_PYTHON"
            raise LegacyTaskRefused(what, f"there is no Python with Airflow at {self.python}", remedy)
        with tempfile.TemporaryDirectory(prefix="parity-task-", ignore_cleanup_errors=True) as folder:
            result = Path(folder) / "result.json"
            document = {
                "schema": SCHEMA,
                **request,
                "dags_folder": str(self.dags_folder),
                "file": self.dag_file,
                "databases": str(self.databases),
                "result": str(result),
            }
            asked = Path(folder) / "request.json"
            atomic.write_json(asked, document, mode=atomic.PRIVATE)
            self._run(what, asked, result, Log(say), limit)
            return result_of(what, result)

    def _run(self, what: str, asked: Path, result: Path, log: Log, limit: float | None) -> None:
        program = [str(self.program)] if self.program else ["-m", "handover.run_task"]
        started = Path(f"{result}.started")

        def is_over() -> bool:
            """The limit counts from when the operator began."""
            return limit is not None and _age(started) > limit + LIMIT_SLACK

        code = run_piped(
            [str(self.python), *program, str(asked)],
            env={name: value for name, value in self.variables.items() if name not in OF_PYTHON},
            log=log,
            is_over=is_over,
        )
        if code is None:
            assert limit is not None  # noqa: S101 - only a limit can have passed
            raise TimedOut(what, limit)
        if code != 0:
            reason = f"its process ended with {code}, and it is unknown how far it got"
            raise LegacyTaskRefused(what, reason, "Read the run's log")


def _age(file: Path) -> float:
    try:
        return time.time() - file.stat().st_mtime
    except OSError:
        return 0.0


def result_of(what: str, result: Path) -> Mapping[str, Any]:
    """What the process has left; raises LegacyTaskRefused if it is nothing, or that nothing was run."""
    try:
        result_document: dict[str, Any] = json.loads(result.read_bytes())
    except (OSError, ValueError) as error:
        raise LegacyTaskRefused(what, f"it left no result ({error})", "Read the run's log") from error
    if refused := result_document.get("refused"):
        raise LegacyTaskRefused(what, str(refused).rstrip("."), "Nothing was run")
    return result_document
