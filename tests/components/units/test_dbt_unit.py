"""Dbt units as somebody declares them in YAML."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dagster as dg
from dagster import AssetKey, BackfillPolicy

from dagster_defs.parity import Side
from tests.components.conftest import Project
from tests.support.estate import ONE_TRY

Declared = Callable[..., tuple[str, dict[str, Any]]]

DAY = ("2024-03-09", "2024-03-09")
NEW_MODEL = """{{ config(materialized='table', tags=['daily']) }}
select borough, count(*) as zones from {{ ref('stg_zones') }} group by borough
"""


def keys(definitions: dg.Definitions) -> set[str]:
    return {key.to_user_string() for key in definitions.resolve_asset_graph().get_all_asset_keys()}


def owner_of(definitions: dg.Definitions, key: str) -> list[str]:
    """The ops that define the asset; a key that is defined twice does not even load."""
    wanted = AssetKey(key.split("/"))
    found = definitions.resolve_asset_graph().assets_defs
    return [assets.node_def.name for assets in found if assets.is_executable and wanted in assets.keys]


def test_a_new_model_is_mirrored_at_once(fresh_project: Project, dbt_unit: Declared) -> None:
    """A new SQL file with the unit's tag becomes an asset and its shadow; nothing else is touched."""
    fresh_project.declare("own", dbt_unit())
    before = keys(fresh_project.load())
    assert "zones_of_borough" not in before

    (fresh_project.estate.root / "dbt" / "models" / "marts" / "zones_of_borough.sql").write_text(NEW_MODEL)

    assert keys(fresh_project.load()) - before == {"zones_of_borough", "shadow/zones_of_borough"}


def test_a_model_of_several_units_is_defined_once(project: Project, dbt_unit: Declared) -> None:
    """A model that two units build belongs to the unit that builds fewer models."""
    project.declare("own", dbt_unit(unit="own.all"), dbt_unit(unit="own.zones", select="tag:zones"))

    definitions = project.load()

    for side in ("", "shadow/"):
        prefix = f"run__{side.replace('/', '__')}"
        assert owner_of(definitions, f"{side}stg_zones") == [f"{prefix}own__zones"]
        assert owner_of(definitions, f"{side}stg_trips") == [f"{prefix}own__all"]


def test_a_unit_without_models_of_its_own_runs(fresh_project: Project, dbt_unit: Declared) -> None:
    """A unit all of whose models are defined by another has a stand-in, and its run really builds them."""
    fresh_project.declare(
        "own",
        dbt_unit(unit="own.first", select="tag:zones", vars={}),
        dbt_unit(unit="own.second", select="tag:zones", vars={}),
    )
    definitions = fresh_project.load()
    assert owner_of(definitions, "own/second") == ["run__own__second"]
    assert owner_of(definitions, "stg_zones") == ["run__own__first"]
    fresh_project.estate.make_landing_data()
    with fresh_project.estate.entered():
        from include import ingest

        ingest.load_zones()

    result = fresh_project.estate.run("own__second", DAY)

    assert result.success
    assert [event.asset_key for event in result.get_asset_materialization_events()] == [
        AssetKey(["own", "second"])
    ]
    touched = {event.asset_key for event in result.get_asset_observation_events()}
    assert AssetKey("stg_zones") in touched
    assert fresh_project.estate.query(Side.LEGACY, "select count(*) from stg_zones") == [(265,)]


def test_a_unit_that_can_be_ranged_backfills_in_one_run(project: Project, dbt_unit: Declared) -> None:
    """With a lower and an upper bound a whole backfill is one run; an unbounded variable makes it one each."""
    unbounded = {"run_date": "{{ ds }}"}
    project.declare(
        "own", dbt_unit(unit="own.zones", select="tag:zones"), dbt_unit(unit="own.all", vars=unbounded)
    )

    graph = project.load().resolve_asset_graph()

    assert graph.get(AssetKey("stg_zones")).backfill_policy == BackfillPolicy.single_run()
    assert graph.get(AssetKey("daily_metrics")).backfill_policy == BackfillPolicy.multi_run(1)


def test_a_range_of_an_unbounded_variable_is_refused(fresh_project: Project, dbt_unit: Declared) -> None:
    """Should somebody launch one run over two windows all the same, it is refused before dbt starts."""
    fresh_project.declare("own", dbt_unit(vars={"run_date": "{{ ds }}"}))
    fresh_project.load()

    result = fresh_project.estate.run(
        "own__dbt", ("2024-03-09", "2024-03-10"), tags=ONE_TRY, must_succeed=False
    )

    assert not result.success
    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert "own.dbt cannot run several windows at once: run_date" in str(failure.step_failure_data.error)
    assert not fresh_project.estate.database(Side.LEGACY).exists()


def test_the_pool_comes_from_the_yaml(project: Project, dbt_unit: Declared) -> None:
    """The pool of a unit is its own on each side, so that a candidate run never waits for a legacy one.

    A step has no retry policy of Dagster's: it would try again in a run that Airflow retries.
    """
    project.declare("own", dbt_unit(pool="duckdb", retries=2, retry_delay=5))

    ops = {
        assets.node_def.name: assets.op
        for assets in project.load().resolve_asset_graph().assets_defs
        if assets.is_executable
    }

    assert {op.pool for op in ops.values()} == {"duckdb_legacy", "duckdb_candidate"}
    assert {op.retry_policy for op in ops.values()} == {None}
