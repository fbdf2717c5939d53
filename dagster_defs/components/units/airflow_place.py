"""Where Airflow's own engine finds a task's DAG file, and the Python that imports it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import dagster as dg

from dagster_defs.components.runs.operator_run import Place
from dagster_defs.settings import Settings, find_project


@dataclass
class AirflowPlace(dg.Resolvable):
    """Where Airflow's engine runs."""

    python: Annotated[
        str | None,
        dg.Resolver.default(description="A Python with Airflow; by default `PARITY_AIRFLOW_PYTHON`."),
    ] = None
    dags_folder: Annotated[
        str | None,
        dg.Resolver.default(
            description="Airflow's DAGs folder, relative to the project; by default `python_path`."
        ),
    ] = None
    dag_file: Annotated[
        str,
        dg.Resolver.default(
            description="The DAG's file in that folder; without it, files are parsed until one has the DAG.",
            examples=["exports/daily.py"],
        ),
    ] = ""

    def of(self, root: Path, python_path: str, settings: Settings) -> Place:
        """The same with its defaults. `root`: of the Dagster project; `python_path`: of the unit."""
        return Place(
            python=root / self.python if self.python else settings.airflow_python,
            dags_folder=(root / (self.dags_folder or python_path)).resolve(),
            dag_file=self.dag_file,
            program=_program(root),
        )


def _program(root: Path) -> Path | None:
    """None if Airflow's environment has the package `handover`."""
    places = (root, find_project(Path(__file__).parent))
    programs = (folder / "legacy_dags" / "handover" / "run_task.py" for folder in places)
    return next((path for path in programs if path.is_file()), None)
