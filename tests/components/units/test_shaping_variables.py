"""Variables that decide what there is in a dbt project: the mirror has the project that its task has."""

from __future__ import annotations

import shlex
from typing import Any

import dagster as dg
import duckdb
import pytest

from dagster_defs.components.units.broken_unit import broken_key
from dagster_defs.inventory import Inventory, read_document
from dagster_defs.lifecycle.facets import Agreement, Facet
from dagster_defs.settings import Settings
from dagster_defs.usecases.verify import verify_mirrors
from tests.support import inventory_samples as samples
from tests.support.dbt_world import World

CONFIG = (
    "{{ config(materialized='table', enabled=var('with_marts', false), schema=var('region', 'nowhere')) }}"
)
FILES = {
    "models/base.sql": "{{ config(materialized='table') }} select '{{ var('day', 'never') }}' as day",
    "models/marts.sql": f"{CONFIG} select day, 1 as one from {{{{ ref('base') }}}}",  # noqa: S608 - not user input
}
DAY = {"day": "{{ ds }}"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Parsed once for each set of variables, whatever mirrors are declared."""
    made = World(tmp_path_factory.mktemp("world"))
    made.project("dbt", FILES)
    return made


def keys(definitions: dg.Definitions) -> set[str]:
    found = {spec.key.to_user_string() for spec in definitions.resolve_all_asset_specs()}
    return {key for key in found if not key.startswith("shadow/")}


def inventory(command: str) -> Inventory:
    fields = {"bash_command": command}
    task = samples.task(fields, name="build", samples=samples.sampled(fields))
    content = samples.document(task)
    content["dags"][0]["start"] = "2024-01-01T00:00:00+00:00"
    return read_document(content, "inventory.json")


def selection(world: World, command: str) -> Facet:
    [unit] = verify_mirrors(Settings.from_process(), world.mirrors(), inventory(command))
    return next(facet for facet in unit.facets if facet.name == "selection")


def dbt_run(variables: str) -> str:
    return f"dbt run --select base marts --vars {shlex.quote(variables)}"


def unit(name: str, **variables: Any) -> dict[str, Any]:
    return {"unit": name, "command": "run", "select": "base marts", "vars": {**DAY, **variables}}


def test_a_model_that_a_variable_enables_is_mirrored(world: World) -> None:
    """Its asset is there, the facet agrees on both nodes, and a run builds its table."""
    world.declare(unit("shop.build", with_marts=True, region="north"))

    assert keys(world.load()) == {"base", "north/marts"}
    facet = selection(world, dbt_run("{day: '{{ ds }}', with_marts: true, region: north}"))
    assert (facet.agrees, facet.compared) == (Agreement.AGREES, 2)
    definitions = world.load()
    shadows = [
        key for key in definitions.resolve_asset_graph().get_all_asset_keys() if key.path[0] == "shadow"
    ]
    made = [each for each in definitions.assets or () if isinstance(each, dg.AssetsDefinition)]
    built = dg.materialize(made, selection=dg.AssetSelection.assets(*shadows), partition_key="2024-01-02")
    assert built.success
    with duckdb.connect(str(world.root / "data" / "shop_candidate.duckdb"), read_only=True) as connection:
        assert connection.sql("select day, one from main_north.marts").fetchall() == [("2024-01-02", 1)]


@pytest.mark.parametrize(
    ("mirrored", "command"),
    [
        ({}, "{day: '{{ ds }}', with_marts: true}"),
        ({"with_marts": True}, "{day: '{{ ds }}'}"),
        ({"with_marts": True}, "{day: '{{ ds }}', with_marts: false}"),
    ],
)
def test_a_node_that_only_one_side_has_is_a_difference(
    mirrored: dict[str, Any], command: str, world: World
) -> None:
    """Although both select the same words."""
    world.declare(unit("shop.build", **mirrored))

    facet = selection(world, dbt_run(command))

    assert facet.agrees is Agreement.DIFFERS
    assert "model.shop.marts" in facet.detail


def test_a_value_that_nobody_knows_may_be_any(world: World) -> None:
    """What the exporter has masked decides what there is: the selection is not determined."""
    world.declare(unit("shop.build", with_marts=True))

    facet = selection(world, dbt_run("{day: '{{ ds }}', with_marts: '***'}"))

    assert facet.agrees is Agreement.UNDETERMINED
    assert "with_marts" in facet.detail


def test_what_the_window_decides_is_not_determined(world: World) -> None:
    """Which nodes there are may differ from window to window: no selection agrees."""
    config = "{{ config(materialized='table', enabled=var('day', '2024') < '2025') }}"
    world.project("moving", {"models/base.sql": f"{config} select 1 as one"})
    world.declare(
        {"unit": "shop.build", "project": "moving", "command": "run", "select": "base", "vars": DAY}
    )

    facet = selection(world, "dbt run --select base --vars \"{day: '{{ ds }}'}\"")

    assert facet.agrees is Agreement.UNDETERMINED
    assert "model.shop.base" in facet.detail


@pytest.mark.parametrize("where", ["schema", "alias"])
def test_one_model_with_a_table_for_each_unit(where: str, world: World) -> None:
    """Two assets where their keys differ; else neither is taken for the other, and the message names both tables."""
    config = f"{{{{ config(materialized='table', {where}=var('region', 'nowhere')) }}}}"
    world.project(where, {"models/marts.sql": f"{config} select 1 as one"})
    regions = ("north", "south")
    world.declare(
        *(
            {"unit": f"shop.{region}", "project": where, "select": "marts", "vars": {"region": region}}
            for region in regions
        )
    )

    definitions = world.load()

    if where == "schema":
        assert keys(definitions) == {"north/marts", "south/marts"}
    else:
        for region in regions:
            message = why(definitions, f"shop.{region}")
            assert "two tables would be the one asset 'marts'" in message
            assert all(f'"main"."{each}"' in message for each in regions)


def why(definitions: dg.Definitions, name: str) -> str:
    [spec] = [each for each in definitions.resolve_all_asset_specs() if each.key == broken_key(name)]
    return str(spec.metadata["why"])
