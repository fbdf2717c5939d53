"""What the mirrors look like in the asset graph: keys, lineage, checks and what people read about them."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest
from dagster import AssetKey

from tests.components.conftest import Project
from tests.support.estate import Estate

MODELS = ("stg_zones", "stg_trips", "location_metrics", "daily_metrics")
OUTPUTS = (*MODELS, "taxi_zones", "taxi_trips", "daily_metrics_export")
SIDES = ("", "shadow/")


def key(text: str) -> AssetKey:
    return AssetKey(text.split("/"))


def parents(estate: Estate, text: str) -> set[str]:
    return {parent.to_user_string() for parent in estate.graph.get(key(text)).parent_keys}


def ancestors(estate: Estate, text: str) -> set[str]:
    return {found.to_user_string() for found in estate.graph.get_ancestor_asset_keys(key(text))}


def checks(estate: Estate, text: str) -> set[str]:
    return {check.name for check in estate.graph.get_check_keys_for_assets({key(text)})}


def specs(estate: Estate) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in estate.definitions.resolve_all_asset_specs()}


def test_a_shadow_reads_an_external_asset_as_it_is(project: Project) -> None:
    """No mirror writes it, whichever unit declares it: no candidate depends on a shadow that nothing defines."""
    python = {
        "schedule": {"cron": "@daily", "start": "2024-03-01"},
        "function": "include.export.export_daily",
    }
    outputs = {
        name: [{"key": name, "deps": deps}] for name, deps in (("a", ["landing"]), ("b", ["landing", "a"]))
    }
    project.declare(
        "own",
        ("PythonUnit", {**python, "unit": "own.a", "outputs": outputs["a"], "reads": [{"key": "landing"}]}),
        ("PythonUnit", {**python, "unit": "own.b", "outputs": outputs["b"]}),
    )

    graph = project.load().resolve_asset_graph()

    assert {parent.to_user_string() for parent in graph.get(key("shadow/b")).parent_keys} == {
        "landing",
        "shadow/a",
    }


def test_every_model_is_an_asset_of_its_own(estate: Estate) -> None:
    """Each model has its name as key, and a shadow under the same name."""
    known = {found.to_user_string() for found in estate.graph.get_all_asset_keys()}

    assert {side + model for side in SIDES for model in MODELS} <= known


def test_sources_are_the_assets_that_ingest_them(estate: Estate) -> None:
    """dbt's sources are aligned with the ingest: no asset has a source's own key, on either side."""
    assert parents(estate, "stg_trips") == {"taxi_trips"}
    assert parents(estate, "stg_zones") == {"taxi_zones"}
    assert not [found for found in estate.graph.get_all_asset_keys() if found.path[:1] == ["raw"]]


@pytest.mark.parametrize("side", SIDES)
def test_lineage_runs_from_landing_to_export(estate: Estate, side: str) -> None:
    """The export descends from marts, staging, raw and landing, all in one lineage."""
    upstream = ancestors(estate, f"{side}daily_metrics_export")

    assert {f"{side}daily_metrics", f"{side}stg_trips", f"{side}stg_zones"} <= upstream
    # Both sides read the same raw files, which Airflow's side writes.
    assert {"taxi_trips", "taxi_zones", "landing/yellow_tripdata", "landing/taxi_zone_lookup"} <= upstream


def test_a_shadow_never_feeds_a_real_asset(estate: Estate) -> None:
    """No real asset is downstream of a shadow: a candidate run can't be taken for a real one."""
    for name in OUTPUTS:
        assert not [found for found in ancestors(estate, name) if found.startswith("shadow/")]


