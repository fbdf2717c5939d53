"""A newcomer's path: a foreign DAGs folder and a foreign dbt project, to definitions that load, by the document."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.support.adopted import adopted, run_in
from tests.support.documents import document, fenced
from tests.support.estate import ROOT

pytestmark = [pytest.mark.journey, pytest.mark.airflow]

FOREIGN = ROOT / "tests" / "journeys" / "foreign"
# The one that runs no dbt, the mapped one, and the one whose selection is a param of a DAG that people start, run as
# they are.
UNITS = {
    "shop_orders.stage": "DbtUnit",
    "shop_orders.marts": "DbtUnit",
    "shop_orders.check": "DbtUnit",
    "shop_orders.ping": "LegacyTask",
    "shop_stock.levels": "DbtUnit",
    "shop_stock.each": "LegacyTask",
    "shop_repair.repair": "LegacyTask",
}
Run = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return adopted(tmp_path_factory.mktemp("clone"), FOREIGN)


@pytest.fixture(scope="module")
def run(clone: Path) -> Run:
    """A command of the document, in the clone; `python` is Airflow's, as the document says."""
    return lambda line: run_in(clone, shlex.split(line), SHOP_DATA=str(clone))


def commands() -> list[str]:
    [block] = fenced(document("docs/adopting.md").section("## In four commands"), "console")
    return [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]


def test_four_commands_are_enough(run: Run, clone: Path) -> None:
    """The four commands of docs/adopting.md succeed one after the other, and what they load is the foreign estate."""
    assert len(commands()) == 4
    said = {}
    for line in commands():
        done = run(line)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        said[line] = done.stdout

    defs = clone / "dagster_defs" / "defs"
    documents = [
        mirror for file in sorted(defs.rglob("defs.yaml")) for mirror in yaml.safe_load_all(file.read_text())
    ]
    units = {mirror["attributes"]["unit"]: mirror["type"].rpartition(".")[2] for mirror in documents}
    assert units == UNITS
    assert " 0 differs" in said[commands()[-1]]
    verified = json.loads(run(f"{commands()[-1]} --json").stdout)["units"]
    facets = {unit["unit"]: {facet["facet"]: facet for facet in unit["facets"]} for unit in verified}
    assert facets.keys() == units.keys()
    for unit, found in facets.items():
        assert found["windows"]["agrees"] == "agrees", unit
        assert (found["windows"]["compared"] > 0) is (unit != "shop_repair.repair"), unit
        assert units[unit] == "LegacyTask" or found["selection"]["agrees"] == "agrees", unit
    assert any(found["variables"]["compared"] > 0 for found in facets.values())
    assert "GAP: shop_repair.repair" in (defs / "shop_repair" / "defs.yaml").read_text()
