"""A unit whose runs in Airflow have become about something else than its mirror's: what was proved no longer counts."""

from __future__ import annotations

from dagster_defs.inventory.document import Dag
from dagster_defs.lifecycle.agreement import Agreement, Facet
from dagster_defs.windows import OccasionKind

__all__ = ["other_occasions"]

_REMEDIES = {
    OccasionKind.PARTITION: "Name a timetable with data intervals in the DAG file, or leave the unit in Airflow",
    OccasionKind.EVENT: "Run parity scaffold on this inventory",
}
_SCAFFOLD = (
    "Run parity scaffold on this inventory, or name the timetable that the mirror stands for in the DAG file"
)


def other_occasions(dag: Dag, mirrored: OccasionKind, schedule: str) -> Facet | None:
    """A difference if Airflow's runs are for partition keys, which no mirror has, or if one side's runs are about ticks
    and the other's are not; None for all other runs.

    `mirrored`: what the runs of the mirror are about. Its `schedule` is for the message.
    """
    occasion = dag.schedule.occasion
    if occasion is None or occasion is mirrored:
        return None
    if OccasionKind.PARTITION is not occasion and OccasionKind.TICK not in (occasion, mirrored):
        return None
    detail = (
        f"Airflow's runs are about {occasion.in_words}, the mirror's about {mirrored.in_words}: what was proved of the "
        f"mirror says nothing about them. {_REMEDIES.get(occasion, _SCAFFOLD)}"
    )
    in_airflow = f"{dag.schedule.in_words} in {dag.schedule.timezone}"
    runs = len(dag.windows) or len(dag.partitions)
    return Facet("windows", Agreement.DIFFERS, in_airflow, schedule, detail, runs)
