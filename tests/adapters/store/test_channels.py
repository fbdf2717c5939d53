"""Airflow is told the marks in its Variables or by Dagster, and what it was told is held against the record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Lock

import pytest

from dagster_defs.adapters.airflow.address import AirflowAddress
from dagster_defs.adapters.airflow.client import AirflowClient
from dagster_defs.adapters.dagster import told_marks
from dagster_defs.adapters.dagster.told_marks import Told, ToldMarks
from dagster_defs.adapters.store import marks as one_dag
from dagster_defs.adapters.store.channels import Folders, Variables, channel_of
from dagster_defs.adapters.store.marks_folders import MarksFolders
from dagster_defs.adapters.store.proxied_state import Marks
from dagster_defs.adapters.store.registry import open_store
from dagster_defs.adapters.store.seam import Store
from dagster_defs.errors import AirflowFault, BadChannel, DagsterFault
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.airflows import Airflows
from dagster_defs.settings import Settings
from tests.support.dagster_marks import dagster_marks
from tests.support.fake_dagster import FakeDagster
from tests.support.fakes import FakeAirflow
from tests.support.postgres import PostgresServer
from tests.support.records import DONE, INTENT, OTHER, UNIT, forget, url_of

NAME = f"parity_marks__{UNIT.dag_id}"


@pytest.fixture(params=["files", "postgres"])
def store(request: pytest.FixtureRequest, airflow: FakeAirflow, tmp_path: Path) -> Store:
    kind = f"file:{tmp_path}"
    if request.param == "postgres":
        postgres: PostgresServer = request.getfixturevalue("postgres")
        forget(postgres)
        kind = url_of(postgres)
    settings = Settings(
        {
            "PARITY_STORE": kind,
            "PARITY_CHANNEL": "variable",
            "AIRFLOW_URL": airflow.url,
            "AIRFLOW_USER": "admin",
            "AIRFLOW_PASSWORD": "admin",
        },
        tmp_path,
    )
    made = open_store(settings)
    made.create()
    return made


def test_a_mark_is_told_with_those_of_its_dag(store: Store, airflow: FakeAirflow) -> None:
    """The Variable has all marks of the DAG, with their positions, in the words of the files; creating the store says
    that Variables are where to look."""
    assert "parity_marks" in airflow.variables
    store.append(INTENT)
    store.mark(UNIT, proxied=True)
    store.append(DONE)
    store.mark(OTHER, proxied=False)

    assert json.loads(airflow.variables[NAME]) == {
        "tasks": [{"id": UNIT.task_id, "proxied": True}, {"id": OTHER.task_id, "proxied": False}],
        "positions": {UNIT.task_id: 1},
    }
    for marks in (store.marks_in_airflow(), store.marks_in_airflow(UNIT.dag_id)):
        assert (dict(marks), marks.problems) == ({UNIT: True, OTHER: False}, {})
        assert marks.position(UNIT) == 1


def test_what_airflow_was_told_before_is_a_doubt(store: Store, airflow: FakeAirflow) -> None:
    """A database of Airflow's that was restored says the mark of then, whether or not it names the same owner."""
    store.append(INTENT)
    store.mark(UNIT, proxied=True)
    then = airflow.variables[NAME]
    store.append(DONE)
    store.mark(UNIT, proxied=True)
    airflow.variables[NAME] = then
    assert "the mark of position 1, the record has that of 2" in store.marks_in_airflow().doubt(UNIT)

    store.mark(UNIT, proxied=False)
    airflow.variables[NAME] = then
    assert "Airflow has been told Dagster, the record says Airflow" in store.marks_in_airflow().doubt(UNIT)

    store.mark(UNIT, proxied=False)
    assert not store.marks_in_airflow().doubt(UNIT)
    airflow.variables[NAME] = "tasks: ["
    assert "cannot be read" in store.marks_in_airflow().doubt(UNIT)


def test_marks_that_airflow_masks_are_a_doubt(store: Store, airflow: FakeAirflow) -> None:
    """Airflow 3 does so if the DAG is called like a secret: its texts are stars then, and no task's name."""
    store.append(INTENT)
    store.mark(UNIT, proxied=True)
    airflow.variables[NAME] = airflow.variables[NAME].replace(UNIT.task_id, "***")

    assert "is masked by Airflow's API" in store.marks_in_airflow().doubt(UNIT)
    assert "is masked by Airflow's API" in store.marks_in_airflow(UNIT.dag_id).doubt(UNIT)


def test_an_airflow_that_is_away(store: Store, airflow: FakeAirflow) -> None:
    """It cannot be told, which is known before a move begins; and what it was told is in doubt, the record is not."""
    store.append(INTENT)
    store.mark(UNIT, proxied=True)
    airflow.failures = [403] * 3

    with pytest.raises(AirflowFault, match="403"):
        store.refuse_unmarkable(UNIT)
    with pytest.raises(AirflowFault, match="403"):
        store.mark(UNIT, proxied=False)
    assert "403" in store.marks_in_airflow().doubt(UNIT)
    assert not store.marks().doubt(UNIT)


