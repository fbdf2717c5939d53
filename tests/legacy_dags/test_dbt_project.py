"""The dbt project: described, safe to give windows to, and right about real rows."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import duckdb
import pytest
from include import export, ingest, landing, settings
from include.files import write_parquet

from tests.support import warm

PROJECT = Path(__file__).resolve().parents[2] / "dbt"
# What a parse makes of the moment and the machine, and what carries a window without shaping anything.
_INCIDENTAL = {"created_at", "build_path", "compiled_path", "compiled_code", "unrendered_config"}


def _dbt(arguments: list[str], data_dir: Path, target_path: Path) -> None:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("TAXI_", "DBT_"))
    }
    done = warm.run(
        "dbt",
        "--no-use-colors",
        *arguments,
        cwd=PROJECT,
        env={
            **environment,
            "TAXI_DATA_DIR": str(data_dir),
            "DBT_PROFILES_DIR": str(PROJECT),
            "DBT_TARGET_PATH": str(target_path),
            "DBT_LOG_PATH": str(target_path),
        },
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _window(first: str, end: str) -> list[str]:
    return ["--vars", json.dumps({"min_date": first, "max_date": end, "start_date": first, "end_date": end})]


def _parse(folder: Path, window: list[str]) -> dict[str, Any]:
    _dbt(["parse", *window], folder / "data", folder / "target")
    manifest: dict[str, Any] = json.loads((folder / "target" / "manifest.json").read_text(encoding="utf-8"))
    return manifest


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The project as dbt parses it, without any variable and without a database."""
    return _parse(tmp_path_factory.mktemp("parsed"), [])


def _models(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}


def test_everything_is_described(manifest: dict[str, Any]) -> None:
    """Every model, snapshot, source and column says what it is."""
    snapshots = [node for node in manifest["nodes"].values() if node["resource_type"] == "snapshot"]
    tables = [*_models(manifest).values(), *snapshots, *manifest["sources"].values()]
    assert snapshots

    silent = [table["name"] for table in tables if not table["description"]]
    silent += [
        f"{table['name']}.{name}"
        for table in tables
        for name, column in table["columns"].items()
        if not column["description"]
    ]

    assert silent == []


def test_every_unit_has_its_models(manifest: dict[str, Any]) -> None:
    """Tags say which task builds a model; stg_zones is built by both on purpose, boroughs go by their names."""
    assert {name: sorted(model["tags"]) for name, model in _models(manifest).items()} == {
        "stg_zones": ["daily", "zones"],
        "stg_trips": ["daily"],
        "location_metrics": ["daily"],
        "daily_metrics": ["daily"],
        "stg_trips_utc": ["hourly"],
        "hourly_metrics": ["hourly"],
        "weekly_metrics": ["weekly"],
        "borough_manhattan": [],
        "borough_queens": [],
        "borough_brooklyn": [],
    }


def test_one_model_has_one_sql_and_one_yml() -> None:
    """A model's description lies beside it, under its name."""
    sql = {path.with_suffix("") for path in (PROJECT / "models").rglob("*.sql")}
    yml = {path.with_suffix("") for path in (PROJECT / "models").rglob("*.yml") if path.stem != "sources"}

    assert sql == yml


