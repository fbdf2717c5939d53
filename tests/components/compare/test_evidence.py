"""The asset check `parity`: what a candidate run, and a later comparison, leave in Dagster's event log."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import dagster as dg
import duckdb
import pendulum
import pytest
from dagster import AssetCheckKey, AssetCheckSeverity, AssetKey

from dagster_defs.adapters.dagster.evidence import read_evidence
from dagster_defs.lifecycle import tags
from dagster_defs.lifecycle.fairness import NOT_ASKED
from dagster_defs.parity import Side, Verdict
from tests.support.estate import DAYS, MONTH, ONE_TRY, Estate, copy_project
from tests.support.fakes import FakeAirflow
from tests.support.instances import instance_for_test

DAILY = "taxi_daily__dbt_daily"
DAY, NEXT = DAYS
WINDOWS = {DAY: ("2024-03-09T11:00:00+00:00", "2024-03-10T10:00:00+00:00"),
           NEXT: ("2024-03-10T10:00:00+00:00", "2024-03-11T10:00:00+00:00")}  # fmt: skip
METRICS = AssetKey(["shadow", "daily_metrics"])


TABLES = ("daily_metrics", "location_metrics")
Verdicts = dict[tuple[str, str | None], dg.AssetCheckEvaluation]


def verdicts(result: dg.ExecuteInProcessResult) -> Verdicts:
    """The run's evaluations of `parity`, by asset and partition."""
    return {
        (evaluation.asset_key.to_user_string(), evaluation.partition): evaluation
        for evaluation in result.get_asset_check_evaluations()
        if evaluation.check_name == "parity"
    }


def instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def said(evaluation: dg.AssetCheckEvaluation, name: str) -> Any:
    return evaluation.metadata[name].value


@dataclass
class Evident:
    """An estate with copies of databases that hold both days on both sides, and an event log that a test fills."""

    estate: Estate

    def wrote(self, side: Side, day: str, **noted: Any) -> None:
        """As a run that has just built both tables tells it; `noted` is metadata, as the observer writes it."""
        for name in TABLES:
            key = [name] if side is Side.LEGACY else ["shadow", name]
            self.estate.instance.report_runless_asset_event(
                dg.AssetMaterialization(key, partition=day, metadata=noted)
            )

    def compare(self, first: str, last: str = "") -> Verdicts:
        """Both sides as they are now; nothing is built."""
        result = self.estate.run(f"compare__{DAILY}", (first, last or first))
        assert result.get_asset_materialization_events() == []
        return verdicts(result)

    def execute(self, side: Side, statement: str) -> None:
        with duckdb.connect(str(self.estate.database(side))) as connection:
            connection.execute(statement)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """An estate of its own in which both sides have run both days, one by one, beside an Airflow that is idle."""
    with instance_for_test() as instance, FakeAirflow() as airflow:
        root = copy_project(tmp_path_factory.mktemp("evidence"))
        own = Estate(root, instance, airflow_url=airflow.url)
        own.make_landing_data()
        for unit in ("taxi_ingest__load_zones", "taxi_ingest__load_trips"):
            own.run(unit, (MONTH, MONTH))
        for day in DAYS:
            own.run(DAILY, (day, day))
            own.results[day] = own.run(f"shadow__{DAILY}", (day, day))
        for side in Side:
            shutil.copy(own.database(side), own.database(side).with_suffix(".built"))
        yield own


@pytest.fixture
def silent(built: Estate) -> Iterator[Evident]:
    """The same data, an empty event log, and an Airflow that does not answer."""
    for side in Side:
        shutil.copy(built.database(side).with_suffix(".built"), built.database(side))
    with instance_for_test() as instance:
        own = Estate(built.root, instance)
        vars(own)["definitions"] = built.definitions
        yield Evident(own)


@pytest.fixture
def own(silent: Evident, airflow: FakeAirflow) -> Evident:
    """The same with an Airflow that has not started anything."""
    estate = Estate(silent.estate.root, silent.estate.instance, airflow_url=airflow.url)
    vars(estate)["definitions"] = silent.estate.definitions
    return Evident(estate)


