"""A unit whose dbt is an executable: its assets and checks, its candidate, and what a missing one breaks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_defs.parity import Side
from tests.components.conftest import Project
from tests.support.fakes import FakeAirflow
from tests.support.instances import instance_for_test
from tests.support.small_dbt import DAYS, TOTALS, UPSTREAM, Small

FIRST, SECOND, _ = DAYS
TESTS = """
models:
  - {name: events, columns: [{name: n, data_tests: [not_null, {accepted_values: {values: [1]}}]}]}
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    """All units by a wrapper that lies in the Dagster project."""
    root = tmp_path_factory.mktemp("small")
    (root / "tools").mkdir()
    wrapper = root / "tools" / "dbt.sh"
    wrapper.write_text(f'#!/bin/sh\n"{Path(sys.executable).parent}/dbt" "$@"\n')
    wrapper.chmod(0o755)
    with instance_for_test() as instance, FakeAirflow() as airflow:
        yield Small.make(
            root,
            instance,
            airflow.url,
            executable="tools/dbt.sh",
            files={"models/schema.yml": TESTS},
        )


def test_both_sides_run_by_the_executable(small: Small) -> None:
    """Assets have row counts and durations, tests are checks, and a candidate that stands on legacy's past matches."""
    ran = small.run(UPSTREAM, FIRST)

    facts = {
        event.asset_key.to_user_string(): event.step_materialization_data.materialization.metadata
        for event in ran.get_asset_materialization_events()
        if event.asset_key
    }
    assert facts.keys() == {"stg_events", "stg_later", "stg_twice", "events", "names"}
    assert (facts["events"]["dagster/row_count"].value, "dagster/row_count" in facts["stg_events"]) == (
        1,
        False,
    )
    schema: Any = facts["stg_events"]["dagster/column_schema"].value
    types = {each.name: each.type for each in schema.columns}
    assert types == {"day": "DATE", "n": "INTEGER"}
    assert all("Execution Duration" in each and each["vars/min"].value == FIRST for each in facts.values())
    checks = {each.check_name: each.passed for each in ran.get_asset_check_evaluations()}
    assert checks == {"not_null_events_n": True, "accepted_values_events_n__1": True}

    small.run(TOTALS, FIRST)
    failed = small.run(UPSTREAM, SECOND, must_succeed=False)
    checks = {each.check_name: each.passed for each in failed.get_asset_check_evaluations()}
    assert checks == {"not_null_events_n": True, "accepted_values_events_n__1": False}

    small.run(TOTALS, SECOND)
    verdict = small.verdict(f"shadow__{TOTALS}", SECOND)

    assert (verdict["verdict"], verdict["legacy rows"], verdict["candidate rows"]) == ("match", 1, 1)
    assert small.query(Side.CANDIDATE, "select total from totals order by day") == [(1,), (3,)]


def test_a_missing_executable_breaks_its_units_only(project: Project, dbt_unit: Any) -> None:
    """The unit that names it says why, and how to mend it; the others load."""
    project.declare(
        "own",
        dbt_unit(unit="own.zones", select="tag:zones"),
        dbt_unit(unit="own.other", select="tag:daily", dbt={"executable": "tools/no-dbt"}),
    )

    graph = project.load().resolve_asset_graph()

    assert dg.AssetKey("stg_zones") in graph.get_all_asset_keys()
    stand_in = graph.get(dg.AssetKey(["broken_units", "own", "other"]))
    said = " ".join((stand_in.description or "").split())
    assert f"cannot run dbt by {project.estate.root}/tools/no-dbt: there is no such file." in said
    assert "Name a dbt 1.8 or later in the YAML: dbt: {executable: …}" in said
