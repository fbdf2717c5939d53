"""`parity check` on two databases that both sides have really built."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from dagster_defs import cli
from dagster_defs.adapters.dagster.mirrors import load_mirrors
from dagster_defs.usecases import check as comparison
from tests.support.estate import DAYS, MONTH, UNITS, Estate

Check = Callable[..., tuple[int, list[dict[str, Any]]]]

# The contract of docs/reference.md.
FIELDS = {
    "unit", "partition", "name", "verdict", "error", "reason", "rows", "only_in_legacy", "only_in_candidate",
    "modified", "differing_columns", "tolerated", "expired_tolerances", "schema_differences", "key_violations",
    "null_time_rows", "samples",
}  # fmt: skip
RANGE = ("--from", DAYS[0], "--to", DAYS[1])
BUILT = [unit.replace("__", ".") for unit in UNITS]


@pytest.fixture(scope="module")
def matching(built_estate: Estate) -> subprocess.CompletedProcess[str]:
    """What the program says about both sides as they were built."""
    return built_estate.parity("check", *BUILT, *RANGE, "--json")


@pytest.fixture
def check(built_estate: Estate, monkeypatch: pytest.MonkeyPatch) -> Iterator[Check]:
    """`parity check --json`, called in this process, on a data folder: the exit code and the documents."""
    monkeypatch.setattr(comparison, "load_mirrors", lambda _root: load_mirrors(built_estate.root))

    def run(data_dir: Path, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
        monkeypatch.setenv("TAXI_DATA_DIR", str(data_dir))
        outcome = CliRunner().invoke(cli.app, ["check", *arguments, "--json"])
        assert outcome.stdout, outcome.exception
        return outcome.exit_code, documents(outcome.stdout)

    with built_estate.entered():
        yield run


@pytest.fixture
def corrupted(built_estate: Estate, tmp_path: Path) -> Path:
    """A copy of the estate's data in which one row of the candidate was changed by hand."""
    data_dir = tmp_path / "data"
    shutil.copytree(built_estate.data_dir, data_dir)
    with duckdb.connect(str(data_dir / "candidate" / "candidate.duckdb")) as connection:
        connection.execute(
            "update daily_metrics set total_amount = total_amount + 1 "
            "where trip_date = ? and pickup_borough = 'Manhattan'",
            [DAYS[1]],
        )
    return data_dir


def documents(text: str) -> list[dict[str, Any]]:
    parsed: list[dict[str, Any]] = json.loads(text)
    return parsed


def test_both_sides_match(matching: subprocess.CompletedProcess[str]) -> None:
    """Every output that was built matches in every window, rows were really compared, and the exit code is 0."""
    checks = documents(matching.stdout)
    assert matching.returncode == 0, matching.stdout + matching.stderr
    assert {check["verdict"] for check in checks} == {"match"}
    compared = {(check["unit"], check["name"], check["partition"]) for check in checks}
    assert compared == {
        ("taxi_ingest.load_zones", "taxi_zones", MONTH),
        ("taxi_ingest.load_trips", "taxi_trips", MONTH),
        ("taxi_daily.dbt_daily", "location_metrics", None),
        *(("taxi_daily.dbt_daily", "daily_metrics", day) for day in DAYS),
        *(("taxi_daily.export_daily", "daily_metrics_export", day) for day in DAYS),
    }
    for check in checks:
        assert check["rows"]["legacy"] == check["rows"]["candidate"] > 0, check


def test_the_json_has_the_documented_shape(matching: subprocess.CompletedProcess[str]) -> None:
    """Each document of `parity check --json` has the fields that docs/reference.md names, and stderr is empty."""
    for check in documents(matching.stdout):
        assert set(check) == FIELDS
        assert set(check["rows"]) == {"legacy", "candidate"}
    assert matching.stderr == ""


