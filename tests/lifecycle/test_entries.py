"""Entries of the ledger, and what they come to."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_defs.errors import LedgerUnreadable, LedgerVersion, MoveInProgress, MoveOvertaken
from dagster_defs.lifecycle import Stage, Unit
from dagster_defs.lifecycle.histories import (
    CutOver,
    Retired,
    Shadowed,
    UnitHistory,
    Unmoved,
    histories,
    hold_of,
    refuse_overtaken,
)
from dagster_defs.lifecycle.ledger import Begin, Entry, Kind, OpenMove, Requested
from dagster_defs.lifecycle.stages import Move

UNIT, OTHER = Unit("taxi_daily", "dbt_daily"), Unit("taxi_daily", "dbt_zones")
NIGHT = datetime(2024, 3, 9, 22, tzinfo=timezone.utc)
INTENT = Entry("a1", NIGHT, "ada@ops", UNIT, Move.CUTOVER, Kind.INTENDED, Stage.SHADOWED)
DONE = replace(INTENT, kind=Kind.DONE)
BACK = replace(INTENT, id="b2", move=Move.ROLLBACK, stage=Stage.CUT_OVER)

TEXTS = st.text(max_size=20)
INSTANTS = st.datetimes(max_value=datetime(9000, 1, 1), timezones=st.just(timezone.utc))  # noqa: DTZ001 - drawn with a zone


def with_windows(entry: Entry) -> st.SearchStrategy[Entry]:
    """The entry with such windows as one of its kind has."""
    match entry.kind, entry.move:
        case Kind.BACKFILLED, _:
            spans = st.lists(INSTANTS, min_size=2, max_size=2, unique=True).map(sorted)
            return spans.map(lambda span: replace(entry, windows=Requested(*span)))
        case Kind.DONE, Move.RETIRE:
            begins = st.none() | INSTANTS.map(Begin)
            return begins.map(lambda windows: replace(entry, windows=windows))
        case _:
            return st.just(entry)


ENTRIES = st.builds(
    Entry,
    id=TEXTS,
    at=INSTANTS,
    operator=TEXTS,
    unit=st.just(UNIT),
    move=st.sampled_from(Move),
    kind=st.sampled_from(Kind),
    stage=st.sampled_from(Stage),
    reason=TEXTS,
    forced=st.lists(TEXTS, max_size=3).map(tuple),
    steps=st.lists(TEXTS, max_size=3).map(tuple),
    paused=st.booleans(),
).flatmap(with_windows)
ENDED_RETIREMENT = {"kind": "done", "move": "retire"}
BACKFILLED = {"kind": "backfilled", "move": "backfill"}


def folded(*entries: Entry) -> UnitHistory:
    return histories(entries)[UNIT]


@given(entry=ENTRIES)
def test_an_entry_is_read_back(entry: Entry) -> None:
    """Whatever an entry holds, its JSON on one line gives the same entry again."""
    line = json.dumps(entry.as_json())

    assert "\n" not in line
    assert Entry.from_json(json.loads(line), "line 1") == entry


def test_another_version_is_refused() -> None:
    """An entry that a later version has written is not guessed at, and the error says which version it is."""
    with pytest.raises(LedgerVersion, match=r"line 3, has format 'parity/ledger/2'.*reads 'parity/ledger/1'"):
        Entry.from_json({**INTENT.as_json(), "schema": "parity/ledger/2"}, "line 3")


@pytest.mark.parametrize(
    "change",
    [
        {"move": "retreat"},
        {"at": "yesterday"},
        {"unit": "nameless"},
        {"at": 3},
        {"forced": 3},
        {"at": "0001-01-01T00:00:00+14:00"},
        {"at": "9999-12-31T00:00:00+00:00"},
        {"from": "2024-03-09T00:00:00+00:00"},
        {"until": "2024-03-09T00:00:00+00:00"},
        {**ENDED_RETIREMENT, "from": "9001-01-01T00:00:00+00:00"},
        {**ENDED_RETIREMENT, "until": "2024-03-09T00:00:00+00:00"},
        {**BACKFILLED},
        {**BACKFILLED, "from": "2024-03-09T00:00:00+00:00"},
        {**BACKFILLED, "from": "2024-03-09T00:00:00+00:00", "until": "2024-03-09T00:00:00+00:00"},
        {"move": ["cutover"]},
        {"stage": {}},
        {"id": 7},
        {"reason": None},
        {"steps": ["one", 2]},
        {"paused": 1},
    ],
)
def test_a_value_that_cannot_be_is_refused(change: dict[str, Any]) -> None:
    """A line that no version has written is named, and nothing is guessed."""
    with pytest.raises(LedgerUnreadable, match="line 3"):
        Entry.from_json({**INTENT.as_json(), **change}, "line 3")


@pytest.mark.parametrize("document", [[], "text", {}, None, {"at": "2024"}])
def test_json_that_is_not_an_entry_is_refused(document: Any) -> None:
    """JSON that is not an entry is reported with its line."""
    with pytest.raises(LedgerUnreadable, match="line 3: it is not an entry"):
        Entry.from_json(document, "line 3")


def test_a_missing_field_is_named() -> None:
    """An entry without one of its fields is refused with the field's name."""
    with pytest.raises(LedgerUnreadable, match="it has no 'operator'"):
        Entry.from_json(
            {key: value for key, value in INTENT.as_json().items() if key != "operator"}, "line 3"
        )


