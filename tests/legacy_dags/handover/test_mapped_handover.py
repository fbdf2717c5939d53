"""Mapped tasks handed over: real instances of a real Airflow, a real Dagster, and the operator itself in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from dagster_defs.adapters.processes.guardian import GUARDIAN
from dagster_defs.adapters.processes.supervisor import free_port
from dagster_defs.adapters.store.proxied_state import write_mark
from dagster_defs.lifecycle import Stage, Unit
from tests.legacy_dags.handover.conftest import Started, StartInAirflow, airflow_with_database
from tests.support.estate import AIRFLOW_PYTHON, BIN, ROOT, foreign_environment
from tests.support.owned import bring_to
from tests.support.unruly_dagsters import ask

pytestmark = [pytest.mark.airflow, pytest.mark.journey, pytest.mark.timeout(1200)]

RUNS = "{ runsOrError { ... on Runs { results { status jobName tags { key value } } } } }"

# What an instance does is in the plan of the day: by task, one word for each value that it is mapped over.
DAG_FILE = """
import json, os, time
from pathlib import Path
import pendulum
from airflow import DAG
from airflow.decorators import task
from airflow.exceptions import AirflowSkipException
from airflow.operators.bash import BashOperator

FOLDER = Path(os.environ["FAN_FOLDER"])

def act(name, word, day, ti):
    index = ti.map_index
    before = (FOLDER / f"{name}-{day}").read_text().splitlines() if (FOLDER / f"{name}-{day}").exists() else []
    with (FOLDER / f"{name}-{day}").open("a") as file:
        file.write(f"{index}\\n")
    if word == "skip":
        raise AirflowSkipException
    if word == "wait":
        until = time.monotonic() + 300
        while not (FOLDER / f"go-{day}").exists() and time.monotonic() < until:
            time.sleep(0.1)
    if word == "fail" or (word == "once" and str(index) not in before):
        raise ValueError(f"index {index}")

with DAG("fan", schedule="0 6 * * *", start_date=pendulum.datetime(2024, 1, 1), catchup=False,
         default_args={"retries": 1, "retry_delay": pendulum.duration(seconds=0)}) as fan:

    @task
    def literal(word, ds=None, ti=None):
        act("literal", word, ds, ti)

    @task
    def words(ds=None):
        return json.loads((FOLDER / f"words-{ds}").read_text())

    @task
    def given(word, ds=None, ti=None):
        act("given", word, ds, ti)

    literal.expand(word=json.loads((FOLDER / "literal").read_text())) >> BashOperator(
        task_id="after_literal", bash_command="true")
    given.expand(word=words()) >> BashOperator(task_id="after_given", bash_command="true")

with DAG("shut", schedule="0 6 * * *", start_date=pendulum.datetime(2024, 1, 1), catchup=False) as shut:

    @task
    def source(word, ds=None, ti=None):
        act("source", word, ds, ti)
        return word

    @task
    def reader(found):
        return list(found)

    reader(source.expand(word=["go", "go"]))

