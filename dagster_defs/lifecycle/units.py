"""Units, their stages and their owners."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dagster_defs.errors import BadUnit
from dagster_defs.older_python import StrEnum


class Stage(StrEnum):
    """What has been done to a unit so far, in chronological order."""

    __hash__ = str.__hash__  # Enum's own takes five times as long

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
    def asset_key(self) -> str:
        """The key of the asset that stands for a task whose outputs are not declared."""
        return f"{self.dag_id}/{self.task_id}"

    @property
    def dag_identifier(self) -> str:
        """The DAG id with every other character replaced by an underscore."""
        return _plain(self.dag_id)

    @property
    def identifier(self) -> str:
        """The unit's name with only letters, digits and underscores, as job and op names require."""
        return f"{_plain(self.dag_id)}__{_plain(self.task_id)}"


@dataclass(frozen=True, slots=True)
class UnitState:
    """A unit and what is known about it: `stage` is what was done, `owner` follows from it.

    `marked`: the owner according to the mark in `proxied_state/`, if it contradicts the stage, as in the middle of a
    move: Airflow follows the mark.
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
        """Whether each window is also run as a candidate: from shadowed on, for as long as there is a way back."""
        return self.stage in (Stage.SHADOWED, Stage.CUT_OVER)


def state_of(unit: Unit, proxied: Mapping[Unit, bool], *, recorded: Stage | None = None) -> UnitState:
    """The state of a unit: the stage that the ledger has `recorded`, or without one the stage that the mark in
    `proxied_state/` implies. Raises what the look-up of the mark raises."""
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
