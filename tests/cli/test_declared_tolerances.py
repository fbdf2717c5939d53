"""Tolerances, masks and samples that a unit's YAML declares, as `parity` applies and counts them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
import yaml
from typer.testing import CliRunner, Result

from dagster_defs import cli
from dagster_defs.adapters.dagster.evidence import PARITY, evidence_metadata
from dagster_defs.errors import BadUnit
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.verdicts import WindowCheck
from dagster_defs.parity import Check, SideCounts, Verdict
from dagster_defs.usecases import check as comparison
from dagster_defs.usecases import status
from tests.support.estate import DAYS, Estate, mirrors_of

DAILY, EXPORT = "taxi_daily.dbt_daily", "taxi_daily.export_daily"
DAY = ("--from", DAYS[1])
ONE_DOLLAR = {"column": "total_amount", "kind": "absolute", "value": 1, "reason": "rounded at another place"}
SNAPSHOT = """
create or replace table zones_snapshot as
select
    location_id, 'Queens' as borough, zone_name, 'Boro Zone' as service_zone,
    md5(location_id || zone_name || $minutes) as dbt_scd_id,
    seen + to_minutes($minutes) as dbt_updated_at,
    seen + to_minutes($minutes) as dbt_valid_from,
    over + to_minutes($minutes) as dbt_valid_to
from (values
    (7, 'old', timestamp '2024-03-04 07:00', timestamp '2024-03-11 07:00'),
    (7, 'new', timestamp '2024-03-11 07:00', null),
    (8, 'same', timestamp '2024-03-04 07:00', null)
) as zones (location_id, zone_name, seen, over)
"""
Declare = Callable[..., None]
Parity = Callable[..., Result]


@pytest.fixture
def defs(built_estate: Estate, tmp_path: Path) -> Path:
    """A copy of the YAML of the daily and the weekly units."""
    for dag in ("taxi_daily", "taxi_weekly"):
        shutil.copytree(built_estate.root / "dagster_defs" / "defs" / dag, tmp_path / "defs" / dag)
    return tmp_path / "defs"


@pytest.fixture
def declare(defs: Path) -> Declare:
    """Declares the terms of an output in its unit's YAML."""
    file = defs / "taxi_daily" / "defs.yaml"

    def declare(unit: str, output: str, **terms: Any) -> None:
        documents = list(yaml.safe_load_all(file.read_text()))
        [attributes] = [each["attributes"] for each in documents if each["attributes"]["unit"] == unit]
        compared = [*attributes.get("compare", ()), *attributes.get("outputs", ())]
        [found] = [each for each in compared if output in (each.get("name"), each.get("key"))]
        found.update(terms)
        file.write_text(yaml.safe_dump_all(documents, sort_keys=False))

    return declare


@pytest.fixture
def data(built_estate: Estate, tmp_path: Path) -> Path:
    """The estate's data, in which the candidate has one dollar more for Manhattan."""
    data = tmp_path / "data"
    shutil.copytree(built_estate.data_dir, data)
    with duckdb.connect(str(data / "candidate" / "candidate.duckdb")) as connection:
        connection.execute(
            "update daily_metrics set total_amount = total_amount + 1 "
            "where trip_date = ? and pickup_borough = 'Manhattan'",
            [DAYS[1]],
        )
    return data


@pytest.fixture
def parity(built_estate: Estate, defs: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Parity]:
    """The command, called in this process."""
    for module in (comparison, status):
        monkeypatch.setattr(module, "load_mirrors", lambda _root: mirrors_of(defs, built_estate.root))

    def run(*arguments: str) -> Result:
        monkeypatch.setenv("TAXI_DATA_DIR", str(data))
        return CliRunner().invoke(cli.app, arguments)

    with built_estate.entered():
        monkeypatch.delenv("DAGSTER_HOME", raising=False)
        yield run


def documents(result: Result) -> dict[str, Any]:
    assert result.stdout, result.exception
    return {each["name"]: each for each in json.loads(result.stdout)}


def test_a_use_is_counted_and_said(declare: Declare, parity: Parity) -> None:
    """A bound is inclusive; a match by tolerance says so in table, summary and JSON, and exits 0."""
    declare(DAILY, "daily_metrics", tolerances=[ONE_DOLLAR])

    as_json, text = parity("check", DAILY, *DAY, "--json"), parity("check", DAILY, *DAY)

    document = documents(as_json)["daily_metrics"]
    assert (as_json.exit_code, document["verdict"], document["tolerated"]) == (
        0,
        "match",
        {"total_amount": 1},
    )
    assert document["reason"].startswith("match, 1 tolerated (total_amount 1), of ")
    [row] = [line for line in text.stdout.splitlines() if line.startswith(DAILY) and "daily_metrics" in line]
    assert row.rstrip().endswith("match, 1 tolerated")
    assert f"match {DAILY}, daily_metrics, {DAYS[1]}: match, 1 tolerated (total_amount 1)" in text.stdout
    assert "2/2 match (1 tolerated)" in text.stdout


