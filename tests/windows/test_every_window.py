"""The whole estate over months: every window, and what every unit is given in it, as Airflow has it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

import pytest

from dagster_defs.adapters.dagster.mirrors import load_mirrors
from dagster_defs.inventory.document import Inventory
from dagster_defs.lifecycle.facets import Agreement, Facet, UnitFacets
from dagster_defs.settings import Settings
from dagster_defs.usecases.inventory import read_inventory
from dagster_defs.usecases.verify import verify_mirrors
from tests.support.estate import copy_project, export_inventory, mirrors_of


@dataclass(frozen=True)
class Span:
    first: str
    last: str
    after: str
    windows: int
    short_and_long_days: tuple[int, int]


# Eighteen months are for `make journeys`; five weeks around a clock change are for every day.
WHOLE = Span("2023-10-01", "2025-03-31", "2025-04-01", 10_000, (2, 2))
SPRING = Span("2024-02-19", "2024-03-24", "2024-03-25", 700, (1, 0))

pytestmark = pytest.mark.airflow


@pytest.fixture(
    scope="module",
    params=[pytest.param(SPRING, id="spring"), pytest.param(WHOLE, id="whole", marks=pytest.mark.thorough)],
)
def span(request: pytest.FixtureRequest) -> Span:
    asked: Span = request.param
    return asked


@pytest.fixture(scope="module")
def inventory(span: Span, tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    """What Airflow says about the estate, with every window of the span rendered."""
    file = tmp_path_factory.mktemp("inventory") / "inventory.json"
    days = {"TAXI_FIRST_DAY": span.first, "TAXI_LAST_DAY": span.last}
    exported = export_inventory(file, span.first, span.last, f"{span.first}/{span.after}", **days)
    return read_inventory(exported, Settings().team_file)


@pytest.fixture(scope="module")
def verified(span: Span, inventory: Inventory, tmp_path_factory: pytest.TempPathFactory) -> list[UnitFacets]:
    """A copy of the estate's mirrors, begun as early as the span, beside that inventory."""
    root = copy_project(tmp_path_factory.mktemp("early") / "project")
    defs = root / "dagster_defs" / "defs"
    for file in defs.rglob("*.yaml"):
        file.write_text(re.sub(r'(?<=[ {]start: )"[0-9-]{10}"', f'"{span.first}"', file.read_text()))
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
    name: str,
    verified: list[UnitFacets],
    inventory: Inventory,
    span: Span,
    capsys: pytest.CaptureFixture[str],
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
    assert sum(compared.values()) > span.windows


def test_nothing_of_the_estate_differs(verified: list[UnitFacets]) -> None:
    """No facet of any unit differs from Airflow."""
    assert {str(unit.unit): unit.differing for unit in verified if unit.differing} == {}


def test_clock_changes_are_inside(inventory: Inventory, span: Span) -> None:
    """The span has days of 23 hours, and the long one of 25, so that equality is no matter of luck."""
    [daily] = [dag for dag in inventory.dags if dag.dag_id == "taxi_daily"]
    read = [_hours(*window) for window in daily.windows]

    assert (read.count(23), read.count(25)) == span.short_and_long_days


def test_the_whole_estate_is_in_it(inventory: Inventory) -> None:
    """Every DAG file imports in Airflow, so that no unit is missing from the comparison."""
    assert inventory.import_errors == ()


def _hours(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() / 3600