def test_a_candidate_run_leaves_a_verdict(built: Estate) -> None:
    """A candidate run builds and then compares: each table has an evaluation of its window, which passed."""
    for day in DAYS:
        found = verdicts(built.results[day])

        assert found.keys() == {("shadow/daily_metrics", day), ("shadow/location_metrics", day)}
        for evaluation in found.values():
            assert evaluation.passed, evaluation.description
            assert said(evaluation, "verdict") == "match"
            assert said(evaluation, "legacy rows") == said(evaluation, "candidate rows") > 0
            assert said(evaluation, "parity/window_start") == instant(WINDOWS[day][0])
            assert said(evaluation, "parity/window_end") == instant(WINDOWS[day][1])
            assert said(evaluation, "dbt tests").endswith(" on both sides, 0 differ")
            assert evaluation.target_materialization_data
            assert evaluation.target_materialization_data.run_id == built.results[day].run_id


def test_a_person_compares_a_window_again(own: Evident) -> None:
    """The job that only compares can be launched for a partition, by `dg launch` as in Dagster's UI."""
    for side in Side:
        own.wrote(side, NEXT)
    home = own.estate.instance.root_directory

    launched = own.estate.program(
        "dg", "launch", "--job", f"compare__{DAILY}", "--partition", NEXT, DAGSTER_HOME=home
    )

    assert launched.returncode == 0, launched.stderr
    found = read_evidence(own.estate.instance)
    assert {(one.checked.check.name, one.partition) for one in found} == {(name, NEXT) for name in TABLES}


def test_the_event_log_keeps_a_row_for_each_window(built: Estate) -> None:
    """The evaluations of one check are kept by partition, as Dagster's UI shows them."""
    history = built.instance.event_log_storage.get_asset_check_execution_history(
        AssetCheckKey(METRICS, "parity"), limit=10
    )

    assert [(record.partition, record.status.value) for record in history] == [
        (day, "SUCCEEDED") for day in reversed(DAYS)
    ]


def test_only_shadows_are_materialized(built: Estate) -> None:
    """A candidate run materializes, observes and checks keys under shadow/ and no other."""
    result = built.results[DAY]

    keys = {event.asset_key for event in result.get_asset_materialization_events()}
    keys |= {
        event.asset_observation_data.asset_observation.asset_key
        for event in result.get_asset_observation_events()
    }
    keys |= {evaluation.asset_key for evaluation in result.get_asset_check_evaluations()}
    assert len(keys) > len(TABLES)
    assert {key.path[0] for key in keys if key} == {"shadow"}


def test_no_candidate_job_selects_a_real_key(estate: Estate) -> None:
    """Whatever unit: a job whose name begins with shadow__ or compare__ writes keys under shadow/ only."""
    jobs = [
        job
        for job in estate.definitions.resolve_all_job_defs()
        if job.name.startswith(("shadow__", "compare__"))
    ]

    assert len(jobs) > len(estate.units)
    for job in jobs:
        written = {key.path[0] for key in job.asset_layer.executable_asset_keys} - {"shadow"}
        assert written == set(), job.name


def test_a_corrupted_candidate_fails_the_check(own: Evident) -> None:
    """Comparing again, without building, finds one changed value: ERROR, with column, counts and a table of samples."""
    own.wrote(Side.LEGACY, DAY)
    own.wrote(Side.CANDIDATE, DAY)
    own.execute(
        Side.CANDIDATE, "update daily_metrics set trips = trips + 1 where pickup_borough = 'Manhattan'"
    )

    found = own.compare(DAY)

    bad = found["shadow/daily_metrics", DAY]
    assert (bad.passed, bad.severity) == (False, AssetCheckSeverity.ERROR)
    assert (said(bad, "verdict"), said(bad, "modified"), said(bad, "differing columns")) == (
        "mismatch",
        1,
        "trips",
    )
    assert "| modified | " in said(bad, "samples")
    assert "Manhattan" in said(bad, "samples")
    assert found["shadow/location_metrics", DAY].passed


