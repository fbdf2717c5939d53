"""Odd files of marks, on both sides: what Airflow's does not honour, Dagster's refuses, and a way back stays open."""

from __future__ import annotations

import ast
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dagster_defs.adapters.store.proxied_state import read_marks, write_mark
from dagster_defs.errors import MarkedAsAWhole, ProxiedStateUnreadable
from dagster_defs.lifecycle import Unit
from tests.support.estate import ROOT
from tests.support.marks_table import DAG, TABLE, lay

HERE = Path(__file__).parent
OURS = ROOT / "dagster_defs" / "adapters" / "store" / "marks.py"
THEIRS = ROOT / "legacy_dags" / "handover" / "marks.py"
EVERY = pytest.mark.parametrize("name", list(TABLE))
AIRFLOWS = [
    pytest.param(python, marks=pytest.mark.airflow, id=python)
    for python in (".venv-airflow", ".venv-airflow3")
    if (ROOT / python).exists()
]
TASKS = ("b", "c", "b2", "d", "anything")


def test_both_sides_have_one_reader() -> None:
    """The reader is the same on both sides, byte for byte, and a Python 3.8 beside an old Airflow can load it."""
    assert OURS.read_bytes() == THEIRS.read_bytes()
    tree = ast.parse(OURS.read_text(), feature_version=(3, 8))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    assert imported == {
        "__future__",
        "collections.abc",
        "dataclasses",
        "os",
        "pathlib",
        "stat",
        "typing",
        "yaml",
    }


@pytest.fixture(scope="module", params=AIRFLOWS)
def honoured_by_airflow(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    below = tmp_path_factory.mktemp("marks")
    for name, odd in TABLE.items():
        lay(below / name, odd)
    done = subprocess.run(
        [
            ROOT / request.param / "bin" / "python",
            HERE / "read_marks_in_airflow.py",
            ROOT / "legacy_dags",
            below,
            DAG,
        ],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@EVERY
def test_what_airflows_side_honours(honoured_by_airflow: dict[str, Any], name: str) -> None:
    """In Airflow's own environment, each file counts as the table says, and what does not is named."""
    odd, found = TABLE[name], honoured_by_airflow[name]

    assert (found["whole"], found["tasks"]) == (odd.whole, odd.honoured)
    assert bool(found["problems"]) is bool(odd.said)
    assert odd.said in " ".join(found["problems"])


@EVERY
def test_what_airflows_side_does_not_honour_is_refused(tmp_path: Path, name: str) -> None:
    """On Dagster's side a mark in doubt is an error that says why, a mark that counts is the same one, and each task
    without a mark has none."""
    odd = TABLE[name]
    marks = read_marks(lay(tmp_path, odd), DAG)

    for task in {*TASKS, *odd.honoured, *(odd.doubted or ())}:
        unit = Unit(DAG, task)
        if odd.doubted is None or task in odd.doubted:
            with pytest.raises(ProxiedStateUnreadable) as caught:
                marks.get(unit)
            assert odd.said in str(caught.value)
            assert not marks.honoured(unit)
        elif odd.whole is not None:
            assert marks[unit] is marks.honoured(unit) is odd.whole
        else:
            assert marks.get(unit) is odd.honoured.get(task)
            assert marks.honoured(unit) is odd.honoured.get(task, False)


@EVERY
def test_another_dags_file_is_nobodys_business(tmp_path: Path, name: str) -> None:
    """Whatever stands in one DAG's file, the marks of another DAG are read, and can be written."""
    lay(tmp_path, TABLE[name])
    other = Unit("taxi_weekly", "dbt_weekly")
    write_mark(tmp_path, other, proxied=True)

    assert read_marks(tmp_path)[other]
    write_mark(tmp_path, other, proxied=False)
    assert read_marks(tmp_path).get(other) is False


@EVERY
def test_the_way_back_is_open_through_a_broken_file(tmp_path: Path, name: str) -> None:
    """A mark can be taken back whatever its file is: what counted still counts, and what was broken is kept beside."""
    odd = TABLE[name]
    before = {path.name for path in lay(tmp_path, odd).iterdir()}
    unit = Unit(DAG, "b")
    if odd.whole is not None:
        with pytest.raises(MarkedAsAWhole, match="List the tasks first"):
            write_mark(tmp_path, unit, proxied=False)
        return

    path = write_mark(tmp_path, unit, proxied=False)

    marks = read_marks(tmp_path, DAG)
    assert marks.problems == {}
    assert dict(marks) == {Unit(DAG, task): mark for task, mark in {**odd.honoured, "b": False}.items()}
    beside = {found.name for found in tmp_path.iterdir()} - before - {path.name, ".marks.lock"}
    kept = {name for name in beside if ".broken-" in name}
    assert beside == kept
    assert bool(kept) is bool(odd.said)
    if odd.doubted is None and odd.files:
        assert {(tmp_path / each).read_bytes() for each in kept} == set(odd.files.values())


def test_an_unreadable_folder_is_one_error(tmp_path: Path) -> None:
    """Where there is a file in the place of the folder nobody knows a mark: each side says so."""
    (tmp_path / "folder").write_text("")

    with pytest.raises(ProxiedStateUnreadable, match="Not a directory"):
        read_marks(tmp_path / "folder")
    with pytest.raises(ProxiedStateUnreadable, match="Not a directory"):
        read_marks(tmp_path / "folder", DAG).get(Unit(DAG, "b"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_broken(tmp_path: Path) -> None:
    """A file without leave to read it is in doubt, and is replaced on the way back."""
    path = lay(tmp_path, TABLE["good"]) / f"{DAG}.yaml"
    path.chmod(0)

    with pytest.raises(ProxiedStateUnreadable, match="Permission denied"):
        read_marks(tmp_path, DAG).get(Unit(DAG, "b"))
    write_mark(tmp_path, Unit(DAG, "b"), proxied=False)
    assert read_marks(tmp_path, DAG).get(Unit(DAG, "b")) is False


def test_many_wrong_entries_are_few_lines() -> None:
    """A file in which everything is wrong says so in a bounded number of lines."""
    from dagster_defs.adapters.store.marks import SHOWN, Marks

    marks = Marks((Path("x.yaml"),), nameless=tuple(f"line {number}" for number in range(1000)))

    assert len(marks.problems) == SHOWN + 1
    assert marks.problems[-1] == "980 more entries of x.yaml are wrong"
