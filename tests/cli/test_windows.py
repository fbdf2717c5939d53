"""`parity windows` on the mirrors as they are, with an event log and a ledger of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, SensorInstigatorData
from typer.testing import CliRunner

from dagster_defs import cli
from dagster_defs.adapters.dagster.mirrors import legacy_keys, load_mirrors
from dagster_defs.adapters.store.ledger import Ledger
from dagster_defs.adapters.store.proxied_state import write_mark
from dagster_defs.errors import EventLogMissing, EvidenceUnreadable, NoSuchUnit, UnknownPartition
from dagster_defs.lifecycle import Owner, Stage, Unit, tags
from dagster_defs.lifecycle.ledger import Entry, Kind
from dagster_defs.lifecycle.stages import Move
from dagster_defs.settings import Settings
from dagster_defs.usecases.continuity import continuity_of, windows_by_side
from dagster_defs.usecases.move import facts
from tests.support.documents import document, fenced
from tests.support.estate import DAYS as BUILT
from tests.support.estate import Estate, foreign_environment

DAILY = Unit("taxi_daily", "dbt_daily")
DAYS = [f"2024-03-{day:02}" for day in range(8, 13)]


@dataclass(frozen=True)
class Home:
    """A DAGSTER_HOME, and beside it a folder of marks."""

    folder: Path
    instance: dg.DagsterInstance
    keys: tuple[dg.AssetKey, ...]

    def airflow_wrote(self, day: str) -> None:
        """As the observer tells of it."""
        noted: dict[str, Any] = {tags.SHOWN_RUN_ID: f"scheduled__{day}", tags.SHOWN_TRY: 1}
        for key in self.keys:
            event = dg.AssetMaterialization(key, partition=day, metadata=noted)
            self.instance.report_runless_asset_event(event)

    def dagster_wrote(self, *days: str, keys: int | None = None) -> str:
        """As a run's step writes it into the log; `keys`: so many of the unit's assets, None: all."""
        from dagster._core.events import StepMaterializationData

        run = self.instance.add_run(
            dg.DagsterRun(
                DAILY.identifier,
                status=dg.DagsterRunStatus.SUCCESS,
                tags={tags.UNIT: str(DAILY), tags.SIDE: "legacy"},
            )
        )
        for day in days:
            for key in self.keys[:keys]:
                event = dg.DagsterEvent(
                    dg.DagsterEventType.ASSET_MATERIALIZATION.value,
                    run.job_name,
                    event_specific_data=StepMaterializationData(dg.AssetMaterialization(key, partition=day)),
                )
                self.instance.report_dagster_event(event, run.run_id)
        return run.run_id

    def parity(self, *arguments: str) -> Any:
        return CliRunner().invoke(cli.app, ["windows", *arguments])

    def unit(self, *arguments: str) -> Any:
        outcome = self.parity(str(DAILY), *arguments, "--json")
        assert outcome.stdout, outcome.exception
        [found] = json.loads(outcome.stdout)["units"]
        return found


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    for name in os.environ.keys() - foreign_environment().keys():
        monkeypatch.delenv(name)
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    monkeypatch.setenv("PARITY_PROXIED_STATE", str(tmp_path / "proxied_state"))
    mirrors = {mirror.legacy_unit: mirror for mirror in load_mirrors(Settings().root)}
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        yield Home(tmp_path, instance, tuple(legacy_keys(mirrors)[DAILY]))


def test_one_writer_for_each_window(home: Home) -> None:
    """Airflow's windows and Dagster's after the hand-over are shown as spans, what is due now waits, and the exit code
    is 0."""
    for day in DAYS[:3]:
        home.airflow_wrote(day)
    run = home.dagster_wrote(*DAYS[3:])

    outcome, found = home.parity(str(DAILY)), home.unit()

    assert outcome.exit_code == 0, outcome.exception
    lines = [" ".join(line.split()) for line in outcome.stdout.splitlines()]
    assert "taxi_daily.dbt_daily airflow 2024-03-08 … 2024-03-10 (3)" in lines
    assert "taxi_daily.dbt_daily dagster 2024-03-11 … 2024-03-12 (2)" in lines
    assert any(line.startswith("waiting taxi_daily.dbt_daily: 2024-03-13 … ") for line in lines)
    assert found["continuous"] is True
    assert found["written"]["dagster"] == [{"first": DAYS[3], "last": DAYS[4], "windows": 2}]
    assert found["waiting"][0]["first"] == "2024-03-13"
    assert run


def test_gaps_and_overlaps_exit_with_3(home: Home) -> None:
    """A window that nobody wrote, one in part and one that both wrote are listed, each with what to do."""
    home.airflow_wrote(DAYS[0])
    for day in DAYS[2:]:
        home.airflow_wrote(day)
    run = home.dagster_wrote(DAYS[3])
    home.dagster_wrote("2024-03-13", keys=1)

    outcome = home.parity("taxi_daily.*")

    assert outcome.exit_code == 3, outcome.exception
    for said in (
        "gap taxi_daily.dbt_daily: 2024-03-09. Fill it in Airflow: airflow dags backfill -s 2024-03-09T11:00:00+00:00 ",
        "part taxi_daily.dbt_daily: 2024-03-13 (without ",
        "overlap taxi_daily.dbt_daily: 2024-03-11: both orchestrators wrote it: airflow (scheduled__2024-03-11) at ",
        f"dagster ({run}) at ",
        "See what is there: parity check taxi_daily.dbt_daily --from 2024-03-11",
        "4 written, 1 part, 1 gap",
        "1 overlapping",
    ):
        assert said in outcome.stdout, outcome.stdout
    continuities = continuity_of(Settings.from_process(), [DAILY], datetime.now(timezone.utc))
    assert continuities is not None
    assert continuities[DAILY].gap_keys == [DAYS[1], "2024-03-13"]


def test_dagsters_gap_is_filled_by_a_backfill(home: Home) -> None:
    """Of a unit that Dagster owns the remedy is the command that fills just that gap."""
    write_mark(home.folder / "proxied_state", DAILY, proxied=True)
    home.dagster_wrote(DAYS[0], DAYS[3], DAYS[4])

    [gap] = home.unit()["gaps"]

    assert (gap["kind"], gap["windows"]) == ("gap", 2)
    assert gap["remedy"] == f"Fill it: parity backfill {DAILY} --from {DAYS[1]} --to {DAYS[2]}"


def test_some_windows_of_some_units(home: Home) -> None:
    """--from and --to leave out what lies outside of them, exit code and all."""
    home.airflow_wrote(DAYS[0])
    for day in DAYS[2:]:
        home.airflow_wrote(day)

    assert home.unit("--from", DAYS[2], "--to", DAYS[4])["windows"] == 3
    assert home.parity(str(DAILY), "--from", DAYS[2], "--to", DAYS[4]).exit_code == 0
    assert home.parity(str(DAILY), "--from", DAYS[1]).exit_code == 3


def test_the_ledger_says_when_a_unit_was_enrolled(home: Home) -> None:
    """Windows before the first entry do not count, and a gap among them is none."""
    for day in (DAYS[0], DAYS[2], DAYS[3], DAYS[4]):
        home.airflow_wrote(day)
    Ledger(home.folder / "proxied_state").append(
        Entry(
            "1", datetime.now(timezone.utc), "ada@ops", DAILY, Move.HOLD, Kind.HELD, Stage.OBSERVED, "later"
        )
    )
    home.airflow_wrote(DAYS[4])

    shown = home.unit()

    assert (shown["continuous"], shown["written"]["airflow"][0]["first"]) == (True, DAYS[4])
    assert datetime.now(timezone.utc) - datetime.fromisoformat(shown["enrolled"]) < timedelta(minutes=5)


def test_what_each_side_wrote_since(home: Home) -> None:
    """Since an instant, the windows of each orchestrator; nothing of a unit that nothing mirrors."""
    home.airflow_wrote(DAYS[0])
    since = datetime.now(timezone.utc)
    home.dagster_wrote(*DAYS[1:4])
    home.airflow_wrote(DAYS[4])

    by_side = windows_by_side(Settings.from_process(), DAILY, since)

    assert {owner: list(map(str, spans)) for owner, spans in by_side.items()} == {
        Owner.AIRFLOW: [DAYS[4]],
        Owner.DAGSTER: ["2024-03-09 … 2024-03-11 (3)"],
    }
    assert windows_by_side(Settings.from_process(), Unit("no", "unit"), since) == {}


def test_a_unit_that_writes_nothing(home: Home) -> None:
    """A unit of tests alone has no windows to write, and is in nobody's way."""
    outcome = home.parity("taxi_weekly.dbt_test")

    assert (outcome.exit_code, "it writes none" in outcome.stdout) == (0, True)
    continuities = continuity_of(
        Settings.from_process(), [Unit("taxi_weekly", "dbt_test")], datetime.now(timezone.utc)
    )
    assert continuities is not None
    assert [each.against for each in continuities.values()] == [()]


