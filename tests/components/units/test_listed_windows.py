"""Units whose windows Airflow has listed: their location loads, each window is a partition, and a window runs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import dagster as dg
import pendulum
import pytest
from dagster import AssetKey, BackfillPolicy
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster._serdes import deserialize_value, serialize_value

from tests.components.conftest import Project
from tests.components.units.test_bad_yaml import fault_of

Declared = Callable[..., tuple[str, dict[str, Any]]]
# Two days, a weekend that is in no window, and a day with 23 hours before the next.
WINDOWS = [
    ["2024-03-07T05:00:00+00:00", "2024-03-08T05:00:00+00:00"],
    ["2024-03-08T05:00:00+00:00", "2024-03-09T05:00:00+00:00"],
    ["2024-03-11T04:00:00+00:00", "2024-03-12T04:00:00+00:00"],
]
KEYS = ["2024-03-07T00:00:00-0500", "2024-03-08T00:00:00-0500", "2024-03-11T00:00:00-0400"]
LIST = {
    "schema": "parity/windows/1",
    "since": "2024-03-01T05:00:00+00:00",
    "until": "2024-03-13T04:00:00+00:00",
    "windows": WINDOWS,
}
SCHEDULE = {"windows": "windows.json", "timezone": "America/New_York"}


def python_unit(unit: str, *reads: str, **schedule: Any) -> tuple[str, dict[str, Any]]:
    return "PythonUnit", {
        "unit": unit,
        "schedule": schedule or SCHEDULE,
        "function": "own_noted.noted",
        "arguments": {"day": "{{ data_interval_start }}"},
        "outputs": [{"key": unit.partition(".")[0], "deps": list(reads)}],
    }


@pytest.fixture
def project(fresh_project: Project) -> Project:
    module = fresh_project.estate.root / "legacy_dags" / "own_noted.py"
    module.write_text("def noted(day, side):\n    return {'day': day}\n")
    return fresh_project


def declare(project: Project, *units: tuple[str, dict[str, Any]], listed: Any = LIST) -> dg.Definitions:
    project.declare("own", *units).with_name("windows.json").write_text(json.dumps(listed))
    return project.load()


def test_each_window_is_a_partition(project: Project) -> None:
    """Lineage, the snapshot that others read, the tags for Airflow's proxy and a run know the listed windows."""
    days = {"cron": "@daily", "timezone": "Europe/Berlin", "start": "2024-03-01"}
    definitions = declare(
        project, python_unit("listed.load", "berlin"), python_unit("berlin.load", **days),
        python_unit("late.load", "listed", "berlin", **SCHEDULE, start="2024-03-08"),
    )  # fmt: skip
    graph = definitions.resolve_asset_graph()
    listed, late = (graph.get(AssetKey(name)).partitions_def for name in ("listed", "late"))
    berlin = graph.get(AssetKey("berlin")).partitions_def
    assert listed is not None
    assert late is not None
    assert berlin is not None

    assert (list(listed.get_partition_keys()), list(late.get_partition_keys())) == (KEYS, KEYS[1:])
    above = graph.get_partition_mapping(
        AssetKey("listed"), AssetKey("berlin")
    ).get_upstream_mapped_partitions_result_for_partitions(
        listed.subset_with_partition_keys(KEYS[1:]), listed, berlin
    )
    assert list(above.partitions_subset.get_partition_keys()) == [
        "2024-03-08", "2024-03-09", "2024-03-11", "2024-03-12"
    ]  # fmt: skip
    read = deserialize_value(
        serialize_value(RepositorySnap.from_def(definitions.get_repository_def())), RepositorySnap
    )
    [edges] = [node.parent_edges for node in read.asset_nodes if node.asset_key == AssetKey("late")]
    assert {type(edge.partition_mapping) for edge in edges} == {
        dg.AllPartitionMapping,
        dg.TimeWindowPartitionMapping,
    }

    tags = definitions.resolve_job_def("listed__load").tags
    local = pendulum.parse(WINDOWS[2][0]).in_timezone(tags["parity/timezone"])  # type: ignore[union-attr]
    assert local.strftime(tags["parity/key_format"]) == KEYS[2]

    result = project.estate.run("shadow__listed__load", (KEYS[0], KEYS[2]))
    made = [
        event.step_materialization_data.materialization for event in result.get_asset_materialization_events()
    ]
    found = {each.partition: each.metadata["day"].value for each in made}
    assert found == {key: window[0].replace("T", " ") for key, window in zip(KEYS, WINDOWS, strict=True)}


def test_one_run_takes_one_window_of_dbt(project: Project, dbt_unit: Declared) -> None:
    """Between two windows there may be time that is in none; and an sla counts from the end of one to the next."""
    definitions = declare(
        project, dbt_unit(unit="own.zones", select="tag:zones", schedule=SCHEDULE, vars={}, sla=60)
    )
    node = definitions.resolve_asset_graph().get(AssetKey("stg_zones"))

    assert node.backfill_policy == BackfillPolicy.multi_run(1)
    [policy] = {
        spec.freshness_policy for spec in definitions.resolve_all_asset_specs() if spec.key == node.key
    }
    assert policy is not None
    assert policy.fail_window.to_timedelta() == pendulum.duration(days=3, hours=-1, seconds=60)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("schedule", "listed", "message"),
    [
        (SCHEDULE, {**LIST, "windows": [*WINDOWS, WINDOWS[0]]}, r"windows\.json: the window .* comes after"),
        (SCHEDULE, {"schema": "another"}, "it is not a list of windows"),
        ({**SCHEDULE, "windows": "nowhere.json"}, LIST, r"nowhere\.json: it cannot be read \(No such file"),
        ({**SCHEDULE, "cron": "@daily"}, LIST, "it has both `cron` and `windows`"),
        ({"timezone": "UTC"}, LIST, "cron and start is missing"),
        ({"cron": "@daily"}, LIST, "start is missing"),
        ({**SCHEDULE, "start": "2025-01-01"}, LIST, "its list has no window between its start and end"),
    ],
)
def test_a_list_that_cannot_be_breaks_its_unit(
    project: Project, schedule: dict[str, Any], listed: Any, message: str
) -> None:
    """What stands for the unit says what is wrong with its list; the other unit is all there."""
    sound = python_unit("sound.load", cron="@daily", start="2024-03-01")
    definitions = declare(project, python_unit("own.wrong", **schedule), sound, listed=listed)

    assert re.search(message, fault_of(definitions, "own.wrong"))
    assert AssetKey("sound") in definitions.resolve_asset_graph().get_all_asset_keys()
