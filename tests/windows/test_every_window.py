"""Eighteen months of the whole estate: every window, and what every unit is given in it, as Airflow has it."""

from __future__ import annotations

import re
from datetime import datetime

import pytest

from dagster_defs.adapters.dagster.mirrors import load_mirrors
from dagster_defs.inventory.document import Inventory
from dagster_defs.lifecycle.facets import Agreement, Facet, UnitFacets
from dagster_defs.settings import Settings
from dagster_defs.usecases.inventory import read_inventory
from dagster_defs.usecases.verify import verify_mirrors
from tests.support.estate import copy_project, export_inventory, mirrors_of

FIRST, LAST, AFTER = "2023-10-01", "2025-03-31", "2025-04-01"

pytestmark = pytest.mark.airflow


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    """What Airflow says about the estate, with every window of the span rendered."""
    file = tmp_path_factory.mktemp("inventory") / "inventory.json"
    days = {"TAXI_FIRST_DAY": FIRST, "TAXI_LAST_DAY": LAST}
    exported = export_inventory(file, FIRST, LAST, f"{FIRST}/{AFTER}", **days)
    return read_inventory(exported, Settings().team_file)


@pytest.fixture(scope="module")
def verified(inventory: Inventory, tmp_path_factory: pytest.TempPathFactory) -> list[UnitFacets]:
    """A copy of the estate's mirrors, begun as early as the span, beside that inventory."""
    root = copy_project(tmp_path_factory.mktemp("early") / "project")
    defs = root / "dagster_defs" / "defs"
    for file in defs.rglob("*.yaml"):
        file.write_text(re.sub(r'(?<=[ {]start: )"[0-9-]{10}"', f'"{FIRST}"', file.read_text()))
    return list(verify_mirrors(Settings.from_process(), mirrors_of(defs, root), inventory))


def facets(verified: list[UnitFacets], name: str) -> dict[str, Facet]:
    return {str(unit.unit): facet for unit in verified for facet in unit.facets if facet.name == name}


def scheduled(inventory: Inventory) -> dict[str, int]:
    """How many windows Airflow has of each mirrored unit."""
    mirrored = {str(mirror.legacy_unit) for mirror in load_mirrors(Settings().root)}
    return {
        name: len(dag.windows)
        for dag in inventory.dags
        for task in dag.tasks
        if (name := f"{dag.dag_id}.{task.task_id}") in mirrored
    }


@pytest.mark.parametrize("name", ["windows", "variables"])
def test_every_window_is_airflows(
    name: str, verified: list[UnitFacets], inventory: Inventory, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every window of every mirrored unit, and all that is rendered in it, is what Airflow itself has."""
    differing = facets(verified, name)
    compared = {unit: facet.compared for unit, facet in differing.items()}

    with capsys.disabled():
        print(f"\n{sum(compared.values()):,} {name} compared, {len(compared)} units")  # noqa: T201 - it is asked for
    assert {
        unit: facet.detail for unit, facet in differing.items() if facet.agrees is not Agreement.AGREES
    } == {}
    assert compared == scheduled(inventory)
    assert sum(compared.values()) > 10_000


def test_nothing_of_the_estate_differs(verified: list[UnitFacets]) -> None:
    """No facet of any unit differs from Airflow."""
    assert {str(unit.unit): unit.differing for unit in verified if unit.differing} == {}


def test_both_clock_changes_are_inside(inventory: Inventory) -> None:
    """The span has days of 23 and of 25 hours, so that equality is no matter of luck."""
    [daily] = [dag for dag in inventory.dags if dag.dag_id == "taxi_daily"]
    read = [_hours(*window) for window in daily.windows]

    assert (read.count(23), read.count(25)) == (2, 2)


def test_the_whole_estate_is_in_it(inventory: Inventory) -> None:
    """Every DAG file imports in Airflow, so that no unit is missing from the comparison."""
    assert inventory.import_errors == ()


def _hours(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() / 3600
