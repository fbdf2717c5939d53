"""What a candidate run begins with: legacy's past, and legacy's version of what the unit does not build."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from dagster import AssetKey

from dagster_defs.adapters.warehouse.duckdb.start import CandidateFile
from dagster_defs.errors import DatabaseLocked, LegacyOutOfReach
from dagster_defs.lifecycle.mirrors import TableOutput
from dagster_defs.parity import Side
from dagster_defs.usecases.shadow.start import CandidateStart, Start, is_built_anew, reads_its_past
from tests.support.fakes import FakeAirflow
from tests.support.instances import instance_for_test
from tests.support.small_dbt import DAYS, NAMES, TOTALS, UPSTREAM, Small

FIRST, SECOND, THIRD = DAYS
TABLES = "select schema_name, table_name from duckdb_tables() where not internal order by all"
VIEWS = "select schema_name, view_name from duckdb_views() where not internal order by all"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    """Legacy has run two days of all units and the third of the upstream one; no candidate has run at all."""
    with instance_for_test() as instance, FakeAirflow() as airflow:
        small = Small.make(tmp_path_factory.mktemp("small"), instance, airflow.url)
        for day in DAYS:
            small.run(UPSTREAM, day)
        for day in (FIRST, SECOND):
            small.run(TOTALS, day)
            small.run(NAMES, day)
        shutil.copytree(small.root / "data", small.root / "kept")
        yield small


@pytest.fixture
def small(built: Small) -> Iterator[Small]:
    """The same data, and an event log that knows nothing yet."""
    shutil.rmtree(built.root / "data")
    shutil.copytree(built.root / "kept", built.root / "data")
    with instance_for_test() as instance:
        yield Small(built.root, instance, built.definitions, built.airflow_url)


def start(small: Small, lower: str = THIRD, *, model: str = "model.small.totals") -> Start:
    """As a candidate run of one model begins."""
    sides = small.workspaces
    nodes = [workspace.manifest["nodes"][model] for workspace in sides]
    output = TableOutput(
        name=nodes[0]["name"], project_dir="", legacy_target="legacy", candidate_target="candidate",
        legacy=nodes[0]["relation_name"], candidate=nodes[1]["relation_name"],
        key=("day",), time_column="day", lower=lower, upper=None,
    )  # fmt: skip
    selected = frozenset({model})
    return CandidateStart("own.totals", *sides, selected, selected, [output], lambda _: None).make(
        small.root / "state"
    )


def test_a_first_candidate_run_stands_on_legacys_past(small: Small) -> None:
    """A model that adds up its own past, and has none, gives in its first candidate run what legacy gives."""
    small.run(TOTALS, THIRD)

    verdict = small.verdict(f"shadow__{TOTALS}", THIRD)

    assert (verdict["verdict"], verdict["legacy rows"], verdict["candidate rows"]) == ("match", 1, 1)
    assert small.query(Side.CANDIDATE, "select total from totals order by day") == [(1,), (3,), (6,)]


def test_nothing_of_the_window_is_copied(small: Small) -> None:
    """Before dbt runs, the candidate has legacy's rows before the window, and not those of it or later."""
    small.run(TOTALS, THIRD)

    start(small, lower=SECOND)

    assert small.query(Side.CANDIDATE, "select day::varchar, total from totals") == [(FIRST, 1)]


def test_what_the_candidate_has_is_left_alone(small: Small) -> None:
    """A candidate that has the table keeps it as it is."""
    small.run(f"shadow__{TOTALS}", THIRD)
    small.execute(Side.CANDIDATE, "update totals set total = 0")

    start(small)

    assert small.query(Side.CANDIDATE, "select distinct total from totals") == [(0,)]


def test_a_unit_in_its_first_window_begins_empty(small: Small) -> None:
    """Where legacy has no rows before the window it began with nothing too: no table is made for the candidate."""
    start(small, lower=FIRST)

    assert ("main", "totals") not in small.query(Side.CANDIDATE, TABLES)