def test_what_a_window_waits_for(home: Home) -> None:
    """As the sensor that starts a retired DAG's windows has left it; a sensor of the team's with such a name is none
    of ours, and other units wait for nothing."""
    start, since = "2024-03-04T12:00:00+00:00", "2024-03-11T11:00:12+00:00"
    why = "taxi_daily.dbt_daily of 2024-03-03 11:00 UTC is not written"
    wait = {"since": since, "tried_since": since, "outcome": "waiting", "why": why}
    waiting = {"begun": since, "seen": since, "waits": {"wait_for_daily": wait}}
    sensor_left(
        home,
        "airflow_schedules",
        json.dumps({"taxi_weekly": {"last": start, "waiting": {start: waiting}, "held": False}}),
    )
    sensor_left(home, "own_schedules", "at page 7")

    shown = " ".join(home.parity("taxi_weekly.dbt_weekly").stdout.split())
    assert (
        f"waits taxi_weekly.dbt_weekly: 2024-03-04: {why} (wait_for_daily, since 2024-03-11 11:00 UTC)"
        in shown
    )
    [found] = json.loads(home.parity("taxi_weekly.dbt_weekly", "--json").stdout)["units"]
    assert found["waited_for"] == [
        {
            "window": "2024-03-04", "sensor": "wait_for_daily", "what": "taxi_daily.dbt_daily", "why": why,
            "since": since, "outcome": "waiting",
        }
    ]  # fmt: skip
    assert home.unit()["waited_for"] == []


