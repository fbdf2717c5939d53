"""The sensor that starts candidate runs, tick after tick, on a real event log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import pytest
from pytest_mock import MockerFixture

from dagster_defs.adapters.store.proxied_state import write_mark
from dagster_defs.components.sensors import shadow_sensor
from dagster_defs.lifecycle import Stage, Unit
from tests.support.estate import Estate
from tests.support.instances import instance_for_test
from tests.support.owned import bring_to

DAYS = ("2024-03-09", "2024-03-10", "2024-03-11")
DAILY, EXPORT = "shadow__taxi_daily__dbt_daily", "shadow__taxi_daily__export_daily"
TOLD_BY = "daily_metrics"  # the first of the unit's keys


@dataclass
class Shadow:
    """The estate's own sensor, as the daemon evaluates it; `start` makes the runs that a tick asked for."""

    estate: Estate
    instance: dg.DagsterInstance
    marks: Path
    cursor: str | None = None
    asked: list[dg.RunRequest] = field(default_factory=list)

    def tick(self) -> list[tuple[str, str]]:
        sensor = self.estate.definitions.resolve_sensor_def("airflow_shadow")
        with (
            self.estate.entered(),
            pytest.MonkeyPatch.context() as monkeypatch,
            dg.build_sensor_context(
                instance=self.instance, cursor=self.cursor, definitions=self.estate.definitions
            ) as context,
        ):
            monkeypatch.setenv("PARITY_PROXIED_STATE", str(self.marks))
            result = sensor(context)
        assert isinstance(result, dg.SensorResult), result
        self.cursor = result.cursor
        self.asked = [*(result.run_requests or ())]
        return [(str(request.job_name), str(request.partition_key)) for request in self.asked]

    def observe(self, key: str, partition: str | None) -> None:
        """As the observer tells of a task that Airflow has finished."""
        self.instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition))

    def run(
        self, job: str, side: str, unit: str, status: dg.DagsterRunStatus, tags: dict[str, str] | None = None
    ) -> dg.DagsterRun:
        return self.instance.create_run_for_job(
            self.estate.definitions.resolve_job_def(job),
            status=status,
            tags={"parity/side": side, "parity/unit": unit, **(tags or {})},
        )


@pytest.fixture
def shadow(estate: Estate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shadow]:
    assert estate.definitions
    own = Estate(estate.root, estate.instance)
    vars(own)["definitions"] = estate.definitions
    with instance_for_test() as instance:
        for unit in own.units:
            bring_to(tmp_path, Unit.parse(unit), Stage.SHADOWED)
        yield Shadow(own, instance, tmp_path)


def test_it_runs_by_default(shadow: Shadow) -> None:
    """The sensor is on from the start and may start every unit's candidate job, and no other."""
    sensor = shadow.estate.definitions.resolve_sensor_def("airflow_shadow")

    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    jobs = {target.job_name for target in sensor.targets}
    assert jobs == {f"shadow__{Unit.parse(unit).identifier}" for unit in shadow.estate.units}


def test_an_observed_window_gets_its_candidate(shadow: Shadow) -> None:
    """A legacy materialization is followed by one candidate run of its partition, which says where in the log."""
    shadow.observe(TOLD_BY, DAYS[0])

    assert shadow.tick() == [(DAILY, DAYS[0])]
    [request] = shadow.asked
    [record] = shadow.instance.fetch_materializations(dg.AssetKey(TOLD_BY), limit=1).records
    assert request.tags["parity/legacy_event"] == str(record.storage_id)
    assert shadow.tick() == []


def test_a_window_that_legacy_runs_again_gets_another(shadow: Shadow) -> None:
    """A second materialization of the same partition has a run key of its own."""
    shadow.observe(TOLD_BY, DAYS[0])
    shadow.tick()
    [first] = shadow.asked
    shadow.observe(TOLD_BY, DAYS[0])

    assert shadow.tick() == [(DAILY, DAYS[0])]
    assert shadow.asked[0].run_key != first.run_key


def test_windows_of_a_unit_run_in_order(shadow: Shadow) -> None:
    """However they were told: the earliest window first, and the next one when its candidate run has ended."""
    for day in (DAYS[2], DAYS[0], DAYS[1]):
        shadow.observe(TOLD_BY, day)

    assert shadow.tick() == [(DAILY, DAYS[0])]
    going_on = shadow.run(DAILY, "candidate", "taxi_daily.dbt_daily", dg.DagsterRunStatus.STARTED)
    assert shadow.tick() == []
    shadow.instance.report_run_canceled(going_on)
    assert shadow.tick() == [(DAILY, DAYS[1])]
    assert shadow.tick() == [(DAILY, DAYS[2])]
    assert shadow.tick() == []


def test_a_candidate_waits_for_what_it_reads(shadow: Shadow) -> None:
    """The export's candidate reads the candidate of daily_metrics: it is started when that has ended."""
    shadow.observe(TOLD_BY, DAYS[0])
    shadow.observe("daily_metrics_export", DAYS[0])

    assert shadow.tick() == [(DAILY, DAYS[0])]
    going_on = shadow.run(DAILY, "candidate", "taxi_daily.dbt_daily", dg.DagsterRunStatus.STARTED)
    assert shadow.tick() == []
    shadow.instance.report_run_canceled(going_on)
    assert shadow.tick() == [(EXPORT, DAYS[0])]


