"""The switch in an enrolled task, in Airflow's own states and with its database.

Marks change after the DAG file was read, and decide when the task executes."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from dagster_defs.adapters.dagster.told_marks import ToldMarks
from tests.legacy_dags.handover.conftest import InAirflow, Started, StartInAirflow, airflow_with_database
from tests.support.dagster_marks import dagster_marks
from tests.support.fake_dagster import Job
from tests.support.unruly_dagsters import UnrulyDagster

pytestmark = pytest.mark.airflow

DAYS = (f"2024-03-{day:02}" for day in count(5))
TASKS = ("build", "later", "wait", "many", "fan", "reads", "group.inner")
ENROLLED = "whose a window is, is asked when the task starts"

Tried = Callable[..., Started]


@pytest.fixture(scope="module")
def with_database(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    home = tmp_path_factory.mktemp("with-database")
    return airflow_with_database(home, Path(__file__).with_name("switched_dags"))


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    """A folder that is set up, and has no marks."""
    folder = tmp_path / "marks"
    folder.mkdir()
    (folder / ".parity-marks").touch()
    return folder


@pytest.fixture
def dagster(dagster_server: UnrulyDagster) -> Iterator[UnrulyDagster]:
    job_tags = {"parity/timezone": "America/New_York", "parity/key_format": "%Y-%m-%d"}
    dagster_server.jobs = [
        Job(f"{dag}__{task.replace('.', '_')}", job_tags)
        for dag in ("switched", "listed", "opened")
        for task in TASKS
    ]
    with dagster_marks() as dagster_server.marks:
        yield dagster_server


@pytest.fixture
def tried(
    start_in_airflow: StartInAirflow,
    with_database: dict[str, str],
    marks: Path,
    dagster: UnrulyDagster,
    tmp_path: Path,
) -> Tried:
    day = next(DAYS)

    def start(*steps: list[Any] | str, dag: str = "switched", **settings: str) -> Started:
        document = {
            "dag": dag,
            "day": day,
            "steps": [step.split() if isinstance(step, str) else step for step in steps],
        }
        return start_in_airflow(
            "run_switched.py",
            document,
            **with_database,
            DAGSTER_URL=dagster.url,
            PARITY_PROXIED_STATE=str(marks),
            FOLDER=str(tmp_path),
            **settings,
        )

    return start


@pytest.mark.parametrize("channel", ["file", "variable", "dagster"])
def test_the_mark_of_the_moment_decides(tried: Tried, dagster: UnrulyDagster, channel: str) -> None:
    """Airflow's, then Dagster's, then Airflow's again, while the DAG file is read once; what Airflow stores of the
    task is the same each time."""
    steps = (
        "run build",
        "mark build",
        "clear build",
        "run build",
        "unmark build",
        "clear build",
        "run build",
    )
    own, handed, back = tried("set_up x", *steps, "lose x", PARITY_CHANNEL=channel).answer()[::2]

    assert [told["state"] for told in (own, handed, back)] == ["success"] * 3
    assert {told["operator"] for told in (own, handed, back)} == {"Nightly"}
    day = own["xcoms"]["return_value"]
    assert (
        own["noted"]
        == back["noted"]
        == ["hook of build", "build before", f"build {day}", f"build after {day}"]
    )
    assert (own["xcoms"]["parity_owner"], own["note"]) == ("airflow", None)
    # The hook that was passed to the task is Airflow's as well as Dagster's; what its class does is not.
    assert handed["noted"] == ["hook of build"]
    [run] = dagster.runs
    url = f"{dagster.url}/runs/{run.run_id}"
    assert handed["xcoms"] == {"parity_owner": "dagster", "dagster_run": url}
    assert url in handed["note"]
    assert [told["link"] for told in (own, handed, back)] == ["", url, ""]
    assert run.tags["parity/position"] == "17"
    assert (back["xcoms"]["parity_owner"], back["note"]) == ("airflow", None)


def test_an_enrolled_task_is_what_it_was(
    in_airflow: InAirflow, with_database: dict[str, str], marks: Path, tmp_path: Path
) -> None:
    """Class, module, template fields and place in the DAG are those of the task without a switch; its documentation
    says that it has one. Tasks that only steer, or that take no switch, have none."""
    settings = {**with_database, "PARITY_PROXIED_STATE": str(marks), "FOLDER": str(tmp_path)}
    told = in_airflow("describe_serialized.py", ["untouched", "switched", "listed"], **settings)
    untouched, switched, listed = (told[name] for name in ("untouched", "switched", "listed"))

    assert {name: {**task, "doc_md": None} for name, task in switched["tasks"].items()} == {
        name: {**task, "doc_md": None} for name, task in untouched["tasks"].items()
    }
    have = {name for name, task in switched["tasks"].items() if ENROLLED in (task["doc_md"] or "")}
    assert have == {"build", "later", "many", "fan", "reads", "lists", "group.inner"}
    assert {name for name, task in listed["tasks"].items() if ENROLLED in (task["doc_md"] or "")} == {
        "build",
        "wait",
    }
    assert switched["tasks"]["build"]["doc_md"].startswith("Builds.\n\nRuns in Airflow, or in Dagster as job")
    assert (untouched["tags"], switched["tags"]) == ([], ["parity: enrolled"])
    assert listed["tags"] == ["parity: 2 enrolled", "parity: proxied_state broken"]  # there is no task `gone`


@pytest.mark.parametrize(
    ("channel", "step", "remedy"),
    [
        ("file", "spoil", "Correct the mark: parity resume switched.build"),
        ("file", "lose", "if nothing was moved yet, make it: parity store init"),
        ("variable", "spoil", "Correct the mark: parity resume switched.build"),
        ("variable", "lose", "PARITY_CHANNEL=variable parity store init"),
        ("dagster", "spoil", "Correct the mark: parity resume switched.build"),
        ("dagster", "lose", "PARITY_CHANNEL=dagster parity store init"),
    ],
)
def test_an_unknown_owner_is_nobody(
    tried: Tried, dagster: UnrulyDagster, channel: str, step: str, remedy: str
) -> None:
    """Nothing runs, and the try fails with the reason, unless the DAG file says that Airflow goes on."""
    closed = tried([step, ""], "run build", "run group.inner", "lose x", PARITY_CHANNEL=channel)
    for told in closed.answer():
        assert (told["state"], told["noted"]) == ("up_for_retry", [])
    assert "OwnerUnknown" in closed.log()
    assert remedy in closed.log()

    [told] = tried([step, ""], "run build", "lose x", dag="opened", PARITY_CHANNEL=channel).answer()

    assert told["state"] == "success"
    assert f"build {told['xcoms']['return_value']}" in told["noted"]
    assert dagster.runs == []


def test_a_folder_that_nobody_set_up_is_unknown(tried: Tried, marks: Path) -> None:
    """An empty folder is what a failed mount looks like."""
    (marks / ".parity-marks").unlink()

    [told] = tried("run build").answer()

    assert told["state"] == "up_for_retry"


def test_a_deferred_task_of_airflow_goes_on_in_airflow(tried: Tried, dagster: UnrulyDagster) -> None:
    """A try that has begun is Airflow's to its end, whatever is marked meanwhile; the next one is Dagster's."""
    steps = ("run later", "mark later", "trigger later", "run later", "clear later", "run later")
    *_, resumed, cleared, handed = (told for told in tried(*steps).answer())

    assert resumed["state"] == "success"
    assert resumed["noted"][0].startswith("later 202")
    assert (cleared["noted"], handed["noted"], handed["state"]) == ([], [], "success")
    assert len(dagster.runs) == 1


@pytest.mark.parametrize(
    ("status", "end", "state"),
    [
        ("SUCCESS", ("trigger later", "run later"), "success"),
        ("FAILURE", ("trigger later", "run later"), "up_for_retry"),
        ("STARTED", ("fail_deferred later",), "failed"),
        ("STARTED", ("time_out later", "run later"), "up_for_retry"),
    ],
)
def test_a_task_that_waits_for_dagster_in_the_triggerer(
    tried: Tried, dagster: UnrulyDagster, status: str, end: tuple[str, ...], state: str
) -> None:
    """It ends as its run does, through a way back of its own, and ends its run if it is ended."""
    dagster.run_status = status

    told = tried("mark later", "run later", *end, DEFERRABLE="true").answer()

    assert [told[0]["state"], told[-1]["state"]] == ["deferred", state]
    assert [each["noted"] for each in told] == [[]] * len(told)
    assert bool(dagster.terminations) is (status == "STARTED")


def test_a_deferred_task_of_airflow_that_times_out_asks_nobody(tried: Tried, dagster: UnrulyDagster) -> None:
    """Its own operator has no run in Dagster to end."""
    asked = vars(dagster).keys()

    *_, told = tried("run later", "time_out later", "run later").answer()

    assert told["state"] == "up_for_retry"
    assert vars(dagster).keys() == asked, "a server that was asked has the last question's headers"


@pytest.mark.parametrize(
    ("owner", "task", "before"),
    [
        ("airflow", "build", ()),
        ("airflow", "later", ("run later", "mark later", "trigger later")),  # it was Airflow's when it began
        ("dagster", "build", ("mark build",)),
    ],
)
def test_a_killed_task_ends_what_it_has_begun(
    tried: Tried, dagster: UnrulyDagster, tmp_path: Path, owner: str, task: str, before: tuple[str, ...]
) -> None:
    """SIGTERM reaches the operator's own `on_kill`, also after a deferral, or the Dagster run."""
    dagster.run_status = "STARTED"
    (tmp_path / "held_up").touch()
    started = tried(*before, f"run {task}")
    until = time.monotonic() + 120
    while not (dagster.runs if owner == "dagster" else f"{task} 202" in _noted(tmp_path)):
        assert started.process.poll() is None, started.log()
        assert time.monotonic() < until
        time.sleep(0.05)
    started.process.send_signal(signal.SIGTERM)
    *_, told = started.answer()

    assert told["state"] == "up_for_retry"
    assert (f"{task} killed" in told["noted"]) is (owner == "airflow")
    assert bool(dagster.terminations) is (owner == "dagster")


