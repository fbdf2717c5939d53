"""Units of DAGs without a clock: they load without partitions, run on an occasion, and each legacy run is observed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import dagster as dg
import duckdb
import pendulum
import pytest
from dagster import AssetKey

from dagster_defs.adapters.store.ledger import NAME
from dagster_defs.adapters.store.proxied_state import write_mark
from dagster_defs.components.units.unit_schedule import UnitSchedule
from dagster_defs.lifecycle import Stage, Unit, tags
from dagster_defs.windows import EventKind, Occasion
from tests.components.conftest import Project
from tests.components.units.test_bad_yaml import fault_of
from tests.support.estate import Estate, copy_project
from tests.support.fakes import FakeAirflow
from tests.support.instances import instance_for_test
from tests.support.observing import NOW, Observer
from tests.support.owned import bring_to

MANUAL = {"event": "manual", "timezone": "America/New_York"}
RUN = "manual__2024-03-09T12:00:00+00:00"
AT = "2024-03-09T12:00:00+00:00"
NOON = pendulum.datetime(2024, 3, 9, 12)
ASKED = Occasion(RUN, NOON, NOON, NOON, conf={"days": 3, "on": {"1": [None, "x"]}})


def python_unit(unit: str = "asked.note", **attributes: Any) -> tuple[str, dict[str, Any]]:
    return "PythonUnit", {
        "unit": unit,
        "schedule": MANUAL,
        "function": "own_occasions.noted",
        "arguments": {"day": "{{ ds }}", "days": "{{ dag_run.conf.get('days', 1) }}"},
        "outputs": [{"key": unit.partition(".")[2]}],
        **attributes,
    }


DAILY = {"cron": "@daily", "start": "2024-03-01"}
UNITS = (
    python_unit(),
    python_unit("timed.after", schedule=DAILY, arguments={"day": "{{ ds }}"},
                outputs=[{"key": "after", "deps": ["note", "timed"]}]),
    python_unit("timed.before", schedule=DAILY, arguments={"day": "{{ ds }}"}, outputs=[{"key": "timed"}]),
    python_unit("asked.summed", arguments={}, outputs=[{"key": "summed", "deps": ["timed"]}]),
    ("LegacyTask", {"unit": "once.mail", "schedule": {"event": "once"}, "sla": 60,
                    "shadow": "never", "because": "it sends mails"}),
    ("DbtUnit", {"unit": "asked.dbt", "schedule": MANUAL, "select": "tag:zones",
                 "vars": {"min_date": "{{ dag_run.conf.get('since', ds) }}"}}),
)  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with instance_for_test() as instance:
        project = Project(Estate(copy_project(tmp_path_factory.mktemp("events"), code=False), instance))
        module = project.estate.root / "legacy_dags" / "own_occasions.py"
        module.write_text("def noted(side, **said):\n    return said\n")
        project.declare("own", *UNITS)
        project.declare("airflow", ("AirflowEstate", {}))
        project.load()
        yield project


def run(
    place: Project, job: str, config: dict[str, Any] | None = None, **run_tags: str
) -> dg.ExecuteInProcessResult:
    found = place.estate.definitions.resolve_job_def(job)
    run_config = {"ops": {f"run__{job}": {"config": config}}} if config is not None else {}
    with place.estate.entered():
        return found.execute_in_process(
            instance=place.estate.instance, run_config=run_config, tags=run_tags, raise_on_error=False
        )


def metadata_of(result: dg.ExecuteInProcessResult, key: str) -> dict[str, Any]:
    [made] = [
        event.step_materialization_data.materialization
        for event in result.get_asset_materialization_events()
        if event.asset_key == AssetKey(key.split("/"))
    ]
    assert made.partition is None
    return {name: value.value for name, value in made.metadata.items()}


def test_their_assets_have_no_partitions(place: Project) -> None:
    """Whatever type of unit, alone or beside units with windows; the job says that there is no clock."""
    graph = place.estate.definitions.resolve_asset_graph()
    for name in ("note", "summed", "once/mail", "stg_zones"):
        for key in (name, f"shadow/{name}"):
            assert graph.get(AssetKey(key.split("/"))).partitions_def is None
    after = graph.get(AssetKey("after")).partitions_def
    assert after is not None

    said = place.estate.definitions.resolve_job_def("asked__note").tags
    assert said[tags.EVENT] == "manual"
    assert tags.KEY_FORMAT not in said


def test_a_run_takes_its_variables_from_the_occasion(place: Project) -> None:
    """Airflow's run id, dates and conf, as a proxy or a sensor passes them on, and they are recorded."""
    result = run(place, "shadow__asked__note", {"occasion": ASKED.as_json()})

    assert result.success
    metadata = metadata_of(result, "shadow/note")
    assert (metadata["day"], metadata["days"]) == ("2024-03-09", "3")
    assert metadata[tags.SHOWN_RUN_ID] == RUN
    assert Occasion.from_json(metadata[tags.OCCASION]) == ASKED