def test_a_window_that_was_copied_is_inconclusive(small: Small) -> None:
    """An earlier window than the first one that the candidate has run is legacy's own rows, and says so."""
    small.run(TOTALS, SECOND)
    small.run(f"shadow__{TOTALS}", THIRD)

    verdict = small.verdict(f"shadow__{TOTALS}", SECOND)

    assert verdict["verdict"] == "inconclusive"
    assert f"began with a copy of legacy's rows before {THIRD}, this window's too" in verdict["reason"]


def test_a_snapshot_is_comparable_from_its_second_window(small: Small) -> None:
    """A snapshot is copied as it is: the window that is in the copy has no verdict, the next one has."""
    small.run(NAMES, SECOND)

    first = small.verdict(f"shadow__{NAMES}", SECOND)
    small.run(NAMES, THIRD)
    second = small.verdict(f"shadow__{NAMES}", THIRD)

    assert first["verdict"] == "inconclusive"
    assert "began with a copy of legacy of " in first["reason"]
    assert "which has this window in it" in first["reason"]
    assert (second["verdict"], second["legacy rows"]) == ("match", 1)


def test_what_the_unit_does_not_build_is_legacys(small: Small) -> None:
    """A unit whose upstream no candidate has ever built runs, on copies of legacy's relations beside its own."""
    small.run(TOTALS, THIRD)

    assert small.run(f"shadow__{TOTALS}", THIRD).success

    tables, views = small.query(Side.CANDIDATE, TABLES), small.query(Side.CANDIDATE, VIEWS)
    assert tables == [
        ("legacy__main", "events"), ("legacy__main", "stg_twice"), ("legacy__parity", "baselines"), ("main", "totals"),
    ]  # fmt: skip
    assert views == [("legacy__main", "stg_events"), ("legacy__main", "stg_later")]


def test_a_candidate_of_the_upstream_changes_nothing(small: Small) -> None:
    """Legacy's version is read even where the candidate has one of its own, which may be wrong."""
    small.run(TOTALS, THIRD)
    small.execute(Side.CANDIDATE, "create table events as select date '2024-01-03' as day, 1000 as n")

    assert small.verdict(f"shadow__{TOTALS}", THIRD)["verdict"] == "match"


def test_a_table_is_copied_again_when_legacy_has_written(small: Small) -> None:
    """A copy stays as long as legacy's file does, and is made anew after any write to it."""
    start(small)
    made = (
        "select table_oid from duckdb_tables() where schema_name = 'legacy__main' and table_name = 'events'"
    )
    before = small.query(Side.CANDIDATE, made)

    start(small)
    assert small.query(Side.CANDIDATE, made) == before

    small.execute(Side.LEGACY, "update events set n = 7 where day = '2024-01-03'")
    start(small)
    assert small.query(Side.CANDIDATE, "select n from legacy__main.events where day = '2024-01-03'") == [(7,)]


def test_nothing_is_left_attached(small: Small) -> None:
    """After the start legacy's file can be written by whoever wants to, and so can the candidate's."""
    start(small)

    for side in Side:
        small.execute(side, "create table mine as select 1")


def test_an_upstream_that_has_changed_is_inconclusive(small: Small) -> None:
    """Where legacy wrote the upstream's window again after its own run, rows that differ are no mismatch."""
    small.run(TOTALS, THIRD)
    small.deliver(THIRD, 100)
    small.run(UPSTREAM, THIRD)

    verdict = small.verdict(f"shadow__{TOTALS}", THIRD)

    assert verdict["verdict"] == "inconclusive"
    assert f"written upstream after legacy's run began: events of {THIRD}" in verdict["reason"]


def test_another_window_of_the_upstream_is_no_excuse(small: Small) -> None:
    """A candidate that is wrong stays a mismatch where legacy has only written other windows of the upstream."""
    small.run(TOTALS, THIRD)
    small.run(UPSTREAM, FIRST)
    small.execute(Side.LEGACY, "update totals set total = 0 where day = '2024-01-03'")

    verdict = small.verdict(f"shadow__{TOTALS}", THIRD)

    assert verdict["verdict"] == "mismatch"
    assert f"of other windows: events of {FIRST}" in verdict["reason"]