def test_a_move_is_open_until_it_is_done() -> None:
    """Between intent and end a unit is where it was, with the move open; afterwards it is where the move leads."""
    assert (folded(INTENT).stage, folded(INTENT).open) == (Stage.SHADOWED, OpenMove(INTENT))
    assert (folded(INTENT, DONE).stage, folded(INTENT, DONE).open) == (Stage.CUT_OVER, None)


def test_an_undone_move_changes_no_stage() -> None:
    """What was turned back and undone leaves the unit where it began, and counts as no rehearsal."""
    turned = replace(INTENT, kind=Kind.TURNED_BACK)
    history = folded(INTENT, turned, replace(INTENT, kind=Kind.UNDONE))

    assert folded(INTENT, turned).open == OpenMove(INTENT, back=True)
    assert (history.stage, history.open, history.rolled_back) == (Stage.SHADOWED, None, ())


def test_a_rollback_is_remembered() -> None:
    """A finished rollback ends the soak, and is the rehearsal of the next one."""
    history = folded(INTENT, DONE, BACK, replace(BACK, kind=Kind.DONE))

    assert isinstance(folded(INTENT, DONE), CutOver)
    assert isinstance(history, Shadowed)
    assert history.rolled_back == (replace(BACK, kind=Kind.DONE),)


def test_a_forced_move_is_remembered_for_ever() -> None:
    """The reason of a forced move stays in the history, whatever is done afterwards."""
    forced = replace(INTENT, forced=("windows",), reason="the month end cannot wait")
    history = folded(forced, DONE, BACK, replace(BACK, kind=Kind.DONE))

    assert [entry.reason for entry in history.forced] == ["the month end cannot wait"]


def test_a_hold_lasts_until_it_is_released() -> None:
    """A unit that is held keeps who held it and why, until somebody releases it; its stage does not change."""
    held = replace(INTENT, move=Move.HOLD, kind=Kind.HELD, reason="an audit")

    assert folded(held) == Unmoved(UNIT, held=held, entries=(held,))
    assert hold_of(folded(held, INTENT)) == held
    assert hold_of(folded(held, replace(held, move=Move.RELEASE, kind=Kind.RELEASED))) is None


def test_a_hold_ends_with_the_retirement() -> None:
    """A retired unit is not held: no move is left that a hold could prevent, and no release would be possible."""
    held = replace(INTENT, move=Move.HOLD, kind=Kind.HELD, stage=Stage.CUT_OVER, reason="an audit")
    begun = replace(INTENT, id="d4", move=Move.RETIRE, stage=Stage.CUT_OVER, forced=("held",))
    ended = replace(begun, kind=Kind.DONE, windows=Begin(NIGHT))

    assert hold_of(folded(INTENT, DONE, held, begun)) == held
    history = folded(INTENT, DONE, held, begun, ended)

    assert isinstance(history, Retired)
    assert (history.retirement, history.begins, hold_of(history)) == (ended, NIGHT, None)


def test_units_do_not_mix() -> None:
    """Entries of several units, one between the other, come to a history for each."""
    other = replace(INTENT, id="c3", unit=OTHER)
    known = histories([INTENT, other, DONE])

    assert known[UNIT].stage is Stage.CUT_OVER
    assert known[OTHER].open == OpenMove(other)


@given(minutes=st.integers(-60, 60))
def test_order_is_by_place_not_by_time(minutes: int) -> None:
    """Two machines whose clocks disagree write one history: what stands later counts, whatever its time says."""
    back = replace(BACK, at=NIGHT + timedelta(minutes=minutes))
    history = folded(INTENT, DONE, back, replace(back, kind=Kind.DONE))

    assert history.stage is Stage.SHADOWED


