"""Tasks of a DAG file, run in Airflow's environment without its servers, beside Airflow's own `DAG.test`."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from dagster_defs.adapters.airflow.task_process import AirflowEnvironment
from dagster_defs.adapters.processes.piped import LOG_BYTES, Log
from dagster_defs.errors import LegacyTaskRefused, TimedOut
from tests.support import strange_dag
from tests.support.estate import AIRFLOW3_PYTHON, AIRFLOW_PYTHON
from tests.support.strange_dag import END
from tests.support.task_runner import PYTHONS, Runner, in_order
from tests.support.warm_airflow import WarmAirflow

pytestmark = pytest.mark.airflow

# In an order in which Dagster may run them; markers are not among them.
ORDER = """
    templated after_marker skip99 after_skip whatever several split connected branch left right after_join short cut
    cut_too poked rescheduled deferred second_try failing after_failing final clean_up listed double summed
    set_up in_between tear_down
""".split()  # noqa: SIM905 - a list of them would be as long as the file


def is_alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.fixture(scope="module", params=PYTHONS)
def python(request: pytest.FixtureRequest) -> Path:
    """Airflow's, of each version that is here."""
    return PYTHONS[request.param]


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory, python: Path) -> Iterator[WarmAirflow]:
    folder = tmp_path_factory.mktemp("warm")
    found = WarmAirflow(python, strange_dag.PROGRAM, strange_dag.environment(folder))
    yield found
    found.close()


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory, python: Path, warm: WarmAirflow) -> Runner:
    runner = Runner(tmp_path_factory.mktemp("ours"), python, warm)
    for task_id in ORDER:
        runner.to_its_end(task_id)
    return runner


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory, python: Path) -> tuple[dict[str, Any], list[str]]:
    folder = tmp_path_factory.mktemp("theirs")
    found = strange_dag.airflows_own(folder, python)
    return found, strange_dag.effects(folder)


def test_every_state_is_airflows(ours: Runner, theirs: tuple[dict[str, Any], list[str]]) -> None:
    """Each task ends as in `DAG.test`: skips, branches, retries, failures, sensors, deferred and mapped ones."""
    assert ours.states() == {name: theirs[0]["states"][name] for name in ORDER}


def test_every_xcom_is_airflows(ours: Runner, theirs: tuple[dict[str, Any], list[str]]) -> None:
    """Each XCom is, byte for byte, what Airflow would have stored."""
    xcoms = ours.xcoms()

    assert {name: in_order(text) for name, text in xcoms.items()} == {
        name: in_order(text) for name, text in theirs[0]["xcoms"].items()
    }
    assert xcoms["after_marker[-1].return_value"] == f'"2024-02-01 {END} salut again"'


def test_every_effect_is_airflows(ours: Runner, theirs: tuple[dict[str, Any], list[str]]) -> None:
    """Operators and callbacks have done the same, as often."""
    assert strange_dag.effects(ours.folder) == theirs[1]
    assert "retry second_try" in theirs[1]


def test_the_log_hides_passwords(ours: Runner) -> None:
    """The log has what the operators said, and Airflow masks it."""
    text = "\n".join(ours.log)

    assert "salut" in text
    assert "hidden" not in text


def test_a_window_goes_on_after_an_upgrade(ours: Runner, tmp_path: Path) -> None:
    """Airflow 3 reads the XComs that Airflow 2 has left for the window, of whatever type they are."""
    if ours.python != AIRFLOW_PYTHON:
        pytest.skip("this is about what Airflow 2 has left")
    upgraded = Runner(tmp_path, AIRFLOW3_PYTHON, records={"several": ours.records["several"]})

    upgraded.to_its_end("split")

    assert strange_dag.effects(tmp_path) == ["total 1 2024 2"]
    assert upgraded.states()["split"] == {"-1": "success"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, python: Path) -> Path:
    return tmp_path_factory.mktemp("shared")


