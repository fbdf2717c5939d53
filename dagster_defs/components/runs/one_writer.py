"""Before a run writes where everybody reads: is it the owner's, and is it the only one?"""

from collections.abc import Sequence
from contextlib import suppress

import dagster as dg

from dagster_defs.adapters.dagster.runs import (
    is_forgotten,
    live_writers,
    partition_bounds,
    record_of,
    related_before,
)
from dagster_defs.adapters.store.ledger import LedgerReader
from dagster_defs.adapters.store.proxied_state import read_marks
from dagster_defs.components.runs.run_window import window_of_tags, windows_of_run
from dagster_defs.errors import NotOwner, ParityError, RunLives
from dagster_defs.lifecycle import Owner, Unit, state_of, tags
from dagster_defs.lifecycle.ledger import UnitHistory
from dagster_defs.lifecycle.ownership import WriteRequest, refuse_foreign_run
from dagster_defs.settings import Settings
from dagster_defs.windows import PartitionedSchedule, Window


def windows_to_write(
    context: dg.AssetExecutionContext, unit: Unit, partitions: PartitionedSchedule
) -> list[Window]:
    """The windows of a legacy-side run, in order, once it is sure that the run may write them.

    Raises NotOwner if it may not, RunLives if an earlier run of these windows has not ended, and what reading the
    ledger and the marks raises: without them nobody knows who the owner is. A run of the unit's own job that is
    refused in its first try says so in its tags from then on: it has done nothing.
    """
    try:
        return _windows_to_write(context, unit, partitions)
    except Exception as error:
        if context.retry_number == 0 and context.run.job_name == unit.identifier:
            context.instance.add_run_tags(context.run.run_id, {tags.REFUSED: type(error).__name__})
        raise


def _windows_to_write(
    context: dg.AssetExecutionContext, unit: Unit, partitions: PartitionedSchedule
) -> list[Window]:
    if is_forgotten(context.instance):
        why = "what it does is recorded in a Dagster instance that ends with it, so nobody would see what it wrote"
        raise NotOwner(str(unit), why, "Run it in the instance of DAGSTER_HOME")
    windows, keys = windows_of_run(context, partitions), context.partition_key_range
    folder = Settings.from_process().proxied_state
    history = LedgerReader(folder).history(unit)
    marks = read_marks(folder, unit.dag_id)
    marks.get(unit)  # also of a retired unit: with a mark in doubt its task in Airflow is its own operator
    state = state_of(unit, marks, recorded=history.stage)
    request = WriteRequest(
        windows,
        (keys.start, keys.end),
        record_of(context.run),
        window_of_tags(context.run.tags),
        related_before(context.instance, context.run),
    )
    refuse_foreign_run(state, history, request)
    _refuse_second_run(context, unit, partitions, windows)
    return windows


def owned_by_dagster(units: Sequence[Unit]) -> frozenset[Unit]:
    """Those of the units, of one DAG, that Dagster owns now; without those of which nobody can tell."""
    if not units:
        return frozenset()
    folder = Settings.from_process().proxied_state
    histories, marks = LedgerReader(folder).read().histories(), read_marks(folder, units[0].dag_id)
    found: set[Unit] = set()
    for unit in units:
        with suppress(ParityError):  # one unit's fault is one unit's
            recorded = histories.get(unit, UnitHistory(unit)).stage
            if state_of(unit, marks, recorded=recorded).owner is Owner.DAGSTER:
                found.add(unit)
    return frozenset(found)


def _refuse_second_run(
    context: dg.AssetExecutionContext, unit: Unit, partitions: PartitionedSchedule, windows: Sequence[Window]
) -> None:
    runs = list(live_writers(context.instance, context.assets_def.keys))
    own = next((place for place, run in runs if run.run_id == context.run.run_id), None)
    for place, run in reversed(runs):
        is_earlier = own is None or place < own  # what comes after it will see this one
        if run.run_id != context.run.run_id and is_earlier and _shares(run, partitions, windows):
            raise RunLives(f"windows of {unit}", run.run_id)


def _shares(run: dg.DagsterRun, partitions: PartitionedSchedule, windows: Sequence[Window]) -> bool:
    """Whether the run is about one of the windows. One whose keys are no windows of the unit any more fails by
    itself."""
    bounds = partition_bounds(run)
    if bounds is None:
        return False
    try:
        first, last = (partitions.window_of(key) for key in bounds)
    except ParityError:
        return False
    return first.start < windows[-1].end and windows[0].start < last.end
