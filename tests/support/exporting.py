"""The inventory exporter, run by real Airflows as a program, and what it has written."""

from __future__ import annotations

import json
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.estate import AIRFLOW3_PYTHON, AIRFLOW_PYTHON, ROOT

EXPORTER = ROOT / "legacy_dags" / "handover" / "inventory.py"
PYTHONS = {
    "airflow2": AIRFLOW_PYTHON,
    "airflow3": AIRFLOW3_PYTHON,
}
HUSH = {
    "AIRFLOW_VAR_TARGET": "hush-target",
    "AIRFLOW_VAR_SETTINGS": '{"inner": ["hush-inner"], "password": "hush\\"json"}',
    "AIRFLOW_VAR_PHRASE": "hush/it's secret",
    "AIRFLOW_CONN_WAREHOUSE": "postgres://hush-reader:hush%2Fpass@hush-host/hush-schema",
    "UPSTREAM_TOKEN": "hush-token",
    "FROM_PROCESS": "hush-env",
}
ALL_OF_2024 = ("2024-01-01", "2024-12-31")


def export(
    python: Path,
    folder: Path,
    out: Path,
    span: tuple[str, str],
    *more: str,
    program: str = str(EXPORTER),
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Run the exporter with no setting of Airflow from outside. `program`: what runs it, if not itself."""
    outer = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "TAXI_"))}
    command = [
        python,
        program,
        "--dags-folder",
        folder,
        "--from",
        span[0],
        "--to",
        span[1],
        "--out",
        out,
        *more,
    ]
    return subprocess.run(
        [str(part) for part in command],
        env={**outer, **environment},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )


class Exported:
    """An inventory, easier to ask."""

    def __init__(self, path: Path, messages: str, version: str) -> None:
        self.text = path.read_text()
        self.document: dict[str, Any] = json.loads(self.text)
        self.messages, self.version = messages, version
        self.dags = {dag["dag_id"]: dag for dag in self.document["dags"]}

    def task(self, dag_id: str, task_id: str) -> dict[str, Any]:
        found: dict[str, Any] = next(
            task for task in self.dags[dag_id]["tasks"] if task["task_id"] == task_id
        )
        return found

    def first(self, dag_id: str, task_id: str, field: str = "bash_command") -> Any:
        return self.task(dag_id, task_id)["rendered"][0]["fields"].get(field)

    def needs(self, dag_id: str, task_id: str) -> set[str]:
        return {row["needs"] for row in self.task(dag_id, task_id)["rendered"][0]["undetermined"]}


@cache
def schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "docs" / "inventory.schema.json").read_text())
    return found
