"""Operators of Airflow's core and providers, run one by one without its servers, beside Airflow's own `DAG.test`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dagster_defs.errors import LegacyTaskRefused
from tests.support import operators_dag, strange_dag
from tests.support.estate import AIRFLOW3_PYTHON, AIRFLOW_PYTHON
from tests.support.strange_dag import END
from tests.support.task_runner import PYTHONS, Runner, in_order
from tests.support.warm_airflow import WarmAirflow

pytestmark = [pytest.mark.airflow, pytest.mark.thorough]

# The run as `DAG.test` makes it, at the end of the window; in Airflow 2 it is not one that somebody has asked for.
RUNS = {
    AIRFLOW_PYTHON: {"logical_date": END},
    AIRFLOW3_PYTHON: {"logical_date": END, "run_id": f"manual__{END}"},
}
FILES = ("bash_file", "source.txt", "target.txt")


@pytest.fixture(scope="module", params=PYTHONS)
def python(request: pytest.FixtureRequest) -> Path:
    """Airflow's, of each version that is here."""
    return PYTHONS[request.param]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with operators_dag.http_server() as found:
        yield found


def connections(folder: Path, address: str) -> dict[str, str]:
    (folder / "dags").mkdir(exist_ok=True)
    (folder / "dags" / "operators.py").write_text(operators_dag.DAG_FILE, encoding="utf-8")
    return {
        "AIRFLOW_CONN_LOCAL_HTTP": address,
        "AIRFLOW_CONN_LOCAL_SQLITE": f"sqlite:///{folder / 'data.db'}",
        "AIRFLOW_CONN_FILES": '{"conn_type": "fs"}',
    }


@pytest.fixture(scope="module")
def theirs(
    tmp_path_factory: pytest.TempPathFactory, python: Path, address: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """What `DAG.test` has left, and the files."""
    folder = tmp_path_factory.mktemp("theirs")
    extra = connections(folder, address)
    found = strange_dag.airflows_own(folder, python, operators_dag.DAG_ID, extra)
    return found, files(folder)


@pytest.fixture(scope="module")
def ours(
    tmp_path_factory: pytest.TempPathFactory, python: Path, address: str, theirs: tuple[dict[str, Any], Any]
) -> Iterator[Runner]:
    folder = tmp_path_factory.mktemp("ours")
    extra = connections(folder, address)
    warm = WarmAirflow(python, strange_dag.PROGRAM, strange_dag.environment(folder) | extra)
    runner = Runner(folder, python, warm, "operators.py", extra)
    for task_id in theirs[0]["order"]:
        runner.to_its_end(task_id, dag_id=operators_dag.DAG_ID, **RUNS[python])
    yield runner
    warm.close()


def files(folder: Path) -> dict[str, str]:
    return {name: (folder / name).read_text(encoding="utf-8") for name in FILES}


def test_every_operator_ends_as_in_airflow(ours: Runner, theirs: tuple[dict[str, Any], Any]) -> None:
    """Each instance of each task has the state that `DAG.test` gives it, mapped ones and skipped ones too."""
    states = theirs[0]["states"]

    assert ours.states() == {name: states[name] for name in theirs[0]["order"]}
    assert len(states) > 70


def test_every_operator_leaves_airflows_xcoms(ours: Runner, theirs: tuple[dict[str, Any], Any]) -> None:
    """Each XCom is, byte for byte, what Airflow would have stored."""
    assert {name: in_order(text) for name, text in ours.xcoms().items()} == {
        name: in_order(text) for name, text in theirs[0]["xcoms"].items()
    }


def test_every_operator_has_the_same_effects(ours: Runner, theirs: tuple[Any, dict[str, str]]) -> None:
    """The files that operators write are those that they write in Airflow."""
    assert files(ours.folder) == theirs[1]


def test_what_needs_servers_is_refused(ours: Runner) -> None:
    """Operators whose work is done by Airflow's servers, and a user of their own, are refused with the reason."""
    tasks = ["triggers", "triggers_and_waits", "waits_for_other", "waits_async", "as_other"]
    if ours.python == AIRFLOW3_PYTHON:
        tasks.append("asks_a_person")

    for task_id in tasks:
        with pytest.raises(LegacyTaskRefused, match=r"cannot run without Airflow's servers|has run_as_user"):
            ours.run(task_id, dag_id="refused")