def test_an_upstream_that_legacy_does_not_have(small: Small) -> None:
    """Before anything is run, the error names the models that legacy has not built."""
    small.execute(Side.LEGACY, "drop table events")

    with pytest.raises(LegacyOutOfReach, match=r"cannot read events from legacy: there is no such relation"):
        start(small)

    assert small.query(Side.CANDIDATE, TABLES) == []


def test_a_legacy_that_is_being_written(small: Small) -> None:
    """While somebody writes legacy's file the wait is bounded, and the error names the file."""
    credentials = small.workspace(Side.CANDIDATE).credentials
    files = small.file(Side.LEGACY), small.file(Side.CANDIDATE)
    candidate = CandidateFile(*files, credentials, small.root / "dbt", wait_s=0.2)

    with (
        duckdb.connect(str(small.file(Side.LEGACY))),
        candidate as file,
        pytest.raises(DatabaseLocked, match=r"legacy\.duckdb is still locked"),
    ):
        file.attach_legacy()


def test_tests_alone_are_on_the_candidate(small: Small, tmp_path: Path) -> None:
    """A unit that builds nothing reads what other units' candidates have built: nothing is taken from legacy."""
    sides = small.workspaces

    made = CandidateStart("own.tests", *sides, frozenset({"test.small.x"}), (), (), lambda _: None).make(
        tmp_path
    )

    assert made == Start()
    assert not small.file(Side.CANDIDATE).exists()


def test_lineage_says_what_is_read(small: Small) -> None:
    """A shadow is downstream of the real assets that it reads, and of its own unit's shadows."""
    graph = small.definitions.resolve_asset_graph()

    assert graph.get(AssetKey(["shadow", "totals"])).parent_keys == {
        AssetKey("events"), AssetKey("stg_later"), AssetKey("stg_twice"),
    }  # fmt: skip
    assert graph.get(AssetKey(["shadow", "events"])).parent_keys == {AssetKey(["shadow", "stg_events"])}


def test_a_full_refresh_needs_no_past_and_is_compared_as_a_whole(tmp_path: Path) -> None:
    """dbt builds an incremental model anew on both sides, in each run; nothing of legacy's is copied."""
    with instance_for_test() as instance, FakeAirflow() as airflow:
        small = Small.make(tmp_path, instance, airflow.url, anew={"own.totals"})
        for day in (FIRST, SECOND, THIRD):
            small.run(UPSTREAM, day)
            small.run(TOTALS, day)

        verdict = small.verdict(f"shadow__{TOTALS}", THIRD)

        assert (verdict["verdict"], verdict["legacy rows"], verdict["candidate rows"]) == ("match", 1, 1)
        for side in Side:  # the day alone, without the total of the days before it
            assert small.query(side, "select day::varchar, total from totals") == [(THIRD, 3)]
        verdict = small.verdict(f"shadow__{TOTALS}", SECOND)
        assert verdict["verdict"] == "inconclusive"


@pytest.mark.parametrize(
    ("kind", "materialized", "configured", "past", "anew"),
    [
        ("model", "incremental", None, True, True),
        ("model", "incremental", False, True, False),
        ("model", "incremental", True, False, False),
        ("model", "table", None, False, False),
        ("snapshot", "snapshot", None, True, False),
    ],
)
def test_the_models_own_configuration_takes_precedence(
    kind: str, materialized: str, configured: bool | None, past: bool, anew: bool
) -> None:
    """As in dbt's `should_full_refresh`: the option counts only where the model says nothing."""
    node = {"resource_type": kind, "config": {"materialized": materialized, "full_refresh": configured}}

    assert (reads_its_past(node), is_built_anew(node, True), is_built_anew(node, False)) == (
        past,
        anew,
        False,
    )
    assert reads_its_past(node, True) is (past and not anew)
