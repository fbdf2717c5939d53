"""A folder that is emptied is one that we have made: a demo and a rehearsal touch nobody else's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from dagster_defs.adapters.files.own_folder import InUse, NotOurs, OwnFolder
from dagster_defs.errors import DemoFolderTaken, NoRehearsal
from dagster_defs.settings import Settings
from dagster_defs.usecases.rehearse.folder import RehearsalFolder
from demo.servers import Demo
from tests.support.estate import ROOT

MARK = ".mark"


def somebodys_home(folder: Path) -> None:
    for name in ("airflow", "dagster", "data", "postgres", "run"):
        (folder / name).mkdir(parents=True)
        (folder / name / "precious").write_text("x")


def only_a_dotfile(folder: Path) -> None:
    folder.mkdir()
    (folder / ".bashrc").touch()


def a_file(folder: Path) -> None:
    folder.write_text("x")


def a_link_to_a_home(folder: Path) -> None:
    somebodys_home(folder.parent / "home")
    folder.symlink_to(folder.parent / "home")


def a_folder_as_mark(folder: Path) -> None:
    for name in (MARK, ".parity-demo", ".parity-rehearsal"):
        (folder / name).mkdir(parents=True)


def a_link_as_mark(folder: Path) -> None:
    folder.mkdir()
    for name in (MARK, ".parity-demo", ".parity-rehearsal"):
        (folder / name).symlink_to(ROOT / "README.md")


FOREIGN = [somebodys_home, only_a_dotfile, a_file, a_link_to_a_home, a_folder_as_mark, a_link_as_mark]


def contents(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize("make", FOREIGN)
def test_a_folder_of_somebody_else(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """What holds anything that we have not put there is refused by demo and rehearsal, and nothing has changed."""
    make(tmp_path / "folder")
    before = contents(tmp_path)
    with pytest.raises(NotOurs), OwnFolder(tmp_path / "folder", MARK).emptied():
        pass
    with (
        pytest.raises(DemoFolderTaken, match="PARITY_DEMO_DIR") as taken,
        Demo(NoSteps(), Settings({"PARITY_DEMO_DIR": str(tmp_path / "folder")})).running(),
    ):
        pass
    with (
        pytest.raises(NoRehearsal, match="PARITY_REHEARSAL_DIR"),
        RehearsalFolder(Settings({"PARITY_REHEARSAL_DIR": str(tmp_path / "folder")})).emptied(),
    ):
        pass

    assert taken.value.exit_code == 2
    assert contents(tmp_path) == before


class NoSteps:
    """A demo that is refused says nothing."""

    def step(self, title: str) -> AbstractContextManager[None]:
        raise AssertionError(title)

    def say(self, line: str) -> None:
        raise AssertionError(line)


@pytest.mark.parametrize("folder", ["/", "/tmp"])  # noqa: S108 - the subject: nothing is written there
def test_the_folders_of_the_machine(folder: str) -> None:
    """The root and the folder of temporary files are nobody's to empty."""
    with pytest.raises(NotOurs):
        OwnFolder(Path(folder), MARK).refuse_foreign()


def test_the_command_in_a_home(tmp_path: Path) -> None:
    """`PARITY_DEMO_DIR=$HOME parity demo` is a usage error that says what to do, and leaves ~/airflow where it is."""
    somebodys_home(tmp_path / "home")
    before = contents(tmp_path)
    done = subprocess.run(
        [str(Path(sys.executable).parent / "parity"), "demo", "--exit"],
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path / "home"),
            "PARITY_DEMO_DIR": str(tmp_path / "home"),
        },
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )

    assert done.returncode == 2, done.stderr
    assert "PARITY_DEMO_DIR" in " ".join(done.stderr.split())
    assert contents(tmp_path) == before


def test_our_own_is_emptied(tmp_path: Path) -> None:
    """What was marked while it was empty is emptied, links in it are not followed, and it stays marked."""
    somebodys_home(tmp_path / "home")
    own = OwnFolder(tmp_path / "folder", MARK)
    with own.emptied():
        (own.folder / "data").mkdir()
        (own.folder / "link").symlink_to(tmp_path / "home")
        (own.folder / "kept").touch()
    with own.emptied(["data", "link"]):
        assert contents(own.folder) == {MARK, "kept"}
    with own.emptied():
        assert contents(own.folder) == {MARK}

    assert (tmp_path / "home" / "airflow" / "precious").exists()


def test_one_that_is_in_use(tmp_path: Path) -> None:
    """A second user of the folder is refused before anything is removed."""
    own = OwnFolder(tmp_path / "folder", MARK)
    with own.emptied():
        (own.folder / "data").touch()
        with pytest.raises(InUse), OwnFolder(tmp_path / "folder", MARK).emptied():
            pass
        assert (own.folder / "data").exists()
