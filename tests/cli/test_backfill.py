"""Windows that somebody wants to be run again: whose they are, in how many runs, and what the ledger says first."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

import dagster as dg
import pytest

from dagster_defs.lifecycle.ledger import Kind, Requested
from tests.support.night import DAILY, ZONES, Night

DAYS = ("--from", "2024-03-09", "--to", "2024-03-11")


def test_airflows_windows_are_refused(night: Night) -> None:
    """A unit that Airflow owns cannot be backfilled in Dagster: that is said with the two things that can be done."""
    refused = night.parity("backfill", ZONES, *DAYS, "--apply")

    assert refused.returncode == 2
    assert f"cannot backfill {ZONES} in Dagster: it is shadowed" in refused.stderr
    assert f"parity cutover {ZONES}" in refused.stderr
    assert (night.dagster.launches, night.entries()) == ([], [])


def test_without_apply_nothing_is_launched(night: Night) -> None:
    """The runs are shown, and nothing is done."""
    night.cut_over()

    done = night.parity("backfill", ZONES, *DAYS)

    assert done.returncode == 0, done.stderr
    assert f"backfill {ZONES}: Dagster runs 2024-03-09" in done.stdout
    assert "Nothing was done. To do it, add --apply" in done.stderr
    assert (night.dagster.launches, night.entries()) == ([], [])


def test_windows_that_follow_each_other_are_one_run(night: Night) -> None:
    """One run over all of them, with the entry of the ledger as its tag; the entry names just these windows, from the
    first one's start to the last one's end."""
    night.cut_over()

    done = night.parity("backfill", DAILY, *DAYS, "--apply", "--reason", "late trips", "--json")

    assert done.returncode == 0, done.stderr
    [launch], [entry] = night.dagster.launches, night.entries()
    assert launch.selector["pipelineName"] == "taxi_daily__dbt_daily"
    assert launch.tags == {
        "dagster/asset_partition_range_start": "2024-03-09",
        "dagster/asset_partition_range_end": "2024-03-11",
        "parity/backfill": entry.id,
        "dagster/max_retries": "0",
    }
    assert (entry.kind, entry.reason, entry.operator) == (Kind.BACKFILLED, "late trips", "ada@ops")
    assert entry.windows == Requested(
        datetime(2024, 3, 9, 11, tzinfo=timezone.utc), datetime(2024, 3, 12, 10, tzinfo=timezone.utc)
    )
    span = {"first": "2024-03-09", "last": "2024-03-11", "windows": 3}
    assert json.loads(done.stdout) == {
        "schema": "parity/backfill/1",
        "applied": True,
        "backfills": [{"unit": DAILY, "runs": [span], "blockers": []}],
        "launched": [{"unit": DAILY, **span, "run": "run-1"}],
    }


def test_a_live_run_blocks_a_backfill(night: Night) -> None:
    """While a run of the unit is under way nothing is launched."""
    night.cut_over()
    night.dagster.list_run("abcdef12", "STARTED", parity_unit=DAILY, parity_side="legacy")

    refused = night.parity("backfill", DAILY, *DAYS, "--apply")

    assert refused.returncode == 3
    assert "still running: Dagster run abcdef12 (started). Wait until they have finished" in refused.stderr
    assert (night.dagster.launches, night.entries()) == ([], [])


def test_a_run_that_fails_is_told(night: Night) -> None:
    """With --wait a failed run is an error with its address; the entry stays."""
    night.cut_over()
    night.dagster.run_status = "FAILURE"

    failed = night.parity("backfill", DAILY, *DAYS, "--apply", "--wait")

    assert failed.returncode == 1
    assert f"{night.dagster.url}/runs/run-1" in failed.stderr
    assert [entry.kind for entry in night.entries()] == [Kind.BACKFILLED]


def test_gaps_are_filled(night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --gaps the windows that nobody has written are run, each stretch by itself."""
    night.cut_over()
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        for day in ("2023-12-31", "2024-01-01", "2024-01-03", "2024-01-06"):
            for model in ("daily_metrics", "location_metrics"):
                instance.report_runless_asset_event(dg.AssetMaterialization(model, partition=day))
    monkeypatch.setenv("TAXI_LAST_DAY", "2024-01-06")
    monkeypatch.setenv("DAGSTER_HOME", str(home))

    done = night.parity("backfill", DAILY, "--gaps", "--json")

    assert done.returncode == 0, done.stderr
    [document] = json.loads(done.stdout)["backfills"]
    assert [(run["first"], run["last"]) for run in document["runs"]] == [
        ("2024-01-02", "2024-01-02"), ("2024-01-04", "2024-01-05"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give either --from (and --to), or --gaps"),
        (("--gaps", "--from", "2024-03-09"), "give either --from (and --to), or --gaps"),
        (("--gaps",), "no evidence is available"),
        (("--from", "yesterday"), "yesterday"),
    ],
    ids=["nothing", "both", "no-log", "no-day"],
)
def test_a_wrong_request(night: Night, arguments: tuple[str, ...], message: str) -> None:
    """What cannot be asked exits 2 with a message."""
    night.cut_over()

    refused = night.parity("backfill", DAILY, *arguments)

    assert refused.returncode == 2, refused.stderr
    assert message in refused.stderr
    assert "Traceback" not in refused.stderr
