"""The gates by name, and the limits that a unit's YAML may set."""

from __future__ import annotations

from dataclasses import dataclass

from dagster_defs.lifecycle.programs_beside import ProgramBeside
from dagster_defs.older_python import StrEnum


class Gate(StrEnum):
    MIRROR = "mirror"
    HELD = "held"
    MARKS = "marks"
    FACETS = "facets"
    WINDOWS = "windows"
    TESTS = "tests"
    TOLERANCES = "tolerances"
    REHEARSED = "rehearsed"
    SOAK = "soak"
    WHOLE_DAG = "whole_dag"
    WAITED_FOR = "waited_for"
    CONTINUITY = "continuity"
    AIRFLOW = "airflow"
    DAGSTER = "dagster"
    LIVE_RUN = "live_run"
    RUNTIME = "runtime"


# The facets that `parity verify` compares, by name.
FACETS = (
    "windows", "variables", "selection", "ordering", "retries", "pool", "timeout", "sla", "catchup", "max_active_runs",
    "depends_on_past", "callbacks", "environment", "runtime",
)  # fmt: skip
# Of these, those that close no gate while nothing at all is known of Airflow's side: no inventory says it.
MAY_BE_UNKNOWN = frozenset({"runtime"})


@dataclass(frozen=True, slots=True)
class GateSettings:
    """`windows`: how many in a row must match. `undetermined`: facets that may be so. A candidate run may take
    `slowdown` times as long as legacy's plus `slack` seconds. After a cutover a unit soaks for `soak_days` and
    `soak_windows`; with `rollback_on_failure`, a proxied run that fails in that time rolls it back. `without`: gates
    that do not apply to the unit. `never_compared`: why no candidate of it may run, as its YAML says; empty: one
    may. `event`: what starts the runs of a DAG without a clock, whose runs count where others' windows do; empty: a
    clock does. `started`: whether something in Dagster starts such a run, and `not_started`: what would not. `beside`:
    what it runs beside dbt, which gates report and do not judge."""

    windows: int = 7
    undetermined: tuple[str, ...] = ()
    slowdown: float = 1.5
    slack: float = 60
    soak_days: float = 7
    soak_windows: int = 7
    without: tuple[Gate, ...] = ()
    rollback_on_failure: bool = False
    never_compared: str = ""
    event: str = ""
    beside: tuple[ProgramBeside, ...] = ()
    started: bool = False
    not_started: tuple[str, ...] = ()

    @property
    def counted(self) -> str:
        """What evidence is counted in."""
        return "runs" if self.event else "windows"
