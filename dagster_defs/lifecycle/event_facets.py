"""Facets of a unit whose DAG has no clock: there are no windows to prove, only that neither side has any."""

from __future__ import annotations

from dagster_defs.inventory.document import Dag
from dagster_defs.inventory.schedules import event_of
from dagster_defs.inventory.triggers import addresses_in
from dagster_defs.lifecycle.agreement import Agreement, Facet
from dagster_defs.lifecycle.occasion_facet import other_occasions
from dagster_defs.lifecycle.starters import Starters
from dagster_defs.older_python import datetime_of
from dagster_defs.windows import EventKind, EventSchedule, Occasion, OccasionKind

_BY_CLOCK = EventKind.ONCE  # the exporter renders it as Airflow's scheduler would start it


def event_facet(dag: Dag, event: EventSchedule, starters: Starters | None = None) -> Facet:
    """Agrees if the same thing starts the DAG's runs in the inventory and in the mirror. Which tasks start them is not
    in the DAG's own part of the inventory."""
    in_airflow = f"{dag.schedule.text} in {dag.timezone}"
    mine = f"{event} in {event.timezone}"
    if other := other_occasions(dag, OccasionKind.EVENT, mine):
        return other
    theirs = event_of(dag)
    if theirs is None:
        detail = "a clock starts the DAG in Airflow, and its runs have windows: run parity scaffold on this inventory"
        return Facet("windows", Agreement.DIFFERS, in_airflow, mine, detail)
    if theirs is not event.kind:
        detail = f"in Airflow its runs are {theirs.in_words}, in the mirror {event.kind.in_words}"
        return Facet("windows", Agreement.DIFFERS, in_airflow, mine, detail)
    if dag.timezone != event.timezone:
        detail = f"the DAG's time zone is {dag.timezone}, the mirror's {event.timezone}"
        return Facet("windows", Agreement.DIFFERS, in_airflow, mine, detail)
    known = {*starters.condition.addresses} if starters and starters.condition else None
    if known is not None and (
        missing := [each for each in addresses_in(dag.schedule.condition) if each not in known]
    ):
        detail = f"{missing[0]} starts it in Airflow and is not in `triggered_by`: run parity scaffold again"
        return Facet("windows", Agreement.DIFFERS, in_airflow, mine, detail)
    return Facet(
        "windows",
        Agreement.AGREES,
        in_airflow,
        mine,
        "no clock on either side, so there are no windows to prove",
        0,
    )


def occasion_of(dag: Dag, event: EventSchedule | None, start: str, end: str) -> Occasion | None:
    """The run that the exporter rendered, as far as it has one: without a conf. None for a unit with windows."""
    return None if event is None or event_of(dag) is None else rendered_for(event, start, end)


def rendered_for(event: EventSchedule, start: str, end: str) -> Occasion:
    """The exporter's run of these bounds: started by hand, or by the scheduler for `@once`, at the start."""
    first, last = datetime_of(start), datetime_of(end)
    kind = "scheduled" if event.kind is _BY_CLOCK else "manual"
    by_hand = Occasion.by_hand(first, {})
    run_id = by_hand.run_id.replace("manual__", f"{kind}__", 1)
    return Occasion(run_id, by_hand.logical_date, by_hand.start, Occasion.by_hand(last, {}).end, kind)
