"""The check before a run writes to the production target: is it the owner's run, and the only one?"""

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
from dagster_defs.adapters.store.registry import store_reader
from dagster_defs.components.runs.run_window import moments_of_run, window_of_tags
from dagster_defs.distribution import own_version
from dagster_defs.errors import NotOwner, ParityError, RunLives
from dagster_defs.lifecycle import Owner, Unit, state_of, tags
from dagster_defs.lifecycle.histories import Unmoved
from dagster_defs.lifecycle.ownership import WriteRequest, refuse_foreign_run
from dagster_defs.lifecycle.versions import why_apart
from dagster_defs.settings import Settings
from dagster_defs.windows import EventSchedule, Moment, Occasion, Times, name_of


def moments_to_write(
    context: dg.AssetExecutionContext, unit: Unit, times: Times, settings: Settings
) -> Sequence[Moment]:
    """The windows of a legacy-side run, in order, or its occasion, once it is certain that the run may write them.

    Raises NotOwner if it may not, RunLives if an earlier run of these windows has not ended, and what reading the
    ledger and the marks raises: without them the owner is unknown. A run of the unit's own job that is refused in its
    first try is tagged as refused: it has done nothing.
    """
    try:
        return _moments_to_write(context, unit, times, settings)
    except Exception as error:
        if context.retry_number == 0 and context.run.job_name == unit.identifier:
            context.instance.add_run_tags(context.run.run_id, {tags.REFUSED: type(error).__name__})
        raise


def _moments_to_write(
    context: dg.AssetExecutionContext, unit: Unit, times: Times, settings: Settings
) -> Sequence[Moment]:
    if is_forgotten(context.instance):
        why = "its Dagster instance is ephemeral and ends with the run, so nobody would see what it wrote"
        raise NotOwner(str(unit), why, "Run it in the instance of DAGSTER_HOME")
    if tags.AIRFLOW_TRY in context.run.tags and (
        apart := why_apart(own_version(), context.run.tags.get(tags.HANDOVER_VERSION))
    ):
        context.log.warning(apart)
    moments = moments_of_run(context, times)
    store = store_reader(settings)
    history, marks = store.history(unit), store.marks(unit.dag_id)
    marks.get(unit)  # even if the unit is retired: with a doubtful mark, Airflow's task runs its own operator
    state = state_of(unit, marks, recorded=history.stage)
    request = WriteRequest(
        moments,
        _keys(context, times, moments),
        record_of(context.run),
        window_of_tags(context.run.tags),
        related_before(context.instance, context.run),
        marks.position(unit),
    )
    refuse_foreign_run(state, history, request)
    _refuse_second_run(context, unit, times, moments)
    return moments


def _keys(context: dg.AssetExecutionContext, times: Times, moments: Sequence[Moment]) -> tuple[str, str]:
    if isinstance(times, EventSchedule):
        [name] = (name_of(times, moment) for moment in moments)
        return name, name
    keys = context.partition_key_range
    return keys.start, keys.end


def owned_by_dagster(units: Sequence[Unit], settings: Settings) -> frozenset[Unit]:
    """The units of one DAG that Dagster owns now; units whose owner is unknown are left out."""
    if not units:
        return frozenset()
    store = store_reader(settings)
    histories, marks = store.read().histories(), store.marks(units[0].dag_id)
    owned: set[Unit] = set()
    for unit in units:
        with suppress(ParityError):  # one unit's fault must not affect the others
            recorded = histories.get(unit, Unmoved(unit)).stage
            if state_of(unit, marks, recorded=recorded).owner is Owner.DAGSTER:
                owned.add(unit)
    return frozenset(owned)


def _refuse_second_run(
    context: dg.AssetExecutionContext, unit: Unit, times: Times, moments: Sequence[Moment]
) -> None:
    runs = list(live_writers(context.instance, context.assets_def.keys))
    own = next((place for place, run in runs if run.run_id == context.run.run_id), None)
    for place, run in reversed(runs):
        is_earlier = own is None or place < own  # a later run will see this one
        if run.run_id != context.run.run_id and is_earlier and _shares(run, times, moments):
            raise RunLives(f"windows of {unit}", run.run_id)


def _shares(run: dg.DagsterRun, times: Times, moments: Sequence[Moment]) -> bool:
    """Whether the run covers one of the windows; without windows, every run writes the same. A run whose keys are no
    longer windows of the unit fails on its own."""
    if isinstance(times, EventSchedule):
        return True
    bounds, windows = (
        partition_bounds(run),
        [moment for moment in moments if not isinstance(moment, Occasion)],
    )
    if bounds is None:
        return False
    try:
        first, last = (times.window_of(key) for key in bounds)
    except ParityError:
        return False
    if times.of_ticks:
        return first.start <= windows[-1].start and windows[0].start <= last.start
    return first.start < windows[-1].end and windows[0].start < last.end