def test_a_window_shapes_no_graph(manifest: dict[str, Any], tmp_path: Path) -> None:
    """Two windows give the same nodes, edges and configs, so a manifest may be used for every window."""
    other = _parse(tmp_path, _window("2024-03-10", "2024-03-11"))

    assert other["parent_map"] == manifest["parent_map"]
    assert other["nodes"].keys() == manifest["nodes"].keys()
    for name, node in manifest["nodes"].items():
        shape = {key: value for key, value in node.items() if key not in _INCIDENTAL}
        assert {key: other["nodes"][name][key] for key in shape} == shape


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with February and March loaded and three windows built, one of them twice."""
    folder = tmp_path_factory.mktemp("built")
    data_dir = folder / "data"
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("TAXI_DATA_DIR", str(data_dir))
        monkeypatch.delenv("TAXI_LANDING_DIR", raising=False)
        landing.generate(settings.landing_dir(), [])
        ingest.load_zones()
        for month in ("2024-02", "2024-03"):
            path = settings.landing_dir() / landing.trips_file(month)
            write_parquet(landing.trips(month, count=15_000), path)
            ingest.load_trips(month)
    target = folder / "target"
    _dbt(["build", "--select", "tag:zones"], data_dir, target)
    for first, end in [
        ("2024-02-29", "2024-03-01"),
        ("2024-03-10", "2024-03-11"),
        ("2024-03-11", "2024-03-12"),
        ("2024-03-10", "2024-03-11"),
    ]:
        _dbt(["build", "--select", "tag:daily", *_window(first, end)], data_dir, target)
    hours = ["--event-time-start", "2024-03-10T05:00:00", "--event-time-end", "2024-03-11T04:00:00"]
    _dbt(["run", "--select", "tag:hourly", *hours], data_dir, target)
    _dbt(["test", "--select", "stg_trips_utc", "hourly_metrics"], data_dir, target)
    return data_dir


def _rows(data_dir: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(data_dir / "legacy" / "legacy.duckdb"), read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_the_hours_of_a_day_are_the_day(built: Path) -> None:
    """The 23 hours of the spring day have together the trips and the amount of the day, in each borough."""
    totals = "sum(trips), sum(rejected_trips), sum(total_amount), sum(tip_amount)"
    day = f"select pickup_borough, {totals} from {{}} where trip_date = '2024-03-10' group by 1 order by 1"  # noqa: S608 -- written here

    assert _rows(built, day.format("hourly_metrics")) == _rows(built, day.format("daily_metrics"))
    hours = _rows(built, "select distinct pickup_hour_utc::varchar from hourly_metrics order by 1")
    assert [hours[0], hours[-1]] == [("2024-03-10 05:00:00",), ("2024-03-11 03:00:00",)]
    assert len(hours) == 23


@pytest.mark.parametrize("day", ["2024-02-29", "2024-03-10", "2024-03-11"])
def test_a_day_counts_what_was_delivered(built: Path, day: str) -> None:
    """The metrics of a day equal a recount from raw: late rows in, duplicates out, on the 23-hour day too."""
    with duckdb.connect(str(built / "legacy" / "legacy.duckdb"), read_only=True) as connection:
        recount = connection.execute(
            """
            select
                count(*) filter (total_amount > 0), count(*) filter (total_amount <= 0),
                round(sum(total_amount) filter (total_amount > 0), 2)
            from (select distinct * from read_parquet($raw))
            where tpep_pickup_datetime::date = $day::date
            """,
            {"raw": str(built / "legacy" / "raw" / "trips" / "*.parquet"), "day": day},
        ).fetchall()
        metrics = connection.execute(
            """
            select sum(trips), sum(rejected_trips), sum(total_amount)
            from daily_metrics
            where trip_date = $day::date
            """,
            {"day": day},
        ).fetchall()

    assert [tuple(float(value) for value in row) for row in metrics] == recount


def test_only_the_windows_were_built(built: Path) -> None:
    """No day outside the windows has rows, and the window that was built twice has each borough once."""
    with duckdb.connect(str(built / "legacy" / "legacy.duckdb"), read_only=True) as connection:
        rows = connection.execute(
            """
            select trip_date::varchar, count(*) = count(distinct pickup_borough)
            from daily_metrics
            group by 1
            order by 1
            """
        ).fetchall()

    assert rows == [("2024-02-29", True), ("2024-03-10", True), ("2024-03-11", True)]


def test_a_built_day_is_exported(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The export's columns are the model's, and its totals the table's."""
    monkeypatch.setenv("TAXI_DATA_DIR", str(built))
    monkeypatch.delenv("TAXI_DBT_TARGET", raising=False)

    report = export.export_daily("2024-03-10", "2024-03-11")

    with duckdb.connect(str(built / "legacy" / "legacy.duckdb"), read_only=True) as connection:
        columns = [row[0] for row in connection.execute("describe daily_metrics").fetchall()]
        table = connection.execute(
            "select count(*), sum(total_amount) from daily_metrics where trip_date = date '2024-03-10'"
        ).fetchall()
        exported = connection.execute(
            "select count(*), sum(total_amount::decimal(18, 2)) from read_csv($path)",
            {"path": report["path"]},
        ).fetchall()
    assert tuple(columns) == export.COLUMNS
    assert exported == table