@pytest.mark.parametrize(
    "entries",
    [
        [DONE],
        [INTENT, INTENT],
        [INTENT, replace(DONE, id="x")],
        [INTENT, DONE, DONE],
        [replace(INTENT, stage=Stage.OBSERVED)],
        [replace(INTENT, move=Move.MEND, stage=Stage.RETIRED)],
    ],
    ids=["no-intent", "two-intents", "another-move", "done-twice", "no-way", "never-retired"],
)
def test_what_no_command_writes_is_refused(entries: list[Entry]) -> None:
    """A sequence that cannot have come about is refused with the place of the first entry that does not fit."""
    with pytest.raises(LedgerUnreadable, match=f"entry {len(entries)}.*Other units are not affected"):
        histories(entries)[UNIT]


HELD = replace(INTENT, move=Move.HOLD, kind=Kind.HELD, stage=Stage.CUT_OVER)
BACKFILL = replace(
    HELD, move=Move.BACKFILL, kind=Kind.BACKFILLED, windows=Requested(NIGHT, NIGHT + timedelta(days=1))
)


@pytest.mark.parametrize(
    "entry",
    [
        replace(INTENT, id="x"),
        replace(INTENT, id="x", move=Move.RETIRE, stage=Stage.RETIRED),
        replace(INTENT, id="x", move=Move.HOLD, stage=Stage.CUT_OVER),
        replace(HELD, stage=Stage.SHADOWED),
        replace(HELD, kind=Kind.RELEASED, move=Move.RELEASE, stage=Stage.OBSERVED),
        replace(HELD, kind=Kind.REHEARSED, move=Move.ROLLBACK, stage=Stage.SHADOWED),
        replace(HELD, move=Move.CUTOVER),
        replace(BACKFILL, stage=Stage.SHADOWED),
        replace(BACKFILL, windows=None),
        replace(BACKFILL, windows=Begin(NIGHT)),
        replace(BACK, stage=Stage.SHADOWED),
    ],
    ids=[
        "from-the-stage-before",
        "retired-again",
        "a-hold-that-begins",
        "held-where-it-was",
        "released-where-it-never-was",
        "rehearsed-where-it-was",
        "held-by-a-cutover",
        "backfilled-before-it-was-dagsters",
        "backfill-without-windows",
        "backfill-without-end",
        "rolled-back-from-shadowed",
    ],
)
def test_an_entry_that_cannot_follow_costs_its_own_unit(entry: Entry) -> None:
    """An entry that does not begin where the ones before it ended is refused with its place; other units go on."""
    other = replace(INTENT, unit=OTHER)
    known = histories([INTENT, DONE, entry, other, replace(other, kind=Kind.DONE)], lambda i: f"line {i + 7}")

    with pytest.raises(LedgerUnreadable, match=r"ledger of taxi_daily\.dbt_daily, line 9: .*good copy"):
        known.get(UNIT)
    assert known[OTHER].stage is Stage.CUT_OVER
    assert list(known) == [OTHER]


def test_a_hold_that_another_move_has_overtaken_is_refused() -> None:
    """What is complete by itself rests on the unit's stage too: it is not appended after that has changed."""
    with pytest.raises(MoveOvertaken, match="ada@ops has done cutover"):
        refuse_overtaken(folded(INTENT, DONE), replace(HELD, stage=Stage.SHADOWED))


def test_the_second_of_two_is_told_who_and_what() -> None:
    """Who begins a move while another is open is told whose it is, and since when."""
    with pytest.raises(MoveInProgress, match="middle of cutover, begun by ada@ops at 2024-03-09 22:00:00"):
        refuse_overtaken(folded(INTENT), replace(INTENT, id="x", operator="bob@ops"))


@pytest.mark.parametrize(
    "entry",
    [DONE, replace(INTENT, id="x"), replace(DONE, kind=Kind.UNDONE)],
    ids=["done-again", "from-an-old-stage", "undone-after-done"],
)
def test_what_rests_on_old_facts_is_refused(entry: Entry) -> None:
    """An entry whose move is over, or whose stage is left, is refused with what was done last."""
    with pytest.raises(MoveOvertaken, match="ada@ops has done cutover"):
        refuse_overtaken(folded(INTENT, DONE), entry)


def test_a_move_that_was_turned_back_cannot_be_done() -> None:
    """Who still finishes a move that somebody else has begun to undo is refused."""
    with pytest.raises(MoveOvertaken, match="turned back cutover"):
        refuse_overtaken(folded(INTENT, replace(INTENT, kind=Kind.TURNED_BACK)), DONE)
