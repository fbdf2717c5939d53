"""The asset check `parity` on every compared shadow: a verdict for each window that a candidate run is about."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster_shared.utils.warnings import PreviewWarning

from dagster_defs.adapters.dagster.evidence import PARITY
from dagster_defs.components.compare.comparing import RunComparison
from dagster_defs.components.units.dbt_tests import LegacyTests
from dagster_defs.lifecycle import tags

if TYPE_CHECKING:
    from dagster_defs.components.units.unit import UnitComponent


@dataclass(frozen=True)
class Compared:
    """What a unit's candidate run compares: (legacy key, shadow key) by the name of the output.

    `tests` is None for a unit that runs no dbt. `reads`: legacy's assets that a candidate run reads in legacy, and
    whether every run that writes one writes all of it.
    """

    unit: "UnitComponent"
    keys: Mapping[str, tuple[dg.AssetKey, dg.AssetKey]]
    tests: LegacyTests | None = None
    reads: Mapping[dg.AssetKey, bool] = field(default_factory=dict)

    @property
    def specs(self) -> list[dg.AssetCheckSpec]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PreviewWarning)  # partitioned checks are new, and used on purpose
            return [
                dg.AssetCheckSpec(
                    PARITY,
                    asset=shadow,
                    description=f"The same rows as {legacy.to_user_string()}, window by window.",
                    partitions_def=self.unit.offered,
                    metadata={tags.UNIT: self.unit.unit, "parity/output": name},
                )
                for name, (legacy, shadow) in self.keys.items()
            ]

    @property
    def check_keys(self) -> list[dg.AssetCheckKey]:
        return [spec.key for spec in self.specs]

    def after(self, context: dg.AssetExecutionContext, build: Callable[[], Iterator[Any]]) -> Iterator[Any]:
        """Build, if anything but `parity` is selected, then compare what is selected of it.

        A build that failed is compared too, so that its window has a verdict; its error is raised afterwards.
        """
        failure: Exception | None = None
        built = bool(context.selected_asset_keys)
        if built or context.selected_asset_check_keys - set(self.check_keys):
            try:
                yield from build()
            except dg.RetryRequested:
                raise
            except Exception as error:
                failure = error
        wanted = [
            name for name, (_, shadow) in self.keys.items()
            if dg.AssetCheckKey(shadow, PARITY) in context.selected_asset_check_keys
        ]  # fmt: skip
        if wanted:
            yield from RunComparison(self, context, wanted, built, failure).events()
        if failure is not None:
            raise failure
