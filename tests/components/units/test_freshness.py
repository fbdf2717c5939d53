"""Airflow's SLA as a freshness policy, beside the moments at which Airflow would miss it."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import dagster as dg
import pendulum
import pytest
from croniter import croniter
from dagster import AssetKey
from dagster._core.definitions.freshness import CronFreshnessPolicy, FreshnessState
from dagster._core.definitions.freshness_evaluator import CronFreshnessPolicyEvaluator
from dagster._core.loader import LoadingContextForTest
from dagster._core.test_utils import freeze_time

from dagster_defs.components.units.freshness import deadline_cron, freshness_policy
from dagster_defs.windows import Schedule
from tests.components.conftest import NEW_YORK_DAYS, Project
from tests.support.instances import instance_for_test

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def ticks(cron: str) -> list[datetime]:
    return list(islice(croniter(cron, datetime(2024, 1, 1)).all_next(datetime), 500))  # noqa: DTZ001 - wall clock


@pytest.mark.parametrize(
    ("cron", "late", "deadline"),
    [
        ("0 6 * * *", 2 * HOUR, "0 8 * * *"),
        ("30 22 * * *", 2 * HOUR, "30 0 * * *"),
        ("0 7 * * 1", 25 * HOUR, "0 8 * * 2"),
        ("0 20 * * 6", 5 * HOUR, "0 1 * * 0"),
        ("0 6 * * 1-5", DAY, "0 6 * * 2,3,4,5,6"),
        ("0 * * * *", timedelta(minutes=20), "20 * * * *"),
        ("*/15 * * * *", timedelta(minutes=20), "5,20,35,50 * * * *"),
        ("0 9-17 * * *", timedelta(minutes=90), "30 10,11,12,13,14,15,16,17,18 * * *"),
        ("0 0 1 * *", 3 * DAY, "0 0 4 * *"),
        ("0 0 1 */3 *", timedelta(minutes=5), "5 0 1 */3 *"),
    ],
)
def test_the_deadline_of_a_cron(cron: str, late: timedelta, deadline: str) -> None:
    """The deadline's cron fires exactly so long after each tick of the schedule's."""
    assert deadline_cron(cron, late) == deadline
    later = {tick + late for tick in ticks(cron)}
    [first, *_] = later & set(ticks(deadline))
    both = [tick for tick in ticks(deadline) if min(later) <= tick <= max(later)]
    assert first in both
    assert set(both) == {tick for tick in later if tick <= max(both)}


@pytest.mark.parametrize(
    ("cron", "late"),
    [
        pytest.param("0,30 9 * * *", timedelta(minutes=45), id="two hours with a minute each"),
        pytest.param("0 0,12 * * 1", 18 * HOUR, id="one carried to another day"),
        pytest.param("0 6 28 * *", DAY, id="a day that February may lack"),
        pytest.param("0 6 * * 5#2", DAY, id="the day after the second Friday"),
    ],
)
def test_a_deadline_that_no_cron_says(cron: str, late: timedelta) -> None:
    """There is no expression of five fields for these, and none is made up."""
    assert deadline_cron(cron, late) is None


def test_a_policy_of_clock_times() -> None:
    """Due at eight in New York, and made since the window's end, with an hour more for a clock that changes."""
    policy = freshness_policy(Schedule.of("0 6 * * *", "America/New_York", "2024-01-01"), 2 * 3600)

    assert policy == dg.FreshnessPolicy.cron("0 8 * * *", 3 * HOUR, "America/New_York")


@pytest.mark.parametrize(
    ("cron", "sla", "longest"),
    [
        pytest.param("0 * * * *", 2 * 3600, HOUR, id="more than a window"),
        pytest.param(
            "0,30 9 * * 1-5", 45 * 60, 71.5 * HOUR + HOUR, id="no cron, a weekend with a clock change"
        ),
    ],
)
def test_a_policy_of_ages(cron: str, sla: float, longest: timedelta) -> None:
    """Where no cron says the deadline, the newest data may be as old as the longest window and the SLA together."""
    policy = freshness_policy(Schedule.of(cron, "America/New_York", "2024-01-01"), sla)

    assert policy == dg.FreshnessPolicy.time_window(longest + timedelta(seconds=sla))