def test_a_corrupted_row_is_a_mismatch(check: Check, corrupted: Path) -> None:
    """One changed row is a mismatch that names unit, window and column; nothing else is; the exit code is 3."""
    exit_code, checks = check(corrupted, *BUILT, *RANGE)

    [bad] = [checked for checked in checks if checked["verdict"] != "match"]
    assert exit_code == 3
    assert (bad["unit"], bad["name"], bad["partition"]) == ("taxi_daily.dbt_daily", "daily_metrics", DAYS[1])
    assert (bad["verdict"], bad["modified"]) == ("mismatch", 1)
    assert bad["differing_columns"] == ["total_amount"]
    [sample] = bad["samples"]
    assert sample["key"] == {"trip_date": DAYS[1], "pickup_borough": "Manhattan"}


def test_a_mismatch_is_told_in_words(built_estate: Estate, corrupted: Path) -> None:
    """The table for people says mismatch beside unit, output and window, and a line below names the column."""
    done = built_estate.parity("check", "taxi_daily.dbt_daily", *RANGE, TAXI_DATA_DIR=str(corrupted))

    assert done.returncode == 3
    [line] = [line for line in done.stdout.splitlines() if line.startswith("mismatch ")]
    for said in ("taxi_daily.dbt_daily", "daily_metrics", DAYS[1], "total_amount"):
        assert said in line
    assert "2/3 match, 1 mismatch" in done.stdout
    assert "\x1b" not in done.stdout


def test_the_window_before_still_matches(check: Check, corrupted: Path) -> None:
    """A corrupted row of one window is no mismatch of another."""
    exit_code, checks = check(corrupted, "taxi_daily.dbt_daily", "--from", DAYS[0])

    assert (exit_code, {checked["verdict"] for checked in checks}) == (0, {"match"})


def test_a_lost_row_is_a_mismatch(check: Check, corrupted: Path) -> None:
    """A row that the candidate lacks is counted as one that is only in legacy."""
    with duckdb.connect(str(corrupted / "candidate" / "candidate.duckdb")) as connection:
        connection.execute("delete from location_metrics where location_id = 7")

    exit_code, checks = check(corrupted, "taxi_daily.dbt_daily", "--from", DAYS[0])

    [bad] = [checked for checked in checks if checked["verdict"] != "match"]
    assert (bad["name"], bad["partition"], bad["only_in_legacy"]) == ("location_metrics", None, 1)
    assert exit_code == 3


def test_a_changed_file_is_a_mismatch(check: Check, corrupted: Path) -> None:
    """Files are compared row for row too: another number in the candidate's export names column and window."""
    export = corrupted / "candidate" / "export" / f"daily_metrics_{DAYS[0]}.csv"
    header, first, *others = export.read_text().splitlines()
    values = first.split(",")
    values[header.split(",").index("trips")] += "9"
    export.write_text("\n".join([header, ",".join(values), *others]) + "\n")

    exit_code, checks = check(corrupted, "taxi_daily.export_daily", *RANGE)

    [bad] = [checked for checked in checks if checked["verdict"] != "match"]
    assert (exit_code, bad["partition"], bad["differing_columns"]) == (3, DAYS[0], ["trips"])


def test_nothing_compared_is_no_match(check: Check, corrupted: Path) -> None:
    """Without the candidate's database the verdict is inconclusive, names the file, and exits 3."""
    (corrupted / "candidate" / "candidate.duckdb").unlink()

    exit_code, checks = check(corrupted, "taxi_daily.dbt_daily", *RANGE)

    assert exit_code == 3
    assert {checked["verdict"] for checked in checks} == {"inconclusive"}
    assert all("candidate.duckdb" in checked["reason"] for checked in checks)


def test_comparing_writes_nothing(check: Check, corrupted: Path) -> None:
    """A comparison only reads: every file is the same afterwards, and there is no new one."""
    before = {path: path.read_bytes() for path in corrupted.rglob("*") if path.is_file()}

    check(corrupted, *BUILT, *RANGE)

    assert {path: path.read_bytes() for path in corrupted.rglob("*") if path.is_file()} == before
