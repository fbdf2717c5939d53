"""What is said about the store of the record: how much it holds, how it was made and filled, what is wrong in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class HeldUnit:
    """A unit that a command is moving now; `since`: by the store's clock."""

    unit: str
    who: str
    since: str


@dataclass(frozen=True, slots=True)
class Figures:
    """`version`: the store's own words for its format. `position`: the newest entry's; 0 without entries. `held`: None
    if this kind of store cannot tell."""

    place: str
    version: str
    entries: int
    units: int
    marks: int
    position: int
    held: tuple[HeldUnit, ...] | None

    def as_json(self) -> Mapping[str, Any]:
        return {"schema": "parity/store/1", **asdict(self)}


@dataclass(frozen=True, slots=True)
class Made:
    """What `parity store init` found and left, as versions; `before` is empty if there was nothing."""

    place: str
    before: str
    after: str

    def as_json(self) -> Mapping[str, Any]:
        return {"schema": "parity/store-init/1", **asdict(self)}


@dataclass(frozen=True, slots=True)
class Imported:
    """`is_new`: False if the store held this very record already."""

    source: str
    place: str
    entries: int
    marks: int
    is_new: bool

    def as_json(self) -> Mapping[str, Any]:
        return {"schema": "parity/store-import/1", **asdict(self)}


@dataclass(frozen=True, slots=True)
class Drift:
    """`about`: a unit, a DAG, or `the store`."""

    about: str
    why: str


@dataclass(frozen=True, slots=True)
class StoreCheck:
    figures: Figures
    drifts: tuple[Drift, ...]

    def as_json(self) -> Mapping[str, Any]:
        figures = self.figures
        return {
            "schema": "parity/store-check/1",
            "place": figures.place,
            "entries": figures.entries,
            "units": figures.units,
            "marks": figures.marks,
            "drifts": [asdict(drift) for drift in self.drifts],
        }
