"""The DAG of `parity doctor`, in each Airflow that is here: what its task leaves is a look that `parity` reads."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dagster_defs.adapters.store.proxied_state import set_up, write_mark
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.worker_look import Look, Told
from tests.legacy_dags.handover.conftest import airflow_with_database
from tests.support.documents import document, fenced
from tests.support.estate import AIRFLOW_PYTHON, NOBODY, ROOT, foreign_environment
from tests.support.exporting import PYTHONS
from tests.support.unruly_dagsters import UnrulyDagster

pytestmark = pytest.mark.airflow

MARKED, FREE = Unit("nightly", "build"), Unit("nightly", "later")


@pytest.fixture
def dags(tmp_path: Path) -> Path:
    """The DAGs folder with the file of the reference, word for word."""
    [written] = fenced(document("docs/reference.md").section("### `parity doctor`"), "python")
    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "parity_doctor.py").write_text(written)
    return folder


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    folder = tmp_path / "marks"
    set_up(folder)
    write_mark(folder, MARKED, proxied=True, position=7)
    return folder


def looked(python: Path, dags: Path, tmp_path: Path, **settings: str) -> dict[str, Any]:
    done = subprocess.run(
        [str(python), str(Path(__file__).with_name("run_doctor.py"))],
        input=json.dumps({"units": [[unit.dag_id, unit.task_id] for unit in (MARKED, FREE)]}),
        env={
            **foreign_environment(),
            "AIRFLOW_HOME": str(tmp_path / "home"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "PYTHONPATH": os.pathsep.join([str(ROOT / "legacy_dags"), str(Path(__file__).parent)]),
            **settings,
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    looks: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return looks


def test_what_a_worker_finds(
    version: str, dags: Path, marks: Path, tmp_path: Path, dagster_server: UnrulyDagster
) -> None:
    """The owners with their positions, as tasks ask for them; where Dagster is; its own version."""
    settings = {"PARITY_PROXIED_STATE": str(marks), "DAGSTER_URL": dagster_server.url}
    [(task, told)] = looked(PYTHONS[version], dags, tmp_path, **settings).items()

    look = Look.parse(told, task)
    assert look.owners == {MARKED: Told(True, "7"), FREE: Told()}
    assert (look.channel, look.folder, look.task) == ("file", str(marks), "look")
    assert look.version == (ROOT / "legacy_dags" / "handover" / "VERSION").read_text().strip()
    assert (look.dagster, look.unreachable) == (dagster_server.url, "")
    assert look.skew
    assert look.skew.at_least < 1


@pytest.mark.parametrize("channel", ["file", "variable"])
def test_what_a_worker_does_not_find(dags: Path, tmp_path: Path, channel: str) -> None:
    """Without the channel's marks each unit has the reason that its task would fail with, and Dagster has its own."""
    settings = airflow_with_database(tmp_path / "home", dags) if channel == "variable" else {}
    [told] = looked(
        AIRFLOW_PYTHON,
        dags,
        tmp_path,
        **settings,
        PARITY_CHANNEL=channel,
        PARITY_PROXIED_STATE=str(tmp_path / "gone"),
        DAGSTER_URL=NOBODY,
    ).values()

    look = Look.parse(told, "look")
    reason = "is not known to be the folder" if channel == "file" else "neither a Variable parity_marks nor"
    assert [reason in told.problem for told in look.owners.values()] == [True, True]
    assert "Connection refused" in look.unreachable
    assert look.skew is None
