"""Which dbt runs a unit."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import dagster as dg


@dataclass(frozen=True)
class DbtProgram(dg.Resolvable):
    """The dbt that parses the unit's project and runs it, on both sides."""

    executable: Annotated[
        str,
        dg.Resolver.default(
            description=(
                "The `dbt` of another environment, a wrapper, or another dbt altogether: a path, relative to the root "
                "of the Dagster project, or a name on PATH. By default, the dbt of Dagster's own environment runs in "
                "Dagster's process."
            ),
            examples=["../dbt-1.8/bin/dbt", "tools/dbt.sh", "dbtf"],
        ),
    ] = ""

    def named_from(self, root: Path) -> str:
        """The absolute path, or the name on PATH; empty for the dbt of this process."""
        return str(root / self.executable) if "/" in self.executable else self.executable


Dbt = Annotated[
    DbtProgram,
    dg.Resolver.default(description="Which dbt runs the unit.", examples=[{"executable": "tools/dbt.sh"}]),
]
