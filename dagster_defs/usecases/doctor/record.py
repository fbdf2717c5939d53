"""The store of the record, its locks and its clock, and the channel by which Airflow is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from dagster_defs.adapters.store.proxied_state import Marks
from dagster_defs.adapters.store.registry import open_store, store_reader
from dagster_defs.errors import ParityError, StoreMissing
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.diagnosis import Finding, Health, of_clock
from dagster_defs.lifecycle.worker_look import Told
from dagster_defs.settings import Settings


@dataclass(frozen=True)
class Recorded:
    """`marks`: those on record that are in no doubt. `last_move`: None if nothing was ever moved."""

    marks: Mapping[Unit, Told]
    last_move: datetime | None
    doubts: tuple[str, ...]


def read_for_doctor(settings: Settings) -> tuple[Recorded | None, str]:
    """The record, and why there is none."""
    try:
        store = store_reader(settings)
        entries, marks = store.read().entries, store.marks()
    except ParityError as error:
        return None, str(error)
    doubts = tuple(problem for problems in marks.problems.values() for problem in problems)
    return Recorded(_told(marks), entries[-1].at if entries else None, doubts), ""


def _told(marks: Marks) -> Mapping[Unit, Told]:
    told = {}
    for unit in marks:
        position = marks.position(unit)
        if not marks.doubt(unit):
            told[unit] = Told(marks.honoured(unit), "" if position is None else str(position))
    return told


def record_findings(settings: Settings, record: Recorded | None, problem: str) -> Iterator[Finding]:
    if record is None:
        yield Finding("store", Health.FAILED, problem, "Make it, or correct PARITY_STORE: parity store init")
        return
    reader = store_reader(settings)
    marks = len(record.marks)
    if record.doubts:
        yield Finding("store", Health.FAILED, "; ".join(record.doubts[:3]), "See: parity store check")
    else:
        yield Finding("store", Health.OK, f"the record at {reader.place} is read, with {marks} marks")
    yield from _tried(settings)
    yield _of_channel(settings)


def _tried(settings: Settings) -> Iterator[Finding]:
    check = "store.locks"
    try:
        skew = open_store(settings).probe()
    except StoreMissing as error:
        yield Finding(
            check, Health.NOT_KNOWN, str(error), "Nothing was moved yet; make it: parity store init"
        )
        return
    except ParityError as error:
        yield Finding(check, Health.FAILED, str(error), "Moves need it; a run only reads the store")
        return
    yield Finding(check, Health.OK, "the record can be written from here, and a lock excludes others")
    yield of_clock("store.clock", "the store's", skew)


def _of_channel(settings: Settings) -> Finding:
    check, channel = "channel", settings.channel or "file"
    try:
        told = store_reader(settings).marks_in_airflow()
        problems = [problem for each in told.problems.values() for problem in each]
    except ParityError as error:
        return Finding(check, Health.FAILED, str(error), "Correct PARITY_CHANNEL, or what it needs")
    if problems:
        remedy = "Put it right: parity resume <unit>"
        return Finding(check, Health.FAILED, f"the channel {channel}: {'; '.join(problems[:3])}", remedy)
    return Finding(check, Health.OK, f"by the channel {channel} Airflow is told what is on record")