def test_a_run_that_a_person_starts_is_its_own_occasion(place: Project) -> None:
    """Its dates are those of its start, as Airflow infers them, and its conf is what the person gives."""
    result = run(place, "shadow__asked__note", {"conf": {"days": 7}})

    occasion = Occasion.from_json(metadata_of(result, "shadow/note")[tags.OCCASION])
    assert occasion.conf == {"days": 7}
    assert occasion.run_id.startswith("manual__20")
    assert occasion.start == occasion.end == occasion.logical_date
    assert run(place, "shadow__asked__note").success


@pytest.mark.parametrize(
    ("told", "said", "reason"),
    [
        ({"occasion": {"run_id": "other"}}, {tags.AIRFLOW_RUN: RUN}, "it is other in one place"),
        ({}, {tags.AIRFLOW_RUN: RUN}, "nobody says what Airflow recorded about manual__2024"),
        ({"occasion": {"conf": {}}}, {}, "`run_id` is not a text"),
    ],
    ids=["contradiction", "untold", "malformed"],
)
def test_nothing_runs_on_a_doubtful_occasion(
    place: Project, told: dict[str, Any], said: dict[str, str], reason: str
) -> None:
    """What the caller says about Airflow's run is complete and without contradiction, or nothing is run."""
    result = run(place, "shadow__asked__note", told, **said)

    assert not result.success
    failure = result.failure_data_for_node("run__shadow__asked__note")
    assert failure is not None
    assert failure.error is not None
    assert reason in str(failure.error.cause)
    assert not result.get_asset_materialization_events()


def test_the_production_side_stays_closed(place: Project) -> None:
    """Airflow owns the unit: a run of the legacy side writes nothing."""
    result = run(place, "asked__note")

    assert not result.success
    assert not result.get_asset_materialization_events()


PROXIED = {
    tags.AIRFLOW_DAG: "asked",
    tags.AIRFLOW_RUN: RUN,
    tags.AIRFLOW_TASK: "note",
    tags.AIRFLOW_TASK_INSTANCE: f"asked.note {RUN}",
    tags.AIRFLOW_MAP_INDEX: "-1",
    tags.AIRFLOW_TRY: "1",
    tags.AIRFLOW_ROUND: "7.0",
    tags.AIRFLOW_UPSTREAM: "",
    tags.LAUNCH: "0123456789abcdef0123456789abcdef",
}


def test_a_proxied_run_writes_for_its_own_run_of_airflow(place: Project) -> None:
    """Once the unit is cut over: not for another run, not with a window, not twice, and nobody else's run does."""
    folder = bring_to(place.estate.root / "proxied_state", Unit("asked", "note"), Stage.CUT_OVER)
    write_mark(folder, Unit("asked", "note"), proxied=True)
    told = {"occasion": ASKED.as_json()}
    other = {"occasion": {**ASKED.as_json(), "run_id": "manual__other"}}
    try:
        for config, said in (
            (other, PROXIED),
            (told, {**PROXIED, tags.WINDOW_START: AT, tags.WINDOW_END: AT}),
            (told, {**PROXIED, tags.LAUNCH: "short"}),
            (told, {}),
        ):
            assert not run(place, "asked__note", config, **said).get_asset_materialization_events()

        result = run(place, "asked__note", told, **{**PROXIED, tags.LAUNCH: "1" * 32})
        assert metadata_of(result, "note")[tags.SHOWN_RUN_ID] == RUN
        again = run(place, "asked__note", told, **{**PROXIED, tags.LAUNCH: "2" * 32})
        assert not again.get_asset_materialization_events()
    finally:
        write_mark(folder, Unit("asked", "note"), proxied=False)
        (folder / NAME).unlink()


def test_a_person_starts_a_retired_dag(place: Project, tmp_path: Path) -> None:
    """One job for all units of a DAG that people start, with one conf, on one occasion; the other kinds have none."""
    definitions = place.estate.definitions
    job = definitions.resolve_job_def("asked")
    assert job.tags[tags.EVENT] == "manual"
    assert definitions.resolve_job_def("once").tags[tags.EVENT] == "once"
    assert "timed" in {each.name for each in definitions.resolve_all_job_defs()}

    for name in ("note", "summed", "dbt"):
        bring_to(tmp_path, Unit("asked", name), Stage.RETIRED)
    with place.estate.entered(), pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("PARITY_PROXIED_STATE", str(tmp_path))
        result = job.execute_in_process(
            instance=place.estate.instance,
            run_config={"conf": {"days": 5}},
            asset_selection=[AssetKey("note"), AssetKey("summed")],
        )

    note, summed = (metadata_of(result, key) for key in ("note", "summed"))
    assert note["days"] == "5"
    assert note[tags.OCCASION] == summed[tags.OCCASION]
    assert Occasion.from_json(note[tags.OCCASION]).conf == {"days": 5}


