"""Whether a Dagster run may write a unit's windows to the production target: only the owner's run may."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dagster_defs.errors import NotOwner
from dagster_defs.lifecycle import tags
from dagster_defs.lifecycle.claims import (
    RunRecord,
    claimed_task,
    claims_proxy,
    why_not_the_backfills,
    why_not_the_proxys,
)
from dagster_defs.lifecycle.histories import Backfilled, UnitHistory, backfills_of
from dagster_defs.lifecycle.units import Owner, Stage, UnitState
from dagster_defs.windows import Moment, Occasion, Scheduled


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """A run that is about to write consecutive `windows`, or what one run of a DAG without a clock writes; `keys`: of
    the first and the last of them.

    `bounds`: the window that the run's tags name, None if they name none. `earlier`: runs created before it that carry
    its launch id, its task instance or its backfill, newest first. `position`: of the unit's mark on record, None for
    a mark that no move has set.
    """

    windows: Sequence[Moment]
    keys: tuple[str, str]
    run: RunRecord
    bounds: Scheduled | None = None
    earlier: Sequence[RunRecord] = ()
    position: int | None = None


def refuse_foreign_run(state: UnitState, history: UnitHistory, request: WriteRequest) -> None:
    """Raises NotOwner, with the command that would make it legal, unless the run is the owner's.

    A retired unit is Dagster's. Before that, a run may write for an Airflow task that waits for it, or because the
    ledger records that somebody requested these windows.
    """
    unit, is_claimed, task = str(state.unit), claims_proxy(request.run), claimed_task(request.run)
    if task is not None and task != state.unit:
        raise NotOwner(unit, f"the proxy of {task} has launched it", "Run the unit's own job")
    if state.stage is Stage.RETIRED:
        _refuse_beside_dagster(state, request)
        return
    # An earlier run may wait in a queue while its unit is rolled back; the rollback waits for it.
    under_way = is_claimed and history.open is not None and history.open.backwards
    if state.owner is Owner.AIRFLOW and not under_way:
        raise NotOwner(unit, *_airflows(state, is_claimed=is_claimed))
    if is_claimed:
        of_event = isinstance(request.windows[0], Occasion)
        flaw = why_not_the_proxys(state.unit, request.run, request.earlier, of_event=of_event)
        flaw = flaw or _why_another_window(request)
        if not flaw and not under_way:
            _refuse_stale_mark(unit, request)
        if flaw:
            raise NotOwner(
                unit, f"it claims that Airflow's task has started it, but {flaw}", _again(request, unit)
            )
        return
    _refuse_without_backfill(state, history, request)


def _refuse_beside_dagster(state: UnitState, request: WriteRequest) -> None:
    if not claims_proxy(request.run):
        return
    unit = str(state.unit)
    if request.run.parent:
        raise NotOwner(
            unit,
            f"it is retired, and this run re-executes {request.run.parent}, which Airflow had started",
            f"Materialize the partition again with the job {state.unit.identifier}",
        )
    raise NotOwner(
        unit,
        "it is retired: Dagster starts its windows, but Airflow's task has started one too",
        f"Pause {state.unit.dag_id} in Airflow, or remove it there",
    )


def _airflows(state: UnitState, *, is_claimed: bool) -> tuple[str, str]:
    """The reason and the remedy."""
    if is_claimed:
        return (
            f"it is {state.stage}, and Airflow owns it again",
            "Clear the task: Airflow then runs it itself",
        )
    first = f"Shadow it, then cut it over: parity shadow {state.unit} --apply"
    remedy = first if state.stage is Stage.OBSERVED else f"Cut it over: parity cutover {state.unit} --apply"
    return (
        f"it is {state.stage}: its windows are Airflow's",
        f"{remedy}. The assets below shadow/ can be materialized at any time",
    )


def _why_another_window(request: WriteRequest) -> str:
    """The proxy's run is for one partition, whose window its tags name, or for one run of Airflow's."""
    first, last = request.keys
    if isinstance(request.windows[0], Occasion):
        named = request.run.tags.get(tags.AIRFLOW_RUN, "")
        return "" if named == first else f"it is about {first}, and Airflow's run is {named or 'not named'}"
    if first != last or request.run.tags[tags.PARTITION] != first:
        return f"it writes {first} … {last}"
    if list(request.windows) != [request.bounds]:
        return f"it names the window {request.bounds} and writes {request.windows[0]}"
    return ""


def _refuse_stale_mark(unit: str, request: WriteRequest) -> None:
    """Fencing: the task has obeyed a mark, and only the one on record counts."""
    obeyed, recorded = request.run.tags.get(tags.POSITION, ""), request.position
    if obeyed == ("" if recorded is None else str(recorded)):
        return
    known = f"that of position {recorded}" if recorded is not None else "one that no move has set"
    if obeyed:
        why = f"Airflow's task has obeyed the mark of position {obeyed}, and on record is {known}"
        raise NotOwner(unit, why, f"Bring Airflow's marks up to date: parity resume {unit}")
    raise NotOwner(
        unit,
        f"Airflow's task does not say which mark it has obeyed, and on record is {known}",
        f"Update airflow-parity-handover where Airflow runs, or bring its marks up to date: parity resume {unit}",
    )


def _refuse_without_backfill(state: UnitState, history: UnitHistory, request: WriteRequest) -> None:
    unit, named = str(state.unit), request.run.tags.get(tags.BACKFILL, "")
    backfill = next((each for each in backfills_of(history) if each.id == named), None)
    why = "it is cut over: Airflow's task starts its runs, but did not start this one"
    if backfill is None:
        raise NotOwner(unit, why, _again(request, unit))
    flaw = why_not_the_backfills(state.unit, request.run, request.earlier)
    if not flaw and not _is_about(backfill, request):
        flaw = "that backfill is about other windows"
    if flaw:
        raise NotOwner(unit, f"{why}; it names the backfill {named}, but {flaw}", _again(request, unit))


def _is_about(backfill: Backfilled, request: WriteRequest) -> bool:
    first, last = request.windows[0], request.windows[-1]
    if isinstance(first, Occasion) or isinstance(last, Occasion):
        return False
    return (backfill.start, backfill.end) == (first.start, last.end)


def _again(request: WriteRequest, unit: str) -> str:
    first, last = request.keys
    if isinstance(request.windows[0], Occasion):
        return "Trigger the DAG in Airflow, or clear the task there"
    return (
        f"Clear the task in Airflow, or request the windows: parity backfill {unit} --from {first} --to "
        f"{last} --apply"
    )
