"""The units that alerts are about, with what a text about them needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from dagster_defs.adapters.dagster.api import address_of_run
from dagster_defs.adapters.files.legacy_code import LegacyFunction
from dagster_defs.adapters.store.registry import store_reader
from dagster_defs.adapters.store.seam import Contents
from dagster_defs.errors import ParityError
from dagster_defs.lifecycle import Stage, Unit, UnitState, state_of
from dagster_defs.lifecycle.alerts import Alert
from dagster_defs.lifecycle.callback_context import about_window, callback_context
from dagster_defs.lifecycle.histories import Histories, Unmoved
from dagster_defs.lifecycle.mirrors import Mirror
from dagster_defs.older_python import datetime_of
from dagster_defs.parity import Side
from dagster_defs.settings import Settings
from dagster_defs.windows import instant_text


@dataclass(frozen=True)
class Watched:
    """`by_step`: by the name of a unit's step in runs on the legacy side. `contents`: of the ledger."""

    settings: Settings
    mirrors: Mapping[Unit, Mirror]
    contents: Contents
    marked: Mapping[Unit, bool]
    histories: Histories = field(init=False)
    by_step: Mapping[str, Mirror] = field(init=False)

    def __post_init__(self) -> None:
        steps = {self.step(mirror): mirror for mirror in self.mirrors.values()}
        object.__setattr__(self, "by_step", steps)
        object.__setattr__(self, "histories", self.contents.histories())

    @staticmethod
    def step(mirror: Mirror) -> str:
        """The name of its step in a run on the legacy side."""
        return f"run__{mirror.job_name(Side.LEGACY)}"

    @classmethod
    def of(cls, settings: Settings, mirrors: Iterable[Mirror]) -> Watched:
        """Raises what reading the store raises."""
        store = store_reader(settings)
        own = {mirror.legacy_unit: mirror for mirror in mirrors}
        marks = store.marks()
        return cls(settings, own, store.read(), {unit: marks.honoured(unit) for unit in own})

    def state(self, unit: Unit) -> UnitState:
        try:
            recorded = self.histories.get(unit, Unmoved(unit)).stage
        except ParityError:  # its own entries are unreadable; Airflow follows the mark
            recorded = None
        return state_of(unit, {unit: self.marked.get(unit, False)}, recorded=recorded)

    def is_retired(self, dag_id: str) -> bool:
        """Whether Dagster starts its windows: all its units are retired, and there is one."""
        units = self.units_of(dag_id)
        return bool(units) and all(self.state(unit).stage is Stage.RETIRED for unit in units)

    def units_of(self, dag_id: str) -> Sequence[Unit]:
        return sorted(unit for unit in self.mirrors if unit.dag_id == dag_id)

    @property
    def dag_ids(self) -> Sequence[str]:
        return sorted({unit.dag_id for unit in self.mirrors})

    def owners(self, dag_id: str, task_id: str = "") -> tuple[str, ...]:
        """Of the unit, or of all units of the DAG."""
        units = self.units_of(dag_id)
        named = [self.mirrors[unit].owners for unit in units if not task_id or unit.task_id == task_id]
        return tuple(dict.fromkeys(owner for owners in named for owner in owners))

    def owner(self, dag_id: str, task_id: str = "") -> str:
        """Who owns the windows; of a DAG whose units differ, both."""
        units = [unit for unit in self.units_of(dag_id) if not task_id or unit.task_id == task_id]
        return " and ".join(sorted({self.state(unit).owner.value for unit in units}))

    def window(self, unit: Unit, partition: str) -> str:
        """In words; empty if the schedule has no such partition."""
        with suppress(ParityError, KeyError):
            window = self.mirrors[unit].partitions.window_of(partition)
            return between(window.start.isoformat(), window.end.isoformat())
        return ""

    def call(self, alert: Alert, path: str) -> None:
        """Call a function of the team as Airflow would have called it. Raises whatever it raises."""
        unit = Unit(alert.dag, alert.task)
        mirror = self.mirrors[unit]
        log = alert.link or alert.run_id
        context = callback_context(unit, alert.run_id, 1, log, RuntimeError(alert.reason))
        with suppress(ParityError):
            window = mirror.partitions.window_of(alert.partition)
            context.update(about_window(window.start, window.end, window.start))
        LegacyFunction(path, mirror.python_folder).call(context)

    def link(self, run_id: str) -> str:
        """Empty if nobody has said where Dagster answers."""
        url = self.settings.named_dagster_url
        return address_of_run(url, run_id) if url else ""


def between(start: str, end: str) -> str:
    """`[start, end)` in UTC, from two texts in ISO 8601; empty without them."""
    if not start or not end:
        return ""
    return f"[{instant_text(datetime_of(start))}, {instant_text(datetime_of(end))})"