def _noted(folder: Path) -> str:
    file = folder / "noted"
    return file.read_text() if file.exists() else ""


def test_a_sensor_asks_at_each_look(tried: Tried, dagster: UnrulyDagster) -> None:
    """A sensor that gives its slot back asks again when it comes back."""
    looked, handed = tried("run wait", "mark wait", "run wait", dag="listed").answer()

    assert looked["state"] == "up_for_reschedule"
    assert [line.split()[0] for line in looked["noted"]] == ["wait"]
    assert (handed["state"], handed["noted"], len(dagster.runs)) == ("success", [], 1)


@pytest.mark.parametrize("task", ["many", "fan"])
def test_each_instance_of_a_mapped_task_asks(tried: Tried, dagster: UnrulyDagster, task: str) -> None:
    """All instances name one run in Dagster, and one that Airflow has run itself is not run again."""
    own = tried(["run", task, 0], ["mark", task], ["run", task, 1])
    first, second = own.answer()
    assert (first["state"], first["noted"][0][:6]) == ("success", f"{task} 0"[:6])
    assert (second["state"], second["noted"], dagster.runs) == ("up_for_retry", [], [])
    assert f"Airflow itself has run {task}[0] in this DAG run" in own.log()

    steps = [["clear", task, 0], ["clear", task, 1], ["run", task, 0], ["run", task, 1]]
    *_, first, second = tried(*steps).answer()

    assert [first["state"], second["state"]] == ["success", "success"]
    assert (first["noted"], second["noted"], len(dagster.runs)) == ([], [], 1)
    assert first["xcoms"] == second["xcoms"]