def test_a_run_over_several_windows_has_a_verdict_for_each(own: Evident) -> None:
    """A backfill of two days has four evaluations; the table without a time column counts with the last one only."""
    for side in Side:
        for day in DAYS:
            own.wrote(side, day)

    found = own.compare(*DAYS)

    assert {key: said(evaluation, "verdict") for key, evaluation in found.items()} == {
        ("shadow/daily_metrics", DAY): "match",
        ("shadow/daily_metrics", NEXT): "match",
        ("shadow/location_metrics", DAY): "inconclusive",
        ("shadow/location_metrics", NEXT): "match",
    }
    assert found["shadow/location_metrics", DAY].severity is AssetCheckSeverity.WARN


def test_evidence_is_read_back(own: Evident) -> None:
    """What the event log has is the same check again: the last verdict on a window counts, on a whole table the last
    window's."""
    for side in Side:
        for day in DAYS:
            own.wrote(side, day)
    own.compare(*DAYS)
    own.execute(
        Side.CANDIDATE,
        "delete from daily_metrics where trip_date = '2024-03-10' and pickup_borough = 'Queens'",
    )
    own.compare(NEXT)

    found = {
        (each.checked.check.name, each.checked.partition): each for each in read_evidence(own.estate.instance)
    }

    assert {key: each.checked.verdict for key, each in found.items()} == {
        ("daily_metrics", DAY): Verdict.MATCH,
        ("daily_metrics", NEXT): Verdict.MISMATCH,
        ("location_metrics", None): Verdict.MATCH,
    }
    bad = found["daily_metrics", NEXT].checked
    assert bad.check.only_in_legacy == 1
    assert bad.check.samples[0]["row"]["pickup_borough"] == "Queens"
    assert found["location_metrics", None].partition == NEXT


@pytest.mark.parametrize("side", Side)
def test_a_window_that_one_side_has_not_run_is_inconclusive(own: Evident, side: Side) -> None:
    """Where the event log knows of no run of the window on a side there is no verdict, whatever the tables hold."""
    own.wrote(side, DAY)

    assert {said(each, "verdict") for each in own.compare(DAY).values()} == {"inconclusive"}


def test_a_legacy_that_ran_again_is_inconclusive(own: Evident) -> None:
    """A legacy run of the same window after the candidate makes the comparison unfair."""
    for side in (Side.LEGACY, Side.CANDIDATE, Side.LEGACY):
        own.wrote(side, DAY)

    found = own.compare(DAY)

    assert {said(each, "verdict") for each in found.values()} == {"inconclusive"}
    assert "legacy has moved on: it has run this window again" in said(
        found["shadow/daily_metrics", DAY], "reason"
    )


@pytest.mark.parametrize("side", Side)
def test_a_later_window_spoils_whole_tables_only(own: Evident, side: Side) -> None:
    """Once a side has run the next day, the earlier day's rows still compare; the whole table does not."""
    own.wrote(Side.LEGACY, DAY)
    own.wrote(Side.CANDIDATE, DAY)
    own.wrote(side, NEXT)

    found = own.compare(DAY)

    assert said(found["shadow/daily_metrics", DAY], "verdict") == "match"
    assert said(found["shadow/location_metrics", DAY], "verdict") == "inconclusive"
    assert f"{side} has moved on: the run of {NEXT}" in said(found["shadow/location_metrics", DAY], "reason")


@pytest.mark.parametrize(("day", "metrics"), [(DAY, "inconclusive"), (NEXT, "match")])
def test_a_task_that_airflow_has_started_again(
    own: Evident, airflow: FakeAirflow, day: str, metrics: str
) -> None:
    """What Airflow has started since, and Dagster has not seen yet, counts too: the same window's run for its rows,
    any window's run for a whole table."""
    own.wrote(Side.LEGACY, DAY)
    own.wrote(Side.CANDIDATE, DAY)
    run = airflow.add_run("taxi_daily", "scheduled__x", *WINDOWS[day], state="running")
    airflow.finish("taxi_daily", "dbt_daily", run, pendulum.now("UTC").add(minutes=1), state="running")

    found = own.compare(DAY)

    assert said(found["shadow/daily_metrics", DAY], "verdict") == metrics
    assert said(found["shadow/location_metrics", DAY], "verdict") == "inconclusive"
    assert "try 1 of scheduled__x started since" in said(found["shadow/location_metrics", DAY], "reason")


