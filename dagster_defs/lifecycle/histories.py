"""What all entries of the ledger come to: a history for each unit, with what there is at its stage and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Literal

from typing_extensions import assert_never

from dagster_defs.errors import LedgerUnreadable, MoveInProgress, MoveOvertaken, ParityError
from dagster_defs.lifecycle.ledger import Begin, Entry, Kind, OpenMove, Requested
from dagster_defs.lifecycle.stages import TRANSITIONS, Move
from dagster_defs.lifecycle.units import Stage, Unit
from dagster_defs.windows import instant_text


@dataclass(frozen=True, slots=True)
class Backfilled:
    """Windows from `start` to `end` that somebody has requested from Dagster; `id`: the entry's."""

    id: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class _AnyStage:
    """What outlives a unit's stages. `rolled_back`: its rollbacks and the rehearsals of one. `entries`: all of them."""

    unit: Unit
    rolled_back: tuple[Entry, ...] = ()
    entries: tuple[Entry, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmoved(_AnyStage):
    """No move of the unit has been begun: its stage is whatever its mark implies. Entries that stand alone may be
    there."""

    stage: ClassVar[None] = None
    open: ClassVar[None] = None
    forced: ClassVar[tuple[Entry, ...]] = ()
    held: Entry | None = None
    backfills: tuple[Backfilled, ...] = ()


@dataclass(frozen=True, slots=True)
class _Moved(_AnyStage):
    """`open`: a move that was begun at this stage and has not ended. `forced`: the beginnings of all moves, at whatever
    stage, for which somebody has overruled gates."""

    open: OpenMove | None = None
    forced: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed(_Moved):
    stage: ClassVar[Literal[Stage.OBSERVED]] = Stage.OBSERVED
    held: Entry | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadowed(_Moved):
    stage: ClassVar[Literal[Stage.SHADOWED]] = Stage.SHADOWED
    held: Entry | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CutOver(_Moved):
    """`cutover`: the end of the cutover that began the soak time; None if the unit was marked before it had a ledger.
    `backfills`: those since that cutover; older ones permit nothing."""

    stage: ClassVar[Literal[Stage.CUT_OVER]] = Stage.CUT_OVER
    cutover: Entry | None = None
    held: Entry | None = None
    backfills: tuple[Backfilled, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired(_Moved):
    """`retirement`: the end of the retirement. A hold ends with it: nothing is left that could be held."""

    stage: ClassVar[Literal[Stage.RETIRED]] = Stage.RETIRED
    retirement: Entry

    @property
    def begins(self) -> datetime | None:
        """Where Dagster's own windows begin; None for a DAG without windows."""
        return self.retirement.windows.at if isinstance(self.retirement.windows, Begin) else None


UnitHistory = Unmoved | Observed | Shadowed | CutOver | Retired


def hold_of(history: UnitHistory) -> Entry | None:
    """Who holds the unit, and why; None if nobody does."""
    match history:
        case Unmoved(held=held) | Observed(held=held) | Shadowed(held=held) | CutOver(held=held):
            return held
        case Retired():
            return None
        case _:
            assert_never(history)


def cutover_of(history: UnitHistory) -> Entry | None:
    """The end of the cutover whose soak time counts; None unless the ledger has the unit as cut over by a move."""
    match history:
        case CutOver(cutover=cutover):
            return cutover
        case Unmoved() | Observed() | Shadowed() | Retired():
            return None
        case _:
            assert_never(history)


def backfills_of(history: UnitHistory) -> tuple[Backfilled, ...]:
    """The requests that still permit a run to write."""
    match history:
        case Unmoved(backfills=backfills) | CutOver(backfills=backfills):
            return backfills
        case Observed() | Shadowed() | Retired():
            return ()  # Airflow writes, or Dagster may without being asked
        case _:
            assert_never(history)


@dataclass(frozen=True, eq=False)
class Histories(Mapping[Unit, UnitHistory]):
    """The state that results from all entries, by unit.

    `problems`: units whose entries cannot be understood. They are not listed, and looking one up raises its problem.
    """

    known: Mapping[Unit, UnitHistory] = field(default_factory=dict)
    problems: Mapping[Unit, ParityError] = field(default_factory=dict)

    def retired(self, unit: Unit) -> Retired | None:
        """None unless it is retired, also if its entries cannot be understood."""
        history = None if unit in self.problems else self.known.get(unit)
        return history if isinstance(history, Retired) else None

    def all_retired(self, units: Iterable[Unit]) -> datetime | None:
        """When the last of them was retired; None until then."""
        found = [self.retired(unit) for unit in units]
        if any(each is None or each.open is not None for each in found):
            return None
        return max((each.retirement.at for each in found if each is not None), default=None)

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
    """A UnitHistory under construction: adding to a hundred thousand entries costs no more than to ten.

    `arrived`: the end of the move that led to a stage which counts from it: cut over or retired.
    """

    unit: Unit
    stage: Stage | None = None
    open: OpenMove | None = None
    held: Entry | None = None
    arrived: Entry | None = None
    forced: list[Entry] = field(default_factory=list)
    rolled_back: list[Entry] = field(default_factory=list)
    backfills: list[Backfilled] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)

    def frozen(self) -> UnitHistory:
        always = self.unit, tuple(self.rolled_back), tuple(self.entries)
        backfills, forced = tuple(self.backfills), tuple(self.forced)
        match self.stage:
            case None:
                return Unmoved(*always, held=self.held, backfills=backfills)
            case Stage.OBSERVED:
                return Observed(*always, self.open, forced, held=self.held)
            case Stage.SHADOWED:
                return Shadowed(*always, self.open, forced, held=self.held)
            case Stage.CUT_OVER:
                return CutOver(
                    *always, self.open, forced, cutover=self.arrived, held=self.held, backfills=backfills
                )
            case Stage.RETIRED:
                assert self.arrived is not None  # noqa: S101 - `_begin` and `_finish` let nothing else through
                return Retired(*always, self.open, forced, retirement=self.arrived)
            case _:
                assert_never(self.stage)

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
                if not isinstance(entry.windows, Requested):
                    raise _Impossible("a backfill has windows")
                self.backfills.append(Backfilled(entry.id, entry.windows.start, entry.windows.end))
            case _:
                assert_never(entry.kind)
        self.entries.append(entry)

    def _begin(self, entry: Entry) -> None:
        if self.open is not None:
            raise _Impossible(f"{entry.unit} begins {entry.move} in the middle of {self.open}")
        self._refuse_other_stage(entry)
        if (entry.stage, entry.move) not in TRANSITIONS or entry.move in _MOVE_OF_ONE_ENTRY:
            raise _Impossible(f"{entry.move} is not possible from {entry.stage}")
        if entry.stage is Stage.RETIRED and self.arrived is None:
            raise _Impossible(f"{entry.move} of a unit that is retired, but no earlier entry has retired it")
        self.stage, self.open = entry.stage, OpenMove(entry)
        if entry.forced:
            self.forced.append(entry)
        if entry.move is Move.CUTOVER:  # backfills requested before it no longer count
            self.backfills.clear()

    def _finish(self, entry: Entry) -> None:
        self._intent_of(entry)
        self.stage, self.open = TRANSITIONS[entry.stage, entry.move], None
        if entry.move in (Move.CUTOVER, Move.RETIRE):
            self.arrived = entry
        elif entry.move is Move.ROLLBACK:
            self.arrived = None
            self.rolled_back.append(entry)
            self.backfills.clear()

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