def test_fields_that_only_airflows_own_task_needs(tried: Tried, dagster: UnrulyDagster) -> None:
    """`reads` takes what `build` returns, which it does not if it runs in Dagster: then `reads` fails in Airflow, and
    not in Dagster."""
    told = tried("mark build", "run build", "run reads", "mark reads", "clear reads", "run reads").answer()

    assert [each["state"] for each in told] == ["success", "up_for_retry", None, "success"]
    assert {run.tags["dagster-airlift/airflow-task-id"] for run in dagster.runs} == {"build", "reads"}


def test_a_task_that_is_not_enrolled_asks_nobody(tried: Tried, dagster: UnrulyDagster) -> None:
    """It runs in Airflow even with a mark, and even if nobody could say whose the window is."""
    own, lost = tried("mark group.inner", "run group.inner", "lose x", "run later", dag="listed").answer()

    assert (own["state"], own["xcoms"].get("parity_owner")) == ("success", None)
    assert lost["state"] == "deferred"
    assert dagster.runs == []


def test_dagster_is_asked_before_a_task_without_a_switch(tried: Tried, dagster: UnrulyDagster) -> None:
    """It is not asked while the file is parsed, so such a task cannot be handed over, and must not run as Airflow's."""
    steps = (["run", "grown.one", 0], "mark grown.one", ["run", "grown.one", 1])
    started = tried("set_up x", *steps, "lose x", ["run", "grown.one", 1], PARITY_CHANNEL="dagster")
    own, handed, unknown = started.answer()

    assert (own["state"], own["noted"][:2]) == ("success", ["hook of one", "grown.one before"])
    for told in (handed, unknown):
        assert (told["state"], told["noted"]) == ("up_for_retry", [])
    assert "cannot be handed over with PARITY_CHANNEL=dagster: it is in a mapped task group" in started.log()
    assert "so moves do not write there" in started.log()
    assert dagster.runs == []


def test_the_asset_of_a_dag_was_wiped(tried: Tried, dagster: UnrulyDagster) -> None:
    """Whoever tidies up Dagster's catalog takes no mark back."""
    marks = dagster.marks
    assert marks is not None
    client = ToldMarks(dagster.url)
    client.set_up()
    client.tell("switched", '{"tasks": [{"id": "build", "proxied": true}]}')
    assert client.of_dag("switched").texts
    marks.wipe("parity_marks", "switched")

    [told] = (started := tried("run build", PARITY_CHANNEL="dagster")).answer()

    assert (told["state"], told["noted"], dagster.runs) == ("up_for_retry", [], [])
    assert "the asset parity_marks/switched was wiped in Dagster" in started.log()


def test_a_dagster_that_cannot_be_asked(tried: Tried, dagster: UnrulyDagster) -> None:
    """With the reason, and closed; a file is parsed all the same."""
    dagster.login_page = True

    [told] = (started := tried("run build", PARITY_CHANNEL="dagster")).answer()

    assert (told["state"], told["noted"]) == ("up_for_retry", [])
    assert "OwnerUnknown: Dagster cannot be asked: " in started.log()
