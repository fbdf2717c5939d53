"""Dependencies between assets with different windows: a window depends on the windows that it overlaps.

Dagster's own mapping rejects two time zones, takes its own boundaries for Airflow's, and considers windows that begin
later or have not ended yet as missing. A web server or daemon without our code sees our mapping as the Dagster mapping
that it derives from: the same overlap within one zone, and everything upstream across zones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from dagster import (
    AllPartitionMapping,
    PartitionMapping,
    PartitionsDefinition,
    TimeWindowPartitionMapping,
)
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.definitions.partitions.mapping import UpstreamPartitionsResult
from dagster._core.definitions.partitions.subset import PartitionsSubset
from dagster._utils.warnings import disable_dagster_warnings
from dagster_shared.serdes.serdes import _WHITELIST_MAP
from typing_extensions import Self

from dagster_defs.errors import ParityError
from dagster_defs.windows import Partitions, Scheduled, Tick, Window

if TYPE_CHECKING:
    from dagster._core.instance import DynamicPartitionsStore

__all__ = ["overlap_mapping"]


def overlap_mapping(downstream: Partitions[Scheduled], upstream: Partitions[Scheduled]) -> PartitionMapping:
    """Each of `downstream`'s windows on those of `upstream`'s that it overlaps."""
    kind = _InOneZone if downstream.zone == upstream.zone else _AcrossZones
    return kind.between(downstream, upstream)


class _Overlap:
    """What both mappings below do, whatever Dagster sees them as elsewhere."""

    downstream: Partitions[Scheduled]
    upstream: Partitions[Scheduled]

    @classmethod
    def between(cls, downstream: Partitions[Scheduled], upstream: Partitions[Scheduled]) -> Self:
        with disable_dagster_warnings():  # one of the options is a beta feature
            made = cls._bare()
        made.downstream, made.upstream = downstream, upstream
        return made

    @classmethod
    def _bare(cls) -> Self:
        return cls()

    def __eq__(self, other: object) -> bool:  # the base class's is that of an empty tuple
        return self is other

    def __hash__(self) -> int:
        return id(self)

    @property
    def description(self) -> str:
        return (
            "Each window depends on the upstream windows that it overlaps, a tick on those that it lies in."
        )

    def validate_partition_mapping(self, *definitions: Any) -> None:
        """Nothing to check: both definitions come from the schedules that it was made from."""

    def get_upstream_mapped_partitions_result_for_partitions(
        self,
        downstream_partitions_subset: PartitionsSubset | None,
        downstream_partitions_def: PartitionsDefinition | None,
        upstream_partitions_def: PartitionsDefinition,
        current_time: datetime | None = None,
        dynamic_partitions_store: DynamicPartitionsStore | None = None,
    ) -> UpstreamPartitionsResult:
        """Airflow waits for nothing upstream, so no missing partition is required."""
        with partition_loading_context(current_time, dynamic_partitions_store):
            overlapping = _mapped(
                downstream_partitions_subset,
                downstream_partitions_def,
                self.downstream,
                upstream_partitions_def,
                self.upstream,
            )
            return UpstreamPartitionsResult(
                partitions_subset=overlapping,
                required_but_nonexistent_subset=upstream_partitions_def.empty_subset(),
            )

    def get_downstream_partitions_for_partitions(
        self,
        upstream_partitions_subset: PartitionsSubset,
        upstream_partitions_def: PartitionsDefinition,
        downstream_partitions_def: PartitionsDefinition | None,
        current_time: datetime | None = None,
        dynamic_partitions_store: DynamicPartitionsStore | None = None,
    ) -> PartitionsSubset:
        with partition_loading_context(current_time, dynamic_partitions_store):
            return _mapped(
                upstream_partitions_subset,
                upstream_partitions_def,
                self.upstream,
                cast("PartitionsDefinition", downstream_partitions_def),
                self.downstream,
            )


class _InOneZone(_Overlap, TimeWindowPartitionMapping):
    @classmethod
    def _bare(cls) -> Self:
        return cls(allow_nonexistent_upstream_partitions=True)


class _AcrossZones(_Overlap, AllPartitionMapping):
    pass


# A snapshot of the code location names the base class, which every Dagster process knows.
for _ours, _read_as in ((_InOneZone, TimeWindowPartitionMapping), (_AcrossZones, AllPartitionMapping)):
    _WHITELIST_MAP.object_serializers[_ours.__name__] = _WHITELIST_MAP.object_serializers[_read_as.__name__]


def _mapped(
    subset: PartitionsSubset | None,
    own: PartitionsDefinition | None,
    from_: Partitions[Scheduled],
    other: PartitionsDefinition,
    to: Partitions[Scheduled],
) -> PartitionsSubset:
    """The partitions of `other` that overlap the subset's and exist by now."""
    if subset is None or own is None:
        return other.subset_with_all_partitions()
    mapped: dict[str, None] = {}
    for span in _spans(window for window in _windows(subset, own, from_)):
        mapped |= dict.fromkeys(to.keys_over(span))
    return other.subset_with_partition_keys([key for key in mapped if other.has_partition_key(key)])


def _windows(
    subset: PartitionsSubset, own: PartitionsDefinition, partitions: Partitions[Scheduled]
) -> Iterator[Scheduled]:
    for keys in subset.get_partition_key_ranges(own):
        try:
            yield from partitions.windows_between(keys.start, keys.end)
        except ParityError:  # Airflow is stuck at one of its keys
            for key in own.get_partition_keys_in_range(keys):
                with suppress(ParityError):
                    yield partitions.window_of(key)


def _spans(windows: Iterable[Scheduled]) -> Iterator[Scheduled]:
    """Merges windows that follow each other without a gap; between two ticks there is always one."""
    span: Window | None = None
    for window in sorted(windows, key=lambda each: each.start):
        if isinstance(window, Tick):
            yield window
            continue
        if span is not None and window.start <= span.end:
            span = Window(span.start, max(span.end, window.end))
            continue
        if span is not None:
            yield span
        span = window
    if span is not None:
        yield span
