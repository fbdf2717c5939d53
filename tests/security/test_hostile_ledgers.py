"""Ledgers that nobody should have: one clear error with its line, and no other unit pays for it."""

from __future__ import annotations

import copy
import json
import os
from dataclasses import FrozenInstanceError, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from bench.ledger import cpu_seconds, long_ledger
from dagster_defs.adapters.store.ledger import Ledger
from dagster_defs.errors import LedgerUnreadable, LedgerVersion
from dagster_defs.lifecycle import Stage, Unit
from dagster_defs.lifecycle.ledger import Entry, Kind, Requested
from dagster_defs.lifecycle.stages import Move

UNIT, OTHER = Unit("taxi_daily", "dbt_daily"), Unit("taxi_daily", "dbt_zones")
NIGHT = datetime(2024, 3, 9, 22, tzinfo=timezone.utc)
INTENT = Entry("a1", NIGHT, "ada@ops", UNIT, Move.CUTOVER, Kind.INTENDED, Stage.SHADOWED)
OF_OTHER = replace(INTENT, unit=OTHER)
RETIRED = replace(INTENT, move=Move.RETIRE, kind=Kind.DONE, stage=Stage.CUT_OVER)


def line(entry: Entry, **changed: Any) -> str:
    return json.dumps({**entry.as_json(), **changed})


def raw(text: str) -> str:
    """The intent with the text in place of its reason."""
    return line(INTENT, reason="HERE").replace('"HERE"', text)


# Each names the unit and no other.
ONE_UNITS = {
    "nan": (raw("NaN"), "NaN is not a number"),
    "infinity": (raw("-Infinity"), "-Infinity is not a number"),
    "1e400": (raw("1e400"), "the number 1e400 is too large"),
    "nested-1e400": (raw('{"a": [1e999]}'), "the number 1e999 is too large"),
    "long-number": (raw("9" * 10_000), "it is no JSON"),
    "nested": (raw("[" * 10_000 + "]" * 10_000), "nested more than 100"),
    "nested-mappings": (raw('{"a":' * 10_000 + "1" + "}" * 10_000), "nested more than 100"),
    "nested-a-little": (raw("[" * 150 + "]" * 150), "nested more than 100"),
    "key-twice": (raw('"x", "move": "rollback"'), "the key 'move' is there twice"),
    "cut-in-the-middle": (line(INTENT)[:-20], "it is no JSON"),
    "100-mb": (line(INTENT, reason="x" * 100_000_000), "bytes, and an entry 1,048,576 at most"),
    "control-character": (raw('"a\tb"'), "it is no JSON"),
    "reason-as-number": (line(INTENT, reason=3), "3 is not text"),
    "year-10000": (line(INTENT, at="10000-01-01T00:00:00+00:00"), "Invalid isoformat"),
    "no-instant": (line(RETIRED, **{"from": "tomorrow"}), "Invalid isoformat"),
    "windows-of-a-cutover": (line(INTENT, until="tomorrow"), "only a backfill has"),
    "steps-as-numbers": (line(INTENT, steps=[1, 2]), "1 is not text"),
    "forced-in-a-list": (line(INTENT, forced=[["windows"]]), "['windows'] is not text"),
    "steps-endless": (line(INTENT, steps="HERE").replace('"HERE"', "[" * 10_000 + "]"), "nested more than 100"),
    "paused-as-text": (line(INTENT, paused="true"), "true is neither true nor false"),
    "no-move": (line(INTENT, move="leap"), "'leap' is not a valid Move"),
    "half-surrogate": (raw('"\\ud800"') + "}", "it is no JSON"),
    "cannot-follow": (line(replace(INTENT, kind=Kind.DONE)), "without a move that was begun"),
}  # fmt: skip


@pytest.mark.parametrize("case", list(ONE_UNITS))
def test_a_bad_line_costs_its_own_unit(tmp_path: Path, case: str) -> None:
    """A line that names one unit stops that unit, with file, line, reason and remedy; the others are read and moved."""
    bad, said = ONE_UNITS[case]
    ledger = Ledger(tmp_path)
    ledger.path.write_text(f"{line(OF_OTHER)}\n{bad}\n")

    with pytest.raises(LedgerUnreadable) as caught:
        ledger.history(UNIT)
    assert f"cannot read the ledger of {UNIT}, {ledger.path} line 2: " in str(caught.value)
    assert said in str(caught.value)
    assert "Other units are not affected. Restore the ledger's last good copy" in str(caught.value)
    with pytest.raises(LedgerUnreadable):
        ledger.append(INTENT)
    histories = ledger.read().histories()
    assert list(histories) == [OTHER]
    with pytest.raises(LedgerUnreadable):
        histories.get(UNIT)
    ledger.append(replace(OF_OTHER, kind=Kind.DONE))
    assert ledger.history(OTHER).stage is Stage.CUT_OVER


ANYBODYS = {
    "conflict": "<<<<<<< ours",
    "two-glued": line(INTENT) + line(OF_OTHER),
    "one-in-another": line(INTENT)[:120] + line(OF_OTHER),
    "another-order": json.dumps(dict(reversed(list({**INTENT.as_json(), "at": 3}.items())))),
    "endless": "[" * 2_000_000,
    "nan-alone": "NaN",
    "list": "[1]",
    "unit-list": line(INTENT, unit=["taxi_daily.dbt_daily"]),
    "unit-nameless": line(INTENT, unit="nameless"),
    "bytes": "\udcff\udcfe",
}


