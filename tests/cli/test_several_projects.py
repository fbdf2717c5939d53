"""One estate with two dbt projects, of which one has a model with the name of a model of the other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from dagster_defs import cli
from dagster_defs.components import DbtUnit
from dagster_defs.settings import Settings
from dagster_defs.usecases.inventory import read_inventory
from dagster_defs.usecases.verify import verify_mirrors
from tests.support import inventory_samples as samples
from tests.support.dbt_world import World
from tests.support.trees import component_tree

MODELS = {
    "models/customers.sql": "select 1 as id",
    "models/totals.sql": "select id from {{ ref('customers') }}",
}
TASKS = {"shop": "cd /opt/dbt/shop && dbt run", "crm": "dbt run --project-dir /opt/repos/our-crm"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`repos/our-crm` is called crm in its dbt_project.yml, and dbt's name of a project is not its folder's."""
    root = tmp_path_factory.mktemp("estate")
    world = World(root)
    (root / "pyproject.toml").write_text(
        '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "ours"\n'
    )
    world.project("dbt/shop", MODELS, name="shop")
    world.project("repos/crm", MODELS, name="customers_of_ours")
    tasks = [
        samples.task({"bash_command": command}, name=name, samples=samples.sampled({"bash_command": command}))
        for name, command in {**TASKS, "unknown": "dbt run"}.items()
    ]
    document = samples.document(*tasks)
    document["dags"][0] |= {"start": "2024-01-01T00:00:00+00:00"}
    (root / "inventory.json").write_text(json.dumps(document))
    (root / "parity.yaml").write_text("dbt_projects: {/opt/repos/our-crm: repos/crm}\n")
    return root


def parity(root: Path, command: str, *more: str) -> Result:
    both = ("--dbt-project", str(root / "dbt" / "shop"), "--dbt-project", str(root / "repos" / "crm"))
    return CliRunner().invoke(cli.app, [command, str(root / "inventory.json"), *both, *more])


@pytest.fixture(scope="module")
def mirrors(root: Path) -> dict[str, dict[str, Any]]:
    """The attributes of each mirror."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        outcome = parity(root, "scaffold", "--out", str(root / "dagster_defs" / "defs"))
    assert outcome.exit_code == 0, outcome.output
    text = (root / "dagster_defs" / "defs" / "shop" / "defs.yaml").read_text()
    assert "it runs dbt in a folder that it does not name, so in one of dbt/shop, repos/crm" in text
    return {each["attributes"]["unit"]: each["attributes"] for each in yaml.safe_load_all(text)}


def test_each_mirror_has_its_project(mirrors: dict[str, dict[str, Any]]) -> None:
    """The keys of the second one's assets begin with its name, whether or not they are taken today."""
    assert {unit: (each.get("project"), each.get("key_prefix")) for unit, each in mirrors.items()} == {
        "shop.shop": ("dbt/shop", None),
        "shop.crm": ("repos/crm", "customers_of_ours"),
        "shop.unknown": (None, None),  # runs its operator as it is
    }


@pytest.mark.usefixtures("mirrors")
def test_they_load_side_by_side_and_verify(root: Path) -> None:
    """Each model once, and what dbt would execute is the mirror's own."""
    tree = component_tree(root / "dagster_defs" / "defs", root)
    graph = tree.build_defs().resolve_asset_graph()
    keys = {key.to_user_string() for key in graph.materializable_asset_keys}
    assert keys >= {"customers", "totals", "customers_of_ours/customers", "customers_of_ours/totals"}
    units = {unit.unit: unit for unit in tree.get_all_components(of_type=DbtUnit)}

    inventory = read_inventory(root / "inventory.json", root / "parity.yaml")
    for unit in verify_mirrors(Settings.from_process(root), list(units.values()), inventory):
        assert unit.differing == ()
        facets = {facet.name: facet.agrees.value for facet in unit.facets}
        assert facets["selection"] == "agrees"


def test_the_inventory_has_the_models_of_both(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is said to be built twice."""
    monkeypatch.chdir(root)
    outcome = parity(root, "inventory", "--json")

    assert outcome.exit_code == 0, outcome.output
    units = {unit["task_id"]: unit for unit in json.loads(outcome.stdout)["units"]}
    assert units["shop"]["invocations"][0]["models"] == ["model.shop.customers", "model.shop.totals"]
    assert units["crm"]["invocations"][0]["models"] == [
        "model.customers_of_ours.customers",
        "model.customers_of_ours.totals",
    ]
    assert not units["unknown"]["determined"]
