"""The ledger's entries: what was done to units.

Entries are ordered by their position in the ledger. Their times are for people: clocks of two machines may disagree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any, NamedTuple

from dagster_defs.errors import BadUnit, LedgerUnreadable, LedgerVersion
from dagster_defs.lifecycle.stages import Move
from dagster_defs.lifecycle.units import Stage, Unit
from dagster_defs.older_python import StrEnum, datetime_of

SCHEMA = "parity/ledger/1"
BY_ITSELF = ", by itself"  # how the operator of an automatic move ends
_NO_BACKFILL = "a backfill needs a `from` before its `until`"
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
class Requested:
    """The windows that a backfill asks for: the start of the first, the end of the last. Raises ValueError for none."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise ValueError(_NO_BACKFILL)


@dataclass(frozen=True, slots=True)
class Begin:
    """Where the windows begin that Dagster itself starts, once a DAG is retired."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger.

    `id` is the same in all entries of one move. `stage` is where the move began, so that the ledger can be read without
    other information. `forced` names the gates that `reason` overruled. `steps` are the plan's, in words.
    `windows`: those of a backfill, and the first one after a retirement; no other entry is about windows. `paused`:
    Airflow's DAG was already paused before a retirement began.
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
    windows: Requested | Begin | None = None
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
            **_written(self.windows),
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
            entry.windows = _windows(about, from_, until)
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


def _windows(about: Subject, from_: str | None, until: str | None) -> Requested | Begin | None:
    """Raises ValueError for instants that are none or that such an entry does not have."""
    match about.kind, about.move:
        case Kind.BACKFILLED, _:
            if from_ is None or until is None:
                raise ValueError(_NO_BACKFILL)
            return Requested(_instant(from_), _instant(until))
        case Kind.DONE, Move.RETIRE if until is None:
            return None if from_ is None else Begin(_instant(from_))
        case _ if from_ is None and until is None:
            return None
        case _:
            raise ValueError(
                "only a backfill has `from` and `until`, and only the end of a retirement `from` alone"
            )


def _written(windows: Requested | Begin | None) -> Mapping[str, str]:
    match windows:
        case Requested(start, end):
            return {"from": _utc(start), "until": _utc(end)}
        case Begin(at):
            return {"from": _utc(at)}
        case None:
            return {}


def _utc(at: datetime) -> str:
    return at.astimezone(timezone.utc).isoformat()


def _instant(value: str) -> datetime:
    """Raises ValueError or OverflowError. A soak that begins after the year 9000 could not end in any year."""
    at = datetime_of(value)
    if at.tzinfo is not timezone.utc:
        at = at.astimezone(timezone.utc) if at.tzinfo else at.replace(tzinfo=timezone.utc)
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
