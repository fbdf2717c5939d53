"""A column that is called otherwise on the other side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dagster_defs.parity import ComparisonSpec, Reader, Relation, SchemaChange, Side, Verdict, compare

Put = Callable[[Side, Mapping[str, str], Iterable[tuple[Any, ...]]], Relation]


def test_a_renamed_column_is_named_with_both_names(put: Put, reader: Reader) -> None:
    """A missing and an extra column of one type with the same values are one renamed column: a mismatch."""
    rows = [(1, "a", 7), (2, "b", 8), (3, None, 9)]
    legacy = put(Side.LEGACY, {"id": "INTEGER", "zone": "VARCHAR", "fare": "INTEGER"}, rows)
    columns = {"id": "INTEGER", "area": "VARCHAR", "price": "BIGINT"}
    check = compare(ComparisonSpec("r", legacy, put(Side.CANDIDATE, columns, rows), ("id",)), reader)
    assert [each.as_json() for each in check.schema_differences] == [
        {
            "kind": "renamed",
            "column": "zone",
            "legacy_type": "VARCHAR",
            "candidate_type": "VARCHAR",
            "candidate_column": "area",
        },
        {"kind": "missing", "column": "fare", "legacy_type": "INTEGER", "candidate_type": None},
        {"kind": "extra", "column": "price", "legacy_type": None, "candidate_type": "BIGINT"},
    ]
    assert check.verdict is Verdict.MISMATCH
    assert check.reason == (
        "column fare only in legacy; column price only in candidate; column zone is called area in candidate"
    )


def test_a_column_with_other_values_is_not_renamed(put: Put, reader: Reader) -> None:
    """One column is gone and another has come: that their types agree proves nothing."""
    legacy = put(Side.LEGACY, {"id": "INTEGER", "zone": "VARCHAR"}, [(1, "a"), (2, "b")])
    candidate = put(Side.CANDIDATE, {"id": "INTEGER", "area": "VARCHAR"}, [(1, "a"), (2, "c")])
    check = compare(ComparisonSpec("r", legacy, candidate, ("id",)), reader)
    assert [each.kind for each in check.schema_differences] == [SchemaChange.MISSING, SchemaChange.EXTRA]
