"""What a unit waits for beside its lineage: `deps` in its YAML, by keys of assets or by names of units."""

from __future__ import annotations

from typing import Any

import dagster as dg

from tests.components.conftest import NEW_YORK_DAYS, Project
from tests.components.units.test_dbt_unit import Declared


def task(name: str, **attributes: Any) -> tuple[str, dict[str, Any]]:
    never = {"shadow": "never", "because": "it is only tried"}
    return "LegacyTask", {"unit": f"own.{name}", "schedule": NEW_YORK_DAYS, **never, **attributes}


def above(definitions: dg.Definitions, key: str) -> set[str]:
    graph = definitions.resolve_asset_graph()
    return {each.to_user_string() for each in graph.get(dg.AssetKey(key.split("/"))).parent_keys}


def test_a_unit_stands_for_whatever_it_makes(project: Project, dbt_unit: Declared) -> None:
    """dbt waits for a sensor, and a task for each of dbt's models and for outputs that have keys of their own."""
    project.declare(
        "own",
        task("wait"),
        task("count", outputs=[{"key": "counts", "file": "{{ ds }}.csv"}]),
        dbt_unit(select="tag:zones", vars={}, deps=["own/wait"]),
        task("tell", deps=["own/dbt", "own/count", "landing"]),
    )

    definitions = project.load()

    models = {"stg_zones", "zones", "location_metrics"} & above(definitions, "own/tell")
    assert models
    assert above(definitions, "own/tell") == {*models, "counts", "landing"}
    for model in models:
        assert "own/wait" in above(definitions, model)
        assert not any(key.startswith("own/") for key in above(definitions, f"shadow/{model}") - {"own/wait"})


def test_a_candidate_waits_for_candidates_that_there_are(project: Project) -> None:
    """A unit whose candidate may never run has only what legacy makes: a missing shadow would spoil every verdict."""
    files = {"shadow": None, "because": "", "env": {"candidate": {"OUT": "shadow"}}}
    project.declare(
        "own",
        task("wait"),
        task("decide", shadow=None, because="", outputs={"none": True, "because": "it only decides"}),
        task("count", **files, outputs=[{"key": "counts", "file": "{{ ds }}.csv"}], deps=["own/wait"]),
        task(
            "tell", **files, outputs=[{"key": "told", "file": "{{ ds }}"}], deps=["own/count", "own/decide"]
        ),
    )

    definitions = project.load()

    assert above(definitions, "shadow/counts") == above(definitions, "counts") == {"own/wait"}
    assert above(definitions, "shadow/told") == {"shadow/counts", "own/decide"}
    assert above(definitions, "told") == {"counts", "own/decide"}


def test_deps_in_a_circle_are_their_units_fault(project: Project, dbt_unit: Declared) -> None:
    """Units that would wait for themselves are broken, and say how; everything else loads."""
    project.declare(
        "own",
        task("before", deps=["own/dbt"]),
        dbt_unit(select="tag:zones", vars={}, deps=["own/before"]),
        task("apart"),
    )

    definitions = project.load()

    graph = definitions.resolve_asset_graph()
    keys = {key.to_user_string() for key in graph.get_all_asset_keys()}
    assert {"broken_units/own/before", "broken_units/own/dbt", "own/apart"} <= keys
    [spec] = [one for one in definitions.resolve_all_asset_specs() if one.key.path[-1] == "before"]
    assert "its `deps` go in a circle: " in str(spec.description)


def test_only_who_closes_the_circle_is_at_fault(project: Project, dbt_unit: Declared) -> None:
    """Lineage is not at fault, nor is another `deps`: the output that waits for what reads it is broken."""
    file = {"key": "zones_file", "file": "{{ ds }}.csv", "dbt_source": "raw.zones", "deps": ["own/dbt"]}
    project.declare(
        "own",
        task("wait"),
        dbt_unit(select="tag:zones", vars={}, deps=["own/wait"]),
        task("land", outputs=[file]),
    )

    graph = project.load().resolve_asset_graph()

    keys = {key.to_user_string() for key in graph.get_all_asset_keys()}
    assert {key for key in keys if key.startswith("broken_units/")} == {"broken_units/own/land"}
    assert {"stg_zones", "own/wait"} <= keys
