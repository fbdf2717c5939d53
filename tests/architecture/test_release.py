"""A release: what was not released goes under the version, and nothing is left changed if it cannot be."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from bench.environments import StepFailed
from bench.release import CHANGES, VERSION_FILE, Refused, Release, build, released, try_out
from tests.support.estate import ROOT

DAY = date(2026, 12, 1)
WRITTEN = "# Changes\n\n## Not released\n\n### Fixed\n\n- A thing.\n"
LICENCES = "import sys; sys.stdout.write('MIT\\n')"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with what a release reads and writes."""
    files = {
        CHANGES: WRITTEN,
        VERSION_FILE: "0.1.0\n",
        Path("requirements/licences.py"): LICENCES,
        Path("requirements/licences.md"): "MIT\n",
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    commit = ("-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-qm", "first")
    for arguments in (("init", "-q"), ("add", "."), commit):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    return tmp_path


def nothing(dist: Path) -> None:
    """Wheels that are built and tried out elsewhere."""


def changed(checkout: Path) -> str:
    done = subprocess.run(
        ["git", "status", "--porcelain"], cwd=checkout, check=True, capture_output=True, text=True
    )
    return done.stdout


def test_a_release_sets_the_version_and_dates_the_changes(checkout: Path) -> None:
    """In these two files alone; a person is told how to publish it."""
    told = Release(checkout, nothing, nothing).make("0.2.0", DAY)

    assert (checkout / VERSION_FILE).read_text() == "0.2.0\n"
    assert (checkout / CHANGES).read_text() == (
        "# Changes\n\n## Not released\n\n## 0.2.0 (2026-12-01)\n\n### Fixed\n\n- A thing.\n"
    )
    assert len(changed(checkout).splitlines()) == 2
    assert "git tag -a v0.2.0" in told


@pytest.mark.parametrize("version", ["0.2", "v0.2.0", "", "0.2.0.dev1", "0.0.9"])
def test_a_version_that_cannot_be(checkout: Path, version: str) -> None:
    """Not three numbers, or earlier than what there is."""
    with pytest.raises(Refused, match="version"):
        Release(checkout, nothing, nothing).make(version, DAY)
    assert not changed(checkout)


def leave_a_file(root: Path) -> None:
    (root / "left.txt").write_text("")


def change_nothing_since(root: Path) -> None:
    (root / CHANGES).write_text("# Changes\n\n## Not released\n\n## 0.1.0 (2026-11-01)\n\n- A thing.\n")


def have_released_it(root: Path) -> None:
    (root / CHANGES).write_text(f"{WRITTEN}\n## 0.2.0 (2026-11-01)\n")


def install_something_else(root: Path) -> None:
    (root / "requirements/licences.md").write_text("GPL\n")
    commit = ("-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-qam", "second")
    subprocess.run(["git", *commit], cwd=root, check=True)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (leave_a_file, "in no commit:\n.*left.txt"),
        (change_nothing_since, "says of nothing"),
        (have_released_it, "has a section of 0.2.0 already"),
        (install_something_else, "make licences"),
    ],
)
def test_a_checkout_that_is_not_ready(checkout: Path, spoil: Callable[[Path], None], reason: str) -> None:
    """It is refused with the reason, before anything is written or built."""
    spoil(checkout)
    before = changed(checkout)

    with pytest.raises(Refused, match=reason):
        Release(checkout, never, never).make("0.2.0", DAY)
    assert changed(checkout) == before
    assert (checkout / VERSION_FILE).read_text() == "0.1.0\n"


def never(dist: Path) -> None:
    raise AssertionError(dist)


def test_wheels_that_do_not_work_are_no_release(checkout: Path) -> None:
    """Both files are as they were."""

    def broken(dist: Path) -> None:
        raise StepFailed("parity exited 1")

    with pytest.raises(StepFailed):
        Release(checkout, nothing, broken).make("0.2.0", DAY)
    assert not changed(checkout)


def test_this_repository_could_be_released() -> None:
    """Its changes have what a release reads."""
    assert "\n## 9.9.9 (2026-12-01)\n" in released((ROOT / CHANGES).read_text(), "9.9.9", DAY)


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the locked versions are those of Python 3.11")
def test_both_wheels_work_where_they_are_installed(tmp_path: Path) -> None:
    """Each in an environment of its own, with nothing of this repository on any path."""
    build(tmp_path)
    try_out(tmp_path)
