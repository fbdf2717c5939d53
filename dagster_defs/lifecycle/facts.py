"""What is known about a unit when its gates are judged."""

from __future__ import annotations

from dataclasses import dataclass

from dagster_defs.lifecycle.compared import Compared
from dagster_defs.lifecycle.facets import UnitFacets
from dagster_defs.lifecycle.histories import UnitHistory
from dagster_defs.lifecycle.not_read import NOT_READ, NotRead
from dagster_defs.lifecycle.units import Stage, Unit
from dagster_defs.lifecycle.written import Continuity


@dataclass(frozen=True, slots=True)
class Live:
    """What the orchestrators themselves report. `airflow`, `dagster`: what is wrong, empty if nothing is. Run times of
    the last runs, in seconds. `unmirrored`: tasks of the unit's DAG that do something but have no mirror. `waiting`:
    what in other DAGs, not paused, waits for this DAG or is started by it. Whatever was not reported is NOT_READ.
    """

    airflow: str
    dagster: str
    airflow_runs: tuple[str, ...] | NotRead = NOT_READ
    dagster_runs: tuple[str, ...] | NotRead = NOT_READ
    legacy_seconds: tuple[float, ...] | NotRead = NOT_READ
    candidate_seconds: tuple[float, ...] | NotRead = NOT_READ
    unmirrored: tuple[str, ...] | NotRead = NOT_READ
    waiting: tuple[str, ...] | NotRead = NOT_READ


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about a unit. NOT_READ closes the gates that need the fact: `facets` without an inventory,
    `compared` and `continuity` without an event log, `live` if the servers were not asked. `other_schedules`: units of
    the same DAG whose YAML has another schedule. `broken`: why the mirror's definitions cannot be built; empty for a
    sound mirror. `decided_by`: tasks that decide in Airflow whether the unit runs, if its mirror does not ask them.
    `marked` is what Airflow does; `doubt` is why the mark cannot be determined, or empty."""

    unit: Unit
    stage: Stage
    marked: bool
    history: UnitHistory
    facets: UnitFacets | NotRead = NOT_READ
    compared: Compared | NotRead = NOT_READ
    live: Live | NotRead = NOT_READ
    continuity: Continuity | NotRead = NOT_READ
    other_schedules: tuple[Unit, ...] = ()
    broken: str = ""
    doubt: str = ""
    decided_by: tuple[str, ...] = ()

    @property
    def drifted(self) -> bool:
        """Whether the mark contradicts the ledger without an open move to explain it."""
        if self.history.stage is None or self.history.open is not None:
            return False
        if self.doubt:
            return True
        return self.marked is not (self.history.stage in (Stage.CUT_OVER, Stage.RETIRED))
