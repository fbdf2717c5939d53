"""What a unit waits for beside what its lineage says, as its YAML declares it."""

from collections.abc import Sequence
from typing import Annotated

import dagster as dg

Before = Annotated[
    Sequence[str],
    dg.Resolver.default(
        description="What must be made before it runs: keys of assets, or `dag_id/task_id` for whatever a unit makes."
    ),
]