def test_dbt_gets_its_variables_from_the_occasion(place: Project) -> None:
    """A dbt unit without a clock passes a var of the run's conf to dbt."""
    conf = Occasion(RUN, ASKED.logical_date, ASKED.start, ASKED.end, conf={"since": "2024-02-01"})
    folder = place.estate.data_dir / "legacy" / "raw" / "zones"
    folder.mkdir(parents=True)
    columns = """1 as "LocationID", 'Bronx' as "Borough", 'Here' as "Zone", 'x' as service_zone"""
    duckdb.sql(f"copy (select {columns}) to '{folder}/zones.parquet'")
    result = run(place, "shadow__asked__dbt", {"occasion": conf.as_json()})

    assert result.success
    assert metadata_of(result, "shadow/stg_zones")["vars/min_date"] == "2024-02-01"


@pytest.fixture
def observer(place: Project, airflow: FakeAirflow, monkeypatch: pytest.MonkeyPatch) -> Iterator[Observer]:
    for name, value in (("URL", airflow.url), ("USER", "admin"), ("PASSWORD", "admin")):
        monkeypatch.setenv(f"AIRFLOW_{name}", value)
    monkeypatch.setattr("dagster_defs.components.sensors.airflow_sensor.pendulum.now", lambda *_: NOW)
    with instance_for_test() as instance:
        yield Observer(place.estate, instance)


def add_run(airflow: FakeAirflow, conf: Any) -> None:
    airflow.add_run("asked", RUN, AT, AT)
    airflow.dag_runs["asked", RUN] |= {"run_type": "manual", "conf": conf}
    airflow.finish("asked", "note", RUN, NOW.subtract(minutes=1))


def test_each_legacy_run_materializes_the_mirror(observer: Observer, airflow: FakeAirflow) -> None:
    """Without a partition, and with the run's identity and conf: enough to run it again elsewhere."""
    add_run(airflow, {"days": 3, "on": {"1": [None, "x"]}})

    [told] = observer.tick()

    assert isinstance(told, dg.AssetMaterialization)
    assert (told.asset_key, told.partition) == (AssetKey("note"), None)
    assert told.metadata[tags.SHOWN_RUN_ID].value == RUN
    recorded: Any = told.metadata[tags.OCCASION].value
    assert Occasion.from_json(recorded) == ASKED
    assert tags.WINDOW_START not in told.metadata


def test_a_run_that_is_not_known_is_only_observed(observer: Observer, airflow: FakeAirflow) -> None:
    """Airflow's answer has a conf that is not one, or the run has been deleted: said, and nothing is guessed."""
    add_run(airflow, "text")
    [told] = observer.tick()
    assert isinstance(told, dg.AssetObservation)
    assert told.description == "unaligned: Airflow does not say what its run is about"

    airflow.finish("asked", "note", "manual__gone", NOW)
    [gone] = observer.tick()
    assert isinstance(gone, dg.AssetObservation)
    assert gone.description == "unaligned: Airflow no longer has its DAG run"


def test_a_failed_run_is_observed(observer: Observer, airflow: FakeAirflow) -> None:
    """As with windows, only a success materializes."""
    airflow.add_run("asked", RUN, AT, AT)
    airflow.finish("asked", "note", RUN, NOW.subtract(minutes=1), state="failed")

    [told] = observer.tick()

    assert isinstance(told, dg.AssetObservation)
    assert told.metadata[tags.SHOWN_STATE].value == "failed"


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ({**MANUAL, "cron": "@daily"}, "it has `event: manual` and `cron`"),
        ({**MANUAL, "start": "2024-01-01"}, "it has `event: manual` and `start`"),
        ({"event": "manual", "timezone": "Mars/Olympus"}, "Mars/Olympus"),
    ],
)
def test_a_clock_beside_an_event_is_a_fault(project: Project, schedule: dict[str, str], message: str) -> None:
    """One unit's fault, with what to do; the rest of the location loads."""
    module = project.estate.root / "legacy_dags" / "own_occasions.py"
    module.write_text("def noted(side, **said):\n    return said\n")
    project.declare("own", python_unit(schedule=schedule, arguments={}))

    assert message in fault_of(project.load(), "asked.note")


def test_the_schema_names_every_kind() -> None:
    """The YAML may say what the code knows, and nothing else."""
    [allowed] = [
        values for each in get_args(get_type_hints(UnitSchedule)["event"]) if (values := get_args(each))
    ]
    assert set(allowed) == {kind.value for kind in EventKind}