@pytest.mark.parametrize("case", list(ANYBODYS))
def test_a_line_that_may_be_anybodys_stops_everybody(tmp_path: Path, case: str) -> None:
    """Where nobody can tell which unit a line is about, an entry of any may be lost in it: nothing is done."""
    ledger = Ledger(tmp_path)
    bad = f"{line(OF_OTHER)}\n{ANYBODYS[case]}\n".encode(errors="surrogateescape")
    ledger.path.write_bytes(bad)

    for ask in (ledger.read, lambda: ledger.history(OTHER), lambda: ledger.append(INTENT)):
        with pytest.raises(LedgerUnreadable, match=r"cannot read the ledger, .*ledger\.jsonl line 2: "):
            ask()
    assert ledger.path.read_bytes() == bad


def test_a_later_version_stops_everybody(tmp_path: Path) -> None:
    """What a later version has written may mean anything."""
    ledger = Ledger(tmp_path)
    ledger.path.write_text(line(OF_OTHER) + "\n" + line(INTENT, schema="parity/ledger/2") + "\n")

    with pytest.raises(LedgerVersion, match="line 2"):
        ledger.history(OTHER)


@pytest.mark.parametrize(
    "make", [lambda path: path.mkdir(), os.mkfifo, lambda path: path.symlink_to("/dev/zero")]
)
def test_what_is_not_a_file_is_not_read(tmp_path: Path, make: Any) -> None:
    """A folder, a pipe and an endless device in the place of the ledger are one error, and nobody waits for them."""
    make(tmp_path / "ledger.jsonl")

    with pytest.raises(LedgerUnreadable, match="it is not a regular file"):
        Ledger(tmp_path).read()


def test_a_long_tail_is_not_taken_for_a_torn_line(tmp_path: Path) -> None:
    """More than an entry can have, without an end of line, was left by no crash: it is not cut away."""
    ledger = Ledger(tmp_path)
    ledger.path.write_text(line(OF_OTHER) + "\n" + "x" * 2_000_000)

    with pytest.raises(LedgerUnreadable, match="line 2"):
        ledger.append(replace(OF_OTHER, kind=Kind.DONE))
    assert ledger.path.stat().st_size > 2_000_000


def test_a_torn_line_is_shown_in_part(tmp_path: Path) -> None:
    """What is shown of a line that was cut off is bounded."""
    ledger = Ledger(tmp_path)
    ledger.path.write_text(line(INTENT, reason="x" * 50_000)[:-2])

    assert len(ledger.read().cut_off) == 1001


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        'with "quotes"',
        "back\\slash",
        "größe",
        "a\nb",
        "\u2028",
        "\x7f",
        "",
        "[a], {b}",
        '", "unit": "x.y"',
    ],
)
def test_both_ways_of_reading_agree(tmp_path: Path, text: str) -> None:
    """A line is read to the same entry whether it goes the short way or the long one."""
    entry = replace(INTENT, reason=text, operator=text, steps=(text, "other"), forced=(text,), paused=True)
    entry = replace(entry, move=Move.BACKFILL, kind=Kind.BACKFILLED, stage=Stage.CUT_OVER)
    entry = replace(entry, windows=Requested(NIGHT, NIGHT + timedelta(days=1)))
    for ascii_only in (True, False):
        (tmp_path / "ledger.jsonl").write_bytes(
            json.dumps(entry.as_json(), ensure_ascii=ascii_only).encode() + b"\n"
        )
        assert Ledger(tmp_path).read().entries == (entry,)
        assert Ledger(tmp_path).history(UNIT).entries == (entry,)
        assert Ledger(tmp_path).history(OTHER).entries == ()


def test_an_entry_that_was_read_is_an_entry_like_any_other(tmp_path: Path) -> None:
    """What was read cannot be changed, is equal to what was written, and can be copied."""
    ledger = Ledger(tmp_path)
    ledger.append(INTENT)

    (read,) = ledger.read().entries

    assert type(read) is Entry
    assert (read, hash(read), repr(read)) == (INTENT, hash(INTENT), repr(INTENT))
    assert copy.deepcopy(read) == replace(read) == INTENT
    with pytest.raises(FrozenInstanceError):
        read.reason = "another"  # type: ignore[misc]  # what it is about


@pytest.mark.parametrize("units", [1, 300])
def test_a_hundred_thousand_entries_cost_five_times_twenty_thousand(tmp_path: Path, units: int) -> None:
    """Whoever they are about: the CPU's seconds of both, in one run. What looks at each entry for each other one would
    take 25 times as long."""
    few, many = (long_ledger(tmp_path / str(count), count, units) for count in (20_000, 100_000))

    best = min(
        cpu_seconds(lambda: many.read().histories()) / cpu_seconds(lambda: few.read().histories())
        for _ in range(3)
    )

    assert sum(len(history.entries) for history in many.read().histories().values()) == 100_000
    assert best < 12
