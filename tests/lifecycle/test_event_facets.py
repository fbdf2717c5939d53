"""What `parity verify` says about the start of a DAG without a clock."""

from __future__ import annotations

import pytest

from dagster_defs.inventory.document import Dag
from dagster_defs.lifecycle.agreement import Agreement
from dagster_defs.lifecycle.event_facets import event_facet
from dagster_defs.lifecycle.starters import Condition, Starters
from dagster_defs.windows import EventKind, EventSchedule
from tests.inventory.test_triggers import WORK, fed

CONDITION = {"any": ["s3://a", {"all": ["s3://b"]}]}


@pytest.mark.parametrize(
    ("addresses", "agrees"), [(("s3://a", "s3://b"), Agreement.AGREES), (("s3://a",), Agreement.DIFFERS)]
)
def test_a_dataset_that_the_mirror_does_not_know_differs(
    addresses: tuple[str, ...], agrees: Agreement
) -> None:
    """Its events would start nothing; the facet names it."""
    dag = Dag("down", fed(CONDITION), "UTC", (WORK,))
    starters = Starters(condition=Condition(False, addresses))
    facet = event_facet(dag, EventSchedule(EventKind.DATASETS), starters)

    assert facet.agrees is agrees
    assert ("s3://b starts it in Airflow" in facet.detail) is (agrees is Agreement.DIFFERS)
