"""Units of other time zones and other steps depend on each other: their location loads, and their windows overlap."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest
from dagster import AssetKey
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster._serdes import deserialize_value, serialize_value

from dagster_defs.parity import Side
from tests.components.conftest import Project

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
UNITS: dict[str, tuple[str, str, list[str]]] = {
    "berlin_days": ("@daily", BERLIN, []),
    "new_york_days": ("@daily", NEW_YORK, ["berlin_days"]),
    "new_york_hours": ("@hourly", NEW_YORK, ["new_york_days"]),
    "utc_weeks": ("@weekly", "UTC", ["new_york_hours", "berlin_days"]),
    "berlin_later": ("0 6 * * *", BERLIN, ["utc_weeks", "a_table"]),
}


def python_unit(name: str) -> tuple[str, dict[str, Any]]:
    cron, zone, reads = UNITS[name]
    return "PythonUnit", {
        "unit": f"{name}.load",
        "schedule": {"cron": cron, "timezone": zone, "start": "2024-03-01"},
        "function": "own_nothing.nothing",
        "outputs": [{"key": name, "deps": reads}],
        "reads": [{"key": "a_table"}] if "a_table" in reads else [],
    }


@pytest.fixture
def project(fresh_project: Project) -> Project:
    """The units above, in a location of their own; Dagster owns them."""
    module = fresh_project.estate.root / "legacy_dags" / "own_nothing.py"
    module.write_text("def nothing(side):\n    return {}\n")
    fresh_project.declare("own", *(python_unit(name) for name in UNITS))
    return fresh_project


def test_they_load_depend_on_their_overlap_and_run(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lineage knows the windows upstream, the location has a snapshot that others can read, and a window runs."""
    definitions = project.load()
    graph = definitions.resolve_asset_graph()

    def above(name: str, upstream: str, partition: str) -> list[str]:
        for side in ("", "shadow/"):
            child, parent = (AssetKey((side + each).split("/")) for each in (name, upstream))
            own, other = graph.get(child).partitions_def, graph.get(parent).partitions_def
            assert own is not None
            assert other is not None
            result = graph.get_partition_mapping(
                child, parent
            ).get_upstream_mapped_partitions_result_for_partitions(
                own.subset_with_partition_keys([partition]), own, other
            )
            found = list(result.partitions_subset.get_partition_keys())
        return found

    assert above("new_york_days", "berlin_days", "2024-03-10") == ["2024-03-10", "2024-03-11"]
    assert above("new_york_hours", "new_york_days", "2024-03-10T03:00-0400") == ["2024-03-10"]
    assert len(above("utc_weeks", "new_york_hours", "2024-03-10")) == 7 * 24
    assert above("utc_weeks", "berlin_days", "2024-03-10") == [f"2024-03-{day}" for day in range(10, 18)]
    assert above("berlin_later", "utc_weeks", "2024-03-16") == ["2024-03-10", "2024-03-17"]
    assert graph.get(AssetKey("a_table")).partitions_def is None

    snapshot = RepositorySnap.from_def(definitions.get_repository_def())
    read = deserialize_value(serialize_value(snapshot), RepositorySnap)
    edges = {
        (node.asset_key.to_user_string(), edge.parent_asset_key.to_user_string()): edge.partition_mapping
        for node in read.asset_nodes
        for edge in node.parent_edges
    }
    assert type(edges["new_york_days", "berlin_days"]) is dg.AllPartitionMapping
    assert type(edges["new_york_hours", "new_york_days"]) is dg.TimeWindowPartitionMapping

    for name, partition in (("new_york_days", "2024-03-10"), ("utc_weeks", "2024-03-10")):
        job = f"shadow__{name}__load"
        assert project.estate.run(job, (partition, partition)).success, Side.CANDIDATE
