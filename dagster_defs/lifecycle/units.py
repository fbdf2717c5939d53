"""Units, their stage and their owner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from dagster_defs.errors import BadUnit

if TYPE_CHECKING:
    from dagster_defs.lifecycle.broken import Fault
    from dagster_defs.lifecycle.conditions import Condition
    from dagster_defs.lifecycle.ledger import Entry


class Stage(StrEnum):
    """What has been done to a unit so far, in the order in which it happens."""

    OBSERVED = "observed"
    SHADOWED = "shadowed"
    CUT_OVER = "cut_over"
    RETIRED = "retired"


class Owner(StrEnum):
    """The orchestrator whose run of a window counts."""

    AIRFLOW = "airflow"
    DAGSTER = "dagster"


@dataclass(frozen=True, slots=True, order=True)
class Unit:
    """One legacy Airflow task: the smallest thing that is handed over."""

    dag_id: str
    task_id: str

    @classmethod
    def parse(cls, text: str) -> Unit:
        """`dag_id.task_id`; a task in a task group has dots of its own. Raises BadUnit for anything else."""
        dag_id, dot, task_id = text.partition(".")
        if not (dag_id and dot and task_id):
            raise BadUnit(
                text or "(empty)", "a unit is named dag_id.task_id", "Write for example taxi_daily.dbt_daily"
            )
        return cls(dag_id, task_id)

    @classmethod
    def named(cls, text: str) -> Unit | None:
        """`parse`, or None for a name that no unit can have."""
        try:
            return cls.parse(text)
        except BadUnit:
            return None

    def __str__(self) -> str:
        return f"{self.dag_id}.{self.task_id}"

    @property
    def dag_identifier(self) -> str:
        """The DAG's name likewise."""
        return _plain(self.dag_id)

    @property
    def identifier(self) -> str:
        """The unit's name where only letters, digits and underscores are allowed: job and op names."""
        return f"{_plain(self.dag_id)}__{_plain(self.task_id)}"


@dataclass(frozen=True, slots=True)
class UnitState:
    """A unit with what is known of it: `stage` is what was done, `owner` follows from it.

    `marked`: whom the mark in `proxied_state/` names where that is another than the stage says, as in the middle of
    a move: Airflow does what the mark says.
    """

    unit: Unit
    stage: Stage
    marked: Owner | None = None

    @property
    def owner(self) -> Owner:
        if self.marked is not None:
            return self.marked
        return Owner.DAGSTER if self.stage in (Stage.CUT_OVER, Stage.RETIRED) else Owner.AIRFLOW

    @property
    def runs_candidate(self) -> bool:
        """Whether each window is run as a candidate too: from shadowed on, for as long as there is a way back."""
        return self.stage in (Stage.SHADOWED, Stage.CUT_OVER)


@dataclass(frozen=True, slots=True)
class Status:
    """Every mirrored unit, by name, and what does not fit.

    `marks_without_unit`: marked as proxied, but nothing mirrors them. `not_in_airflow`: mirrored, but Airflow was
    last seen without such a task. `facets`: how many agree with Airflow's inventory; None without an inventory.
    `evidence`: what the kept verdicts come to, such as `7/7 match`; None without an event log at hand, and
    `evidence_problem` says why one could not be read. `conditions`: None where they were not asked for. `forced`:
    what somebody has done against a gate, with the reason. `ledger_cut_off`: what a crash has left after the
    ledger's last line. `broken`: what is wrong with mirrors whose definitions cannot be made. `problems`: what of the
    ledger or the marks cannot be read, by the unit or DAG that it is about; a unit whose ledger cannot be read is not
    in `states`.
    """

    states: tuple[UnitState, ...]
    marks_without_unit: tuple[Unit, ...] = ()
    not_in_airflow: tuple[Unit, ...] = ()
    facets: Mapping[Unit, str] | None = None
    evidence: Mapping[Unit, str] | None = None
    evidence_problem: str = ""
    conditions: Mapping[Unit, Condition] | None = None
    forced: tuple[Entry, ...] = ()
    drifted: tuple[Unit, ...] = ()
    ledger_cut_off: str = ""
    broken: tuple[Fault, ...] = ()
    problems: Mapping[str, str] = field(default_factory=dict)

    @property
    def next_command(self) -> str:
        """What a person would do now: finish what is half-done or has drifted, then move what is ready."""
        commands = [one.next for one in (self.conditions or {}).values() if one.next and not one.held]
        urgent = [command for command in commands if " resume " in command]
        return next(iter([*urgent, *commands]), "")


def state_of(unit: Unit, proxied: Mapping[Unit, bool], *, recorded: Stage | None = None) -> UnitState:
    """The state of a unit: the stage that the ledger has `recorded`, or without one what the hand-over mark in
    `proxied_state/` says. Raises what the look-up of the mark raises."""
    if recorded is Stage.RETIRED:
        # Nothing in Airflow starts a retired unit any more, whatever its mark says.
        return UnitState(unit, recorded)
    if recorded is not None:
        state = UnitState(unit, recorded)
        owner = Owner.DAGSTER if proxied.get(unit, False) else Owner.AIRFLOW
        return state if state.owner is owner else UnitState(unit, recorded, owner)
    if proxied.get(unit, False):
        return UnitState(unit, Stage.CUT_OVER)
    return UnitState(unit, Stage.OBSERVED)


def _plain(name: str) -> str:
    return "".join(char if char.isascii() and char.isalnum() else "_" for char in name)
