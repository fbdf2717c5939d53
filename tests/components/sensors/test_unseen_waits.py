"""Which retired DAGs start nothing, because nobody can see what they wait for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dagster_defs.components.sensors.dag_jobs import blind_dags
from dagster_defs.components.units.project_units import ProjectUnits
from dagster_defs.components.units.unit import UnitComponent
from tests.components.conftest import NEW_YORK_DAYS, Project
from tests.support.trees import component_tree

Mirror = tuple[str, dict[str, Any]]


def mirror(unit: str, *, waits: dict[str, Any] | None = None, **attributes: Any) -> Mirror:
    """Of a Python task with one output, unless the attributes say otherwise."""
    schedule = {**NEW_YORK_DAYS, **({"waits_for": [{"sensor": "for_trips", **waits}]} if waits else {})}
    return "PythonUnit", {
        "unit": unit,
        "function": "unseen.work",
        "python_path": "unseen_code",
        "outputs": [{"key": unit.replace(".", "_")}],
        "schedule": schedule,
        **attributes,
    }


def blind(project: Project, *mirrors: Mirror) -> dict[str, str]:
    """The DAGs of these mirrors that start nothing, and why, once all of them are loaded together."""
    code = project.estate.root / "unseen_code"
    code.mkdir(exist_ok=True)
    (code / "unseen.py").write_text("def work(side):\n    return {}\n")
    project.declare("own", *mirrors)
    project.declare("airflow", ("AirflowEstate", {"name": "own_airflow"}))
    assert project.load().resolve_job_def("own")
    with project.estate.entered():
        tree = component_tree(project.defs_folder, project.estate.root)
        units = list({id(unit): unit for unit in tree.get_all_components(of_type=UnitComponent)}.values())
        known: ProjectUnits[UnitComponent] = ProjectUnits(units, project.estate.root)
        for unit in units:
            unit._project = known
        known.settle()
    return blind_dags(known)


def test_a_task_without_a_mirror(project: Project) -> None:
    """The waiting DAG loads and keeps its job; its windows are held."""
    assert blind(project, mirror("own.work", waits={"dag": "trips", "tasks": ["load"]})) == {
        "own": "for_trips waits for trips, no task of which has a sound mirror with windows"
    }


def test_a_whole_dag_whose_units_are_all_seen(project: Project) -> None:
    """Nothing is held: all its units tell how they end."""
    assert blind(project, mirror("own.work", waits={"dag": "trips"}), mirror("trips.load")) == {}


def test_a_whole_dag_with_a_broken_unit(project: Project) -> None:
    """The sound units do not stand for it, because Airflow's run ends with all its tasks; whoever waits for a sound
    task of that DAG is not held."""
    broken = mirror("trips.clean", schedule={**NEW_YORK_DAYS, "cron": "61 6 * * *"})
    sound = mirror("trips.load")
    waiting = mirror("other.work", waits={"dag": "trips", "tasks": ["load"]})

    found = blind(project, mirror("own.work", waits={"dag": "trips"}), waiting, sound, broken)

    assert found.keys() == {"own"}
    assert found["own"].startswith("for_trips waits for all of trips, and its unit trips.clean is broken. ")


def test_a_whole_dag_with_a_unit_that_tells_nothing(
    project: Project, dbt_unit: Callable[..., Mirror]
) -> None:
    """A mirror without an asset says nothing of how its task ends, so nobody learns when the whole DAG ends."""
    silent = dbt_unit(unit="trips.clean", command="test")
    assert blind(project, mirror("own.work", waits={"dag": "trips"}), mirror("trips.load"), silent) == {
        "own": "for_trips waits for all of trips, and the mirror of trips.clean has no asset or no windows that "
        "would tell how it ends"
    }


def test_a_whole_dag_with_a_unit_without_a_clock(project: Project) -> None:
    """Nor does one whose runs are about no window."""
    clockless = mirror("trips.clean", schedule={"event": "manual"})
    found = blind(project, mirror("own.work", waits={"dag": "trips"}), mirror("trips.load"), clockless)
    assert "the mirror of trips.clean has no asset or no windows" in found["own"]
