"""The observer's ticks, with a loopback Airflow and a real Dagster instance."""

from __future__ import annotations

from dataclasses import dataclass, field

import dagster as dg
import pendulum
from dagster import AssetKey

from tests.support.estate import Estate
from tests.support.fakes import FakeAirflow

DAILY = ("taxi_daily", "dbt_daily")
OPENING = AssetKey(["airflow", "observer"])
NOW = pendulum.datetime(2026, 6, 1, 12)
# The run of 9 March 2024, New York: an hour short, because the clocks go forward on the 10th.
SPRING = ("2024-03-09T11:00:00+00:00", "2024-03-10T10:00:00+00:00")


@dataclass
class Observer:
    """The estate's own sensor, tick after tick, as the daemon evaluates it: its events are stored, then its cursor.

    `stores`: whether the events go into the instance, which takes its time. `stored_at_most`: it fails after so many.
    """

    estate: Estate
    instance: dg.DagsterInstance
    cursor: str | None = None
    stores: bool = False
    stored_at_most: int = 1_000_000
    sensor: str = "airflow_observer"
    skipped: list[str] = field(default_factory=list)

    def tick(self) -> list[dg.AssetMaterialization | dg.AssetObservation]:
        sensor = self.estate.definitions.resolve_sensor_def(self.sensor)
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, definitions=self.estate.definitions
        ) as context:
            result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        if result.skip_reason:
            self.skipped.append(result.skip_reason.skip_message or "")
        events = [
            event for event in result.asset_events or () if not isinstance(event, dg.AssetCheckEvaluation)
        ]
        for event in events[: self.stored_at_most] if self.stores else ():
            self.instance.report_runless_asset_event(event)
        if len(events) > self.stored_at_most:
            raise OSError("the storage is gone")
        self.cursor = result.cursor
        return [event for event in events if event.asset_key.path[-1] != OPENING.path[-1]]

    def until_quiet(self) -> list[dg.AssetMaterialization | dg.AssetObservation]:
        """Run ticks until one has nothing to report."""
        all_events = []
        while events := self.tick():
            all_events += events
        return all_events


def materialized(events: list[dg.AssetMaterialization | dg.AssetObservation]) -> set[tuple[str, str | None]]:
    return {
        (event.asset_key.to_user_string(), event.partition)
        for event in events
        if isinstance(event, dg.AssetMaterialization)
    }


def spring_run(airflow: FakeAirflow) -> str:
    return airflow.add_run("taxi_daily", "scheduled__2024-03-09T11:00:00+00:00", *SPRING)