def test_a_proxied_run_counts_when_it_has_succeeded(shadow: Shadow) -> None:
    """A Dagster run tells of each model as it is built: its window is run when the run has ended well."""
    run = shadow.run("taxi_daily__dbt_daily", "legacy", "taxi_daily.dbt_daily", dg.DagsterRunStatus.STARTED)
    materialized(shadow, run, TOLD_BY, DAYS[0])
    assert shadow.tick() == []

    shadow.instance.report_dagster_event(
        dg.DagsterEvent(dg.DagsterEventType.PIPELINE_SUCCESS.value, run.job_name), run.run_id
    )

    assert shadow.tick() == [(DAILY, DAYS[0])]


def test_what_legacy_still_runs_is_to_come(shadow: Shadow) -> None:
    """The export's candidate waits while the legacy run that builds its metrics goes on, and for its candidate."""
    run = shadow.run("taxi_daily__dbt_daily", "legacy", "taxi_daily.dbt_daily", dg.DagsterRunStatus.STARTED)
    materialized(shadow, run, TOLD_BY, DAYS[0])
    shadow.observe("daily_metrics_export", DAYS[0])

    assert shadow.tick() == []
    shadow.instance.report_dagster_event(
        dg.DagsterEvent(dg.DagsterEventType.PIPELINE_SUCCESS.value, run.job_name), run.run_id
    )
    assert shadow.tick() == [(DAILY, DAYS[0])]
    assert shadow.tick() == [(EXPORT, DAYS[0])]


def test_a_failed_legacy_run_gets_no_candidate(shadow: Shadow) -> None:
    """What a failed Dagster run has built is no window that legacy has run."""
    run = shadow.run("taxi_daily__dbt_daily", "legacy", "taxi_daily.dbt_daily", dg.DagsterRunStatus.STARTED)
    materialized(shadow, run, TOLD_BY, DAYS[0])
    shadow.instance.report_run_failed(run)

    assert shadow.tick() == []
    assert json.loads(str(shadow.cursor))["waiting"] == []


def test_a_marked_unit_goes_on_being_shadowed(shadow: Shadow) -> None:
    """A unit that is cut over keeps its candidate runs: there is a way back."""
    write_mark(shadow.marks, Unit("taxi_daily", "dbt_daily"), proxied=True)
    shadow.observe(TOLD_BY, DAYS[0])

    assert shadow.tick() == [(DAILY, DAYS[0])]


@pytest.mark.parametrize("stage", [Stage.OBSERVED, Stage.RETIRED])
def test_only_shadowed_units_get_candidates(shadow: Shadow, tmp_path: Path, stage: Stage) -> None:
    """A unit that is only observed, and one that is retired, has no candidate runs."""
    shadow.marks = bring_to(tmp_path / "other", Unit("taxi_daily", "dbt_daily"), stage)
    shadow.observe(TOLD_BY, DAYS[0])

    assert shadow.tick() == []


def test_an_odd_event_stops_nobody(shadow: Shadow) -> None:
    """A key that is no partition, none at all, a shadow and a stranger are passed over; the next unit runs."""
    shadow.observe(TOLD_BY, "no day")
    shadow.observe(TOLD_BY, None)
    shadow.observe("stranger", DAYS[0])
    shadow.instance.report_runless_asset_event(
        dg.AssetMaterialization(["shadow", "daily_metrics"], partition=DAYS[1])
    )
    shadow.observe("taxi_trips", "2024-03-01")

    assert shadow.tick() == [("shadow__taxi_ingest__load_trips", "2024-03-01")]


def test_a_tick_is_bounded(shadow: Shadow, mocker: MockerFixture) -> None:
    """A tick reads so many events and starts so many runs; the next ones go on from there: nothing is lost."""
    mocker.patch.object(shadow_sensor, "EVENTS", 2)
    mocker.patch.object(shadow_sensor, "RUNS", 1)
    for key, partition in (("taxi_zones", "2024-03-01"), ("taxi_trips", "2024-03-01"), (TOLD_BY, DAYS[0])):
        shadow.observe(key, partition)

    started = [shadow.tick() for _ in range(4)]

    assert [len(tick) for tick in started] == [1, 1, 1, 0]
    assert {job for tick in started for job, _ in tick} == {
        "shadow__taxi_ingest__load_zones", "shadow__taxi_ingest__load_trips", DAILY,
    }  # fmt: skip


def materialized(shadow: Shadow, run: dg.DagsterRun, key: str, partition: str) -> None:
    """As a step of that run writes it into the log."""
    from dagster._core.events import StepMaterializationData

    shadow.instance.report_dagster_event(
        dg.DagsterEvent(
            dg.DagsterEventType.ASSET_MATERIALIZATION.value,
            run.job_name,
            event_specific_data=StepMaterializationData(dg.AssetMaterialization(key, partition=partition)),
        ),
        run.run_id,
    )
