"""`parity verify` and the facets in `parity status`, on the taxi estate and what Airflow says about it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dagster_defs.lifecycle.settings import FACETS
from tests.support.estate import Estate, copy_project, export_inventory

pytestmark = pytest.mark.airflow

UNIT = "taxi_daily.dbt_daily"


@pytest.fixture(scope="module")
def inventory(estate: Estate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A week of the estate, over a clock change, from an Airflow with the data folder that Dagster has."""
    file = tmp_path_factory.mktemp("inventory") / "inventory.json"
    return export_inventory(file, "2024-03-06", "2024-03-12", TAXI_DATA_DIR=str(estate.data_dir))


@pytest.fixture(scope="module")
def verified(estate: Estate, inventory: Path) -> subprocess.CompletedProcess[str]:
    return estate.parity("verify", "--inventory", str(inventory), "--json")


def units(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    document = json.loads(done.stdout)
    return {unit["unit"]: {facet["facet"]: facet for facet in unit["facets"]} for unit in document["units"]}


def test_the_estate_does_not_differ(verified: subprocess.CompletedProcess[str]) -> None:
    """Nothing of any unit differs from Airflow; all but its order and its environment is known; exit code 0."""
    assert verified.returncode == 0, verified.stdout + verified.stderr
    found = units(verified)
    assert UNIT in found
    for unit, facets in found.items():
        for facet in facets.values():
            assert facet["agrees"] != "differs", (unit, facet)
        told = ({*FACETS[FACETS.index("retries") :], "selection"}) - {"environment", "runtime"}
        assert {facets[name]["agrees"] for name in told} == {"agrees"}, unit
        # The data folder is what Airflow's own environment says, and the exporter masks all that is in it.
        assert facets["environment"]["legacy"] in ("none", "TAXI_DATA_DIR=***"), unit
        assert (facets["environment"]["agrees"] == "agrees") == (facets["environment"]["legacy"] == "none"), (
            unit
        )
        # Nobody has said which dbt Airflow runs; a function runs none.
        assert (facets["runtime"]["legacy"], facets["runtime"]["agrees"]) in (
            ("no dbt", "agrees"),
            ("not known", "undetermined"),
        ), unit
    assert re.match(r"dbt 1\.\d+\.\d+, duckdb 1\.\d+\.\d+, no packages", found[UNIT]["runtime"]["mirror"])
    # Every window of the week, and those of which the export has the rendered command.
    for name, compared in {"windows": 7, "variables": 3}.items():
        assert (found[UNIT][name]["agrees"], found[UNIT][name]["compared"]) == ("agrees", compared)


@pytest.mark.parametrize(
    ("facet", "message", "instead"),
    [
        pytest.param("windows", 'cron: "0 6 * * *"', 'cron: "0 7 * * *"', id="an hour later"),
        pytest.param("retries", "  retries: 2\n", "", id="no retries"),
        pytest.param("timeout", "timeout: 1200", "timeout: 600", id="half the time-out"),
        pytest.param("sla", "retries: 2", "retries: 2\n  sla: 3600", id="an SLA of its own"),
        pytest.param("catchup", "catchup: true", "catchup: false", id="the newest window only"),
        pytest.param(
            "max_active_runs", "    max_active_runs: 1\n", "", id="Airflow's default number of runs"
        ),
        pytest.param("depends_on_past", "retries: 2", "retries: 2\n  depends_on_past: true", id="in order"),
        pytest.param("callbacks", "  on_failure: include.alerts.report_failure\n", "", id="nobody is told"),
    ],
)
def test_one_changed_line_is_one_difference(
    estate: Estate, inventory: Path, tmp_path: Path, facet: str, message: str, instead: str
) -> None:
    """A mirror that says something else than the DAG differs in that: exit code 3, and a line that says in what."""
    own = Estate(copy_project(tmp_path / "own"), estate.instance)
    file = own.root / "dagster_defs" / "defs" / "taxi_daily" / "defs.yaml"
    assert message in file.read_text()
    file.write_text(file.read_text().replace(message, instead))

    done = own.parity("verify", UNIT, "--inventory", str(inventory))

    assert done.returncode == 3, done.stdout + done.stderr
    [line] = [line for line in done.stdout.splitlines() if line.startswith("differs ")]
    assert line.startswith(f"differs {UNIT}, {facet}: ")


def test_the_status_has_the_facets(estate: Estate, inventory: Path) -> None:
    """With an inventory `parity status` counts the facets of each unit that agree."""
    done = estate.parity("status", "--json", PARITY_INVENTORY=str(inventory))

    found = {unit["unit"]: unit["facets"] for unit in json.loads(done.stdout)["units"]}
    assert found[UNIT] == "12/14 (2 undetermined)"


def test_without_an_inventory_nothing_is_compared(estate: Estate) -> None:
    """Without an inventory the command says how to get one, and exits 2."""
    done = estate.parity("verify")

    assert done.returncode == 2
    assert "inventory.py" in done.stderr


def test_an_unknown_unit_is_refused(estate: Estate, inventory: Path) -> None:
    """A unit that nothing mirrors is no success: exit code 2."""
    assert estate.parity("verify", "taxi_daily.nothing", "--inventory", str(inventory)).returncode == 2
