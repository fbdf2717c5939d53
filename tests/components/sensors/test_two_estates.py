"""Two AirflowEstates in one project: each observes its own Airflow, and none takes the other's DAG for its own."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pendulum
import pytest
from dagster.components.core.component_tree import ComponentTreeException

from dagster_defs.components.units.broken_unit import BROKEN
from dagster_defs.errors import BadAirflows
from tests.components.conftest import Project
from tests.support.estate import Estate
from tests.support.fakes import FakeAirflow
from tests.support.instances import instance_for_test
from tests.support.observing import Observer, materialized

NOW = pendulum.datetime(2026, 6, 1, 12)
DAY = ("2024-03-02T00:00:00+00:00", "2024-03-03T00:00:00+00:00")
LISTED = "airflows: {finance: [bills], shop: [orders]}\n"


@pytest.fixture
def finance() -> Iterator[FakeAirflow]:
    with FakeAirflow() as airflow:
        yield airflow


@pytest.fixture
def shop() -> Iterator[FakeAirflow]:
    with FakeAirflow() as airflow:
        yield airflow


@pytest.fixture
def place(
    tmp_path: Path, finance: FakeAirflow, shop: FakeAirflow, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Project]:
    (tmp_path / "parity.yaml").write_text(LISTED)
    settings = '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "own"\n'
    (tmp_path / "pyproject.toml").write_text(f'{settings}defs_module = "own_defs"\n')
    # Dagster imports the package to learn where its state lies.
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_defs", raising=False)
    variables = {"PARITY_PROXIED_STATE": str(tmp_path / "record")}
    for name, airflow in (("FINANCE", finance), ("SHOP", shop)):
        variables |= {
            f"AIRFLOW_URL_{name}": airflow.url,
            f"AIRFLOW_USER_{name}": "admin",
            f"AIRFLOW_PASSWORD_{name}": "admin",
        }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("dagster_defs.components.sensors.airflow_sensor.pendulum.now", lambda *_: NOW)
    with instance_for_test() as instance:
        project = Project(Estate(tmp_path, instance, more_settings=variables))
        project.declare("money", ("AirflowEstate", {"name": "finance"}), unit("bills.load"))
        project.declare("goods", ("AirflowEstate", {"name": "shop"}), unit("orders.load"))
        yield project


def unit(name: str) -> tuple[str, dict[str, Any]]:
    return "CommandUnit", {
        "unit": name,
        "schedule": {"cron": "@daily", "start": "2024-03-01"},
        "command": "true",
        "shadow": "never",
        "because": "it sends a mail",
        "outputs": {"none": True, "because": "it sends a mail"},
    }


def observers(place: Project) -> dict[str, Observer]:
    place.load()
    return {
        name: Observer(place.estate, place.estate.instance, sensor=f"{name}_observer")
        for name in ("finance", "shop")
    }


def seen(root: Path, airflow: str, dag_ids: list[str]) -> None:
    """As `dg utils refresh-defs-state` leaves it."""
    from dagster_defs.adapters.dagster.last_seen import last_seen_files
    from dagster_defs.settings import Settings

    file = last_seen_files(Settings({}, root))[airflow]
    file.parent.mkdir(parents=True, exist_ok=True)
    dag = {"info": {}, "url": "http://a.example", "source": "", "tasks": {"load": {}}}
    file.write_text(json.dumps(dict.fromkeys(dag_ids, dag)))


def finish(airflow: FakeAirflow, dag_id: str) -> None:
    run = airflow.add_run(dag_id, "scheduled__2024-03-02T00:00:00+00:00", *DAY)
    airflow.finish(dag_id, "load", run, NOW.subtract(minutes=1))


def test_each_estate_observes_its_own_airflow(
    place: Project, finance: FakeAirflow, shop: FakeAirflow
) -> None:
    """A task that ends in one of them is told by that estate's sensor, and by no other."""
    finish(finance, "bills")
    finish(shop, "orders")

    told = {name: materialized(observer.tick()) for name, observer in observers(place).items()}

    assert told == {"finance": {("bills/load", "2024-03-02")}, "shop": {("orders/load", "2024-03-02")}}


def test_the_same_dag_id_in_the_other_airflow_is_not_the_unit(
    place: Project, finance: FakeAirflow, shop: FakeAirflow
) -> None:
    """Neither before anybody has looked at what the Airflows contain nor afterwards is its run taken for the unit's."""
    finish(finance, "orders")
    assert {name: observer.tick() for name, observer in observers(place).items()} == {
        "finance": [],
        "shop": [],
    }

    seen(place.estate.root, "finance", ["bills", "orders"])
    after = observers(place)

    assert {name: observer.tick() for name, observer in after.items()} == {"finance": [], "shop": []}


def test_a_unit_whose_dag_both_airflows_have_is_broken(place: Project) -> None:
    """It alone: its stand-in says why, here and for the commands, and the other estate's unit is as before."""
    seen(place.estate.root, "finance", ["bills", "orders"])

    definitions = place.load()

    [fault] = [spec for spec in definitions.resolve_all_asset_specs() if spec.key.path[0] == BROKEN]
    assert fault.key.path[1:] == ["orders", "load"]
    assert "could be that of shop or finance: finance has one, too" in str(fault.description)
    assert definitions.resolve_job_def("bills__load")


def test_a_dag_that_no_airflow_lists_breaks_its_unit(place: Project) -> None:
    """No Airflow is guessed for it."""
    place.declare("stray", unit("stray.load"))

    definitions = place.load()

    [fault] = [spec for spec in definitions.resolve_all_asset_specs() if spec.key.path[0] == BROKEN]
    assert "parity.yaml lists it for none of finance, shop" in str(fault.description)


def test_an_unmirrored_dag_may_be_in_both(place: Project) -> None:
    """Its assets have each estate's name, and nothing is broken."""
    for airflow in ("finance", "shop"):
        seen(place.estate.root, airflow, ["cleanup"])

    keys = {spec.key.to_user_string() for spec in place.load().resolve_all_asset_specs()}

    assert {"finance/cleanup", "shop/cleanup", "finance/cleanup/load", "shop/cleanup/load"} <= keys
    assert not any(key.startswith(BROKEN) for key in keys)


@pytest.mark.parametrize(
    ("listed", "names", "reason"),
    [
        ("{}\n", ("finance", "shop"), "2 AirflowEstates .finance, shop., and parity.yaml does not say"),
        (LISTED, ("finance", "airflow"), "the AirflowEstate airflow is none of those in parity.yaml"),
    ],
    ids=["not-listed", "another-name"],
)
def test_estates_that_cannot_be_told_apart_do_not_load(
    place: Project, listed: str, names: tuple[str, str], reason: str
) -> None:
    """Each would observe one Airflow for the other. Two of one name are Dagster's own error."""
    (place.estate.root / "parity.yaml").write_text(listed)
    for folder, name in zip(("money", "goods"), names, strict=True):
        place.declare(folder, ("AirflowEstate", {"name": name}))

    with pytest.raises(ComponentTreeException) as raised:
        place.load()
    [fault] = [error for error in causes(raised.value) if isinstance(error, BadAirflows)]
    assert re.search(reason, str(fault))


def causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
