"""The units' stages when their definitions were loaded, for tags that Dagster's UI can filter by."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import Self

from dagster_defs.adapters.store.proxied_state import Marks
from dagster_defs.adapters.store.registry import store_reader
from dagster_defs.errors import ParityError
from dagster_defs.lifecycle import Unit, UnitState, state_of
from dagster_defs.lifecycle.histories import UnitHistory, Unmoved
from dagster_defs.settings import Settings


@dataclass(frozen=True)
class Standings:
    """The ledger and the marks of one load, or nothing if they cannot be read: definitions load all the same, and runs
    are refused."""

    record: tuple[Marks, Mapping[Unit, UnitHistory]] | None

    @classmethod
    def now(cls, root: Path) -> Self:
        """`root`: the Dagster project."""
        try:
            store = store_reader(Settings.from_process(root))
            return cls((store.marks(), store.read().histories()))
        except ParityError:
            return cls(None)

    def state(self, unit: Unit) -> UnitState | None:
        """None if it is unknown."""
        if self.record is None:
            return None
        marks, histories = self.record
        try:
            return state_of(unit, marks, recorded=histories.get(unit, Unmoved(unit)).stage)
        except ParityError:
            return None
