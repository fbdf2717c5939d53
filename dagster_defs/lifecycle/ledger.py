"""The ledger: what was done to units, entry by entry, and what that comes to.

Entries are ordered by their place in the ledger. Their times are for people: clocks of two machines may disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, assert_never

from dagster_defs.errors import BadUnit, LedgerUnreadable, LedgerVersion, MoveInProgress, MoveOvertaken
from dagster_defs.lifecycle.stages import TRANSITIONS, Move
from dagster_defs.lifecycle.units import Stage, Unit

SCHEMA = "parity/ledger/1"


class Kind(StrEnum):
    """`intended`, `turned_back`, `done` and `undone` belong to one move; the others are complete by themselves."""

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

    `id` is the same in all entries of one move. `stage` is where the move began, so that the ledger can be read
    without what else was known then. `forced` names the gates that `reason` has overruled. `steps` are the plan's,
    in words. `from_`, `until`: of a backfill, the start of its first and the end of its last window; of the end of a
    retirement, where Dagster's own windows begin.
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
        }

    @classmethod
    def from_json(cls, document: Any, where: str) -> Entry:
        """Raises LedgerVersion for what another version has written, LedgerUnreadable for what none has."""
        if not isinstance(document, Mapping) or "schema" not in document:
            raise LedgerUnreadable(where, "it is no entry of a ledger")
        if document["schema"] != SCHEMA:
            raise LedgerVersion(where, str(document["schema"]), SCHEMA)
        try:
            return cls(
                id=str(document["id"]),
                at=_instant(document["at"]),
                operator=str(document["operator"]),
                unit=Unit.parse(document["unit"]),
                move=Move(document["move"]),
                kind=Kind(document["kind"]),
                stage=Stage(document["stage"]),
                reason=str(document["reason"]),
                forced=tuple(map(str, document["forced"])),
                steps=tuple(map(str, document["steps"])),
                from_=_instant(document["from"]) if "from" in document else None,
                until=_instant(document["until"]) if "until" in document else None,
            )
        except KeyError as error:
            raise LedgerUnreadable(where, f"it has no {error}") from error
        except (ValueError, TypeError, AttributeError, BadUnit) as error:
            raise LedgerUnreadable(where, str(error)) from error


@dataclass(frozen=True, slots=True)
class OpenMove:
    """A move that was begun and neither finished nor undone; `back`: somebody has begun to undo it."""

    intent: Entry
    back: bool = False

    @property
    def move(self) -> Move:
        return self.intent.move

    @property
    def backwards(self) -> bool:
        """Whether finishing it leaves the unit with Airflow."""
        return self.move is Move.ROLLBACK or (self.back and self.move is not Move.RETIRE)

    def __str__(self) -> str:
        return f"{self.move}, being undone" if self.back else self.move.value


@dataclass(frozen=True, slots=True)
class UnitHistory:
    """What the ledger says of one unit. `stage` is None until a move of the unit has been finished or begun."""

    unit: Unit
    stage: Stage | None = None
    open: OpenMove | None = None
    held: Entry | None = None
    since: Entry | None = None
    cut_over: Entry | None = None
    forced: tuple[Entry, ...] = ()
    retired: Entry | None = None
    rolled_back: tuple[Entry, ...] = ()
    backfills: tuple[Entry, ...] = ()
    entries: tuple[Entry, ...] = field(default=(), repr=False)


def histories(entries: Iterable[Entry]) -> dict[Unit, UnitHistory]:
    """What all entries come to, by unit. Raises LedgerUnreadable for a sequence that no command can have written."""
    found: dict[Unit, UnitHistory] = {}
    for position, entry in enumerate(entries, start=1):
        before = found.get(entry.unit, UnitHistory(entry.unit))
        after = _folded(before, entry, f"entry {position}")
        found[entry.unit] = replace(after, entries=(*before.entries, entry))
    return found


def history_of(unit: Unit, entries: Sequence[Entry]) -> UnitHistory:
    return histories(entry for entry in entries if entry.unit == unit).get(unit, UnitHistory(unit))


def refuse_overtaken(history: UnitHistory, entry: Entry) -> None:
    """Raises MoveOvertaken if the entry rests on what is no longer so, MoveInProgress if another move is open."""
    open_move = history.open
    match entry.kind:
        case Kind.INTENDED if open_move is not None:
            since = open_move.intent.at.isoformat(sep=" ", timespec="seconds")
            raise MoveInProgress(
                str(entry.unit), str(open_move), open_move.intent.operator, since, half_done=True
            )
        case Kind.BACKFILLED if open_move is not None:
            raise MoveOvertaken(str(entry.unit), _last_said(history))
        case Kind.INTENDED if history.stage not in (None, entry.stage):
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


def _folded(before: UnitHistory, entry: Entry, where: str) -> UnitHistory:
    match entry.kind:
        case Kind.INTENDED:
            if before.open is not None:
                raise LedgerUnreadable(
                    where, f"{entry.unit} begins {entry.move} in the middle of {before.open}"
                )
            if (entry.stage, entry.move) not in TRANSITIONS:
                raise LedgerUnreadable(where, f"no {entry.move} leads away from {entry.stage}")
            forced = (*before.forced, entry) if entry.forced else before.forced
            return replace(before, stage=entry.stage, open=OpenMove(entry), forced=forced)
        case Kind.TURNED_BACK:
            _belongs(before, entry, where)
            return replace(before, open=OpenMove(_open(before, entry, where), back=True))
        case Kind.UNDONE:
            _belongs(before, entry, where)
            return replace(before, open=None)
        case Kind.DONE:
            _belongs(before, entry, where)
            after = replace(before, stage=TRANSITIONS[entry.stage, entry.move], open=None, since=entry)
            if entry.move is Move.CUTOVER:
                return replace(after, cut_over=entry)
            if entry.move is Move.ROLLBACK:
                return replace(after, cut_over=None, rolled_back=(*before.rolled_back, entry))
            return replace(after, retired=entry) if entry.move is Move.RETIRE else after
        case Kind.HELD:
            return replace(before, held=entry)
        case Kind.RELEASED:
            return replace(before, held=None)
        case Kind.REHEARSED:
            return replace(before, rolled_back=(*before.rolled_back, entry))
        case Kind.BACKFILLED:
            return replace(before, backfills=(*before.backfills, entry))
        case _:
            assert_never(entry.kind)


def _belongs(before: UnitHistory, entry: Entry, where: str) -> None:
    intent = _open(before, entry, where)
    if (intent.id, intent.move, intent.stage) != (entry.id, entry.move, entry.stage):
        raise LedgerUnreadable(where, f"{entry.kind} is about another move than the one that is open")


def _open(before: UnitHistory, entry: Entry, where: str) -> Entry:
    if before.open is None:
        raise LedgerUnreadable(where, f"{entry.unit} has {entry.kind} without a move that was begun")
    return before.open.intent


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
