"""Where every unit stands, as `parity status` shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dagster_defs.lifecycle.broken import Fault
from dagster_defs.lifecycle.conditions import Condition
from dagster_defs.lifecycle.ledger import Entry
from dagster_defs.lifecycle.units import Unit, UnitState


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
