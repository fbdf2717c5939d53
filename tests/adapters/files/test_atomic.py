"""Whole files: a reader sees the old content or the new one, whatever happens to the writer."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dagster_defs.adapters.files import atomic
from dagster_defs.adapters.processes.guardian import GUARDIAN

# Writes a file of one letter over and over, each time with another letter; says when it has begun.
WRITER = """
import sys
from pathlib import Path
from dagster_defs.adapters.files import atomic
path = Path(sys.argv[1])
print("up", flush=True)
while True:
    for letter in "abcdef":
        atomic.write_text(path, letter * 200_000)
"""
# Stays in the middle of a write until it is killed.
HALF = """
import sys, time
from pathlib import Path
from dagster_defs.adapters.files import atomic
with atomic.replacing(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    print(temporary.name, flush=True)
    time.sleep(600)
"""


def spawn(script: str, path: Path) -> tuple[subprocess.Popen[str], str]:
    process = GUARDIAN.start([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("looks", [1, 20, 60, 150])
def test_a_writer_killed_at_any_moment(tmp_path: Path, looks: int) -> None:
    """After kill -9 the file is whole, and the next write leaves nothing else in the folder."""
    path = tmp_path / "file.json"
    atomic.write_text(path, "first")
    process, _ = spawn(WRITER, path)
    with process:
        until = time.monotonic() + 30
        while path.read_text() == "first":
            assert time.monotonic() < until
        for _ in range(looks):
            path.read_text()
        process.kill()

    text = path.read_text()
    assert len(text) == 200_000
    assert len(set(text)) == 1
    atomic.write_text(path, "next")
    assert names(tmp_path) == {"file.json"}


def test_a_reader_beside_a_writer(tmp_path: Path) -> None:
    """A thousand looks beside a busy writer: each sees a whole file."""
    path = tmp_path / "file.json"
    atomic.write_text(path, "a" * 200_000)
    process, _ = spawn(WRITER, path)
    with process:
        try:
            seen = [path.read_text() for _ in range(1000)]
        finally:
            process.kill()

    assert {(len(text), len(set(text))) for text in seen} == {(200_000, 1)}


def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path: Path) -> None:
    """A live writer's temporary file stays beside another write in the folder; a killed one's is removed."""
    process, temporary = spawn(HALF, tmp_path / "half.json")
    with process:
        atomic.write_text(tmp_path / "other.json", "whole")
        while_alive = names(tmp_path)
        process.send_signal(signal.SIGKILL)
    atomic.write_text(tmp_path / "other.json", "whole")

    assert while_alive == {temporary, "other.json"}
    assert names(tmp_path) == {"other.json"}


def test_a_stale_file_of_another_machine(tmp_path: Path) -> None:
    """On a shared folder the process id of another machine says nothing: only age does."""
    fresh, stale = (tmp_path / f".f.json.0123abcd-{number}-abcdefgh.tmp" for number in (4_000_001, 4_000_002))
    for path in (fresh, stale):
        path.touch()
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(stale, (two_days_ago, two_days_ago))

    atomic.write_text(tmp_path / "file", "x")

    assert names(tmp_path) == {"file", fresh.name}


@pytest.mark.parametrize(
    "name", [".vimrc.tmp", "notes.tmp", ".f.12-34.tmp", ".f.json.0123abcd-1-abcdefgh.tmpx"]
)
def test_files_of_others_are_left_alone(tmp_path: Path, name: str) -> None:
    """A file that only looks like a temporary one is nobody's to remove."""
    (tmp_path / name).touch()
    os.utime(tmp_path / name, (0, 0))

    atomic.write_text(tmp_path / "file", "x")

    assert names(tmp_path) == {"file", name}


def test_after_an_error_nothing_has_changed(tmp_path: Path) -> None:
    """An error in the block keeps the old file and leaves no temporary one."""
    path = tmp_path / "file"
    atomic.write_text(path, "old")
    with pytest.raises(RuntimeError, match="boom"), atomic.replacing(path) as temporary:  # noqa: PT012 - the block is the subject
        temporary.write_text("new")
        raise RuntimeError("boom")

    assert path.read_text() == "old"
    assert names(tmp_path) == {"file"}


@pytest.mark.parametrize(
    ("before", "given", "after"),
    [
        (0o640, None, 0o640),
        (0o600, None, 0o600),
        (0o644, 0o600, 0o600),
        (None, 0o600, 0o600),
        (None, None, 0o640),
    ],
)
def test_permissions_are_kept_or_given(
    tmp_path: Path, before: int | None, given: int | None, after: int
) -> None:
    """The mode that is asked for counts, else that of the file before, else the process's default."""
    path = tmp_path / "file"
    if before is not None:
        path.touch()
        path.chmod(before)
    mask = os.umask(0o027)
    try:
        atomic.write_text(path, "x", mode=given)
    finally:
        os.umask(mask)

    assert mode_of(path) == after


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    """What a link points to is replaced, and not the link."""
    real = tmp_path / "real" / "file"
    real.parent.mkdir()
    real.write_text("old")
    link = tmp_path / "link"
    link.symlink_to(real)

    atomic.write_text(link, "new")

    assert link.is_symlink()
    assert real.read_text() == "new"


@pytest.mark.parametrize("name", ["x" * 255, "ü" * 127, "a b\nc", "100%", "[x]", "-rf", ".hidden"])
def test_any_name(tmp_path: Path, name: str) -> None:
    """A name that the file system takes is written, however long or odd it is."""
    atomic.write_text(tmp_path / name, "x")

    assert names(tmp_path) == {name}


def test_many_threads_of_one_process(tmp_path: Path) -> None:
    """Threads that write one file do not remove each other's temporary files."""
    path, problems = tmp_path / "file", []

    def write(letter: str) -> None:
        try:
            for _ in range(20):
                atomic.write_text(path, letter * 10_000)
        except Exception as error:  # the test says what a thread raised
            problems.append(error)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert problems == []
    assert names(tmp_path) == {"file"}
    assert len(set(path.read_text())) == 1


BROKEN = {
    "empty": b"",
    "half": b'{"a": [1, 2',
    "a list": b"[1]",
    "null": b"null",
    "a number": b"3",
    "no text": b"\xff\xfe\x00{",
    "too deep": b"[" * 100_000,
    "zeros": b"\0" * 100,
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_cache_is_thrown_away(tmp_path: Path, data: bytes) -> None:
    """What cannot be a cache is no error, and is gone; a good one is read."""
    path = tmp_path / "cache.json"
    path.write_bytes(data)

    assert atomic.read_cache(path) is None
    assert not path.exists()
    atomic.write_json(path, {"a": 1})
    assert atomic.read_cache(path) == {"a": 1} == json.loads(path.read_text())


def test_a_move_to_another_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a rename is refused because the target lies elsewhere, the file is copied whole, with its permissions."""
    source, target = tmp_path / "source", tmp_path / "elsewhere" / "target"
    source.write_text("x")
    source.chmod(0o640)
    rename = Path.replace

    def refuse(self: Path, other: Path) -> Path:
        if self == source:
            raise OSError(18, "Invalid cross-device link")
        return rename(self, other)

    monkeypatch.setattr(Path, "replace", refuse)
    atomic.move(source, target)

    assert (target.read_text(), mode_of(target), source.exists()) == ("x", 0o640, False)
