"""A ledger in which Dagster owns units, so that tests may run their legacy side without an Airflow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from dagster_defs.adapters.store.ledger import NAME, Ledger
from dagster_defs.lifecycle import Stage, Unit
from dagster_defs.lifecycle.ledger import Begin, Entry, Kind
from dagster_defs.lifecycle.stages import NEXT, TRANSITIONS

LONG_AGO = datetime(2024, 1, 1, tzinfo=timezone.utc)


def entries_to(unit: Unit, stage: Stage, at: datetime = LONG_AGO) -> Iterator[Entry]:
    """The moves that brought a unit there, one after the other."""
    now = Stage.OBSERVED
    while now is not stage:
        move = NEXT[now]
        intent = Entry(f"{move}-{unit}", at, "ada@ops", unit, move, Kind.INTENDED, now)
        yield intent
        now = TRANSITIONS[now, move]
        yield replace(intent, kind=Kind.DONE, windows=Begin(at) if now is Stage.RETIRED else None)


def bring_to(folder: Path, unit: Unit, stage: Stage) -> Path:
    """Append them to the folder's ledger, unless the unit is already in it."""
    if not Ledger(folder).history(unit).entries:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / NAME).open("a") as file:
            file.writelines(f"{json.dumps(entry.as_json())}\n" for entry in entries_to(unit, stage))
    return folder
