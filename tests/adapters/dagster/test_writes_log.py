"""What a real event log says of who wrote which window."""

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_defs.adapters.dagster import event_log
from dagster_defs.adapters.dagster.partitions import partitioned
from dagster_defs.lifecycle import Owner, Unit, tags
from dagster_defs.lifecycle.continuity import skips_among
from dagster_defs.lifecycle.written import Unwritten, Wrote
from dagster_defs.settings import Settings
from dagster_defs.usecases import continuity
from dagster_defs.usecases.continuity import PAGE, WritesLog
from dagster_defs.windows import Schedule

UNIT = Unit("up", "stream")
ROWS, TOTALS = dg.AssetKey("rows"), dg.AssetKey(["mart", "totals"])
DAYS = dg.DailyPartitionsDefinition("2024-03-01")
SCHEDULE = partitioned(Schedule.of("@daily", "UTC", "2024-03-01"))
AT = datetime(2024, 3, 12, 4, tzinfo=timezone.utc)
SEEN: list[tuple[list[Wrote], dict[str, Unwritten]]] = []  # by runs that look at the log they write
LINK = "http://airflow.example/dags/up/grid"


@dg.multi_asset(
    specs=[dg.AssetSpec(key, partitions_def=DAYS, skippable=True) for key in (ROWS, TOTALS)],
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def both(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
    state = {tags.AIRFLOW_STATE: "skipped" if "skip" in context.run.tags else "success"}
    yield dg.MaterializeResult(ROWS, metadata=state)
    if "look" in context.run.tags:
        here = WritesLog(context.instance, Settings())
        SEEN.append((here.writes([ROWS, TOTALS]), here.unfinished(UNIT, SCHEDULE)))
    if "fail" in context.run.tags:
        raise ValueError("half-done")
    yield dg.MaterializeResult(TOTALS, metadata=state)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[WritesLog]:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield WritesLog(instance, Settings())


def told(log: WritesLog, day: str, run: str, tries: int = 1, ended: datetime = AT) -> None:
    """As the observer tells of a task that succeeded in Airflow."""
    for key in (ROWS, TOTALS):
        metadata: dict[str, Any] = {
            tags.SHOWN_RUN: dg.MetadataValue.url(LINK),
            tags.SHOWN_RUN_ID: run,
            tags.SHOWN_TRY: tries,
            tags.BEGAN: dg.MetadataValue.timestamp(ended.timestamp() - 60),
            tags.ENDED: dg.MetadataValue.timestamp(ended.timestamp()),
        }
        log.instance.report_runless_asset_event(
            dg.AssetMaterialization(key, partition=day, metadata=metadata)
        )


def ran(log: WritesLog, first: str, last: str = "", **more: str) -> str:
    """A real run over one partition or over several at once."""
    wanted = (
        {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
        if last
        else {"dagster/partition": first}
    )
    whose = {tags.UNIT: str(UNIT), tags.SIDE: "legacy"}
    return dg.materialize(
        [both], instance=log.instance, tags={**wanted, **whose, **more}, raise_on_error=False
    ).run_id


def writes(log: WritesLog, since: datetime | None = None) -> dict[str, list[Wrote]]:
    found: dict[str, list[Wrote]] = {}
    for each in log.writes([ROWS, TOTALS], since):
        found.setdefault(each.partition, []).append(each)
    return found


def test_what_airflow_wrote(log: WritesLog) -> None:
    """The observer's materializations are Airflow's, one write for all assets of a try, with its times and its link."""
    told(log, "2024-03-08", "scheduled__a")

    [one] = writes(log)["2024-03-08"]

    assert (one.owner, one.run, one.address, one.live) == (Owner.AIRFLOW, "scheduled__a", LINK, False)
    assert (one.began, one.ended) == (AT - timedelta(minutes=1), AT)
    assert one.assets == {"rows", "mart/totals"}


def test_a_run_over_many_windows_wrote_each(log: WritesLog) -> None:
    """A single Dagster run over a stretch of partitions is a write of every one of them, with the run's times."""
    run = ran(log, "2024-03-08", "2024-03-11")

    found = writes(log)

    assert sorted(found) == ["2024-03-08", "2024-03-09", "2024-03-10", "2024-03-11"]
    for [each] in found.values():
        assert (each.owner, each.run, each.root, each.live) == (Owner.DAGSTER, run, run, False)
        assert each.assets == {"rows", "mart/totals"}
        assert each.address.endswith(f"/runs/{run}")
        assert each.began
        assert each.ended
        assert each.began < each.at <= each.ended


def test_a_proxied_run_is_dagsters(log: WritesLog) -> None:
    """A run that Airflow's proxy launched is Dagster's, and its tries have Airflow's run in common."""
    tries = [ran(log, "2024-03-08", **{tags.AIRFLOW_RUN: "scheduled__a"}) for _ in range(2)]

    found = writes(log)["2024-03-08"]

    assert {each.run for each in found} == set(tries)
    assert {(each.owner, each.root) for each in found} == {(Owner.DAGSTER, "scheduled__a")}


def test_a_run_that_stopped_half_way(log: WritesLog) -> None:
    """A failed run has written what it has materialized, and is told of as failed."""
    run = ran(log, "2024-03-08", fail="yes")

    [one] = writes(log)["2024-03-08"]

    assert (one.assets, one.live) == (frozenset({"rows"}), False)
    assert log.unfinished(UNIT, SCHEDULE)["2024-03-08"].why == f"Dagster run {run[:8]} has failed"
    assert log.unfinished(Unit("up", "other"), SCHEDULE) == {}
    later = ran(log, "2024-03-08", "2024-03-10", fail="yes")
    assert {day: one.why[12:20] for day, one in log.unfinished(UNIT, SCHEDULE).items()} == dict.fromkeys(
        ("2024-03-08", "2024-03-09", "2024-03-10"), later[:8]
    )


def test_a_run_that_lives(log: WritesLog) -> None:
    """Seen from within the run that writes: what it has materialized so far is written, and it has not ended."""
    run = ran(log, "2024-03-08", look="yes")

    [one], unfinished = SEEN.pop()

    assert (one.run, one.assets, one.live, one.ended) == (run, frozenset({"rows"}), True, None)
    assert unfinished["2024-03-08"].live
    assert log.unfinished(UNIT, SCHEDULE) == {}


def test_what_airflow_did_not_write(log: WritesLog) -> None:
    """The newest word of the observer's on a task that wrote nothing is kept by partition, and skipped is known."""
    for day, state in (("2024-03-08", "failed"), ("2024-03-08", "skipped"), ("2024-03-09", "failed")):
        said = dg.AssetObservation(
            ROWS, partition=day, description=f"{state} in Airflow", metadata={tags.SHOWN_STATE: state}
        )
        log.instance.report_runless_asset_event(said)
    log.instance.report_runless_asset_event(dg.AssetObservation(ROWS, partition="2024-03-10"))

    found = log.latest_observations(ROWS)

    assert {day: (each.why, each.skipped) for day, each in found.items()} == {
        "2024-03-08": ("skipped in Airflow", True),
        "2024-03-09": ("failed in Airflow", False),
    }


def test_what_a_run_skipped(log: WritesLog) -> None:
    """An operator that Dagster runs may skip its window. It has written nothing, whatever else wrote the window."""
    wrote, skipped = ran(log, "2024-03-08"), ran(log, "2024-03-08", "2024-03-09", skip="yes")

    found = writes(log)
    unwritten = skips_among(each for row in found.values() for each in row)

    assert {day: {each.run: each.skipped for each in row} for day, row in found.items()} == {
        "2024-03-08": {wrote: False, skipped: True},
        "2024-03-09": {skipped: True},
    }
    assert {day: (one.why, one.skipped) for day, one in unwritten.items()} == dict.fromkeys(
        found, (f"Dagster run {skipped[:8]} skipped it", True)
    )


def test_a_failed_run_of_the_whole_dag(log: WritesLog) -> None:
    """The job of a retired DAG carries no unit; its failed run is told of for each of the DAG's units."""
    log.instance.add_run(
        dg.DagsterRun(
            "dag",
            status=dg.DagsterRunStatus.CANCELED,
            tags={tags.DAG: "up", "dagster/partition": "2024-03-08"},
        )
    )

    assert log.unfinished(UNIT, SCHEDULE)["2024-03-08"].why.endswith("was cancelled")
    assert log.unfinished(Unit("down", "stream"), SCHEDULE) == {}


def test_a_backfill_is_known_as_asked_for(log: WritesLog) -> None:
    """A run that the ledger's entry of a backfill has launched is told apart."""
    ran(log, "2024-03-08")
    ran(log, "2024-03-09", **{tags.BACKFILL: "1a2b"})

    assert [writes(log)[day][0].asked for day in ("2024-03-08", "2024-03-09")] == [False, True]


def test_what_somebody_reports_by_hand(log: WritesLog) -> None:
    """A materialization without a run that the observer did not tell was written outside of Dagster; one without a
    partition is of no window."""
    for partition in ("2024-03-08", None):
        log.instance.report_runless_asset_event(dg.AssetMaterialization(ROWS, partition=partition))

    [[one]] = writes(log).values()

    assert (one.owner, one.run, one.ended) == (Owner.AIRFLOW, "", None)


def test_a_run_that_somebody_has_deleted(log: WritesLog) -> None:
    """What a run has written stays Dagster's where somebody has deleted the run's record."""
    run = ran(log, "2024-03-08")
    told(log, "2024-03-09", "scheduled__a")
    log.instance.run_storage.delete_run(run)

    [one] = writes(log)["2024-03-08"]

    assert (one.owner, one.run, one.began) == (Owner.DAGSTER, run, None)


def test_writes_since_an_instant(log: WritesLog) -> None:
    """Only what was told after it is read."""
    told(log, "2024-03-08", "scheduled__a")
    between = datetime.now(timezone.utc)
    ran(log, "2024-03-09")

    assert sorted(writes(log, between)) == ["2024-03-09"]


def test_more_than_a_page(log: WritesLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events and runs are read page by page, and none is left out."""
    assert PAGE > 2
    monkeypatch.setattr(continuity, "PAGE", 2)
    monkeypatch.setattr(event_log, "PAGE", 2)
    days = [f"2024-03-{day:02}" for day in range(8, 13)]
    runs = {ran(log, day) for day in days}
    for day in days:
        told(log, day, f"scheduled__{day}")

    found = writes(log)

    assert sorted(found) == days
    assert all(
        len(one) == 2 and one[0].assets == one[1].assets == {"rows", "mart/totals"} for one in found.values()
    )
    assert {
        one.run for each in found.values() for one in each if one.began and one.owner is Owner.DAGSTER
    } == runs
