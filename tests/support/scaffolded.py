"""DAGs of an inventory, and what `parity scaffold` has written for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dagster_defs.components import DbtUnit, LegacyTask
from dagster_defs.lifecycle.mirrors import Mirror
from tests.support.estate import ROOT
from tests.support.trees import component_tree

PROJECT = ROOT / "tests" / "journeys" / "foreign" / "dbt"
CRON = {"text": "0 5 * * *", "kind": "cron", "cron": "0 5 * * *", "timezone": "Europe/Berlin"}


def task(task_id: str, command: str, **more: Any) -> dict[str, Any]:
    return {
        "task_id": task_id,
        "operator": "airflow.operators.bash.BashOperator",
        "templated": {"bash_command": command},
        "owner": "shop",
        **more,
    }


def dag(dag_id: str, *tasks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "dag_id": dag_id,
        "schedule": {**CRON, "interval_is_empty": False},
        "timezone": "Europe/Berlin",
        "start": "2023-12-31T23:00:00+00:00",
        "tasks": list(tasks),
        **more,
    }


def mirrors_below(root: Path) -> list[Mirror]:
    """The mirrors that were written, loaded as Dagster loads them."""
    tree = component_tree(root / "dagster_defs" / "defs", root)
    # A file with a single document is listed twice.
    listed: list[Mirror] = [*tree.get_all_components(of_type=DbtUnit)]
    listed += tree.get_all_components(of_type=LegacyTask)
    found = {unit.legacy_unit: unit for unit in listed}
    return [found[unit] for unit in sorted(found)]