from handover.proxy import install_proxies
install_proxies(globals())
"""
DAYS = iter(f"2024-02-{day:02}" for day in range(1, 28))
UNITS = ("literal", "words", "given")
OWNED = [Unit("fan", name) for name in UNITS]


@dataclass
class Place:
    """`root`: of the Dagster project. `folder`: the plans, and what the instances did."""

    root: Path
    url: str
    settings: dict[str, str]

    @property
    def folder(self) -> Path:
        return self.root / "fan"

    def did(self, task: str, day: str) -> Counter[int]:
        """How often each map index did its work."""
        file = self.folder / f"{task}-{day}"
        return Counter(map(int, file.read_text().split())) if file.exists() else Counter()

    def runs(self, task: str, day: str) -> list[str]:
        """The states of the unit's runs of a day, oldest first."""
        _, answer = ask(self.url, "/graphql", json.dumps({"query": RUNS}).encode())
        return [
            run["status"]
            for run in reversed(answer["data"]["runsOrError"]["results"])
            if run["jobName"] == f"fan__{task}" and {"key": "dagster/partition", "value": day} in run["tags"]
        ]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("mapped")
    home, airflow = root / "dagster_home", root / "airflow"
    for folder in (home, airflow, root / "fan", root / "dags", root / "own_defs" / "fan"):
        folder.mkdir(parents=True)
    (root / "fan" / "literal").write_text("[]")
    (root / "dags" / "fan.py").write_text(DAG_FILE)
    documents = [
        {
            "type": "dagster_defs.components.LegacyTask",
            "attributes": {
                "unit": str(unit),
                "schedule": {"cron": "0 6 * * *", "timezone": "UTC", "start": "2024-01-01"},
                "airflow": {"dags_folder": "dags", "dag_file": "fan.py"},
                "retries": 1,
                "shadow": "never",
                "because": "it notes what it does",
            },
        }
        for unit in OWNED
    ]
    (root / "own_defs" / "fan" / "defs.yaml").write_text("---\n".join(map(yaml.safe_dump, documents)))
    for unit in OWNED:
        bring_to(root / "marks", unit, Stage.CUT_OVER)
        write_mark(root / "marks", unit, proxied=True)
    # Its reader is Airflow's, so there can be no proxy for it.
    write_mark(root / "marks", Unit("shut", "source"), proxied=True)
    coordinator = "run_coordinator: {module: dagster._core.run_coordinator, class: DefaultRunCoordinator}\n"
    (home / "dagster.yaml").write_text(f"telemetry: {{enabled: false}}\n{coordinator}")
    port = free_port()
    settings = {
        "FAN_FOLDER": str(root / "fan"),
        "PARITY_PROXIED_STATE": str(root / "marks"),
        "AIRFLOW_HOME": str(airflow),
    }
    of_airflow = {
        **settings,
        **airflow_with_database(airflow, root / "dags"),
        "DAGSTER_URL": f"http://127.0.0.1:{port}",
    }
    log = root / "webserver.log"
    with log.open("w") as file:
        process = GUARDIAN.start(
            [
                str(BIN / "dagster-webserver"), "-h", "127.0.0.1", "-p", str(port),
                "-f", str(ROOT / "tests" / "support" / "mapped_dagster.py"),
            ],
            env={
                **foreign_environment(),
                **settings,
                "DAGSTER_HOME": str(home),
                "PYTHONPATH": str(ROOT),
                "MAPPED_ROOT": str(root),
                "PARITY_TASK_STORE": str(root / "store"),
                "DAGSTER_GRPC_TIMEOUT_SECONDS": "400",  # for a busy machine: a launch is no retry
                "PARITY_AIRFLOW_PYTHON": str(AIRFLOW_PYTHON),
                "PATH": os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)]),
            },
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    found = Place(root, f"http://127.0.0.1:{port}", of_airflow)

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return found.runs("", "") == []
        except OSError:
            return False

    try:
        until = time.monotonic() + 300
        while not answers():
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.2)
        yield found
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


Ran = Callable[..., Started]


@pytest.fixture
def ran(start_in_airflow: StartInAirflow, place: Place) -> Ran:
    """Airflow's run of a day, whose mapped tasks are mapped over these words."""

    def start(day: str, *, literal: list[str], given: list[str], **more: Any) -> Started:
        settings = {**place.settings, **more.pop("settings", {})}
        (place.folder / "literal").write_text(json.dumps(literal))
        (place.folder / f"words-{day}").write_text(json.dumps(given))
        return start_in_airflow("run_dag.py", {"dag": "fan", "day": day, **more}, **settings)

    return start


def wait_for(fact: Callable[[], bool], started: Started, seconds: float = 240) -> None:
    until = time.monotonic() + seconds
    while not fact():
        assert started.process.poll() is None, started.log()
        assert time.monotonic() < until, started.log()
        time.sleep(0.1)


@pytest.mark.parametrize("seed", range(2))
def test_a_drawn_number_of_instances_is_one_run_in_dagster(ran: Ran, place: Place, seed: int) -> None:
    """Each index does its work once, in one Dagster run for each task, and each instance in Airflow succeeds."""
    drawn, day = Random(seed), next(DAYS)  # noqa: S311 - a law, not a secret
    literal, given = ["go"] * drawn.randint(1, 4), ["go"] * drawn.randint(1, 4)

    started = ran(day, literal=literal, given=given)
    states = started.answer(900)

    assert set(states.values()) == {"success"}, started.log()
    assert sorted(name for name in states if name.startswith("literal")) == [
        f"literal[{index}]" for index in range(len(literal))
    ]
    assert "given[-1]" in states
    assert place.did("literal", day) == dict.fromkeys(range(len(literal)), 1)
    assert place.did("given", day) == dict.fromkeys(range(len(given)), 1)
    assert [place.runs(task, day) for task in UNITS] == [["SUCCESS"]] * 3


def test_an_index_is_repeated_by_itself(ran: Ran, place: Place) -> None:
    """An index that fails once is run again alone, in a second Dagster run, as Airflow would."""
    day = next(DAYS)

    started = ran(day, literal=["go", "once"], given=["once", "go"])
    states = started.answer(900)

    assert set(states.values()) == {"success"}, started.log()
    assert place.did("literal", day) == {0: 1, 1: 2}
    assert place.did("given", day) == {0: 2, 1: 1}
    assert place.runs("literal", day) == ["FAILURE", "SUCCESS"]