@pytest.fixture
def alone(shared: Path, python: Path, warm: WarmAirflow) -> Runner:
    """A folder whose database is made by the first one, with no window's past."""
    (shared / "effects").unlink(missing_ok=True)
    return Runner(shared, python, warm)


def test_a_deferred_task_goes_on_with_what_it_kept(alone: Runner) -> None:
    """The arguments that it deferred with are there when it goes on, as in a triggerer."""
    alone.run("deferred_with_kwargs", dag_id="killed")

    assert strange_dag.effects(alone.folder) == ["deferred went further"]


def test_a_killed_task_is_told_so_and_leaves_nothing(alone: Runner) -> None:
    """`on_kill` runs when the run is interrupted, and no process is left, though it has a session of its own."""

    def interrupt() -> None:
        deadline = time.monotonic() + 60
        while not any(line.startswith("pid") for line in strange_dag.effects(alone.folder)):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    # Whoever starts the tests in the background may have them ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            alone.cold().run("killable", dag_id="killed")
    finally:
        thread.join()
        signal.signal(signal.SIGINT, before)

    said = strange_dag.effects(alone.folder)
    assert "on_kill" in said
    assert not is_alive(int(next(line for line in said if line.startswith("pid"))[4:]))


def test_the_operators_own_time_out_comes_first(alone: Runner) -> None:
    """`execution_timeout` is Airflow's: the task has failed by it before our own limit ends the process."""
    record = alone.run("slow", dag_id="killed", limit=1)["record"]

    assert (record["state"], "AirflowTaskTimeout" in record["instances"][0]["error"]) == ("failed", True)


def test_a_limit_ends_what_does_not_keep_one(alone: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator without a time-out of its own is ended when the unit's has passed."""
    monkeypatch.setattr("dagster_defs.adapters.airflow.task_process.LIMIT_SLACK", 0.5)

    with pytest.raises(TimedOut):
        alone.run("killable", dag_id="killed", limit=0.5)
    assert "on_kill" in strange_dag.effects(alone.folder)


@pytest.mark.parametrize(
    ("task_id", "reason"),
    [
        ("history", "earlier runs are not at hand"),
        ("keeps", "a Variable cannot be written"),
        ("asks", "the XComs of slow are not at hand"),
        ("asks_all", "the XComs of slow are not at hand"),
    ],
)
def test_what_a_private_database_cannot_know_fails(alone: Runner, task_id: str, reason: str) -> None:
    """Earlier runs, XComs that nobody has kept and Variables to be kept are errors, and never nothing."""
    if task_id == "asks_all" and alone.python == AIRFLOW3_PYTHON:
        pytest.skip("where no task is named, Airflow 3 asks for the task's own XComs")
    record = alone.run(task_id, dag_id="killed")["record"]

    assert record["state"] == "failed"
    assert reason in record["instances"][0]["error"]


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"task_id": "triggers", "dag_id": "killed"}, "asks Airflow's scheduler for a run of another DAG"),
        ({"task_id": "nowhere"}, "has no task nowhere"),
        ({"task_id": "slow", "dag_id": "nowhere"}, "there is no DAG nowhere"),
    ],
)
def test_what_cannot_run_is_refused(alone: Runner, asked: dict[str, str], reason: str) -> None:
    """An operator that needs servers, and a name that is not there, are refused with the reason; nothing runs."""
    with pytest.raises(LegacyTaskRefused, match=reason):
        alone.run(**asked)  # type: ignore[arg-type]  # none of them is the limit


def test_a_task_waits_for_its_turn(alone: Runner) -> None:
    """A task whose trigger rule does not hold yet is not run; what it waits for is said."""
    alone.records["skip99"] = {
        "state": "up_for_retry",
        "skips": [],
        "instances": [
            {"map_index": -1, "state": "up_for_retry", "xcoms": [], "task_map": [], "reschedules": []}
        ],
    }

    assert "all_success" in str(alone.run("after_skip")["waiting"])


