"""Whether a Dagster run may write a unit's windows where everybody reads them: only the owner's run may."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dagster_defs.errors import NotOwner
from dagster_defs.lifecycle.ledger import Entry, UnitHistory
from dagster_defs.lifecycle.units import Owner, Stage, Unit, UnitState
from dagster_defs.windows import Window


@dataclass(frozen=True, slots=True)
class Asking:
    """A run that is about to write `windows`, side by side.

    `proxied_by`: the Airflow task whose proxy has launched it, if one has. `backfill`: the ledger's entry that it
    names, if it names one.
    """

    windows: Sequence[Window]
    keys: tuple[str, str]
    proxied_by: Unit | None = None
    backfill: str = ""


def refuse_foreign_run(state: UnitState, history: UnitHistory, asking: Asking) -> None:
    """Raises NotOwner, with the command that would make it legal, unless the run is the owner's.

    A unit that is retired is Dagster's. Before that a run writes for Airflow's task, which waits for it, or because
    the ledger says that somebody wanted these windows.
    """
    unit = str(state.unit)
    if asking.proxied_by is not None and asking.proxied_by != state.unit:
        raise NotOwner(unit, f"the proxy of {asking.proxied_by} has launched it", "Run the unit's own job")
    if state.stage is Stage.RETIRED:
        if asking.proxied_by is not None:
            raise NotOwner(
                unit,
                "it is retired: Dagster starts its windows, and Airflow's task has started one too",
                f"Pause {state.unit.dag_id} in Airflow, or take it out of there",
            )
        return
    if asking.proxied_by is not None:
        # A run of before waits in a queue while its unit is rolled back; the rollback waits for it.
        under_way = history.open is not None and history.open.backwards
        if state.owner is Owner.DAGSTER or under_way:
            return
        raise NotOwner(
            unit, f"it is {state.stage}, and Airflow's own again", "Clear the task: Airflow runs it itself"
        )
    if state.owner is Owner.AIRFLOW:
        first = f"Shadow it, then cut it over: parity shadow {unit} --apply"
        remedy = first if state.stage is Stage.OBSERVED else f"Cut it over: parity cutover {unit} --apply"
        raise NotOwner(
            unit,
            f"it is {state.stage}: its windows are Airflow's",
            f"{remedy}. What is below shadow/ can be materialized at any time",
        )
    if not any(_lets(entry, asking) for entry in history.backfills):
        first, last = asking.keys
        raise NotOwner(
            unit,
            "it is cut over: Airflow's task starts its runs, and did not start this one",
            f"Clear the task in Airflow, or say which windows you want: parity backfill {unit} --from {first} --to "
            f"{last} --apply",
        )


def _lets(entry: Entry, asking: Asking) -> bool:
    if entry.id != asking.backfill or entry.from_ is None or entry.until is None:
        return False
    return entry.from_ <= asking.windows[0].start and asking.windows[-1].end <= entry.until
