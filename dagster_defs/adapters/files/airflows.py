"""The project's Airflows, and the settings of each."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from dagster_defs.errors import TeamFileUnreadable
from dagster_defs.lifecycle.airflows import ONE_AIRFLOW, Airflows
from dagster_defs.settings import Settings


def airflows(settings: Settings) -> Airflows:
    """As parity.yaml lists them; raises TeamFileUnreadable."""
    file = settings.team_file
    try:
        facts = file.stat()
    except FileNotFoundError:
        return ONE_AIRFLOW
    except OSError as error:
        raise TeamFileUnreadable(str(file), error.strerror or str(error)) from error
    return _listed(file, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=8)
def _listed(file: Path, _changed: int, _size: int) -> Airflows:
    """Most projects list none, and need not import what reads the file."""
    try:
        if b"airflows" not in file.read_bytes():
            return ONE_AIRFLOW
    except OSError as error:
        raise TeamFileUnreadable(str(file), error.strerror or str(error)) from error
    from dagster_defs.adapters.files.team_file import read_team

    return Airflows(read_team(file).airflows)


def settings_of_dag(settings: Settings, dag_id: str) -> Settings:
    """The settings of the Airflow that has the DAG. Raises AirflowUnknown, DagInTwoAirflows, TeamFileUnreadable."""
    return settings.of_airflow(airflows(settings).of(dag_id))


def settings_of_each(settings: Settings) -> list[Settings]:
    """Those of every Airflow; if the project has one, the given ones. Raises TeamFileUnreadable."""
    return [settings.of_airflow(name) for name in airflows(settings).names]
