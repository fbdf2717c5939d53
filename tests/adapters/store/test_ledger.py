"""The ledger's file: whole lines or none, whatever the disk, a crash or another operator does."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockerFixture

from dagster_defs.adapters.store.ledger import Ledger
from dagster_defs.errors import (
    LedgerUnreadable,
    LedgerUnwritable,
    LedgerVersion,
    MoveInProgress,
    MoveOvertaken,
)
from dagster_defs.lifecycle import Stage
from tests.support.model_world import MemoryLedger
from tests.support.records import DONE, INTENT, NIGHT, OTHER, UNIT

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path)


@pytest.fixture(params=["file", "memory"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Ledger | MemoryLedger:
    """The real one, and the one that stands in for it where a test walks through thousands of moves."""
    return Ledger(tmp_path) if request.param == "file" else MemoryLedger()


def test_what_is_appended_is_read(either: Ledger | MemoryLedger) -> None:
    """A ledger begins empty, and has what was appended, unit by unit."""
    assert either.history(UNIT).entries == ()
    either.append(INTENT)
    either.append(DONE)

    assert either.history(UNIT).entries == (INTENT, DONE)
    assert either.history(OTHER).entries == ()


def test_an_append_rests_on_what_is_there(either: Ledger | MemoryLedger) -> None:
    """A second intent and an end of a move that is over are refused, and leave no entry."""
    either.append(INTENT)
    with pytest.raises(MoveInProgress, match="ada@ops"):
        either.append(replace(INTENT, id="b2", operator="bob@ops"))
    either.append(DONE)
    with pytest.raises(MoveOvertaken):
        either.append(DONE)

    assert either.history(UNIT).entries == (INTENT, DONE)


def test_one_moves_a_unit_at_a_time(either: Ledger | MemoryLedger) -> None:
    """While a unit is moved nobody else can, but for other units; afterwards anybody can."""
    with either.moving(UNIT):
        either.append(INTENT)
        with pytest.raises(MoveInProgress, match=r"begun by ada@ops.*still running"), either.moving(UNIT):
            pass
        with either.moving(OTHER):
            pass
    with either.moving(UNIT):
        pass


def test_each_entry_is_a_line(ledger: Ledger) -> None:
    """The file has a JSON document on each line, so that a person and any tool can read it."""
    ledger.append(INTENT)
    ledger.append(DONE)

    lines = ledger.path.read_text().splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["intended", "done"]
    assert ledger.path.read_bytes().endswith(b"\n")


@pytest.mark.parametrize("left", [1, 30, -2], ids=["a byte", "some", "all but a byte"])
def test_a_line_that_was_cut_off_counts_for_nothing(ledger: Ledger, left: int) -> None:
    """What a crash has left of a line is reported and ignored, and the next append takes its place."""
    ledger.append(INTENT)
    line = json.dumps(DONE.as_json()).encode()
    with ledger.path.open("ab") as file:
        file.write(line[:left])

    assert ledger.read().entries == (INTENT,)
    assert ledger.read().cut_off == line[:left].decode()
    ledger.append(DONE)
    assert ledger.read().entries == (INTENT, DONE)
    assert ledger.read().cut_off == ""
    assert len(ledger.path.read_text().splitlines()) == 2


def test_zeros_after_a_power_cut_count_for_nothing(ledger: Ledger) -> None:
    """A file that has grown without its data, as some file systems leave it, is a line that was cut off."""
    ledger.append(INTENT)
    with ledger.path.open("ab") as file:
        file.write(bytes(64))

    ledger.append(DONE)

    assert ledger.read().entries == (INTENT, DONE)


def test_a_missing_end_of_line_loses_nothing(ledger: Ledger) -> None:
    """A whole last line whose end an editor has taken away counts, and the next entry gets a line of its own."""
    ledger.append(INTENT)
    ledger.path.write_bytes(ledger.path.read_bytes().rstrip(b"\n"))

    assert ledger.read().entries == (INTENT,)
    ledger.append(DONE)
    assert ledger.read().entries == (INTENT, DONE)


def test_a_bad_line_in_the_middle_is_named(ledger: Ledger) -> None:
    """A whole line that is not an entry is refused with its number; nothing is skipped, and nothing is appended."""
    ledger.append(INTENT)
    ledger.path.write_bytes(ledger.path.read_bytes() + b"<<<<<<< ours\n")
    before = ledger.path.read_bytes()

    with pytest.raises(LedgerUnreadable, match=r"ledger\.jsonl line 2: it is no JSON"):
        ledger.read()
    with pytest.raises(LedgerUnreadable):
        ledger.append(DONE)
    assert ledger.path.read_bytes() == before


def test_a_later_version_is_not_appended_to(ledger: Ledger) -> None:
    """Where a later version has written, this one neither reads nor writes."""
    ledger.folder.joinpath("ledger.jsonl").write_text('{"schema": "parity/ledger/9"}\n')

    with pytest.raises(LedgerVersion, match=r"line 1, has format 'parity/ledger/9'"):
        ledger.append(INTENT)
    assert ledger.path.read_text() == '{"schema": "parity/ledger/9"}\n'


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_full_disk_changes_nothing(ledger: Ledger, mocker: MockerFixture, call: str) -> None:
    """If there is no room the error says so, and the file has the same bytes as before."""
    ledger.append(INTENT)
    before = ledger.path.read_bytes()
    mocker.patch(
        f"dagster_defs.adapters.store.ledger.os.{call}", side_effect=OSError(28, "No space left on device")
    )

    with pytest.raises(LedgerUnwritable, match=r"ledger\.jsonl: No space left on device. It is unchanged"):
        ledger.append(DONE)

    mocker.stopall()
    assert ledger.path.read_bytes() == before
    ledger.append(DONE)


def test_a_disk_that_fills_in_the_middle_changes_nothing(ledger: Ledger, mocker: MockerFixture) -> None:
    """A line of which only a part fits is taken away again."""
    ledger.append(INTENT)
    before = ledger.path.read_bytes()
    write = os.write
    mocker.patch("dagster_defs.adapters.store.ledger.os.write", lambda handle, line: write(handle, line[:20]))

    with pytest.raises(LedgerUnwritable, match="No space left"):
        ledger.append(DONE)

    assert ledger.path.read_bytes() == before


def test_a_read_only_folder_is_one_message(ledger: Ledger, mocker: MockerFixture) -> None:
    """A folder that may not be written is an error that names it; its ledger can still be read."""
    ledger.append(INTENT)
    mocker.patch(
        "dagster_defs.adapters.store.ledger.os.open", side_effect=PermissionError(13, "Permission denied")
    )

    with pytest.raises(LedgerUnwritable, match=rf"{ledger.folder}: Permission denied"):
        ledger.append(DONE)
    assert ledger.read().entries == (INTENT,)


def test_a_folder_that_cannot_be_made_is_one_message(tmp_path: Path) -> None:
    """Where no folder can be, the error says which, and reading finds no entries."""
    (tmp_path / "file").write_text("")
    ledger = Ledger(tmp_path / "file" / "proxied_state")

    with pytest.raises(LedgerUnwritable, match="proxied_state: Not a directory"):
        ledger.append(INTENT)


@pytest.mark.parametrize("minutes", [-1, 1])
def test_a_clock_that_is_off_changes_no_order(ledger: Ledger, minutes: int) -> None:
    """An entry of a machine whose clock is a minute off stands where it was appended."""
    ledger.append(INTENT)
    ledger.append(replace(DONE, at=NIGHT + timedelta(minutes=minutes)))

    assert ledger.history(UNIT).stage is Stage.CUT_OVER


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    """Who is killed in the middle of a move holds the unit no longer; the move is half-done."""
    began = FORK.Event()
    victim = FORK.Process(target=_begin_and_stay, args=(tmp_path, began))
    victim.start()
    assert began.wait(timeout=300)
    ledger = Ledger(tmp_path)
    with pytest.raises(MoveInProgress, match="still running"), ledger.moving(UNIT):
        pass
    victim.kill()
    victim.join(timeout=300)

    with ledger.moving(UNIT):
        assert ledger.history(UNIT).open is not None


def _begin_and_stay(folder: Path, began: Any) -> None:
    ledger = Ledger(folder)
    with ledger.moving(UNIT):
        ledger.append(INTENT)
        began.set()
        while True:
            time.sleep(1)
