"""Where every unit stands, as `parity status` shows it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from dagster_defs.lifecycle.broken import Fault
from dagster_defs.lifecycle.conditions import Condition, ConditionKind
from dagster_defs.lifecycle.echo_place import LateEchoes
from dagster_defs.lifecycle.ledger import Entry
from dagster_defs.lifecycle.programs_beside import ProgramBeside
from dagster_defs.lifecycle.units import Owner, Stage, Unit, UnitState
from dagster_defs.parity import Verdict

_TEAM = "team:"  # Dagster's own prefix of an owner that is a team


@dataclass(frozen=True, slots=True)
class Shown:
    """Which units a person asks for: those for which all of it holds.

    `units`: None for any; `stages`, `verdicts`: empty for any; `team`: an owner of their assets, a team with or without
    Dagster's `team:`; `failing`: only those that need somebody.
    """

    units: Collection[Unit] | None = None
    stages: Collection[Stage] = ()
    owner: Owner | None = None
    team: str = ""
    verdicts: Collection[Verdict] = ()
    failing: bool = False

    def shows(
        self, state: UnitState, *, failing: bool, verdicts: Collection[Verdict], owners: Collection[str]
    ) -> bool:
        """`failing`: the unit needs somebody; `verdicts`: its kept ones; `owners`: those of its assets."""
        return (
            (self.units is None or state.unit in self.units)
            and (not self.stages or state.stage in self.stages)
            and (self.owner is None or state.owner is self.owner)
            and (not self.team or self.team in owners or f"{_TEAM}{self.team}" in owners)
            and (not self.verdicts or any(verdict in verdicts for verdict in self.verdicts))
            and (failing or not self.failing)
        )


def needs_somebody(condition: Condition | None, verdicts: Collection[Verdict]) -> bool:
    """Whether a move is half-done, or a kept verdict is no match."""
    half_done = condition is not None and condition.kind is ConditionKind.HALF_DONE
    return half_done or any(verdict is not Verdict.MATCH for verdict in verdicts)


@dataclass(frozen=True, slots=True)
class Status:
    """Every mirrored unit, by name, and what does not fit.

    `marks_without_unit`: marked as proxied, but without a mirror. `not_in_airflow`: mirrored, but missing when Airflow
    was last observed. `facets`: how many agree with Airflow's inventory; None without an inventory. `evidence`: a
    summary of the kept verdicts, such as `7/7 match`; None without an event log, and `evidence_problem` says why one
    could not be read. `conditions`: None if they were not requested. `forced`: gates that somebody has overruled, with
    the reason. `ledger_cut_off`: what a crash left behind after the ledger's last line. `broken`: what is wrong with
    mirrors whose definitions cannot be built. `problems`: parts of the ledger or the marks that cannot be read, by unit
    or DAG; a unit whose ledger cannot be read is not in `states`. `beside`: what units run beside dbt, if anything.
    `verdicts`: those that are kept of each unit. `owners`: of their assets, as their YAML has them. `of`: how many
    units there are, if only some are in `states`. `late_echoes`: retired DAGs of whose runs Airflow has not been told
    for long.
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
    beside: Mapping[Unit, tuple[ProgramBeside, ...]] = field(default_factory=dict)
    verdicts: Mapping[Unit, frozenset[Verdict]] = field(default_factory=dict)
    owners: Mapping[Unit, tuple[str, ...]] = field(default_factory=dict)
    of: int | None = None
    late_echoes: tuple[LateEchoes, ...] = ()

    @property
    def failing(self) -> frozenset[Unit]:
        """Units that need somebody: with a verdict that is no match, broken, half-done, drifted, or without a task in
        Airflow."""
        broken = {name for fault in self.broken for name in fault.units}
        conditions = self.conditions or {}
        found = (
            state.unit
            for state in self.states
            if str(state.unit) in broken
            or needs_somebody(conditions.get(state.unit), self.verdicts.get(state.unit, ()))
        )
        return frozenset((*found, *self.drifted, *self.not_in_airflow))

    def only(self, shown: Shown) -> Status:
        """The status of these units. What is wrong with others is still said: their mirrors, their part of the record,
        their marks."""
        failing = self.failing
        states = tuple(
            state
            for state in self.states
            if shown.shows(
                state,
                failing=state.unit in failing,
                verdicts=self.verdicts.get(state.unit, ()),
                owners=self.owners.get(state.unit, ()),
            )
        )
        units = {state.unit: None for state in states}
        return replace(
            self,
            states=states,
            conditions=self.conditions and {unit: self.conditions[unit] for unit in units},
            forced=tuple(entry for entry in self.forced if entry.unit in units),
            of=len(self.states),
        )

    @property
    def next_command(self) -> str:
        """The command that a person would run now: finish what is half-done or has drifted, then move what is ready."""
        commands = [each.next for each in (self.conditions or {}).values() if each.next and not each.held]
        urgent = [command for command in commands if " resume " in command]
        return next(iter([*urgent, *commands]), "")
