"""What the DAG of `parity doctor` has found on a worker of Airflow's, held against the record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dagster_defs.lifecycle.diagnosis import Finding, Health, Skew, of_clock
from dagster_defs.lifecycle.units import Unit
from dagster_defs.lifecycle.versions import why_apart

SCHEMA = "parity/doctor-look/1"
SHOWN = 3  # units that a line names


@dataclass(frozen=True, slots=True)
class Told:
    """What a task would be told about its windows. `problem`: why it would be told nothing."""

    proxied: bool = False
    position: str = ""
    problem: str = ""

    @property
    def in_words(self) -> str:
        if self.problem:
            return self.problem
        by = f"position {self.position}" if self.position else "no position"
        return f"{'Dagster' if self.proxied else 'Airflow'}, by {by}"


@dataclass(frozen=True, slots=True)
class Look:
    """`dagster`: where the worker has Dagster, and why it does not reach it."""

    host: str
    version: str
    at: datetime
    channel: str
    folder: str
    owners: Mapping[Unit, Told]
    dagster: str
    unreachable: str
    skew: Skew | None
    task: str = field(default="look")

    @classmethod
    def parse(cls, document: Any, task: str) -> Look:
        """Raises ValueError for anything but such a look."""
        try:
            if document["schema"] != SCHEMA:
                raise ValueError(f"it is {document['schema']!r}, not {SCHEMA!r}")
            dagster = document["dagster"]
            owners = {
                Unit(str(row["dag"]), str(row["task"])): Told(
                    bool(row.get("proxied")), str(row.get("position", "")), str(row.get("problem", ""))
                )
                for row in document["owners"]
            }
            return cls(
                str(document["host"]),
                str(document["version"]),
                datetime.fromisoformat(document["at"]),
                str(document["channel"]),
                str(document["folder"]),
                owners,
                str(dagster.get("url", "")),
                str(dagster["problem"]),
                Skew(float(dagster["ahead"]), float(dagster["give"])) if "ahead" in dagster else None,
                task,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"it lacks {error}") from error


def of_look(
    look: Look, record: Mapping[Unit, Told], last_move: datetime | None, own: str | None, where: str
) -> Iterator[Finding]:
    """`record`: the marks on record. `last_move`: when the ledger last changed. `own`: this half's version. `where`:
    which Airflow, for the checks' names."""
    worker = f"Airflow's worker {look.host} ({look.task})"
    yield _of_marks(look, record, last_move, f"worker.marks{where}", worker)
    yield _of_version(look, own, f"worker.version{where}", worker)
    check = f"worker.dagster{where}"
    if look.unreachable:
        remedy = "Set DAGSTER_URL or the connection dagster_default where Airflow's workers run"
        yield Finding(check, Health.FAILED, f"{worker} does not reach Dagster: {look.unreachable}", remedy)
        return
    yield Finding(check, Health.OK, f"{worker} reaches Dagster at {look.dagster}")
    if look.skew is None:
        yield of_clock(f"worker.clock{where}", f"{worker}: Dagster's", None)
        return
    found = of_clock(f"worker.clock{where}", "Dagster's", look.skew)
    said = f"for {worker}, Dagster's clock is {look.skew} its own"
    yield Finding(found.check, found.health, said, found.remedy)


def _of_marks(
    look: Look, record: Mapping[Unit, Told], last_move: datetime | None, check: str, worker: str
) -> Finding:
    by = f"the channel {look.channel}" + (f" in {look.folder}" if look.folder else "")
    apart = [
        f"of {unit} it is told {told.in_words}; on record is {known.in_words}"
        for unit, known in sorted(record.items())
        if (told := look.owners.get(unit)) is not None
        and (told.problem or (told.proxied, told.position) != (known.proxied, known.position))
    ]
    unasked = [str(unit) for unit in sorted(record) if unit not in look.owners]
    is_old = last_move is not None and look.at < last_move
    again = "Look again: parity doctor --look"
    if is_old or unasked:
        why = "before the last move" if is_old else f"and was not asked for {_some(unasked)}"
        return Finding(
            check, Health.NOT_KNOWN, f"{worker} looked at {look.at:%Y-%m-%d %H:%M} UTC, {why}", again
        )
    if apart:
        remedy = (
            "Give Airflow's workers the folder or the PARITY_CHANNEL that moves write; if theirs is only old: "
            "parity resume <unit>"
        )
        return Finding(check, Health.FAILED, f"{worker} reads {by}: {_some(apart)}", remedy)
    marks = (
        f"{len(record)} marks as they are on record" if record else "nothing, as there is no mark on record"
    )
    return Finding(check, Health.OK, f"{worker} reads {marks}, by {by}")


def _of_version(look: Look, own: str | None, check: str, worker: str) -> Finding:
    apart = why_apart(own, look.version)
    if apart:
        why, _, remedy = apart.partition(": ")
        return Finding(check, Health.FAILED, why, remedy[:1].upper() + remedy[1:])
    return Finding(check, Health.OK, f"{worker} has version {look.version} of Airflow's half")


def _some(texts: list[str]) -> str:
    more = len(texts) - SHOWN
    return "; ".join(texts[:SHOWN]) + (f"; and {more} more" if more > 0 else "")
