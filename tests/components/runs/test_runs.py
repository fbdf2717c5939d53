"""What runs of the mirrors leave behind, in Dagster's event log and in the databases."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster import AssetKey, DagsterEventType

from dagster_defs.errors import WindowDiffers
from dagster_defs.parity import Side
from tests.support.estate import DAYS, ONE_TRY, Estate, copy_project
from tests.support.instances import instance_for_test

NEW_YORK = ZoneInfo("America/New_York")

DAILY = "taxi_daily__dbt_daily"
SPRING_DAY = "2024-03-09"  # six o'clock to six o'clock, an hour short


@pytest.fixture(scope="module")
def own_estate(built_estate: Estate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """An estate that has ingested its month and nothing more; these tests may run things in it."""
    with instance_for_test() as instance:
        own = Estate(copy_project(tmp_path_factory.mktemp("own"), code=False), instance)
        own.make_landing_data()
        for unit in ("taxi_ingest__load_zones", "taxi_ingest__load_trips"):
            own.run(unit, ("2024-03-01", "2024-03-01"))
        yield own


def materializations(result: dg.ExecuteInProcessResult, key: str) -> list[dg.AssetMaterialization]:
    asset_key = AssetKey(key.split("/"))
    events = result.get_asset_materialization_events()
    return [event.materialization for event in events if event.asset_key == asset_key]


def facts(result: dg.ExecuteInProcessResult, key: str) -> dict[str, Any]:
    return {name: value.value for name, value in materializations(result, key)[0].metadata.items()}


def bytes_of(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def in_window(moment: Any) -> datetime:
    return datetime.fromtimestamp(moment, tz=timezone.utc)


@pytest.mark.parametrize(("job", "side", "prefix"), [
    (DAILY, Side.LEGACY, ""), (f"shadow__{DAILY}", Side.CANDIDATE, "shadow/"),
])  # fmt: skip
def test_a_materialization_counts_its_rows(built_estate: Estate, job: str, side: Side, prefix: str) -> None:
    """The row count of a table's materialization is the number of rows in its own side's database."""
    for model in ("daily_metrics", "location_metrics"):
        [(rows,)] = built_estate.query(side, f"select count(*) from {model}")  # noqa: S608 - a name from above
        assert rows > 0
        assert facts(built_estate.results[job], prefix + model)["dagster/row_count"] == rows


def test_a_view_is_not_counted(built_estate: Estate) -> None:
    """A view has no row count: counting would run its query a second time."""
    assert "dagster/row_count" not in facts(built_estate.results[DAILY], "stg_trips")


def columns(result: dg.ExecuteInProcessResult, key: str) -> Sequence[dg.TableColumn]:
    schema: Any = materializations(result, key)[0].metadata["dagster/column_schema"]
    found: Sequence[dg.TableColumn] = schema.value.columns
    return found


def types_of(result: dg.ExecuteInProcessResult, key: str) -> dict[str, str]:
    return {column.name: column.type for column in columns(result, key)}


@pytest.mark.parametrize("side", list(Side))
def test_a_materialization_has_its_columns_as_the_warehouse_has_them(
    built_estate: Estate, side: Side
) -> None:
    """Tables and views of dbt, and files of other units; descriptions come from dbt."""
    shadow = "" if side is Side.LEGACY else "shadow__"
    prefix = "" if side is Side.LEGACY else "shadow/"
    for model in ("daily_metrics", "stg_trips"):
        described = built_estate.query(side, f"select column_name, column_type from (describe {model})")  # noqa: S608 - a name from above
        assert types_of(built_estate.results[shadow + DAILY], prefix + model) == dict(described)
    loaded = types_of(built_estate.results[f"{shadow}taxi_ingest__load_trips"], prefix + "taxi_trips")
    assert loaded["tpep_pickup_datetime"].startswith("TIMESTAMP")
    exported = built_estate.results[f"{shadow}taxi_daily__export_daily"]
    [of_csv, *_] = materializations(exported, prefix + "daily_metrics_export")
    assert "dagster/column_schema" not in of_csv.metadata, "a CSV file declares no types"
    daily = columns(built_estate.results[shadow + DAILY], prefix + "daily_metrics")
    assert any(column.description for column in daily)


@pytest.mark.parametrize("job", [DAILY, f"shadow__{DAILY}"])
def test_one_run_covers_all_windows_of_a_backfill(built_estate: Estate, job: str) -> None:
    """One run over two days takes the first window's lower bound and the last one's upper bound."""
    result = built_estate.results[job]
    key = "daily_metrics" if job == DAILY else "shadow/daily_metrics"

    assert [event.partition for event in materializations(result, key)] == list(DAYS)
    assert (facts(result, key)["vars/min_date"], facts(result, key)["vars/max_date"]) == (
        "2024-03-09",
        "2024-03-11",
    )
    for event in materializations(result, key):
        said = [in_window(event.metadata[f"parity/window_{end}"].value) for end in ("start", "end")]
        six = datetime.fromisoformat(str(event.partition)).replace(hour=6, tzinfo=NEW_YORK)
        assert said == [six, six + timedelta(days=1)], (
            "each day's materialization has its own window's bounds"
        )
    side = Side.LEGACY if job == DAILY else Side.CANDIDATE
    days = built_estate.query(side, "select distinct trip_date::varchar from daily_metrics order by 1")
    assert [day for (day,) in days] == list(DAYS)


def test_every_check_was_evaluated_and_passed(built_estate: Estate) -> None:
    """The real runs evaluate every asset check of their unit: none is left without a verdict."""
    definitions = [found for found in built_estate.graph.assets_defs if found.is_executable]
    for job in ("taxi_daily__dbt_zones", DAILY, "shadow__taxi_daily__dbt_zones", f"shadow__{DAILY}"):
        result = built_estate.results[job]
        evaluated = {event.asset_check_key for event in result.get_asset_check_evaluations()}
        [op] = built_estate.definitions.resolve_job_def(job).graph.node_dict
        [assets] = [found for found in definitions if found.node_def.name == op]
        assert evaluated == set(assets.check_keys), job
        # What a comparison says where no Airflow answers is told in test_evidence.py.
        dbt_tests = [each for each in result.get_asset_check_evaluations() if each.check_name != "parity"]
        assert all(event.passed for event in dbt_tests)


def test_a_model_of_another_unit_is_reported_as_touched(built_estate: Estate) -> None:
    """dbt_daily builds stg_zones too, which dbt_zones defines: its run reports an observation of it."""
    result = built_estate.results[DAILY]

    observed = [
        event.asset_observation_data.asset_observation for event in result.get_asset_observation_events()
    ]

    [zones, *_] = [observation for observation in observed if observation.asset_key == AssetKey("stg_zones")]
    assert DAILY in (zones.description or "")
    assert materializations(result, "stg_zones") == []
    definitions = [found for found in built_estate.graph.assets_defs if AssetKey("stg_zones") in found.keys]
    assert [definition.node_def.name for definition in definitions] == ["run__taxi_daily__dbt_zones"]


def test_both_sides_wrote_their_own_files(built_estate: Estate) -> None:
    """A candidate run writes the candidate's files and databases, a legacy run the legacy's."""
    for side in Side:
        folder = built_estate.data_dir / side.value
        assert built_estate.database(side).exists()
        assert (folder / "raw" / "trips" / "trips_2024-03.parquet").exists()
        assert sorted(path.name for path in (folder / "export").iterdir()) == [
            f"daily_metrics_{day}.csv" for day in DAYS
        ]


def test_the_python_units_facts_become_metadata(built_estate: Estate) -> None:
    """What the business function returns is metadata of the materialization; `rows` is the row count."""
    loaded = facts(built_estate.results["taxi_ingest__load_trips"], "taxi_trips")

    assert loaded["dagster/row_count"] > 4_000  # duplicates come on top
    assert loaded["month"] == "2024-03"


def test_the_window_of_the_spring_day_has_23_hours(own_estate: Estate) -> None:
    """On the spring-forward day the window is Airflow's data interval: 11:00 UTC to 10:00 UTC."""
    result = own_estate.run(DAILY, (SPRING_DAY, SPRING_DAY))

    metadata = facts(result, "daily_metrics")
    start, end = in_window(metadata["parity/window_start"]), in_window(metadata["parity/window_end"])
    assert (start, end) == (
        datetime(2024, 3, 9, 11, tzinfo=timezone.utc),
        datetime(2024, 3, 10, 10, tzinfo=timezone.utc),
    )
    assert end - start == timedelta(hours=23)


