"""The ledger: what was done to units, entry by entry, and the state that results.

Entries are ordered by their position in the ledger. Their times are for people: clocks of two machines may disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple, assert_never

from dagster_defs.errors import (
    BadUnit,
    LedgerUnreadable,
    LedgerVersion,
    MoveInProgress,
    MoveOvertaken,
    ParityError,
)
from dagster_defs.lifecycle.stages import TRANSITIONS, Move
from dagster_defs.lifecycle.units import Stage, Unit
from dagster_defs.windows import instant_text

SCHEMA = "parity/ledger/1"
LAST_YEAR = 9000


class Kind(StrEnum):
    """`intended`, `turned_back`, `done` and `undone` belong to one move; the others stand alone."""

    INTENDED = "intended"
    TURNED_BACK = "turned_back"
    DONE = "done"
    UNDONE = "undone"
    HELD = "held"
    RELEASED = "released"
    REHEARSED = "rehearsed"
    BACKFILLED = "backfilled"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger.

    `id` is the same in all entries of one move. `stage` is where the move began, so that the ledger can be read without
    other information. `forced` names the gates that `reason` overruled. `steps` are the plan's, in words. `from_`,
    `until`: for a backfill, the start of its first and the end of its last window; for the end of a retirement, where
    Dagster's own windows begin. `paused`: Airflow's DAG was already paused before a retirement began.
    """

    id: str
    at: datetime
    operator: str
    unit: Unit
    move: Move
    kind: Kind
    stage: Stage
    reason: str = ""
    forced: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    from_: datetime | None = None
    until: datetime | None = None
    paused: bool = False

    def as_json(self) -> Mapping[str, Any]:
        return {
            "schema": SCHEMA,
            "id": self.id,
            "at": _utc(self.at),
            "operator": self.operator,
            "unit": str(self.unit),
            "move": self.move.value,
            "kind": self.kind.value,
            "stage": self.stage.value,
            "reason": self.reason,
            "forced": list(self.forced),
            "steps": list(self.steps),
            **{name: _utc(at) for name, at in (("from", self.from_), ("until", self.until)) if at},
            **({"paused": True} if self.paused else {}),
        }

    @classmethod
    def from_json(cls, document: Any, where: str) -> Entry:
        """Raises LedgerVersion for an entry of another version, LedgerUnreadable for one that no version writes."""
        if not isinstance(document, Mapping) or "schema" not in document:
            raise LedgerUnreadable(where, "it is not an entry of a ledger")
        if document["schema"] != SCHEMA:
            raise LedgerVersion(where, str(document["schema"])[:60], SCHEMA)
        try:
            return cls.from_texts(
                _text(document["id"]),
                _text(document["at"]),
                _text(document["operator"]),
                subject(
                    _text(document["unit"]),
                    _text(document["move"]),
                    _text(document["kind"]),
                    _text(document["stage"]),
                ),
                _text(document["reason"]),
                _texts(document["forced"]),
                _texts(document["steps"]),
                _text(document["from"]) if "from" in document else None,
                _text(document["until"]) if "until" in document else None,
                _flag(document.get("paused", False)),
            )
        except KeyError as error:
            raise LedgerUnreadable(where, f"it has no {error}") from error
        except (ValueError, TypeError) as error:
            raise LedgerUnreadable(where, str(error)) from error

    @staticmethod
    def from_texts(
        id_: str,
        at: str,
        operator: str,
        about: Subject,
        reason: str,
        forced: tuple[str, ...],
        steps: tuple[str, ...],
        from_: str | None,
        until: str | None,
        paused: bool,
    ) -> Entry:
        """From the texts of the JSON. Raises ValueError for a text that is not an instant."""
        entry: Any = _Draft()
        entry.id, entry.operator, entry.reason = id_, operator, reason
        entry.unit, entry.move, entry.kind, entry.stage = about
        entry.forced, entry.steps, entry.paused = forced, steps, paused
        try:
            entry.at = _instant(at)
            entry.from_ = None if from_ is None else _instant(from_)
            entry.until = None if until is None else _instant(until)
        except OverflowError as error:
            raise ValueError(str(error)) from error
        entry.__class__ = Entry
        return entry  # type: ignore[no-any-return]  # no longer a draft


class _Draft:
    """An Entry under construction: the same slots, but filled in a third of the time that a frozen one takes."""

    __slots__ = Entry.__slots__


class Subject(NamedTuple):
    """What an entry is about: what was done to which unit, and at which stage."""

    unit: Unit
    move: Move
    kind: Kind
    stage: Stage


@lru_cache(maxsize=8192)
def subject(unit: str, move: str, kind: str, stage: str) -> Subject:
    """Raises ValueError for a name that is not known."""
    try:
        return Subject(Unit.parse(unit), Move(move), Kind(kind), Stage(stage))
    except BadUnit as error:
        raise ValueError(str(error)) from error