@pytest.mark.parametrize("side", SIDES)
def test_dbt_tests_are_asset_checks(estate: Estate, side: str) -> None:
    """Generic tests, singular tests over one or more models and unit tests are checks of their model."""
    daily, location = checks(estate, f"{side}daily_metrics"), checks(estate, f"{side}location_metrics")

    assert "unique_combination_daily_metrics_trip_date__pickup_borough" in daily
    assert "no_amount_without_trips" in daily
    assert {"the_window_is_half_open", "rejected_trips_are_counted_and_not_summed"} <= daily
    assert "location_metrics_counts_every_valid_trip" in location
    assert "a_trip_delivered_twice_counts_once" in checks(estate, f"{side}stg_trips")


def test_source_tests_are_checks_of_the_ingest(estate: Estate) -> None:
    """A test on a source is a check of the asset that feeds it, on the legacy side only: both read the same."""
    assert "source_not_null_raw_trips_PULocationID" in checks(estate, "taxi_trips")
    assert "source_unique_raw_zones_LocationID" in checks(estate, "taxi_zones")
    assert checks(estate, "shadow/taxi_trips") == checks(estate, "shadow/taxi_zones") == {"parity"}


def test_what_dbt_tests_dagster_checks(estate: Estate) -> None:
    """Not one test that the two daily tasks run is lost: each is a check on the legacy side."""
    with estate.entered():
        from dagster_defs.adapters.dbt.project import DbtWorkspace

        workspace = DbtWorkspace(estate.root / "dbt", "legacy")
        selected = workspace.select("tag:daily tag:zones")
    tests = {**workspace.manifest["nodes"], **workspace.manifest["unit_tests"]}
    expected = {tests[node]["name"] for node in selected if node.startswith(("test.", "unit_test."))}
    assert len(expected) > 30

    found = {
        name for asset in estate.graph.get_all_asset_keys() for name in checks(estate, asset.to_user_string())
    }

    assert expected <= found


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_asset_says_what_it_is(estate: Estate, name: str) -> None:
    """Every mirrored asset has a description, an owner, kinds, the group of its DAG and the tags of its unit."""
    real, shadow = specs(estate)[name], specs(estate)[f"shadow/{name}"]

    assert real.description
    assert shadow.description
    assert list(real.owners) == list(shadow.owners) == ["team:data-platform"]
    assert real.kinds == shadow.kinds != set()
    assert shadow.group_name == f"{real.group_name}_shadow"
    assert (real.tags["parity/side"], shadow.tags["parity/side"]) == ("legacy", "candidate")
    assert real.tags["parity/unit"] == shadow.tags["parity/unit"]
    assert real.tags["parity/unit"].split(".")[0] == real.group_name


@pytest.mark.parametrize("model", MODELS)
def test_a_model_shows_its_columns_and_its_code(estate: Estate, model: str) -> None:
    """A model carries its columns with descriptions and a reference to its SQL file and to its mirror's YAML."""
    metadata: Any = specs(estate)[model].metadata

    columns = metadata["dagster/column_schema"].columns
    assert columns
    assert all(column.description for column in columns)
    references = metadata["dagster/code_references"].code_references
    assert {f"{model}.sql", "defs.yaml"} <= {
        reference.file_path.rsplit("/", 1)[-1] for reference in references
    }


def test_only_real_assets_are_mapped_to_airflow_tasks(estate: Estate) -> None:
    """Airlift's task mapping is on the real assets alone: a shadow is never what an Airflow task made."""
    mapped = {name for name, spec in specs(estate).items() if "dagster-airlift/task-mapping" in spec.metadata}

    assert set(OUTPUTS) <= mapped
    assert not [name for name in mapped if name.startswith("shadow/")]


def test_units_of_one_dag_share_its_partitions(estate: Estate) -> None:
    """All models of a unit have the unit's partitions, those of New York days."""
    for name in ("stg_trips", "daily_metrics", "shadow/daily_metrics", "daily_metrics_export"):
        partitions = estate.graph.get(key(name)).partitions_def
        assert (partitions.timezone, partitions.cron_schedule) == ("America/New_York", "0 6 * * *")
        assert partitions.get_first_partition_key() == "2023-11-01"
