"""The asset check `parity` on every compared shadow: a verdict for each window of a candidate run."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import dagster as dg
from dagster_shared.utils.warnings import PreviewWarning

from dagster_defs.adapters.dagster.evidence import PARITY
from dagster_defs.components.units.dbt_tests import LegacyTests
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.lifecycle.mirrors import Mirror
from dagster_defs.windows import EventSchedule, Scheduled


class Maker(Protocol):
    """The mirror whose candidate run produces an asset."""

    @property
    def legacy_unit(self) -> Unit: ...

    @property
    def event(self) -> EventSchedule | None: ...

    def partitions_over(self, window: Scheduled) -> list[str]: ...


class ComparedUnit(Mirror, Protocol):
    """What a comparison needs from the compared unit, besides its windows and outputs. `root`: of the project."""

    unit: str
    root: Path

    @property
    def offered(self) -> dg.PartitionsDefinition | None: ...

    @property
    def also_written(self) -> frozenset[dg.AssetKey]: ...

    def maker_of(self, key: dg.AssetKey) -> Maker | None: ...


@dataclass(frozen=True)
class Compared:
    """What a unit's candidate run compares: (legacy key, shadow key) by the output's name.

    `tests` is None for a unit that runs no dbt. `reads`: the legacy assets that a candidate run reads in legacy, and
    whether each run that writes one rewrites all of it.
    """

    unit: ComparedUnit
    keys: Mapping[str, tuple[dg.AssetKey, dg.AssetKey]]
    tests: LegacyTests | None = None
    reads: Mapping[dg.AssetKey, bool] = field(default_factory=dict)

    @property
    def specs(self) -> list[dg.AssetCheckSpec]:
        each = "window by window" if self.unit.event is None else "run by run"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PreviewWarning)  # partitioned checks are new, and used on purpose
            return [
                dg.AssetCheckSpec(
                    PARITY,
                    asset=shadow,
                    description=f"The same rows as {legacy.to_user_string()}, {each}.",
                    partitions_def=self.unit.offered,
                    metadata={tags.UNIT: self.unit.unit, tags.OUTPUT: name},
                )
                for name, (legacy, shadow) in self.keys.items()
            ]

    @property
    def check_keys(self) -> list[dg.AssetCheckKey]:
        return [spec.key for spec in self.specs]