@dataclass(frozen=True, slots=True)
class OpenMove:
    """A move that was begun and neither finished nor undone; `back`: undoing it has begun."""

    intent: Entry
    back: bool = False

    @property
    def move(self) -> Move:
        return self.intent.move

    @property
    def backwards(self) -> bool:
        """Whether finishing it leaves the unit with Airflow."""
        if self.move is Move.MEND:
            return self.back or self.intent.stage not in (Stage.CUT_OVER, Stage.RETIRED)
        return self.move is Move.ROLLBACK or (self.back and self.move is not Move.RETIRE)

    def __str__(self) -> str:
        return f"{self.move}, being undone" if self.back else self.move.value


@dataclass(frozen=True, slots=True)
class UnitHistory:
    """What the ledger says about one unit. `stage` is None until a move of the unit has been begun or finished.

    `backfills`: those since the last cutover or rollback; older ones permit nothing.
    """

    unit: Unit
    stage: Stage | None = None
    open: OpenMove | None = None
    held: Entry | None = None
    cut_over: Entry | None = None
    forced: tuple[Entry, ...] = ()
    retired: Entry | None = None
    rolled_back: tuple[Entry, ...] = ()
    backfills: tuple[Entry, ...] = ()
    entries: tuple[Entry, ...] = field(default=(), repr=False)


@dataclass(frozen=True, eq=False)
class Histories(Mapping[Unit, UnitHistory]):
    """The state that results from all entries, by unit.

    `problems`: units whose entries cannot be understood. They are not listed, and looking one up raises its problem.
    """

    known: Mapping[Unit, UnitHistory] = field(default_factory=dict)
    problems: Mapping[Unit, ParityError] = field(default_factory=dict)

    def __getitem__(self, unit: Unit) -> UnitHistory:
        if problem := self.problems.get(unit):
            raise problem.with_traceback(None)
        return self.known[unit]

    def __iter__(self) -> Iterator[Unit]:
        return iter(self.known)

    def __len__(self) -> int:
        return len(self.known)


def histories(
    entries: Iterable[Entry],
    place: Callable[[int], str] = lambda index: f"entry {index + 1}",
    problems: Mapping[Unit, ParityError] | None = None,
) -> Histories:
    """A sequence of entries that no command can have written is a problem of its unit alone.

    `place`: where the entry with an index stands, for messages. `problems`: units with an entry that could not even be
    read.
    """
    histories_of: dict[Unit, _History] = {}
    wrong: dict[Unit, ParityError] = dict(problems or {})
    for index, entry in enumerate(entries):
        if wrong and entry.unit in wrong:
            continue
        if (history := histories_of.get(entry.unit)) is None:
            history = histories_of[entry.unit] = _History(entry.unit)
        try:
            history.add(entry)
        except _Impossible as reason:
            wrong[entry.unit] = LedgerUnreadable(place(index), str(reason), str(entry.unit))
    known = {unit: history.frozen() for unit, history in histories_of.items() if unit not in wrong}
    return Histories(known, wrong)


def refuse_overtaken(history: UnitHistory, entry: Entry) -> None:
    """Raises MoveOvertaken if the entry is based on an outdated state, MoveInProgress if another move is open."""
    open_move = history.open
    match entry.kind:
        case Kind.INTENDED if open_move is not None:
            since = instant_text(open_move.intent.at, "seconds")
            raise MoveInProgress(
                str(entry.unit), str(open_move), open_move.intent.operator, since, half_done=True
            )
        case Kind.BACKFILLED if open_move is not None:
            raise MoveOvertaken(str(entry.unit), _last_said(history))
        case Kind.INTENDED | Kind.BACKFILLED | Kind.HELD | Kind.RELEASED | Kind.REHEARSED if (
            history.stage not in (None, entry.stage)
        ):
            raise MoveOvertaken(str(entry.unit), _last_said(history))
        case Kind.DONE | Kind.UNDONE | Kind.TURNED_BACK if (
            open_move is None or open_move.intent.id != entry.id
        ):
            raise MoveOvertaken(str(entry.unit), _last_said(history))
        case Kind.DONE if open_move is not None and open_move.back:
            raise MoveOvertaken(str(entry.unit), _last_said(history))
        case _:
            return


def _last_said(history: UnitHistory) -> str:
    last = history.entries[-1] if history.entries else None
    return (
        f"{last.operator} has {last.kind.value.replace('_', ' ')} {last.move}"
        if last
        else "its ledger is empty"
    )


class _Impossible(Exception):
    """Why an entry cannot follow those before it."""


