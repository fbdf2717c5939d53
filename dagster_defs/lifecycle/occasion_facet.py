"""A unit whose runs in Airflow have become about something else than its mirror's: what was proved no longer counts."""

from __future__ import annotations

from dagster_defs.inventory.document import Dag
from dagster_defs.lifecycle.agreement import Agreement, Facet
from dagster_defs.windows import OccasionKind

__all__ = ["other_occasions"]

_WITHOUT_A_MIRROR = (OccasionKind.TICK, OccasionKind.PARTITION)


def other_occasions(dag: Dag, mirrored: OccasionKind, schedule: str) -> Facet | None:
    """A difference if Airflow's runs are ticks or for partition keys, which no mirror has; None for all other runs.

    `mirrored`: what the runs of the mirror are about. Its `schedule` is for the message.
    """
    occasion = dag.schedule.occasion
    if occasion not in _WITHOUT_A_MIRROR:
        return None
    detail = (
        f"Airflow's runs are about {occasion.in_words}, the mirror's about {mirrored.in_words}: what was proved of the "
        "mirror says nothing about them. Name a timetable with data intervals in the DAG file, or leave the unit in "
        "Airflow"
    )
    in_airflow = f"{dag.schedule.in_words} in {dag.schedule.timezone}"
    runs = len(dag.windows) or len(dag.partitions)
    return Facet("windows", Agreement.DIFFERS, in_airflow, schedule, detail, runs)
