"""Comparing what legacy and candidate produced: pure records, pure SQL, one verdict.

>>> check = compare(ComparisonSpec("daily", legacy, candidate, key=("day",)), reader)  # doctest: +SKIP
"""

from dagster_defs.parity.engine import SAMPLE_LIMIT, Reader, compare
from dagster_defs.parity.records import (
    NO_ZONES,
    PRECISIONS,
    Bound,
    Check,
    Column,
    ComparisonSpec,
    Dialect,
    Relation,
    Sample,
    SchemaChange,
    SchemaDifference,
    Side,
    SideCounts,
    Tolerance,
    ToleranceKind,
    Verdict,
    Zones,
)

__all__ = [
    "NO_ZONES",
    "PRECISIONS",
    "SAMPLE_LIMIT",
    "Bound",
    "Check",
    "Column",
    "ComparisonSpec",
    "Dialect",
    "Reader",
    "Relation",
    "Sample",
    "SchemaChange",
    "SchemaDifference",
    "Side",
    "SideCounts",
    "Tolerance",
    "ToleranceKind",
    "Verdict",
    "Zones",
    "compare",
]
