"""What `parity echoes` shows: who listens to which DAG, what Airflow was told, and what is outstanding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from dagster_defs.adapters.dagster.echo_tests import kept_echo_tests
from dagster_defs.adapters.dagster.event_log import instant
from dagster_defs.adapters.dagster.evidence import instance_at
from dagster_defs.adapters.dagster.runs import partition_bounds
from dagster_defs.adapters.dagster.sensor_cursors import cursors_of
from dagster_defs.errors import EventLogMissing, NoSuchUnit
from dagster_defs.lifecycle import tags
from dagster_defs.lifecycle.echo_place import ECHOES, EchoPlace, echo_places
from dagster_defs.lifecycle.echo_tests import DagEchoes, Told
from dagster_defs.settings import Settings
from dagster_defs.usecases.echoes.tell import is_told
from dagster_defs.usecases.move.facts import read_record

if TYPE_CHECKING:
    import dagster as dg

NEWEST = 20  # runs of each DAG that are listed


def read_echoes(settings: Settings, patterns: Sequence[str]) -> list[DagEchoes]:
    """Of these DAGs, by default all that are echoed or were tested. Raises EventLogMissing, NoSuchUnit, and what
    reading the record raises."""
    home = settings.dagster_home
    if home is None:
        raise EventLogMissing()
    known = sorted({unit.dag_id for unit in read_record(settings).units})
    for pattern in patterns:
        if not any(fnmatchcase(dag_id, pattern) for dag_id in known):
            raise NoSuchUnit(pattern, known)
    places, tests = places_at(home), kept_echo_tests(home, known)
    if patterns:
        wanted = [dag_id for dag_id in known if any(fnmatchcase(dag_id, pattern) for pattern in patterns)]
    else:
        wanted = [dag_id for dag_id in known if dag_id in places or dag_id in tests]
    found: list[DagEchoes] = []
    with instance_at(home) as instance:
        for dag_id in wanted:
            place, test = places.get(dag_id), tests.get(dag_id)
            seen = place or EchoPlace(
                heard_by=test.heard_by if test else (), refused=test.refused if test else {}
            )
            outstanding = sorted(seen.outstanding.values(), key=lambda each: each.ended)
            found.append(
                DagEchoes(
                    dag_id,
                    place is not None,
                    seen.heard_by,
                    seen.refused,
                    _told(instance, dag_id),
                    tuple(outstanding),
                    test,
                )
            )
    return found


def places_at(home: Path) -> Mapping[str, EchoPlace]:
    """By retired DAG, as the sensor has left it. Raises EvidenceUnreadable."""
    places: dict[str, EchoPlace] = {}
    for cursor in cursors_of(home, ECHOES):
        with suppress(ValueError, KeyError, TypeError, AttributeError):  # another sensor of that name
            places |= echo_places(cursor)
    return places


def _told(instance: dg.DagsterInstance, dag_id: str) -> tuple[Told, ...]:
    import dagster as dg

    records = instance.get_run_records(dg.RunsFilter(tags={tags.DAG: dag_id}), limit=NEWEST)
    return tuple(
        Told(
            (partition_bounds(record.dagster_run) or (record.dagster_run.run_id[:8],))[0],
            instant(record.end_time),
            record.dagster_run.tags[tags.ECHOED].partition(": ")[2],
        )
        for record in records
        if record.end_time is not None and is_told(record.dagster_run)
    )