def test_more_than_the_bound_is_a_mismatch(declare: Declare, parity: Parity) -> None:
    """A difference above the bound is not excused."""
    declare(DAILY, "daily_metrics", tolerances=[{**ONE_DOLLAR, "value": 0.99}])

    result = parity("check", DAILY, *DAY, "--json")

    document = documents(result)["daily_metrics"]
    assert (result.exit_code, document["verdict"], document["tolerated"]) == (3, "mismatch", {})


@pytest.mark.parametrize(("days", "verdict"), [(0, "match"), (-1, "mismatch")])
def test_the_last_day_of_a_tolerance(declare: Declare, parity: Parity, days: int, verdict: str) -> None:
    """On the day that it expires, in UTC, a tolerance applies; afterwards it does not, and the reason says so."""
    last = (datetime.now(timezone.utc) + timedelta(days=days)).date()
    declare(DAILY, "daily_metrics", tolerances=[{**ONE_DOLLAR, "expires": last}])

    result = parity("check", DAILY, *DAY, "--json")

    document = documents(result)["daily_metrics"]
    assert (document["verdict"], result.exit_code) == (verdict, 0 if verdict == "match" else 3)
    expired = [] if verdict == "match" else ["total_amount"]
    assert document["expired_tolerances"] == expired
    assert (f"the tolerance absolute of total_amount expired after {last}" in document["reason"]) is bool(
        expired
    )


def test_an_expired_tolerance_of_a_match(declare: Declare, parity: Parity) -> None:
    """The table for people tells of an expired tolerance beside a plain match too: it can be taken out."""
    tolerance = {**ONE_DOLLAR, "column": "trips", "expires": "2024-01-01"}
    declare(DAILY, "daily_metrics", tolerances=[tolerance])

    result = parity("check", DAILY, "--from", DAYS[0])

    assert result.exit_code == 0
    assert "the tolerance absolute of trips expired after 2024-01-01" in result.stdout
    assert "2/2 match\n" in result.stdout


@pytest.mark.parametrize(
    "terms",
    [
        {"tolerances": [{**ONE_DOLLAR, "column": "total_amont"}]},
        {"masked": ["total_amont"]},
    ],
    ids=["tolerance", "mask"],
)
def test_a_column_that_is_not_there(declare: Declare, parity: Parity, terms: dict[str, Any]) -> None:
    """The output is an error that names the column and those that there are, exit code 2; the others are compared."""
    declare(DAILY, "daily_metrics", **terms)

    result = parity("check", DAILY, *DAY, "--json")

    document = documents(result)
    bad, good = document["daily_metrics"], document["location_metrics"]
    assert (result.exit_code, bad["error"], bad["verdict"]) == (2, True, "inconclusive")
    assert "has no column 'total_amont'. It has: trip_date" in bad["reason"]
    assert good["verdict"] == "match"
    assert "error " in parity("check", DAILY, *DAY).stdout


def test_a_tolerance_on_the_wrong_type(declare: Declare, parity: Parity) -> None:
    """A numeric tolerance on text is an error of the comparison, with exit code 2."""
    declare(DAILY, "location_metrics", tolerances=[{**ONE_DOLLAR, "column": "zone_name"}])

    result = parity("check", DAILY, *DAY, "--json")

    assert result.exit_code == 2
    assert documents(result)["location_metrics"]["error"]


def test_a_tolerance_on_the_key(declare: Declare, parity: Parity) -> None:
    """What can be known without the tables stops the command before it compares, and names the unit; exit code 2."""
    declare(DAILY, "daily_metrics", tolerances=[{**ONE_DOLLAR, "column": "Trip_Date"}])

    error = parity("check", DAILY, *DAY).exception

    assert isinstance(error, BadUnit)
    assert error.exit_code == 2
    assert str(error).startswith(f"unit {DAILY}: `compare`: ")
    assert "is part of the key" in str(error)


