"""Marks of every shape, good and bad, as Airflow's own DagBag meets them: a mistake costs what it is about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.legacy_dags.handover.conftest import InAirflow, StartInAirflow

pytestmark = pytest.mark.airflow

DAGS = Path(__file__).with_name("proxied_dags")
BROKEN = "parity: proxied_state broken"
PROXY, BASH = "ProxyToDagster", "BashOperator"

MARKS: dict[str, str | bytes] = {
    "fine.yaml": "tasks:\n- {id: b, proxied: true}\n- {id: c, proxied: false}\n",
    "bad_yaml.yaml": "tasks: [{id: b, proxied: true}\n\t- what",
    "no_text.yaml": b"tasks: \xff\xfe",
    "unknown_task.yaml": "tasks:\n- {id: b, proxied: true}\n- {id: bb, proxied: true}\n",
    "bad_entry.yaml": "tasks:\n- {id: b, proxied: true}\n- {id: a, proxied: perhaps}\n- just text\n",
    "contradiction.yaml": "tasks:\n- {id: b, proxied: true}\n- {id: c, proxied: true}\n- {id: c, proxied: false}\n",
    "both_kinds.yaml": "proxied: true\ntasks:\n- {id: b, proxied: true}\n",
    "two_files.yaml": "tasks:\n- {id: b, proxied: true}\n",
    "two_files.yml": "tasks:\n- {id: b, proxied: false}\n",
    "mapped.yaml": (
        "tasks:\n"
        + "".join(
            f"- {{id: {name}, proxied: true}}\n"
            for name in ("many", "one", "group.inside", "said", "of_numbers", "pulled")
        )
    ),
    "in_a_chain.yaml": "tasks:\n"
    + "".join(f"- {{id: {name}, proxied: true}}\n" for name in ("outset", "between", "beside")),
    "grouped.yaml": "tasks:\n- {id: outer.load, proxied: true}\n- {id: clean, proxied: true}\n",
    "whole.yaml": "proxied: true\n",
    "of_no_dag.yaml": "][",
}


def write(folder: Path) -> Path:
    for name, text in MARKS.items():
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


@pytest.fixture(scope="module")
def unmarked(in_airflow: InAirflow) -> dict[str, Any]:
    described: dict[str, Any] = in_airflow("describe_handover.py", [], AIRFLOW__CORE__DAGS_FOLDER=str(DAGS))
    return described


@pytest.fixture(scope="module")
def marked(in_airflow: InAirflow, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    described: dict[str, Any] = in_airflow(
        "describe_handover.py",
        [],
        AIRFLOW__CORE__DAGS_FOLDER=str(DAGS),
        PARITY_PROXIED_STATE=str(write(tmp_path_factory.mktemp("marks"))),
    )
    return described


def proxied(marked: dict[str, Any], dag_id: str) -> list[str]:
    return sorted(
        name.removeprefix(f"{dag_id}.")
        for name, operator in marked["operators"].items()
        if name.startswith(f"{dag_id}.") and operator == PROXY
    )


def test_no_mark_breaks_an_import(unmarked: dict[str, Any], marked: dict[str, Any]) -> None:
    """Whatever the folder holds, every DAG is there and Airflow can store it."""
    assert marked["errors"] == {}
    assert set(marked["dag_tags"]) == set(unmarked["dag_tags"])
    assert marked["serializable"] == [True] * len(marked["dag_tags"])


def test_a_good_file_beside_bad_ones_counts(marked: dict[str, Any]) -> None:
    """A DAG whose own file is good is proxied as marked, and has no warning."""
    assert proxied(marked, "fine") == ["b"]
    assert marked["dag_tags"]["fine"] == ["1 Task Marked as Proxied to Dagster", "own"]


@pytest.mark.parametrize("dag_id", ["bad_yaml", "no_text", "both_kinds", "two_files"])
def test_a_file_that_says_nothing_leaves_its_dag(marked: dict[str, Any], dag_id: str) -> None:
    """A file that cannot be read leaves its own DAG as it was, with a tag that everybody sees."""
    assert proxied(marked, dag_id) == []
    assert marked["dag_tags"][dag_id] == ["own", BROKEN]


@pytest.mark.parametrize("dag_id", ["unknown_task", "bad_entry", "contradiction"])
def test_a_wrong_entry_leaves_its_task(marked: dict[str, Any], dag_id: str) -> None:
    """An entry that cannot be honoured costs its own task; the others of the file count."""
    assert proxied(marked, dag_id) == ["b"]
    assert BROKEN in marked["dag_tags"][dag_id]


def test_the_log_names_file_task_and_reason(start_in_airflow: StartInAirflow, tmp_path: Path) -> None:
    """Each mistake is a warning with the DAG and what is wrong."""
    marks = tmp_path / "marks"
    marks.mkdir()
    started = start_in_airflow(
        "describe_handover.py",
        [],
        AIRFLOW__CORE__DAGS_FOLDER=str(DAGS),
        PARITY_PROXIED_STATE=str(write(marks)),
    )
    started.answer()

    for said in (
        "proxied_state of DAG bad_yaml: bad_yaml.yaml cannot be read: ",
        "proxied_state of DAG unknown_task: there is no task 'bb'; its tasks are ['a', 'b', 'c']",
        "proxied_state of DAG bad_entry: bad_entry.yaml, line 4: 'just text' is not an `id` with `proxied: true` or ",
        "proxied_state of DAG contradiction: contradiction.yaml marks c both as proxied and as not",
        "proxied_state of DAG both_kinds: both_kinds.yaml has neither, or both, of `tasks` and `proxied`",
        "proxied_state of DAG two_files: both two_files.yaml and two_files.yml are there; keep one",
        "proxied_state of DAG mapped: task 'said' is mapped, and total would find its XComs empty",
        "proxied_state of DAG mapped: task 'pulled' is mapped, and pulls would find its XComs empty",
        "proxied_state of DAG mapped: task 'group.inside' is in a mapped task group",
    ):
        assert said in started.log()


def test_a_mapped_task_has_as_many_proxies_as_the_file_says(
    unmarked: dict[str, Any], marked: dict[str, Any]
) -> None:
    """A task that is mapped over values keeps its instances and settings; one mapped over an XCom has one proxy."""
    assert marked["mapped"]["mapped.many"] == [PROXY, 2]
    assert unmarked["mapped"]["mapped.of_numbers"] is not None
    assert marked["mapped"]["mapped.of_numbers"] is None
    assert proxied(marked, "mapped") == ["of_numbers", "one"]
    for fact in ("settings", "downstream"):
        assert marked[fact]["mapped.many"] == unmarked[fact]["mapped.many"]


def test_what_cannot_be_proxied_in_a_mapped_way_stays(
    unmarked: dict[str, Any], marked: dict[str, Any]
) -> None:
    """A task in a mapped group, and a mapped one whose XComs a task in Airflow reads, stay as they were."""
    for name in ("group.inside", "said", "pulled"):
        for fact in ("mapped", "operators"):
            assert marked[fact][f"mapped.{name}"] == unmarked[fact][f"mapped.{name}"]
    assert BROKEN in marked["dag_tags"]["mapped"]


def test_one_refusal_may_be_the_reason_of_another(marked: dict[str, Any]) -> None:
    """A task that Airflow runs reads one of two mapped tasks, which reads the other: neither has a proxy, whichever
    comes first in the DAG."""
    assert proxied(marked, "in_a_chain") == []
    assert marked["mapped"]["in_a_chain.beside"] == [PROXY, 1]
    assert marked["dag_tags"]["in_a_chain"] == ["1 Task Marked as Proxied to Dagster", BROKEN]


BROKEN_LENGTH = """
import pendulum
from airflow import DAG
from airflow.operators.bash import BashOperator
from handover.proxy import install_proxies

