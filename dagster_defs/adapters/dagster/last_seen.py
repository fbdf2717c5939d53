"""What Airflow was last seen to contain: a file that `dg utils refresh-defs-state` fetches."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagster_defs.adapters.files.airflows import airflows
from dagster_defs.lifecycle import Unit
from dagster_defs.settings import Settings


def estate_key(name: str) -> str:
    """The key under which Dagster keeps the file of the Airflow with that name."""
    return f"AirflowEstate[{name}]"


def read_estate(state_file: Path | None) -> Mapping[str, Any]:
    """By DAG id: `info`, `url`, `source` and `tasks` (by task id); empty if nothing has been fetched yet."""
    if state_file is None or not state_file.exists():
        return {}
    estate: Mapping[str, Any] = json.loads(state_file.read_text())
    return estate


def last_seen_files(settings: Settings) -> dict[str, Path]:
    """Where Dagster keeps the file of each Airflow, by the Airflow's name. The only one of a project is `airflow` to
    Dagster, unless its YAML says otherwise."""
    from dagster.components.utils.project_paths import get_local_state_path

    names = airflows(settings).names
    return {name: get_local_state_path(estate_key(name or "airflow"), settings.root) for name in names}


def dags_last_seen(settings: Settings) -> dict[str, frozenset[str]]:
    """The ids of the DAGs that each of several Airflows was last seen to have, by the Airflow's name."""
    return {name: frozenset(read_estate(file)) for name, file in last_seen_files(settings).items()}


def known_tasks(file: Path) -> frozenset[Unit]:
    """Every task that Airflow was last seen to contain; empty if nothing has been fetched yet."""
    return frozenset(
        Unit(dag_id, task_id) for dag_id, dag in read_estate(file).items() for task_id in dag["tasks"]
    )
