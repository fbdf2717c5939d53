"""Which of several Airflows has a DAG: the one that parity.yaml names for it, and never one that was guessed."""

from __future__ import annotations

import pytest

from dagster_defs.errors import AirflowUnknown, DagInTwoAirflows
from dagster_defs.lifecycle.airflows import ONE_AIRFLOW, Airflows

TWO = Airflows({"finance": ("invoices", "ledger_*"), "shop": ("shop_*", "orders")})


def test_a_dag_belongs_to_the_airflow_that_lists_it() -> None:
    """By its id, or by a glob."""
    assert [TWO.of(dag_id) for dag_id in ("invoices", "ledger_daily", "shop_", "orders")] == [
        "finance",
        "finance",
        "shop",
        "shop",
    ]


def test_a_dag_that_none_lists_is_nobodys() -> None:
    """It is refused, with the names to choose from, even if only one Airflow is listed."""
    with pytest.raises(AirflowUnknown, match="none of finance, shop"):
        TWO.of("Orders")
    with pytest.raises(AirflowUnknown):
        Airflows({"shop": ("orders",)}).of("invoices")


def test_a_dag_that_two_list_is_nobodys() -> None:
    """An id does not outdo a glob: whoever wrote both may have meant either."""
    with pytest.raises(DagInTwoAirflows, match="finance or shop"):
        Airflows({"finance": ("*",), "shop": ("orders",)}).of("orders")


def test_one_airflow_has_every_dag() -> None:
    """A project that lists none has one, without a name."""
    assert (ONE_AIRFLOW.of("anything"), ONE_AIRFLOW.names) == ("", ("",))
    assert ONE_AIRFLOW.may_be_in("anything", "")
    assert ONE_AIRFLOW.has("", "anything")
    assert ONE_AIRFLOW.misplaced(["anything"], {"": ["anything"]}) == {}


def test_an_unlisted_dag_may_be_in_either() -> None:
    """It is shown where it was seen; a listed one only in its own."""
    assert [TWO.may_be_in("cleanup", name) for name in TWO.names] == [True, True]
    assert [TWO.may_be_in("orders", name) for name in TWO.names] == [False, True]
    assert [TWO.has(name, "cleanup") for name in TWO.names] == [False, False]
    assert [TWO.has(name, "orders") for name in TWO.names] == [False, True]


@pytest.mark.parametrize(
    ("seen", "bad"),
    [
        ({}, set()),
        ({"finance": ["invoices", "cleanup"], "shop": ["orders", "cleanup"]}, set()),
        ({"finance": ["invoices", "orders"], "shop": ["orders"]}, {"orders"}),
        ({"finance": ["orders"]}, {"orders"}),
    ],
    ids=["never-looked", "apart", "both", "only-the-other"],
)
def test_an_id_that_another_airflow_has_too_is_refused(seen: dict[str, list[str]], bad: set[str]) -> None:
    """What another Airflow was last seen to have decides, whether or not the DAG's own was looked at. A DAG that nobody
    mirrors may be in both."""
    faults = TWO.misplaced(["invoices", "orders", "unlisted"], seen)

    assert faults.keys() == {*bad, "unlisted"}
    assert all(isinstance(faults[dag_id], DagInTwoAirflows) for dag_id in bad)
    assert isinstance(faults["unlisted"], AirflowUnknown)
