"""A team of strangers moves a DAG of many kinds, in Berlin, whose dbt reads what a DAG in Kolkata builds.

Four commands, then observed, shadowed, cut over and retired, on a real Airflow, a real Dagster and a real PostgreSQL. A
pod needs a cluster, and the provider that asks one is not among Airflow's packages here: the team's own `PodOperator`
asks a cluster's API by HTTP, and so does the mirror's container by Dagster Pipes. Both ask the tests' own API, which
starts a process for each pod. `SQLExecuteQueryOperator` is the real one, with a hook of the team's own provider.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from dagster_defs.adapters.store.ledger import Ledger
from dagster_defs.lifecycle.ledger import Kind
from dagster_defs.lifecycle.stages import Move
from dagster_defs.parity import Side, Verdict
from dagster_defs.settings import process_environment
from tests.support.tea_house import tea_house
from tests.support.tea_journey import (
    COMPARED,
    NEVER,
    OBSERVED,
    PROXIED,
    SCHEDULED,
    SHADOWED,
    Journey,
    team_edits,
)
from tests.support.tea_orders import DAYS, as_text, lots, orders, read, write

pytestmark = [pytest.mark.journey, pytest.mark.airflow, pytest.mark.timeout(3000)]

UNITS = tuple(sorted(f"sales.{task}" for task in (*COMPARED, *NEVER)))


@pytest.fixture(scope="module")
def journey() -> Iterator[Journey]:
    """The whole way, once for all tests of this module."""
    # Not pytest's own folder, which is closed to others: started by root, PostgreSQL runs as another user.
    with tempfile.TemporaryDirectory(prefix="parity-tea-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with tea_house(Path(folder), print) as house:
            house.move_in()
            with ThreadPoolExecutor(1) as pool:
                airflow = pool.submit(house.start_airflow)
                house.adopt()
                house.declare(team_edits(house), poll_seconds=3)
                house.must("dg", "check", "defs")
                airflow.result()
            house.dagster.start(house.supervisor)
            with house.dagster.instance() as instance:
                journey = Journey(house, instance)
                journey.go()
                yield journey


def test_the_mirrors_agree_with_airflow(journey: Journey) -> None:
    """Nothing differs once the team has said what only it knows; that others read an XCom is all that stays open."""
    open_ = {
        (unit["unit"], facet["facet"], facet["agrees"])
        for unit in journey.verification["units"]
        for facet in unit["facets"]
        if facet["agrees"] != "agrees"
    }

    assert journey.verification["broken"] == []
    assert {unit["unit"] for unit in journey.verification["units"]} == {*UNITS, "auctions.lots"}
    assert open_ == {(f"sales.{task}", "variables", "undetermined") for task in ("check", "decide")}


def test_a_day_in_berlin_is_made_from_two_in_kolkata(
    journey: Journey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The window of the one depends on the windows of the other that it overlaps, on the day that clocks change too."""
    sales, bought = dg.AssetKey("sales"), dg.AssetKey("lots")
    monkeypatch.syspath_prepend(str(journey.house.root))
    with process_environment(journey.house.settings.variables):
        graph = dg.ComponentTree.for_project(journey.house.root).build_defs().resolve_asset_graph()
    days, theirs = (graph.get(key).partitions_def for key in (sales, bought))
    assert days is not None
    assert theirs is not None

    found = graph.get_partition_mapping(sales, bought).get_upstream_mapped_partitions_result_for_partitions(
        days.subset_with_partition_keys([SHADOWED]), days, theirs
    )

    assert list(found.partitions_subset.get_partition_keys()) == ["2024-03-30", "2024-03-31"]


def test_every_verdict_is_a_match(journey: Journey) -> None:
    """Each unit whose candidate may run has one for both days that had one, with rows on both sides."""
    found = {(one.checked.unit.task_id, str(one.partition)): one.checked.check for one in journey.evidence}

    assert found.keys() == {(task, day) for task in COMPARED for day in (SHADOWED, PROXIED)}
    for place, check in found.items():
        assert check.verdict is Verdict.MATCH, (place, check.reason)
        assert check.rows.legacy == check.rows.candidate > 0, place


def test_each_window_has_one_writer(journey: Journey) -> None:
    """Airflow wrote the day before the cutover, Dagster all later ones, and nobody what a branch has skipped."""
    assert {unit["unit"] for unit in journey.windows["units"]} == set(UNITS)
    for unit in journey.windows["units"]:
        skipped = unit["unit"] == "sales.express"
        assert unit["continuous"], unit
        assert days_of(unit["written"]["airflow"]) == ([] if skipped else [SHADOWED]), unit
        assert days_of(unit["written"]["dagster"]) == ([] if skipped else [PROXIED, *SCHEDULED]), unit
        assert days_of(unit["skipped"]) == ([SHADOWED, PROXIED, *SCHEDULED] if skipped else []), unit


