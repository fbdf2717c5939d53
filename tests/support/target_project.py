"""A project whose dbt profile names DuckDB and PostgreSQL targets, and whose dbt project has no models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
import yaml

from dagster_defs.lifecycle.tags import AIRFLOW_STATE
from tests.support.estate import AIRFLOW_PYTHON, Estate
from tests.support.instances import instance_for_test
from tests.support.postgres import PostgresServer


@contextmanager
def project_of_targets(root: Path, postgres: PostgresServer) -> Iterator[Estate]:
    """`legacy` and `candidate` are DuckDB files, `pg` and `pg_candidate` two schemas of one database; the current
    folder is the project's."""
    (root / "legacy_dags").mkdir()
    (root / "dbt").mkdir()
    (root / "dbt" / "dbt_project.yml").write_text("{name: own, version: '1', profile: own}\n")
    files = {
        side: {"type": "duckdb", "path": str(root / f"{side}.duckdb")} for side in ("legacy", "candidate")
    }
    servers = {"pg": postgres.profile("public"), "pg_candidate": postgres.profile("shadow")}
    profiles = {"own": {"target": "legacy", "outputs": {**files, **servers}}}
    (root / "dbt" / "profiles.yml").write_text(yaml.safe_dump(profiles))
    settings = {
        "PARITY_TASK_STORE": str(root / "store"),
        "PARITY_PROXIED_STATE": str(root / "cut"),
        "PARITY_AIRFLOW_PYTHON": str(AIRFLOW_PYTHON),
    }
    with instance_for_test() as instance, pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(root)
        yield Estate(root, instance, more_settings=settings)


def both_sides(
    load: Callable[[], object], estate: Estate, job: str, day: str = "2024-03-02"
) -> dict[str, tuple[bool, str]]:
    """Whether each candidate matches, and why, by the key of its asset."""
    load()
    estate.run(job, (day, day))
    result = estate.run(f"shadow__{job}", (day, day), must_succeed=False)
    return verdicts(result)


def verdicts(result: dg.ExecuteInProcessResult) -> dict[str, tuple[bool, str]]:
    return {
        "/".join(check.asset_key.path): (check.passed, str(check.description))
        for check in result.get_asset_check_evaluations()
    }


def logged(estate: Estate, result: dg.ExecuteInProcessResult) -> str:
    return "\n".join(entry.user_message for entry in estate.instance.all_logs(result.run_id))


def states(result: dg.ExecuteInProcessResult) -> list[object]:
    """How Airflow would say that the task of each output ended."""
    events = result.get_asset_materialization_events()
    return [event.materialization.metadata[AIRFLOW_STATE].value for event in events]


def failure(result: dg.ExecuteInProcessResult) -> str:
    [failed] = [event for event in result.all_events if event.is_step_failure]
    return str(failed.step_failure_data.error)
