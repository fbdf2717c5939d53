"""Of several Airflows each reads its marks in a folder of its own, and a mark counts there only."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagster_defs.adapters.store.proxied_state import read_marks, write_mark
from dagster_defs.adapters.store.registry import open_store, store_reader
from dagster_defs.errors import AirflowUnknown, BadAirflows, ProxiedStateUnreadable
from dagster_defs.lifecycle import Unit
from dagster_defs.settings import Settings

BILL, ORDERS, STRAY = Unit("bills", "load"), Unit("orders", "load"), Unit("stray", "load")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "parity.yaml").write_text("airflows: {finance: [bills], shop: [orders]}\n")
    return Settings({"PARITY_PROXIED_STATE": str(tmp_path / "record")}, tmp_path)


def test_a_mark_is_told_to_its_own_airflow(settings: Settings, tmp_path: Path) -> None:
    """The other one's folder, and the ledger's, have no file of the DAG, so a DAG of the same id finds no mark."""
    open_store(settings).mark(BILL, proxied=True)
    open_store(settings).mark(ORDERS, proxied=False)

    record = tmp_path / "record"
    assert read_marks(record / "finance").by_dag.keys() == {"bills"}
    assert read_marks(record / "shop").by_dag.keys() == {"orders"}
    assert not [*record.glob("*.yaml")]
    for marks in (store_reader(settings).marks(), store_reader(settings).marks("bills")):
        assert marks[BILL] is True
    assert dict(store_reader(settings).marks_in_airflow()) == {BILL: True, ORDERS: False}


def test_a_folder_can_be_named(settings: Settings, tmp_path: Path) -> None:
    """As for a project that had one Airflow and keeps that one's folder, which has the ledger."""
    kept = settings.with_variables({"PARITY_PROXIED_STATE_FINANCE": str(tmp_path / "record")})

    open_store(kept).mark(BILL, proxied=True)

    assert read_marks(tmp_path / "record").by_dag.keys() == {"bills"}
    assert store_reader(kept).marks().honoured(BILL)


@pytest.mark.parametrize("place", ["", "shop"], ids=["the-ledgers-folder", "the-other-airflows"])
def test_a_mark_elsewhere_is_in_doubt(settings: Settings, tmp_path: Path, place: str) -> None:
    """Some Airflow may still act on it: it decides nothing, and nobody is taken for the owner."""
    open_store(settings).mark(BILL, proxied=False)
    write_mark(tmp_path / "record" / place, BILL, proxied=True)

    for marks in (store_reader(settings).marks(), store_reader(settings).marks("bills")):
        assert "bills.yaml has marks of it, too" in marks.doubt(BILL)
        with pytest.raises(ProxiedStateUnreadable):
            marks[BILL]
    assert store_reader(settings).marks("orders").doubt(ORDERS) == ""


def test_a_unit_of_no_certain_airflow_has_no_mark(settings: Settings) -> None:
    """It is in doubt, also among all marks, and cannot be written."""
    open_store(settings).mark(BILL, proxied=True)

    for marks in (store_reader(settings).marks(), store_reader(settings).marks("stray")):
        assert "none of finance, shop" in marks.doubt(STRAY)
    with pytest.raises(AirflowUnknown):
        open_store(settings).mark(STRAY, proxied=True)


def test_two_airflows_with_one_folder_are_refused(settings: Settings, tmp_path: Path) -> None:
    """Each would act on the other's marks."""
    shared = settings.with_variables(
        {f"PARITY_PROXIED_STATE_{name}": str(tmp_path / "one") for name in ("FINANCE", "SHOP")}
    )

    with pytest.raises(BadAirflows, match="Name another folder in PARITY_PROXIED_STATE_SHOP"):
        store_reader(shared)