def test_masks_and_samples(declare: Declare, parity: Parity) -> None:
    """A masked column's values are shown nowhere, and with `samples: 0` no row is."""
    declare(DAILY, "daily_metrics", masked=["total_amount"])
    masked = parity("check", DAILY, *DAY, "--json")
    declare(DAILY, "daily_metrics", samples=0)
    without = parity("check", DAILY, *DAY, "--json")

    [sample] = documents(masked)["daily_metrics"]["samples"]
    assert sample["columns"]["total_amount"] == {"legacy": "***", "candidate": "***"}
    assert documents(without)["daily_metrics"]["samples"] == []
    assert documents(without)["daily_metrics"]["verdict"] == "mismatch"


def test_the_file_of_a_function(declare: Declare, parity: Parity, data: Path) -> None:
    """The outputs of a PythonUnit have the same terms as a dbt model."""
    export = data / "candidate" / "export" / f"daily_metrics_{DAYS[1]}.csv"
    header, first, *others = export.read_text().splitlines()
    values = first.split(",")
    values[header.split(",").index("trips")] += "9"
    export.write_text("\n".join([header, ",".join(values), *others]) + "\n")
    declare(
        EXPORT, "daily_metrics_export", tolerances=[{"column": "trips", "kind": "ignored", "reason": "x"}]
    )

    result = parity("check", EXPORT, *DAY, "--json")

    document = documents(result)["daily_metrics_export"]
    assert (result.exit_code, document["tolerated"]) == (0, {"trips": 1})


def test_the_snapshot_of_the_zones(parity: Parity, data: Path) -> None:
    """Both sides may see a change at moments of their own; that one still has a row open is a mismatch."""
    for side, minutes in (("legacy", 0), ("candidate", 3)):
        with duckdb.connect(str(data / side / f"{side}.duckdb")) as connection:
            connection.execute(SNAPSHOT, {"minutes": minutes})
    check = ("check", "taxi_weekly.dbt_snapshot", "--from", "2024-03-04", "--json")

    apart = parity(*check)
    with duckdb.connect(str(data / "candidate" / "candidate.duckdb")) as connection:
        connection.execute("update zones_snapshot set dbt_valid_to = null where zone_name = 'old'")
    left_open = parity(*check)

    document = documents(apart)["zones_snapshot"]
    assert (apart.exit_code, document["verdict"]) == (0, "match")
    moments = {"dbt_scd_id": 3, "dbt_updated_at": 3, "dbt_valid_from": 3, "dbt_valid_to": 1}
    assert document["tolerated"] == moments
    assert left_open.exit_code == 3
    assert documents(left_open)["zones_snapshot"]["differing_columns"] == ["dbt_valid_to"]


def test_the_sql_leaves_ignored_columns_out(declare: Declare, parity: Parity) -> None:
    """`parity explain` gives SQL that does not look at what is ignored, and so finds no row."""
    ignored = {"column": "TOTAL_AMOUNT", "kind": "ignored", "reason": "rounded at another place"}
    declare(DAILY, "daily_metrics", tolerances=[ignored])

    document = documents(parity("explain", DAILY, "--window", DAYS[1], "--json"))["daily_metrics"]

    assert document["tolerated"] == {"total_amount": 1}
    with duckdb.connect() as connection:
        assert connection.execute(document["sql"]).fetchall() == []
        assert "total_amount" not in [column[0] for column in connection.description or ()]


def test_kept_evidence_says_what_was_tolerated(
    parity: Parity, defs: Path, built_estate: Estate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Metadata, `parity check --evidence` and `parity status` never call a match by tolerance a plain match."""
    home = tmp_path / "dagster_home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    check = Check("daily_metrics", Verdict.MATCH, "match, 2 tolerated (total_amount 2), of 7 rows",
                  rows=SideCounts(7, 7), tolerated={"total_amount": 2})  # fmt: skip
    one = WindowCheck(Unit.parse(DAILY), DAYS[1], check)
    mirrors = mirrors_of(defs, built_estate.root)
    [mirror] = [mirror for mirror in mirrors if str(mirror.legacy_unit) == DAILY]
    metadata = evidence_metadata(one, mirror.partitions.window_of(DAYS[1]), airflow_run="", dbt_tests="")
    key = dg.AssetKey(["shadow", "daily_metrics"])
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=DAYS[1]))
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(key, PARITY, passed=True, metadata=metadata, partition=DAYS[1])
        )
    monkeypatch.setenv("DAGSTER_HOME", str(home))

    assert metadata["verdict"] == "match, 2 tolerated"
    kept = parity("check", DAILY, "--evidence")
    assert kept.exit_code == 0
    assert "match, 2 tolerated" in kept.stdout
    assert "1/1 match (2 tolerated)" in kept.stdout
    [unit] = [one for one in json.loads(parity("status", "--json").stdout)["units"] if one["unit"] == DAILY]
    assert unit["evidence"] == "1/1 match (2 tolerated)"