def test_the_window_of_the_fall_day_has_25_hours(own_estate: Estate) -> None:
    """On the fall-back day the window ends an hour later in UTC than it began."""
    result = own_estate.run(f"shadow__{DAILY}", ("2023-11-04", "2023-11-04"))

    metadata = facts(result, "shadow/daily_metrics")
    start, end = in_window(metadata["parity/window_start"]), in_window(metadata["parity/window_end"])
    assert (start, end) == (
        datetime(2023, 11, 4, 10, tzinfo=timezone.utc),
        datetime(2023, 11, 5, 11, tzinfo=timezone.utc),
    )
    assert metadata["vars/min_date"] == "2023-11-04"


def test_a_part_of_a_unit_runs_alone(own_estate: Estate) -> None:
    """A run of a selected asset builds and tests that model, and no other of the unit."""
    result = own_estate.run(
        f"shadow__{DAILY}",
        ("2024-03-20", "2024-03-20"),
        selection=[AssetKey(["shadow", "location_metrics"])],
    )

    built = {
        "/".join(event.asset_key.path)
        for event in result.get_asset_materialization_events()
        if event.asset_key
    }
    checked = {event.asset_check_key.asset_key for event in result.get_asset_check_evaluations()}
    assert built == {"shadow/location_metrics"}
    assert checked == {AssetKey(["shadow", "location_metrics"])}
    runs = own_estate.root / "dbt" / "target" / "candidate" / "runs" / result.run_id
    [results] = runs.rglob("run_results.json")
    executed = {row["unique_id"] for row in json.loads(results.read_text())["results"]}
    assert {node for node in executed if node.startswith("model.")} == {"model.taxi.location_metrics"}