def test_units_of_a_dag_that_are_moved_at_once(airflow: FakeAirflow, tmp_path: Path) -> None:
    """The later one tells the earlier one's mark as well, even if Airflow takes its time with the earlier one."""
    variables = {
        "PARITY_CHANNEL": "variable",
        "PARITY_STORE": f"file:{tmp_path}",
        "AIRFLOW_URL": airflow.url,
        "AIRFLOW_USER": "admin",
        "AIRFLOW_PASSWORD": "admin",
    }
    units = [Unit("taxi_daily", f"task_{number}") for number in range(6)]
    first, others_are_told = Lock(), Event()

    def slowly(method: str, path: str) -> None:
        if method == "PATCH" and first.acquire(blocking=False):
            others_are_told.wait(1)

    def mark(unit: Unit) -> None:
        open_store(Settings(variables, tmp_path)).mark(unit, proxied=True)

    airflow.before = slowly
    with ThreadPoolExecutor(len(units)) as pool:
        list(pool.map(mark, units))

    told = [each["id"] for each in json.loads(airflow.variables["parity_marks__taxi_daily"])["tasks"]]
    assert told == [unit.task_id for unit in units]


@pytest.fixture
def dagster(dagster_server: FakeDagster) -> Iterator[FakeDagster]:
    with dagster_marks() as dagster_server.marks:
        yield dagster_server


def test_dagster_is_told(dagster: FakeDagster, tmp_path: Path) -> None:
    """The newest observation of a DAG's asset has all of its marks. One that was wiped, or is older than the record, is
    a doubt; so is every mark if Dagster does not let us in."""
    settings = {"PARITY_STORE": f"file:{tmp_path}", "PARITY_CHANNEL": "dagster", "DAGSTER_URL": dagster.url}
    store = open_store(Settings(settings, tmp_path))
    store.create()
    told = ToldMarks(dagster.url)
    assert (told.of_dag(UNIT.dag_id), told.of_all()) == (Told({}), Told({}, []))

    store.append(INTENT)
    store.mark(UNIT, proxied=True)
    then = told.of_dag(UNIT.dag_id).texts[UNIT.dag_id]
    store.append(DONE)
    store.mark(OTHER, proxied=False)
    far = Unit("books", "close")
    store.mark(far, proxied=True)

    for marks in (store.marks_in_airflow(), store.marks_in_airflow(UNIT.dag_id)):
        assert (marks.of_dag(UNIT.dag_id).tasks, marks.problems) == (
            {UNIT.task_id: True, OTHER.task_id: False},
            {},
        )
        assert marks.position(UNIT) == 1
    assert store.marks_in_airflow().of_dag("books").tasks == {"close": True}

    store.mark(UNIT, proxied=False)
    told.tell(UNIT.dag_id, then)
    assert "Airflow has been told Dagster, the record says Airflow" in store.marks_in_airflow().doubt(UNIT)
    assert dagster.marks
    dagster.marks.wipe("parity_marks", UNIT.dag_id)
    for marks in (store.marks_in_airflow(), store.marks_in_airflow(UNIT.dag_id)):
        assert "parity_marks/taxi_daily was wiped in Dagster" in marks.doubt(UNIT)
    assert store.marks_in_airflow().of_dag("books").tasks == {"close": True}, "another DAG is not in doubt"

    store.mark(UNIT, proxied=False)
    assert not store.marks_in_airflow().doubt(UNIT)
    dagster.login_page = True
    assert "login page" in store.marks_in_airflow().doubt(UNIT)
    with pytest.raises(DagsterFault, match="login page"):
        store.refuse_unmarkable(UNIT)


def test_a_dagster_that_is_told_by_hundreds(dagster: FakeDagster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Page by page, each DAG once, with what it was told last."""
    monkeypatch.setattr(told_marks, "PAGE", 3)
    told = ToldMarks(dagster.url)
    for text in ("then", "now"):
        for number in range(7):
            told.tell(f"dag_{number}", f"{text} {number}")

    assert told.of_all() == Told({f"dag_{number}": f"now {number}" for number in range(7)}, [])


def test_a_channel_by_its_name(tmp_path: Path) -> None:
    """An unknown one is an error, never the default."""
    folders = MarksFolders(tmp_path)
    assert isinstance(channel_of(Settings({}, tmp_path), folders, "s"), Folders)
    with pytest.raises(BadChannel, match=r"no known channel\. Write file, variable or dagster"):
        open_store(Settings({"PARITY_CHANNEL": "varable"}, tmp_path))
    nowhere = Settings({"PARITY_CHANNEL": "variable", "AIRFLOW_URL": "http://127.0.0.1:9"}, tmp_path)
    told = channel_of(nowhere, folders, "s").read()
    assert told is not None
    assert "127.0.0.1:9" in told.doubt(UNIT)


def test_each_of_several_airflows_is_told_its_own() -> None:
    """The Variable of a DAG of the same id in another Airflow is never taken for the DAG's own."""
    with FakeAirflow() as sales, FakeAirflow() as finance:
        addresses = {
            name: AirflowAddress(each.url, "admin", "admin")
            for name, each in (("sales", sales), ("finance", finance))
        }
        clients = {name: AirflowClient(each, patience=1) for name, each in addresses.items()}
        channel = Variables(Airflows({"sales": ("taxi_*",), "finance": ("books",)}), clients)
        channel.set_up()
        channel.tell(UNIT, Marks({UNIT.dag_id: one_dag.Marks(tasks={UNIT.task_id: True})}))
        finance.variables |= {
            NAME: '{"tasks": [{"id": "dbt_zones", "proxied": true}]}',
            "parity_marks__nobodys": "tasks: [",
        }

        told = channel.read()
        finance.login_page = True
        away = channel.read()

    assert (dict(told), told.problems) == ({UNIT: True}, {})
    assert set(sales.variables) == {"parity_marks", NAME}
    assert (away.doubt(UNIT), dict(away)) == ("", {UNIT: True})
    assert "login page" in away.doubt(Unit("books", "close")), "only its own DAGs are in doubt"