# These entries belong only to these moves; the others belong to the move that was begun.
_MOVE_OF = {
    Kind.HELD: Move.HOLD,
    Kind.RELEASED: Move.RELEASE,
    Kind.REHEARSED: Move.ROLLBACK,
    Kind.BACKFILLED: Move.BACKFILL,
}


@dataclass(slots=True)
class _History:
    """A UnitHistory under construction: adding to a hundred thousand entries costs no more than to ten."""

    unit: Unit
    stage: Stage | None = None
    open: OpenMove | None = None
    held: Entry | None = None
    cut_over: Entry | None = None
    retired: Entry | None = None
    forced: list[Entry] = field(default_factory=list)
    rolled_back: list[Entry] = field(default_factory=list)
    backfills: list[Entry] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)

    def frozen(self) -> UnitHistory:
        return UnitHistory(
            self.unit,
            self.stage,
            self.open,
            self.held,
            self.cut_over,
            tuple(self.forced),
            self.retired,
            tuple(self.rolled_back),
            tuple(self.backfills),
            tuple(self.entries),
        )

    def add(self, entry: Entry) -> None:
        """Raises _Impossible."""
        match entry.kind:
            case Kind.INTENDED:
                self._begin(entry)
            case Kind.DONE:
                self._finish(entry)
            case Kind.TURNED_BACK:
                self.open = OpenMove(self._intent_of(entry), back=True)
            case Kind.UNDONE:
                self._intent_of(entry)
                self.open = None
            case Kind.HELD | Kind.RELEASED:
                self._refuse_stray(entry)
                self.held = entry if entry.kind is Kind.HELD else None
            case Kind.REHEARSED:
                self._refuse_stray(entry)
                self.rolled_back.append(entry)
            case Kind.BACKFILLED:
                self._refuse_stray(entry)
                if not (entry.from_ and entry.until and entry.from_ < entry.until):
                    raise _Impossible("a backfill needs a `from` before its `until`")
                self.backfills.append(entry)
            case _:
                assert_never(entry.kind)
        self.entries.append(entry)

    def _begin(self, entry: Entry) -> None:
        if self.open is not None:
            raise _Impossible(f"{entry.unit} begins {entry.move} in the middle of {self.open}")
        self._refuse_other_stage(entry)
        if (entry.stage, entry.move) not in TRANSITIONS or entry.move in _MOVE_OF_ONE_ENTRY:
            raise _Impossible(f"{entry.move} is not possible from {entry.stage}")
        self.stage, self.open = entry.stage, OpenMove(entry)
        if entry.forced:
            self.forced.append(entry)
        if entry.move is Move.CUTOVER:  # backfills requested before it no longer count
            self.backfills.clear()

    def _finish(self, entry: Entry) -> None:
        self._intent_of(entry)
        self.stage, self.open = TRANSITIONS[entry.stage, entry.move], None
        if entry.move is Move.CUTOVER:
            self.cut_over = entry
        elif entry.move is Move.ROLLBACK:
            self.cut_over = None
            self.rolled_back.append(entry)
            self.backfills.clear()
        elif entry.move is Move.RETIRE:
            self.retired = entry

    def _refuse_stray(self, entry: Entry) -> None:
        """An entry that stands alone says at which stage the unit was, and changes no stage."""
        if entry.move is not _MOVE_OF[entry.kind]:
            raise _Impossible(f"{entry.kind} cannot be an entry of {entry.move}")
        self._refuse_other_stage(entry)
        if entry.kind is not Kind.REHEARSED and (entry.stage, entry.move) not in TRANSITIONS:
            raise _Impossible(f"{entry.move} is not possible for a unit that is {entry.stage}")

    def _refuse_other_stage(self, entry: Entry) -> None:
        if self.stage not in (None, entry.stage):
            raise _Impossible(
                f"{entry.move} of a unit that is {entry.stage}, but according to earlier entries it is {self.stage}"
            )

    def _intent_of(self, entry: Entry) -> Entry:
        if self.open is None:
            raise _Impossible(f"{entry.unit} has {entry.kind} without a move that was begun")
        intent = self.open.intent
        if (intent.id, intent.move, intent.stage) != (entry.id, entry.move, entry.stage):
            raise _Impossible(f"{entry.kind} is about a move other than the open one")
        return intent


_MOVE_OF_ONE_ENTRY = frozenset({Move.HOLD, Move.RELEASE, Move.BACKFILL})


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def _instant(value: str) -> datetime:
    """Raises ValueError or OverflowError. A soak that begins after the year 9000 could not end in any year."""
    at = datetime.fromisoformat(value)
    if at.tzinfo is not UTC:
        at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    if at.year > LAST_YEAR:
        raise ValueError(f"{value} is after the year {LAST_YEAR}")
    return at


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{str(value)[:60]} is not text")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{str(value)[:60]} is neither true nor false")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{str(value)[:60]} is not a list of texts")
    return tuple(map(_text, value))
