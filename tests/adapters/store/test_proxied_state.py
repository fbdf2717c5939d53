"""The marks that hand a task over: written whole or not at all, and read by Airlift itself."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from dagster_defs.adapters.store.proxied_state import read_marks, write_mark
from dagster_defs.errors import MarkedAsAWhole, ProxiedStateUnreadable
from dagster_defs.lifecycle import Unit
from dagster_defs.settings import Settings
from tests.support.estate import AIRFLOW_PYTHON, ROOT

DAILY, ZONES = Unit("taxi_daily", "dbt_daily"), Unit("taxi_daily", "dbt_zones")
READ_WITH_AIRLIFT = """
import json, sys
from pathlib import Path
from dagster_airlift.in_airflow import load_proxied_state_from_yaml
state = load_proxied_state_from_yaml(Path(sys.argv[1]))
marks = {f"{dag}.{task}": mark.proxied for dag, found in state.dags.items() for task, mark in found.tasks.items()}
print("\\n" + json.dumps(marks))
"""


def test_marks_round_trip(tmp_path: Path) -> None:
    """A mark is read as it was written; another mark of the same DAG and marks of other DAGs stay."""
    other = Unit("taxi_ingest", "load_trips")
    write_mark(tmp_path, DAILY, proxied=True)
    write_mark(tmp_path, other, proxied=True)
    write_mark(tmp_path, ZONES, proxied=False)

    assert read_marks(tmp_path) == {DAILY: True, ZONES: False, other: True}

    write_mark(tmp_path, DAILY, proxied=False)
    assert read_marks(tmp_path) == {DAILY: False, ZONES: False, other: True}


def test_a_mark_of_a_whole_dag_is_that_of_each_unit(tmp_path: Path) -> None:
    """`proxied` at the top marks every unit of the DAG and lists none; one of them cannot be marked alone."""
    (tmp_path / "taxi_daily.yaml").write_text("proxied: true\n")
    marks = read_marks(tmp_path)

    assert marks.get(DAILY, False)
    assert marks.get(ZONES, False)
    assert not marks.get(Unit("taxi_ingest", "load_trips"), False)
    assert list(marks) == []
    with pytest.raises(MarkedAsAWhole, match="as a whole"):
        write_mark(tmp_path, DAILY, proxied=False)


def test_no_folder_means_no_marks(tmp_path: Path) -> None:
    """Without the folder nothing is marked, and reading makes none."""
    assert read_marks(tmp_path / "none") == {}
    assert not (tmp_path / "none").exists()


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, mocker: MockerFixture) -> None:
    """If the disk fails in the middle, the file is as it was, and nothing else lies beside it."""
    path = write_mark(tmp_path, DAILY, proxied=True)
    before = path.read_text()
    mocker.patch("dagster_defs.adapters.store.proxied_state.os.fsync", side_effect=OSError("disk full"))

    with pytest.raises(OSError, match="disk full"):
        write_mark(tmp_path, DAILY, proxied=False)

    assert path.read_text() == before
    assert [found for found in tmp_path.iterdir() if found.suffix != ".lock"] == [path]


def test_the_file_is_replaced_at_once(tmp_path: Path, mocker: MockerFixture) -> None:
    """What is complete on disk takes the name in one step: no reader can see half of a file."""
    path = write_mark(tmp_path, DAILY, proxied=True)
    seen: list[tuple[str, str]] = []
    replace = Path.replace

    def watched(self: Path, target: Path) -> Path:
        seen.append((path.read_text(), self.read_text()))
        return replace(self, target)

    mocker.patch.object(Path, "replace", watched)
    write_mark(tmp_path, DAILY, proxied=False)

    [(old, new)] = seen
    assert "true" in old
    assert new == path.read_text()


@pytest.mark.parametrize(
    "text",
    [
        "tasks: [",
        "- id: x",
        "tasks: [{id: dbt_daily}]",
        "tasks: 3",
        "",
        "proxied: perhaps",
        "tasks: [[]]",
        "tasks: [{id: dbt_daily, proxied: 'false'}]",
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, text: str) -> None:
    """A file that is not in Airlift's format is named in the error, with what it should say, when its DAG is asked
    for."""
    (tmp_path / "taxi_daily.yaml").write_text(text)

    with pytest.raises(ProxiedStateUnreadable, match=r"(?s)taxi_daily\.yaml.*tasks:") as caught:
        read_marks(tmp_path)[DAILY]
    assert caught.value.path.name == "taxi_daily.yaml"


def test_the_folder_is_the_one_that_airflow_reads(tmp_path: Path) -> None:
    """PARITY_PROXIED_STATE names the folder for both sides; without it, it lies beside the DAGs."""
    assert Settings({"PARITY_PROXIED_STATE": str(tmp_path)}).proxied_state == tmp_path
    assert Settings().proxied_state == ROOT / "legacy_dags" / "proxied_state"


@pytest.mark.airflow
def test_airlift_reads_what_we_write(tmp_path: Path) -> None:
    """Airlift's own loader, in Airflow's environment, sees the same marks."""
    write_mark(tmp_path, DAILY, proxied=True, position=3)
    write_mark(tmp_path, ZONES, proxied=False)
    write_mark(tmp_path, Unit("taxi_daily", "group.task"), proxied=True, position=12)
    assert [read_marks(tmp_path).position(unit) for unit in (DAILY, ZONES)] == [3, None]

    done = subprocess.run(
        [str(AIRFLOW_PYTHON), "-c", READ_WITH_AIRLIFT, str(tmp_path)],
        env={"AIRFLOW_HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        str(unit): mark for unit, mark in read_marks(tmp_path).items()
    }


def test_what_is_behind_a_link_is_kept(tmp_path: Path) -> None:
    """A broken file that a symbolic link leads to is replaced behind the link, and its text is kept beside it."""
    behind = tmp_path / "data" / "marks"
    behind.parent.mkdir()
    behind.write_text("tasks: [")
    folder = tmp_path / "marks"
    folder.mkdir()
    (folder / f"{DAILY.dag_id}.yaml").symlink_to(behind)

    write_mark(folder, DAILY, proxied=True)

    assert read_marks(folder) == {DAILY: True}
    assert (folder / f"{DAILY.dag_id}.yaml").is_symlink()
    assert (folder / f"{DAILY.dag_id}.yaml.broken-1").read_text() == "tasks: ["