def test_an_airflow_that_does_not_answer(silent: Evident) -> None:
    """Without Airflow a window's verdict says that nobody could be asked, and a whole table's is inconclusive."""
    silent.wrote(Side.LEGACY, DAY)
    silent.wrote(Side.CANDIDATE, DAY)

    found = silent.compare(DAY)

    assert said(found["shadow/daily_metrics", DAY], "verdict") == "match"
    assert NOT_ASKED in said(found["shadow/daily_metrics", DAY], "reason")
    assert said(found["shadow/location_metrics", DAY], "verdict") == "inconclusive"


def test_the_airflow_run_is_linked(own: Evident, airflow: FakeAirflow) -> None:
    """The verdict links to the Airflow run that the observer has seen, whose own try is no newer one."""
    link = "http://airflow.example/dags/taxi_daily/grid?dag_run_id=scheduled__x"
    ended = pendulum.now("UTC").subtract(minutes=1)
    run = airflow.add_run("taxi_daily", "scheduled__x", *WINDOWS[DAY])
    airflow.finish("taxi_daily", "dbt_daily", run, ended)
    own.wrote(
        Side.LEGACY,
        DAY,
        **{
            "Airflow run": dg.MetadataValue.url(link),
            "Airflow run id": run,
            "Try": 1,
            "parity/legacy_began": dg.MetadataValue.timestamp(ended.subtract(seconds=7).timestamp()),
            "parity/legacy_ended": dg.MetadataValue.timestamp(ended.timestamp()),
        },
    )
    own.wrote(Side.CANDIDATE, DAY)

    found = own.compare(DAY)["shadow/daily_metrics", DAY]

    assert (said(found, "Airflow run"), said(found, "verdict")) == (link, "match")
    assert said(found, "dbt tests").startswith("not known")


