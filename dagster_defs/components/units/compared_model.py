"""One model in a mirror's YAML: what identifies its rows, and what may differ."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import dagster as dg

from dagster_defs.components.compare.terms import TimeTerms


@dataclass
class ComparedModel(TimeTerms):
    """How one model is compared: what identifies its rows, and what may differ."""

    name: Annotated[
        str,
        dg.Resolver.default(
            description=(
                "Name of the dbt model: `orders` (for a versioned model, every version that has no entry of its own), "
                "`orders.v1`, `shop.orders` with its package, or its unique id."
            )
        ),
    ]
    key: Annotated[
        Sequence[str],
        dg.Resolver.default(description="Columns that identify a row; without them, rows are a multiset."),
    ] = field(default_factory=list)
