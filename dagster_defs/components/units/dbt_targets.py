"""The dbt targets of both sides, which the deployment sets."""

from dagster_defs.parity import Side
from dagster_defs.settings import Settings


def target_of(side: Side) -> str:
    """The dbt target that a side writes to; DuckDB by default."""
    settings = Settings.from_process()
    return settings.legacy_target if side is Side.LEGACY else settings.candidate_target