def test_a_failing_test_is_a_mismatch(own: Evident, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dbt test that passed in legacy and fails in the candidate is a mismatch that names it, though rows match."""
    from dagster_defs.adapters.dbt import workspaces

    broken = own.estate.root / "dbt" / "tests" / "candidate_is_wrong.sql"
    broken.write_text("select 1 from {{ ref('location_metrics') }} where '{{ target.name }}' = 'candidate'\n")
    try:
        monkeypatch.setattr(workspaces, "_WORKSPACES", {})  # as in a new process
        edited = Estate(own.estate.root, own.estate.instance, airflow_url=own.estate.airflow_url)
        edited.run(DAILY, (DAY, DAY))
        result = edited.run(f"shadow__{DAILY}", (DAY, DAY), must_succeed=False, tags=ONE_TRY)
    finally:
        broken.unlink()

    assert not result.success
    found = verdicts(result)
    assert said(found["shadow/location_metrics", DAY], "verdict") == "mismatch"
    assert "dbt tests differ: candidate_is_wrong" in said(found["shadow/location_metrics", DAY], "reason")
    assert said(found["shadow/daily_metrics", DAY], "verdict") == "match"


def test_a_candidate_that_does_not_build_is_inconclusive(own: Evident) -> None:
    """A failed build fails the run, and its window has a verdict all the same: inconclusive, with the failure."""
    own.wrote(Side.LEGACY, DAY)
    own.wrote(Side.CANDIDATE, DAY)
    own.execute(Side.CANDIDATE, "alter table daily_metrics drop column trips")

    result = own.estate.run(f"shadow__{DAILY}", (DAY, DAY), must_succeed=False, tags=ONE_TRY)

    assert not result.success
    found = verdicts(result)["shadow/daily_metrics", DAY]
    assert said(found, "verdict") == "inconclusive"
    assert "the candidate run did not build it" in said(found, "reason")


def test_tests_that_airflow_ran_are_evaluated(own: Evident) -> None:
    """Where plain dbt has built legacy, its tests are evaluated as its data stands, and nothing is written: a wrong row
    outside the window is a mismatch of the table that it is in."""
    build = ["build", "--target", "legacy", "--select", "tag:daily", "--vars"]
    folder = str(own.estate.root / "dbt")
    places = [
        "--project-dir",
        folder,
        "--profiles-dir",
        folder,
        "--target-path",
        str(own.estate.root / "airflow"),
    ]
    outcome = own.estate.program("dbt", *build, f"{{min_date: '{DAY}', max_date: '{NEXT}'}}", *places)
    assert outcome.returncode == 0, outcome.stdout
    own.execute(
        Side.LEGACY,
        "insert into daily_metrics by name select date '2024-01-01' as trip_date, 'Queens' as pickup_borough, "
        "0 as trips, 0 as rejected_trips, 5 as total_amount",
    )
    own.wrote(Side.LEGACY, DAY)
    before = own.estate.database(Side.LEGACY).read_bytes()

    found = verdicts(own.estate.run(f"shadow__{DAILY}", (DAY, DAY)))

    bad, good = found["shadow/daily_metrics", DAY], found["shadow/location_metrics", DAY]
    assert (said(bad, "verdict"), said(bad, "modified")) == ("mismatch", 0)
    assert "dbt tests differ: no_amount_without_trips" in said(bad, "reason")
    assert re.fullmatch(r"1\d on both sides, 1 differ", said(bad, "dbt tests"))
    assert said(good, "verdict") == "match"
    assert re.fullmatch(r"1\d on both sides, 0 differ", said(good, "dbt tests"))
    assert own.estate.database(Side.LEGACY).read_bytes() == before


@pytest.mark.parametrize(
    ("side", "day", "verdict"),
    [(Side.LEGACY, DAY, "inconclusive"), (Side.CANDIDATE, DAY, "inconclusive"), (Side.LEGACY, NEXT, "match")],
)
def test_another_unit_has_built_the_table_too(own: Evident, side: Side, day: str, verdict: str) -> None:
    """What another unit's run has written since makes a comparison unfair, unless it was about another window."""
    own.wrote(Side.LEGACY, DAY)
    own.wrote(Side.CANDIDATE, DAY)
    start, end = (dg.MetadataValue.timestamp(instant(text)) for text in WINDOWS[day])
    key = ["daily_metrics"] if side is Side.LEGACY else ["shadow", "daily_metrics"]
    noted: dict[str, Any] = {tags.WRITTEN_BY: "other.task", tags.WINDOW_START: start, tags.WINDOW_END: end}
    own.estate.instance.report_runless_asset_event(dg.AssetObservation(key, metadata=noted))

    found = own.compare(DAY)["shadow/daily_metrics", DAY]

    assert said(found, "verdict") == verdict
    assert (f"{side} has moved on: other.task" in said(found, "reason")) is (verdict == "inconclusive")


def test_a_candidate_upstream_that_has_failed(own: Evident) -> None:
    """An export whose candidate had no metrics of the window to read is inconclusive, and names the failed run."""
    own.wrote(Side.LEGACY, DAY)
    own.execute(Side.CANDIDATE, "update daily_metrics set trips = trips + 1")
    failed = own.estate.instance.create_run_for_job(
        own.estate.definitions.resolve_job_def(f"shadow__{DAILY}"),
        status=dg.DagsterRunStatus.FAILURE,
        tags={tags.UNIT: "taxi_daily.dbt_daily", tags.SIDE: "candidate", "dagster/partition": DAY},
    )
    own.estate.run("taxi_daily__export_daily", (DAY, DAY))

    [found] = verdicts(own.estate.run("shadow__taxi_daily__export_daily", (DAY, DAY))).values()

    assert said(found, "verdict") == "inconclusive"
    assert said(found, "modified") > 0
    assert f"candidate run {failed.run_id[:8]} of taxi_daily.dbt_daily failed" in said(found, "reason")
