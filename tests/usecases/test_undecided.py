"""Which tasks decide in Airflow alone whether a unit runs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.mirrors import Declared, Mirror
from dagster_defs.usecases.inventory import read_inventory
from dagster_defs.usecases.move.facts import undecided
from tests.support.scaffolded import dag, task

LOOK, WORK = Unit("orders", "look"), Unit("orders", "work")


@dataclass
class Declaring:
    """As much of a mirror as says whether Airflow's engine is asked."""

    itself: bool = False
    asks: bool = False

    def declared(self) -> Declared:
        return Declared(
            runs="", nodes=None, variables=cast("Any", None), event_times=None, reads=frozenset(), writes=frozenset(),
            retries=0, retry_delay=0, pool=None, timeout=None, sla=None, catchup=True, max_active_runs=1,
            depends_on_past=False, operator_itself=self.itself, asks_rules=self.asks,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("look", "work", "found"),
    [
        (Declaring(itself=True), Declaring(), ("look",)),
        (Declaring(itself=True), Declaring(asks=True), ()),
        (Declaring(itself=True), Declaring(itself=True), ()),
        (Declaring(), Declaring(asks=True), ("look",)),
        (Declaring(asks=True), Declaring(asks=True), ("look",)),
    ],
)
def test_a_unit_below_a_branch_asks_what_dagster_keeps(
    tmp_path: Path, look: Declaring, work: Declaring, found: tuple[str, ...]
) -> None:
    """Only the operator itself leaves in Dagster what it has decided, also where it is not among the moved units."""
    short = "airflow.operators.python.ShortCircuitOperator"
    tasks = (task("look", "", operator=short), task("work", "true", upstream=["look"]))
    document = {
        "schema": "parity/inventory/1", "complete": True, "airflow_version": "2.11.2", "import_errors": [],
        "dags": [dag("orders", *tasks)],
    }  # fmt: skip
    file = tmp_path / "inventory.json"
    file.write_text(json.dumps(document))
    inventory = read_inventory(file, file.with_name("parity.yaml"))
    mirrors = cast("dict[Unit, Mirror]", {LOOK: look, WORK: work})

    assert undecided(inventory, mirrors, [WORK]) == ({WORK: found} if found else {})
