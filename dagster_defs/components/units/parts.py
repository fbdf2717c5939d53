"""What one mirror adds to the definitions."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import dagster as dg

from dagster_defs.parity import Side


class UnitParts(NamedTuple):
    """What one mirror defines; `comparing` is empty if it has nothing to compare."""

    sides: Mapping[Side, dg.AssetsDefinition]
    external: Sequence[dg.AssetSpec]
    jobs: Mapping[Side, Any]
    comparing: Sequence[Any]
