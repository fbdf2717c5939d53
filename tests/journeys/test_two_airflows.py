"""Two real Airflows, one Dagster: each department's unit is observed, handed over and given back where it runs.

Both are Airflow 2.11, and then one of them is Airflow 3.3, whose days are ticks.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import dagster as dg
import pytest

from dagster_defs.lifecycle import tags
from tests.support.departments import DAGS, Departments, departments

pytestmark = [pytest.mark.journey, pytest.mark.airflow, pytest.mark.timeout(2400)]

FIRST, SECOND, THIRD, FOURTH = "2024-03-01", "2024-03-02", "2024-03-03", "2024-03-04"


@pytest.fixture(scope="module", params=["", "shop"], ids=["both 2.11", "shop 3.3"])
def office(request: pytest.FixtureRequest) -> Iterator[Departments]:
    # Not pytest's own folder, which is closed to others: started by root, PostgreSQL runs as another user.
    with tempfile.TemporaryDirectory(prefix="parity-offices-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with departments(Path(folder), print, request.param) as office:
            office.move_in()
            office.must("dg", "check", "defs")
            office.start()
            yield office


def test_each_is_observed_by_its_own_sensor(office: Departments) -> None:
    """The day that each Airflow has run stands at its own unit, and at no other."""
    for name in DAGS:
        office.run_a_day(name, FIRST)

    with office.dagster.instance() as instance:
        for dag_id in DAGS.values():
            key = dg.AssetKey([dag_id, "load"])
            office.wait(f"the observation of {dag_id}", partial(_is_seen, instance, key))
            assert instance.get_materialized_partitions(key) == {FIRST}
    assert [office.loaded(name) for name in DAGS] == [[f"{FIRST} airflow"]] * 2


def test_a_move_of_one_is_obeyed_by_its_own_airflow(office: Departments) -> None:
    """The other goes on as before; each day is loaded once."""
    office.hand_over("bills.load")

    for name in DAGS:
        office.run_a_day(name, SECOND)
    assert office.loaded("finance") == [f"{FIRST} airflow", f"{SECOND} dagster"]
    assert office.loaded("shop") == [f"{FIRST} airflow", f"{SECOND} airflow"]
    assert office.note("finance", SECOND).startswith("Dagster has run this: http")


def test_the_other_one_moves_and_the_first_goes_back(office: Departments) -> None:
    """At the next task each is whose the record says."""
    office.must("parity", "rollback", "bills.load", "--reason", "the quarter ends", "--apply")
    office.hand_over("orders.load")

    for name in DAGS:
        office.run_a_day(name, THIRD)
    assert office.loaded("finance")[2:] == [f"{THIRD} airflow"]
    assert office.loaded("shop")[2:] == [f"{THIRD} dagster"]


def test_a_task_that_a_person_fails_ends_its_run(office: Departments) -> None:
    """Airflow tells the task to end, and the task tells Dagster: the day is not loaded."""
    slow, began = office.place / "slow", office.place / "began"
    slow.touch()
    run = office.trigger("shop", FOURTH)
    office.wait("Dagster's run", began.exists)

    office.fail("shop", run)

    with office.dagster.instance() as instance:
        of_unit = dg.RunsFilter(tags={tags.UNIT: "orders.load", tags.PARTITION: FOURTH})

        def status() -> dg.DagsterRunStatus:
            [found] = instance.get_runs(of_unit)
            return found.status

        office.wait("its end", lambda: status() is dg.DagsterRunStatus.CANCELED)
    slow.unlink()
    assert [line for line in office.loaded("shop") if FOURTH in line] == []


def test_a_dag_that_both_have_is_given_to_nobody(office: Departments) -> None:
    """A copy of the unit's DAG arrives at the other department: the cutover is refused, whatever was loaded before."""
    dags = office.airflows["shop"].dags_folder
    (dags / "bills.py").write_text((office.airflows["finance"].dags_folder / "bills.py").read_text())
    office.apis["shop"].parse_soon("orders")
    office.wait("the copy", lambda: office.apis["shop"].has_dag("bills"))

    refused = office.run(
        "parity", "cutover", "bills.load", "--apply", "--force", "--reason", "must not happen"
    )

    assert refused.returncode != 0
    assert f"the Airflow at {office.airflows['shop'].address.url} has a DAG bills, too" in refused.stderr
    assert (office.place / "record" / "shop" / "bills.yaml").exists() is False


def _is_seen(instance: dg.DagsterInstance, key: dg.AssetKey) -> bool:
    return bool(instance.get_materialized_partitions(key))
