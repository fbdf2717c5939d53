"""The states and XComs that the tasks of one window left behind, for the operators of the same window.

One folder per side, DAG and window, or run of a DAG without a clock; one file per task. XComs may be secret, so only
the owner may read a file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dagster_defs.adapters.files import atomic
from dagster_defs.errors import TaskStoreUnreadable
from dagster_defs.lifecycle import Unit
from dagster_defs.parity import Side
from dagster_defs.windows import Moment, Occasion

SCHEMA = "parity/task-record/1"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A Dagster run's progress with a task: the number of failed tries, and what the last one left behind.

    `round`: what tries that Airflow makes in several Dagster runs have in common; empty if they share nothing.
    """

    run_id: str
    failures: int
    record: Mapping[str, Any]
    round: str = ""


@dataclass(frozen=True, slots=True)
class WindowStore:
    folder: Path

    @classmethod
    def of(cls, root: Path, side: Side, dag_id: str, window: Moment) -> WindowStore:
        if isinstance(window, Occasion):
            return cls(root / side.value / quote(dag_id, safe="") / f"run={quote(window.run_id, safe='+')}")
        name = f"{window.start.isoformat()}_{window.end.isoformat()}"
        return cls(root / side.value / quote(dag_id, safe="") / quote(name, safe="+"))

    def records(self) -> dict[str, Mapping[str, Any]]:
        """By task id. Raises TaskStoreUnreadable."""
        records = (self._read(path) for path in sorted(self.folder.glob("*.json")))
        return {document["task_id"]: document["record"] for document in records}

    def attempt(self, unit: Unit) -> Attempt | None:
        path = self._path(unit)
        if not path.exists():
            return None
        document = self._read(path)
        return Attempt(
            document["run_id"], document["failures"], document["record"], document.get("round", "")
        )

    def keep(self, unit: Unit, attempt: Attempt) -> None:
        document = {
            "schema": SCHEMA,
            "task_id": unit.task_id,
            "run_id": attempt.run_id,
            "failures": attempt.failures,
            "round": attempt.round,
            "record": attempt.record,
        }
        atomic.write_json(self._path(unit), document, mode=atomic.PRIVATE)

    def forget(self, unit: Unit) -> None:
        self._path(unit).unlink(missing_ok=True)

    def _path(self, unit: Unit) -> Path:
        return self.folder / f"{quote(unit.task_id, safe='')}.json"

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            document: dict[str, Any] = json.loads(path.read_bytes())
            if document["schema"] != SCHEMA or not isinstance(document["record"]["instances"], list):
                raise ValueError(document["schema"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TaskStoreUnreadable(path, f"{type(error).__name__}: {error}") from error
        return document