def test_a_silent_run_tells_nobody(alone: Runner) -> None:
    """Without callbacks, as on the candidate side, none is called."""
    alone.run("final", callbacks=False)

    assert strange_dag.effects(alone.folder) == []


def test_no_python_is_one_clear_error(tmp_path: Path) -> None:
    """A Python that is not there is named, with where to name another."""
    nowhere = AirflowEnvironment(tmp_path / "python", tmp_path, "", None, tmp_path, {})

    with pytest.raises(LegacyTaskRefused, match="PARITY_AIRFLOW_PYTHON"):
        nowhere.run({"dag_id": "a", "task_id": "b"}, say=print, limit=None)


def test_a_candidate_reads_its_own_places_first(alone: Runner) -> None:
    """A secrets back end that the team's airflow.cfg puts before the environment does not lead it to legacy's."""
    place = alone.folder / "candidates"
    place.mkdir()
    variables = {**strange_dag.vault(alone.folder), "AIRFLOW_VAR_PLACE": str(place)}

    legacy = alone.run("writes", dag_id="killed", variables=variables)["record"]
    found = alone.run("writes", dag_id="killed", variables=variables, candidate=["AIRFLOW_VAR_PLACE"])

    assert (legacy["state"], found["record"]["state"]) == ("failed", "success")
    assert [path.name for path in place.iterdir()] == ["2024-02-01.csv"]


def test_what_dagster_runs_otherwise_is_taken_as_done(alone: Runner) -> None:
    """A task right below one of which Dagster keeps no state runs; below one that decides about it, it does not."""
    assert alone.run("after_skip")["record"]["state"] == "success"
    with pytest.raises(LegacyTaskRefused, match="the XComs of branch are not at hand"):
        alone.run("left")


def test_a_variable_that_a_candidate_would_not_read_is_refused(alone: Runner) -> None:
    """Airflow looks for AIRFLOW_CONN_ and a name in capitals: another name keeps no candidate away from legacy."""
    with pytest.raises(LegacyTaskRefused, match="would not read AIRFLOW_CONN_warehouse"):
        alone.run("writes", dag_id="killed", candidate=["AIRFLOW_CONN_warehouse"])


def test_no_error_tells_a_password(alone: Runner) -> None:
    """What Airflow masks in its log is masked in the error too, though the exception has built its text itself."""
    record = alone.run("rude", dag_id="killed")["record"]

    error = record["instances"][0]["error"]
    assert "no way into postgres://somebody:***@" in error
    assert "hidden" not in error + "\n".join(alone.log)


def test_nothing_is_left_running(alone: Runner) -> None:
    """What an operator leaves behind in its process group ends with it, and keeps nobody waiting."""
    assert alone.cold().run("leaves", dag_id="killed")["record"]["state"] == "success"

    [said] = strange_dag.effects(alone.folder)
    assert not is_alive(int(said[4:]))


def test_who_goes_on_talking_is_not_listened_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that never end are read for a while only."""
    monkeypatch.setattr("dagster_defs.adapters.processes.piped.LAST_WORDS_SECONDS", 0.3)
    lines: queue.Queue[str | None] = queue.Queue()
    stop = threading.Event()

    def talk() -> None:
        while not stop.wait(0.01):
            lines.put("noise")

    talking = threading.Thread(target=talk)
    talking.start()
    said: list[str] = []
    log = Log(said.append)
    log.take_all(lines)
    stop.set()
    talking.join()
    log.close()

    assert "noise" in said[0]


def test_a_long_log_has_an_end() -> None:
    """Beyond a bound only the last lines are shown, and how many are not."""
    said: list[str] = []
    log = Log(said.append)
    for number in range(30_000):
        log.take(f"line {number} " + "x" * 60)
    log.close()

    assert sum(map(len, said)) < 1.1 * LOG_BYTES
    assert "more lines, beyond" in said[-1]
    assert "line 29999" in said[-1]