@pytest.mark.parametrize("cron", ["* * * * *", "0 6 * * *", "0 0 1 1 *", "0 0 * * 5#2", "0 0 L * *"])
@pytest.mark.parametrize("sla", [0, 1, 61, 86_400, 90 * 86_400])
def test_every_sla_has_a_policy(cron: str, sla: float) -> None:
    """No SLA of a schedule that has partitions is refused by Dagster."""
    assert freshness_policy(Schedule.of(cron, "UTC", "2024-01-01"), sla)


@pytest.mark.parametrize(
    ("made", "looked", "state"),
    [
        pytest.param("2024-05-14 10:20", "2024-05-14 13:00", FreshnessState.PASS, id="in time"),
        pytest.param("2024-05-13 10:20", "2024-05-14 11:59", FreshnessState.PASS, id="not due yet"),
        pytest.param("2024-05-13 10:20", "2024-05-14 12:01", FreshnessState.FAIL, id="the window before only"),
        pytest.param("2024-05-14 12:30", "2024-05-14 13:00", FreshnessState.PASS, id="late, and there now"),
        pytest.param("2024-11-03 04:10", "2024-11-03 13:10", FreshnessState.PASS, id="in the hour that comes twice"),
        pytest.param("2024-11-02 04:10", "2024-11-03 13:10", FreshnessState.FAIL, id="missing on that day"),
    ],
)  # fmt: skip
def test_dagster_says_when_data_is_late(made: str, looked: str, state: FreshnessState) -> None:
    """Dagster's own evaluation, instants in UTC: six to six in New York, due at eight; on the day of the clock change
    midnight to midnight, due at eight."""
    cron, sla = ("0 0 * * *", 8 * 3600) if "-11-" in made else ("0 6 * * *", 2 * 3600)
    policy = freshness_policy(Schedule.of(cron, "America/New_York", "2024-01-01"), sla)
    assert isinstance(policy, CronFreshnessPolicy)
    asset = dg.AssetSpec("due", freshness_policy=policy)
    node = dg.Definitions(assets=[asset]).resolve_asset_graph().get(AssetKey("due"))
    with instance_for_test() as instance:
        with freeze_time(pendulum.parse(made)):  # type: ignore[arg-type]  # it is a moment
            instance.report_runless_asset_event(dg.AssetMaterialization("due", partition="2024-05-13"))
        with freeze_time(pendulum.parse(looked)):  # type: ignore[arg-type]  # it is a moment
            context = LoadingContextForTest(instance)
            assert asyncio.run(CronFreshnessPolicyEvaluator().evaluate_freshness(context, node)) is state


def test_only_what_production_reads_is_due(project: Project, dbt_unit: Any) -> None:
    """The unit's own assets carry the policy, their shadows do not; nor does a unit without an SLA."""
    python = {"schedule": NEW_YORK_DAYS, "function": "include.ingest.load_zones"}
    project.declare(
        "own",
        dbt_unit(sla=3600),
        ("PythonUnit", {"unit": "own.due", **python, "sla": 3600, "outputs": [{"key": "due"}]}),
        ("PythonUnit", {"unit": "own.never", **python, "outputs": [{"key": "never"}]}),
    )
    specs = {spec.key: spec.freshness_policy for spec in project.load().resolve_all_asset_specs()}

    policy = dg.FreshnessPolicy.cron("0 7 * * *", 2 * HOUR, "America/New_York")
    assert {specs[AssetKey(key)] for key in ("daily_metrics", "due")} == {policy}
    assert {specs[AssetKey(key)] for key in (["shadow", "daily_metrics"], ["shadow", "due"], "never")} == {
        None
    }