def sensor_left(home: Home, name: str, cursor: str) -> None:
    """What the daemon keeps of a sensor after a tick."""
    location = RegisteredCodeLocationOrigin("here")
    origin = RemoteRepositoryOrigin(location, "__repository__").get_instigator_origin(name)
    data = SensorInstigatorData(cursor=cursor)
    home.instance.add_instigator_state(
        InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING, data)
    )


def test_a_sensor_that_the_schedule_waits_for_needs_no_mirror(home: Home) -> None:
    """The gate of a whole DAG asks for tasks that are neither mirrored nor waited for."""
    record = facts.read_record(Settings.from_process())

    assert Unit("taxi_weekly", "wait_for_daily") in record.disposed
    assert record.mirrors.keys() < record.disposed


def test_without_an_event_log(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without DAGSTER_HOME the command says what to set, and whoever asks from within is told that nobody knows."""
    monkeypatch.delenv("DAGSTER_HOME")

    outcome = home.parity()

    assert isinstance(outcome.exception, EventLogMissing)
    assert outcome.exception.exit_code == 2
    assert continuity_of(Settings.from_process(), [DAILY], datetime.now(timezone.utc)) is None
    assert windows_by_side(Settings.from_process(), DAILY, datetime.now(timezone.utc)) == {}


def test_wrong_requests(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit that is not there, a key that is none, an end without a beginning, a storage that does not answer."""
    assert isinstance(home.parity("taxi_daly").exception, NoSuchUnit)
    assert isinstance(home.parity(str(DAILY), "--from", "yesterday").exception, UnknownPartition)
    assert home.parity("--to", DAYS[0]).exit_code == 2
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "dagster.yaml").write_text("storage: {nothing_like_it: {}}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(broken))
    assert isinstance(home.parity().exception, EvidenceUnreadable)


def test_an_estate_that_has_run(
    built_estate: Estate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real runs of every kind of task, over several windows at once, leave each window written wholly, by Dagster."""
    monkeypatch.setattr(facts, "load_mirrors", lambda _root: load_mirrors(built_estate.root))
    with built_estate.entered():
        monkeypatch.setenv("PARITY_PROXIED_STATE", str(tmp_path))
        monkeypatch.setenv("DAGSTER_HOME", built_estate.instance.root_directory)
        outcome = CliRunner().invoke(cli.app, ["windows", "--json"])

    units = {one["unit"]: one for one in json.loads(outcome.stdout)["units"]}
    assert outcome.exit_code == 0, outcome.stdout
    assert sorted(units) == built_estate.units
    for name in ("dbt_zones", "dbt_daily", "export_daily"):
        one = units[f"taxi_daily.{name}"]
        assert one["written"]["dagster"] == [{"first": BUILT[0], "last": BUILT[1], "windows": 2}]
        assert one["written"]["airflow"] == []


def test_the_shape_is_the_documented_one(home: Home) -> None:
    """`parity windows --json` has the documented keys, at every depth."""
    home.airflow_wrote(DAYS[0])
    home.airflow_wrote(DAYS[2])
    home.dagster_wrote(DAYS[2])
    skipped = dg.AssetObservation(
        home.keys[0], partition="2024-03-11", description="skipped", metadata={"State": "skipped"}
    )
    home.instance.report_runless_asset_event(skipped)
    home.airflow_wrote("2024-03-12")
    home.airflow_wrote("2024-03-01T05:00-0500")
    [documented] = fenced(document("docs/reference.md").section("### `parity windows`"), "json")

    assert shape(json.loads(home.parity(str(DAILY), "--json").stdout)) == shape(json.loads(documented))


def shape(value: Any) -> Any:
    """Keys, all the way down; a list is its first element."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in sorted(value.items())}
    return [shape(inner) for inner in value[:1]] if isinstance(value, list) else None
