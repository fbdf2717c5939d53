"""The statements as they are sent, in files: a change of one is seen in a review.

`GOLDEN=write pytest tests/parity/test_statements.py` writes them anew.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

from dagster_defs.parity import (
    Column,
    ComparisonSpec,
    Dialect,
    Relation,
    Side,
    Tolerance,
    ToleranceKind,
    compare,
)

GOLDEN = Path(__file__).parent / "golden"
NOON = datetime(2024, 3, 12, 12, tzinfo=timezone(timedelta(hours=-4)))
DAY = {"time_column": "picked up", "lower": "2024-03-10", "upper": "2024-03-11"}
TOLERANCES = (
    Tolerance("fare", ToleranceKind.ABSOLUTE, Decimal("0.01"), "rounded", date(2024, 12, 31)),
    Tolerance("tip", ToleranceKind.RELATIVE, Decimal("0.015"), "rounded"),
    Tolerance("loaded", ToleranceKind.IGNORED, reason="of the load"),
    Tolerance("picked up", ToleranceKind.TIMESTAMP_PRECISION, "second", "cut by legacy"),
)
SPECS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "key and window": (("id", "picked up", "zone"), {"key": ("id",), **DAY}),
    "no key": (('fa"re', "extra"), {"masked": ('fa"re',)}),
    "tolerances": (
        ("id", "picked up", "fare", "tip", "loaded"),
        {"key": ("id",), **DAY, "tolerances": TOLERANCES},
    ),
}
WIDE = {"wide", "wide, no key"}
SPECS |= {
    "wide": (
        ("id", "picked up", "fare", "tip", "zone", "loaded", "extra"),
        {"key": ("id",), **DAY, "tolerances": TOLERANCES[2:3]},
    ),
    "wide, no key": (("id", "fare", "zone", "extra"), {"masked": ("zone",)}),
}
COLUMNS = {
    Dialect.DUCKDB: {
        "id": ("BIGINT", "INTEGER"),
        "picked up": ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE"),
        'fa"re': ("DOUBLE", "DOUBLE"),
        "fare": ("DECIMAL(9,2)", "DOUBLE"),
        "tip": ("DECIMAL(9,2)", "DECIMAL(12,4)"),
        "zone": ("VARCHAR", "ENUM('a', 'b')"),
        "loaded": ("DATE", "DATE"),
        "extra": ("STRUCT(a JSON, b INTEGER[])", "STRUCT(b BIGINT[], a JSON)"),
    },
    Dialect.SNOWFLAKE: {
        "id": ("NUMBER(38,0)", "NUMBER(18,0)"),
        "picked up": ("TIMESTAMP_NTZ(9)", "TIMESTAMP_LTZ(9)"),
        'fa"re': ("FLOAT", "FLOAT"),
        "fare": ("NUMBER(9,2)", "FLOAT"),
        "tip": ("NUMBER(9,2)", "NUMBER(12,4)"),
        "zone": ("VARCHAR(16777216)", "VARCHAR(10)"),
        "loaded": ("DATE", "DATE"),
        "extra": ("VARIANT", "OBJECT"),
    },
    Dialect.POSTGRES: {
        "id": ("bigint", "integer"),
        "picked up": ("timestamp without time zone", "timestamp with time zone"),
        'fa"re': ("double precision", "double precision"),
        "fare": ("numeric(9,2)", "double precision"),
        "tip": ("numeric(9,2)", "numeric(12,4)"),
        "zone": ("text", "character varying(10)"),
        "loaded": ("date", "date"),
        "extra": ("jsonb", "jsonb"),
    },
}


class Recorder:
    """Keeps the statements and answers each as if one bucket of two differed."""

    def __init__(self, dialect: Dialect, names: Sequence[str]) -> None:
        self.dialect, self.names = dialect, names
        self.statements: list[str] = []

    def columns(self, relation: Relation) -> list[Column] | None:
        position = list(Side).index(Side(relation.catalog))
        return [Column(name, COLUMNS[self.dialect][name][position]) for name in self.names]

    def rows(self, statement: str) -> list[dict[str, Any]]:
        self.statements.append(statement)
        if '"row_sum"' in statement:
            digests = [(0, 475_008, 1), (1, 475_008, 1), (0, 475_009, 2), (1, 475_009, 3)]
            return [
                {"side": side, "bucket": bucket, "rows": 9, "row_sum": total}
                for side, bucket, total in digests
            ]
        if '"hashed_rows"' in statement:  # the values of samples
            return [{"row": 7} | {f"{what}_{index}": "x" for what in ("text", "hash") for index in range(9)}]
        if '"digest_' in statement and '"counts"' not in statement:
            return [{f"digest_{index}": len(self.statements) for index in range(9)}]
        # Of 18 rows. Where a key is repeated, rows are put against each other in order.
        keys = 17 if "fare" in self.names and "extra" not in self.names else 18
        counts: dict[str, Any] = dict.fromkeys(
            ("first", "only_in_legacy", "only_in_candidate", "modified"), 1
        )
        sample = {"kind": "only_in_legacy", "copies": 1, "legacy_row": 7, "candidate_row": None}
        changed = {f"changed_{index}": 1 for index in range(9)}
        counts |= {**sample, **changed} if '"legacy_row"' in statement else {}
        return [counts | {"last": 99_999, "keys": keys}]


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize("name", SPECS)
def test_statements_are_those_on_file(name: str, dialect: Dialect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind of comparison sends the statements on file, which parse in their dialect and quote every name."""
    names, asked = SPECS[name]
    if name in WIDE:
        monkeypatch.setattr("dagster_defs.parity.wide.WIDE", 2)
        monkeypatch.setattr("dagster_defs.parity.wide._AT_ONCE", 2)
    recorder = Recorder(dialect, names)
    legacy, candidate = (Relation(side.value, "main", 'tri"ps; --') for side in Side)
    spec = ComparisonSpec(name, legacy, candidate, **asked)
    compare(spec, recorder, today=date(2024, 6, 1))
    for statement in recorder.statements:
        parsed = sqlglot.parse_one(statement, dialect=dialect.value)
        assert all(each.quoted for each in parsed.find_all(exp.Identifier))

    _is_on_file(
        recorder.statements, GOLDEN / dialect.value / f"{name.replace(',', '').replace(' ', '_')}.sql"
    )