class Commands(list):
    is_broken = False
    def __len__(self):
        if self.is_broken:
            raise RuntimeError("no length")
        return super().__len__()

commands = Commands(["exit 1", "exit 2"])
with DAG("odd", schedule=None, start_date=pendulum.datetime(2024, 3, 1)) as odd:
    BashOperator.partial(task_id="many").expand(bash_command=commands)
Commands.is_broken = True
install_proxies(globals())
Commands.is_broken = False
"""


def test_a_number_of_instances_that_cannot_be_told_is_an_error(
    start_in_airflow: StartInAirflow, tmp_path: Path
) -> None:
    """What Airflow raises about it is not taken for a number that an XCom says: the task stays in Airflow, with the
    reason."""
    for folder in ("dags", "marks"):
        (tmp_path / folder).mkdir()
    (tmp_path / "dags" / "odd.py").write_text(BROKEN_LENGTH)
    (tmp_path / "marks" / "odd.yaml").write_text("tasks:\n- {id: many, proxied: true}\n")
    started = start_in_airflow(
        "describe_handover.py",
        [],
        AIRFLOW__CORE__DAGS_FOLDER=str(tmp_path / "dags"),
        PARITY_PROXIED_STATE=str(tmp_path / "marks"),
    )

    assert started.answer()["mapped"]["odd.many"] == [BASH, 2]
    assert (
        "task 'many' cannot be replaced: RuntimeError: no length: it runs in Airflow as before"
        in started.log()
    )


def test_groups_keep_their_tasks(unmarked: dict[str, Any], marked: dict[str, Any]) -> None:
    """A task in a group, with the group's prefix or without, is proxied in its place, with its id and its edges."""
    assert proxied(marked, "grouped") == ["clean", "outer.load"]
    for fact in ("groups", "order", "downstream", "settings"):
        assert marked[fact] == unmarked[fact]


def test_a_dag_as_a_whole_keeps_its_shape(unmarked: dict[str, Any], marked: dict[str, Any]) -> None:
    """A mark of the DAG proxies each task that works; those that only steer, and set-ups, stay in Airflow."""
    assert proxied(marked, "whole") == ["build", "export"]
    assert marked["downstream"] == unmarked["downstream"]
    assert "2 Tasks Marked as Proxied to Dagster" in marked["dag_tags"]["whole"]
    assert BROKEN not in marked["dag_tags"]["whole"]


def test_single_tasks_can_wait_in_the_triggerer(marked: dict[str, Any]) -> None:
    """The tasks that the DAG file names wait there, the others do not."""
    assert marked["deferrable"] == ["grouped.outer.load"]


def test_airflows_default_decides_where_the_dag_is_silent(in_airflow: InAirflow, tmp_path: Path) -> None:
    """With `default_deferrable` every proxy of a file that says nothing waits in the triggerer."""
    (tmp_path / "taxi_daily.yaml").write_text("tasks:\n- {id: dbt_daily, proxied: true}\n")

    described = in_airflow(
        "describe_handover.py",
        [],
        PARITY_PROXIED_STATE=str(tmp_path),
        AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE="True",
    )

    assert "taxi_daily.dbt_daily" in described["deferrable"]
