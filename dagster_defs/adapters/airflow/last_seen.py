"""What Airflow was last seen to contain: a file that `dg utils refresh-defs-state` fetches."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagster_defs.lifecycle import Unit


def estate_key(name: str) -> str:
    """The key under which Dagster keeps the file of the Airflow with that name."""
    return f"AirflowEstate[{name}]"


def read_estate(state_file: Path | None) -> Mapping[str, Any]:
    """By DAG id: `info`, `url`, `source` and `tasks` (by task id); empty if nothing has been fetched yet."""
    if state_file is None or not state_file.exists():
        return {}
    estate: Mapping[str, Any] = json.loads(state_file.read_text())
    return estate


def last_seen_file(project_root: Path, name: str = "airflow") -> Path:
    """Where Dagster keeps the file of the Airflow with that name."""
    from dagster.components.utils.project_paths import get_local_state_path

    return get_local_state_path(estate_key(name), project_root)


def known_tasks(file: Path) -> frozenset[Unit]:
    """Every task that Airflow was last seen to contain; empty if nothing has been fetched yet."""
    return frozenset(
        Unit(dag_id, task_id) for dag_id, dag in read_estate(file).items() for task_id in dag["tasks"]
    )