def test_nothing_to_map_over_is_skipped(ran: Ran, place: Place) -> None:
    """Airflow skips the tasks and what is below them, whether the DAG file or an XCom says that there is nothing."""
    day = next(DAYS)

    started = ran(day, literal=[], given=[])
    states = started.answer(900)

    assert {name: states[name] for name in ("after_literal[-1]", "given[-1]", "after_given[-1]")} == {
        "after_literal[-1]": "skipped",
        "given[-1]": "skipped",
        "after_given[-1]": "skipped",
    }, started.log()
    assert place.runs("given", day) == ["SUCCESS"]
    assert place.runs("literal", day) == []


def test_each_instance_has_its_own_skip(ran: Ran, place: Place) -> None:
    """An index that skips itself is skipped in Airflow too; where there is one proxy for all, that is a failure."""
    day = next(DAYS)

    states = ran(day, literal=["skip", "go"], given=["skip", "go"]).answer(900)

    assert (states["literal[0]"], states["literal[1]"]) == ("skipped", "success")
    assert states["after_literal[-1]"] == "skipped"
    assert states["given[-1]"] == "failed"


def test_a_failing_index_fails_them_all(ran: Ran, place: Place) -> None:
    """A unit has one outcome: its instances end as their run does, after as many tries as Airflow's task has."""
    day = next(DAYS)

    states = ran(day, literal=["go", "fail"], given=["go"]).answer(900)

    assert (states["literal[0]"], states["literal[1]"]) == ("failed", "failed")
    assert states["after_literal[-1]"] == "upstream_failed"
    assert place.did("literal", day) == {0: 1, 1: 2}
    assert place.runs("literal", day) == ["FAILURE", "FAILURE"]


def test_a_run_that_airflow_began_is_not_repeated(ran: Ran, place: Place, tmp_path: Path) -> None:
    """Airflow ran the instances itself before the hand-over. One that is cleared refuses, with the way out; all of
    them together are Dagster's."""
    day = next(DAYS)
    before = ran(day, literal=["go", "go"], given=[], settings={"PARITY_PROXIED_STATE": str(tmp_path)})
    assert before.answer(900)["literal[1]"] == "success"

    alone = ran(day, literal=["go", "go"], given=[], clear=[["literal", 1]])
    assert alone.answer(900)["literal[1]"] == "failed"
    assert "Airflow itself has run literal[0] in this DAG run" in alone.log()
    assert place.did("literal", day) == {0: 1, 1: 1}

    together = ran(day, literal=["go", "go"], given=[], clear=[["literal", 0], ["literal", 1]])
    assert together.answer(900)["literal[1]"] == "success", together.log()
    assert place.did("literal", day) == {0: 2, 1: 2}
    assert place.runs("literal", day) == ["SUCCESS"]


def test_the_last_of_those_that_are_killed_ends_the_run(ran: Ran, place: Place) -> None:
    """All instances are told to end at once, as when somebody marks the task or a machine shuts down: their Dagster run
    ends with them, and the retry has another."""
    day = next(DAYS)
    started = ran(day, literal=["wait"] * 3, given=[])
    wait_for(lambda: sum(place.did("literal", day).values()) > 0, started)
    wait_for(lambda: started.log().count("follow the live run") == 2, started)
    wait_for(lambda: place.runs("words", day) == ["SUCCESS"], started)

    pid = started.process.pid
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        os.kill(int(child), signal.SIGTERM)
    wait_for(lambda: place.runs("literal", day)[0] == "CANCELED", started)
    (place.folder / f"go-{day}").touch()

    states = started.answer(600)

    assert {states[f"literal[{index}]"] for index in range(3)} == {"success"}, started.log()
    assert place.runs("literal", day) == ["CANCELED", "SUCCESS"]


def test_a_mapped_task_whose_reader_is_airflows_fails(start_in_airflow: StartInAirflow, place: Place) -> None:
    """It is marked as Dagster's, so Airflow does not run it, and nothing reads an empty list in place of its XComs."""
    day = next(DAYS)

    started = start_in_airflow("run_dag.py", {"dag": "shut", "day": day}, **place.settings)

    assert started.answer(600) == {
        "source[0]": "failed", "source[1]": "failed", "reader[-1]": "upstream_failed",
    }  # fmt: skip
    assert "'source' is mapped, and reader would find its XComs empty" in started.log()
    assert place.did("source", day) == {}