def days_of(spans: list[dict[str, Any]]) -> list[str]:
    return [day for day in DAYS if any(span["first"] <= day <= span["last"] for span in spans)]


def test_the_same_way_is_taken_and_the_other_skipped(journey: Journey) -> None:
    """The states of all tasks are the same by Airflow alone, through its proxies, and without it."""
    expected = {task: "skipped" if task == "express" else "success" for task in (*COMPARED, *NEVER)}

    assert journey.states == dict.fromkeys((OBSERVED, SHADOWED, PROXIED), expected)
    for day in SCHEDULED:
        kept = {task: record["state"] for task, record in journey.records(Side.LEGACY, day).items()}
        assert kept == {task: state for task, state in expected.items() if task in kept}
        assert kept.keys() == {*NEVER, "check", "note"}


def test_the_sensor_gave_its_slot_back(journey: Journey) -> None:
    """On each day it found no file at first and was rescheduled, in Airflow and in Dagster."""
    assert journey.rescheduled == set(DAYS)


def test_the_xcoms_are_the_same(journey: Journey) -> None:
    """What a task leaves for others is the same in Airflow, as a candidate, through a proxy and without Airflow."""
    for day in DAYS:
        kilos = [order["kilos"] for order in orders() if order["day"] == day and order["kilos"]]
        expected = {"check": {"orders": len(kilos), "kilos": sum(kilos)}, "decide": "regular"}
        by_airflow = day in (OBSERVED, SHADOWED)

        assert (journey.xcoms[day] if by_airflow else journey.returns(Side.LEGACY, day)) == expected
    assert journey.returns(Side.CANDIDATE, SHADOWED) == {"check": journey.xcoms[SHADOWED]["check"]}


_SOLD = """
select ordered.day, count(*), sum(kilos), sum(kilos * price::decimal(9, 2))
from ordered inner join auctioned on ordered.lot_id = auctioned.lot_id
group by 1 order by 1
"""


def test_the_tables_are_those_of_the_orders(journey: Journey) -> None:
    """Tables and files have each day once, as one pass over all orders gives it, whoever ran the day."""
    root = journey.house.root
    with duckdb.connect() as connection:
        connection.execute(f"attach '{root / 'data' / 'legacy.duckdb'}' as tea (read_only)")
        for name, rows in (("ordered", orders()), ("auctioned", lots())):
            write(root / f"{name}.csv", rows)
            connection.execute(f"create view {name} as from read_csv('{root / name}.csv')")
        booked = connection.execute(
            "select day, count(*), sum(kilos) from ordered group by 1 order by 1"
        ).fetchall()
        sold = connection.execute(_SOLD).fetchall()
        assert (
            connection.execute("select day, orders, kilos, worth from tea.sales order by 1").fetchall()
            == sold
        )

    assert journey.house.books.run("select * from books.booked order by 1", database="tea") == booked
    assert [str(day) for day, *_ in booked] == [*DAYS]
    for day in DAYS:
        of_day = [order for order in orders() if order["day"] == day]
        good = [order for order in of_day if order["kilos"]]
        note = {"day": day, "orders": len(good), "kilos": sum(order["kilos"] for order in good)}
        note["way"] = "regular"
        packed = [{name: order[name] for name in ("day", "lot_id", "kilos")} for order in of_day]
        for name, rows in (("checked", good), ("note", [note]), ("packed", packed)):
            assert read(root / "out" / f"{name}_{day}.csv") == as_text(rows), (name, day)


def test_each_label_was_printed_once(journey: Journey) -> None:
    """Work that nobody may do twice was done once for each window, and never by a candidate."""
    printed = [line.split(",") for line in (journey.house.root / "printer").read_text().splitlines()]

    assert [(day, way) for day, way, *_ in printed] == [(day, "regular") for day in DAYS]


def test_the_ledger_has_the_whole_way(journey: Journey) -> None:
    """Each unit of the DAG went from observed to retired, and no gate was forced; the other DAG stayed Airflow's."""
    histories = Ledger(journey.house.settings.proxied_state).read().histories()

    assert {str(unit) for unit in histories} == set(UNITS)
    for history in histories.values():
        done = [entry.move for entry in history.entries if entry.kind is Kind.DONE]
        assert done == [Move.SHADOW, Move.CUTOVER, Move.RETIRE]
        assert history.forced == ()


def test_no_pod_is_left(journey: Journey) -> None:
    """Each day had its pod on the legacy side, two had one for the candidate, and all of them are gone."""
    assert len(journey.house.cluster.boxes) == len(DAYS) + 2
    assert journey.house.cluster.left == set()
