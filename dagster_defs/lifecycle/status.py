"""Where every unit stands, as `parity status` shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dagster_defs.lifecycle.broken import Fault
from dagster_defs.lifecycle.conditions import Condition
from dagster_defs.lifecycle.ledger import Entry
from dagster_defs.lifecycle.programs_beside import ProgramBeside
from dagster_defs.lifecycle.units import Unit, UnitState


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

    @property
    def next_command(self) -> str:
        """The command that a person would run now: finish what is half-done or has drifted, then move what is ready."""
        commands = [each.next for each in (self.conditions or {}).values() if each.next and not each.held]
        urgent = [command for command in commands if " resume " in command]
        return next(iter([*urgent, *commands]), "")