def test_legacy_as_it_was() -> None:
    """On Snowflake every statement reads legacy as of the instant, in UTC, and the candidate as it is now."""
    names, asked = SPECS["key and window"]
    recorder = Recorder(Dialect.SNOWFLAKE, names)
    spec = ComparisonSpec(
        "as of", Relation("legacy", "main", "trips", NOON), Relation("candidate", "main", "trips"), **asked
    )
    compare(spec, recorder)

    at = "AT (TIMESTAMP => CAST('2024-03-12T16:00:00+00:00' AS TIMESTAMPTZ))"
    for statement in recorder.statements:
        assert statement.count(at) == statement.count('"legacy"."main"."trips"')
        assert statement.count(f'"legacy"."main"."trips" {at}') == statement.count(at)
        sqlglot.parse_one(statement, dialect="snowflake")
    _is_on_file(recorder.statements, GOLDEN / "snowflake" / "as_of.sql")


def _is_on_file(statements: Sequence[str], file: Path) -> None:
    sent = "".join(f"{_in_lines(statement)};\n\n" for statement in statements)
    if os.environ.get("GOLDEN") == "write":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(sent)
    assert sent == file.read_text()


def _in_lines(statement: str) -> str:
    """The very text, broken where a clause begins."""
    join = "(?:LEFT|FULL) JOIN|(?<!LEFT )(?<!FULL )JOIN|ON"
    clause = f"(?<!DISTINCT )FROM|WHERE|GROUP BY|ORDER BY|HAVING|UNION|{join}|LIMIT"
    begins = rf"(?<=\() ?(?=SELECT)|, (?=\"\w+\" AS \()| (?=(?:{clause})\b)"
    return re.sub(begins, lambda found: found[0].rstrip() + "\n", statement)
