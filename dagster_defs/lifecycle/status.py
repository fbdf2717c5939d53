"""Where every unit stands, as `parity status` shows it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from dagster_defs.lifecycle.broken import Fault
from dagster_defs.lifecycle.conditions import Condition, ConditionKind
from dagster_defs.lifecycle.ledger import Entry
from dagster_defs.lifecycle.programs_beside import ProgramBeside
from dagster_defs.lifecycle.units import Owner, Stage, Unit, UnitState


@dataclass(frozen=True, slots=True)
class Shown:
    """Which units a person asks for: those for which all of it holds. `units`: None for any; `stages`: empty for any;
    `failing`: only those that need somebody (see `Status.failing`)."""

    units: Collection[Unit] | None = None
    stages: Collection[Stage] = ()
    owner: Owner | None = None
    failing: bool = False


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
    `unmatched`: units with a kept verdict that is no match. `of`: how many units there are, if only some are in
    `states`.
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
    unmatched: frozenset[Unit] = frozenset()
    of: int | None = None

    @property
    def failing(self) -> frozenset[Unit]:
        """Units that need somebody: with a verdict that is no match, broken, half-done, drifted, or without a task in
        Airflow."""
        half_done = {
            unit for unit, each in (self.conditions or {}).items() if each.kind is ConditionKind.HALF_DONE
        }
        broken = {name for fault in self.broken for name in fault.units}
        named = {state.unit for state in self.states if str(state.unit) in broken}
        return self.unmatched | half_done | named | {*self.drifted} | {*self.not_in_airflow}

    def only(self, shown: Shown) -> Status:
        """The status of these units. What is wrong with others is still said: their mirrors, their part of the record,
        their marks."""
        failing = self.failing if shown.failing else None
        states = tuple(
            state
            for state in self.states
            if (shown.units is None or state.unit in shown.units)
            and (not shown.stages or state.stage in shown.stages)
            and (shown.owner is None or state.owner is shown.owner)
            and (failing is None or state.unit in failing)
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