def test_a_run_with_another_window_is_refused(own_estate: Estate) -> None:
    """A run whose tags name another data interval than its partition has ends before anything is written."""
    before = bytes_of(own_estate.database(Side.LEGACY))
    tags = {
        "parity/window_start": "2024-03-21T00:00:00+00:00",
        "parity/window_end": "2024-03-22T00:00:00+00:00",
    }

    result = own_estate.run(DAILY, ("2024-03-21", "2024-03-21"), tags=tags, must_succeed=False)

    assert not result.success
    [failure] = result.filter_events(lambda event: event.event_type is DagsterEventType.STEP_FAILURE)
    message = str(failure.step_failure_data.error)
    assert WindowDiffers.__name__ in message
    assert "nothing was run" in message
    assert materializations(result, "daily_metrics") == []
    assert bytes_of(own_estate.database(Side.LEGACY)) == before


def test_a_run_with_the_same_window_is_accepted(own_estate: Estate) -> None:
    """The tags that Airflow's proxy sends agree with the partition, however the instant is written."""
    tags = {
        "parity/window_start": "2024-03-21T06:00:00-04:00",
        "parity/window_end": "2024-03-22T10:00:00+00:00",
    }

    assert own_estate.run(DAILY, ("2024-03-21", "2024-03-21"), tags=tags).success


def test_a_failing_test_keeps_what_was_built(own_estate: Estate) -> None:
    """When a dbt test fails, its check fails, the run fails, and the models built before it stay recorded."""
    broken = own_estate.root / "dbt" / "tests" / "nothing_is_ever_right.sql"
    broken.write_text("select location_id from {{ ref('location_metrics') }}\n")
    with instance_for_test() as instance:
        estate = Estate(own_estate.root, instance)
        try:
            from dagster_defs.adapters.dbt import workspaces

            with pytest.MonkeyPatch.context() as monkeypatch:
                monkeypatch.setattr(workspaces, "_WORKSPACES", {})  # as in a new process
                result = estate.run(DAILY, (SPRING_DAY, SPRING_DAY), tags=ONE_TRY, must_succeed=False)
        finally:
            broken.unlink()

    assert not result.success
    failed = [event for event in result.get_asset_check_evaluations() if not event.passed]
    assert "nothing_is_ever_right" in {event.asset_check_key.name for event in failed}
    assert materializations(result, "location_metrics")
    [failure] = result.filter_events(lambda event: event.event_type is DagsterEventType.STEP_FAILURE)
    assert "nothing_is_ever_right" in str(failure.step_failure_data.error)
