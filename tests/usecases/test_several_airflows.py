"""With several Airflows, a move asks the one that has the unit, and makes sure that no other has its DAG."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from dagster_defs.adapters.airflow.address import AirflowAddress
from dagster_defs.adapters.files.airflows import settings_of_dag
from dagster_defs.errors import AirflowFault, AirflowWithoutAddress, BadAirflows, DagInTwoAirflows
from dagster_defs.lifecycle import Owner, Unit
from dagster_defs.settings import Settings
from dagster_defs.usecases.move.live import LiveReaders
from dagster_defs.usecases.move.orchestrators import LiveOrchestrators
from tests.support.fake_dagster import FakeDagster, Job
from tests.support.fakes import FakeAirflow

BILL, ORDERS = Unit("bills", "load"), Unit("orders", "load")
NOW = datetime(2024, 3, 12, tzinfo=timezone.utc)


@pytest.fixture
def finance() -> Iterator[FakeAirflow]:
    with FakeAirflow("fin", "secret of finance") as airflow:
        airflow.only = {"bills", "cleanup"}
        yield airflow


@pytest.fixture
def shop() -> Iterator[FakeAirflow]:
    with FakeAirflow("shop", "secret of shop") as airflow:
        airflow.only = {"orders", "cleanup"}
        yield airflow


@pytest.fixture
def settings(
    tmp_path: Path, finance: FakeAirflow, shop: FakeAirflow, dagster_server: FakeDagster
) -> Settings:
    dagster_server.jobs = [Job("bills__load"), Job("orders__load")]
    (tmp_path / "parity.yaml").write_text("airflows: {finance: [bills], shop: [orders]}\n")
    variables = {
        "AIRFLOW_URL_FINANCE": finance.url,
        "AIRFLOW_USER_FINANCE": "fin",
        "AIRFLOW_PASSWORD_FINANCE": "secret of finance",
        "AIRFLOW_URL_SHOP": shop.url,
        "AIRFLOW_USER_SHOP": "shop",
        "AIRFLOW_PASSWORD_SHOP": "secret of shop",
        "DAGSTER_URL": dagster_server.url,
    }
    return Settings(variables, tmp_path)


def world(settings: Settings, unit: Unit) -> LiveOrchestrators:
    return LiveOrchestrators.of(settings_of_dag(settings, unit.dag_id))


def test_each_unit_is_asked_about_where_it_runs(
    settings: Settings, finance: FakeAirflow, shop: FakeAirflow
) -> None:
    """With that Airflow's own user; of the other one it is only asked whether it has the DAG."""
    facts = {unit: LiveReaders(settings).live(unit, NOW) for unit in (BILL, ORDERS)}

    assert [live.airflow for live in facts.values()] == ["", ""]
    asked = {name: {line for line in one.requests if "orders" in line} for name, one in
             {"finance": finance, "shop": shop}.items()}  # fmt: skip
    assert asked["finance"] == {"GET /api/v1/dags/orders"}
    # Its task instances are asked for in the body; as it has none, it has to say that it has the DAG.
    assert asked["shop"] == {"GET /api/v1/dags/orders"}
    assert any("taskInstances" in line for line in shop.requests)


def test_a_dag_that_both_have_closes_the_gate(settings: Settings, finance: FakeAirflow) -> None:
    """Whatever was last seen: the answer is of now."""
    finance.only = {"bills", "orders"}

    live = LiveReaders(settings).live(ORDERS, NOW)

    assert live.airflow == f"the Airflow at {finance.url} has a DAG orders, too: rename one of them"


def test_a_dag_that_both_have_is_not_given_to_dagster(
    settings: Settings, finance: FakeAirflow, tmp_path: Path
) -> None:
    """Not even by a forced move; the way back to Airflow stays open."""
    finance.only = {"bills", "orders"}
    moved = world(settings, ORDERS)

    with pytest.raises(DagInTwoAirflows, match="DAG orders could be that of"):
        moved.mark(ORDERS, Owner.DAGSTER)
    assert moved.marked(ORDERS) is False
    moved.mark(ORDERS, Owner.AIRFLOW)
    assert (tmp_path / "proxied_state" / "shop" / "orders.yaml").exists()


def test_an_airflow_that_does_not_say_keeps_the_task_where_it_is(
    settings: Settings, finance: FakeAirflow
) -> None:
    """No answer is not the answer that it has no such DAG."""
    moved = world(settings.with_variables({"AIRFLOW_PASSWORD_FINANCE": "wrong"}), ORDERS)

    with pytest.raises(AirflowFault):
        moved.mark(ORDERS, Owner.DAGSTER)
    assert moved.marked(ORDERS) is False


def test_a_parked_dag_is_not_there(
    settings: Settings, finance: FakeAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow keeps the row of a DAG whose file is gone, as inactive: it may move to another Airflow."""
    finance.only = {"bills", "orders"}
    served = finance._dag
    monkeypatch.setattr(finance, "_dag", lambda dag_id: {**served(dag_id), "is_active": False})

    world(settings, ORDERS).mark(ORDERS, Owner.DAGSTER)

    assert world(settings, ORDERS).marked(ORDERS) is True


def test_one_airflows_address_is_never_anothers(settings: Settings) -> None:
    """Neither AIRFLOW_URL nor the default stands in for a variable that is missing, and a question has an addressee."""
    lacking = settings.with_variables({"AIRFLOW_URL": "http://elsewhere.example", "AIRFLOW_URL_SHOP": ""})

    with pytest.raises(AirflowWithoutAddress, match="AIRFLOW_URL_SHOP: it is not set"):
        AirflowAddress.of(settings_of_dag(lacking, "orders"))
    with pytest.raises(BadAirflows):
        AirflowAddress.of(settings)
    assert "AIRFLOW_URL_SHOP" in LiveReaders(lacking).live(ORDERS, NOW).airflow


def test_a_unit_of_no_listed_airflow_has_no_live_facts(settings: Settings) -> None:
    """The gate of Airflow names the reason, and no server is asked."""
    assert "none of finance, shop" in LiveReaders(settings).live(Unit("stray", "load"), NOW).airflow
