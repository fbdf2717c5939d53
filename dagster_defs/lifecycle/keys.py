"""For each table that a unit builds: the key and time column of its comparison, and what dbt says about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dagster_defs.inventory.proposals import compared_entry
from dagster_defs.inventory.row_keys import RowKey, RowKeys
from dagster_defs.inventory.time_columns import TimeColumn
from dagster_defs.older_python import StrEnum
from dagster_defs.parity.row_key import KeyCheck, KeyVerdict

SCHEMA = "parity/keys/1"
NOT_LOOKED_AT = KeyCheck(KeyVerdict.INCONCLUSIVE, "not looked at")


class Standing(StrEnum):
    """Where a key comes from: `declared` in the unit's YAML; `proposed`, because dbt declares it and the YAML does not;
    `candidate`, because what dbt says is too weak to be taken for a key."""

    DECLARED = "declared"
    PROPOSED = "proposed"
    CANDIDATE = "candidate"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class TableKeys:
    """`key` and `time_column` come from the YAML, `claims` and `time` from the dbt project. `data`: what legacy's rows
    show about the key that `standing` is about."""

    name: str
    key: tuple[str, ...]
    time_column: str | None
    claims: RowKeys
    time: TimeColumn
    data: KeyCheck = NOT_LOOKED_AT

    @property
    def standing(self) -> Standing:
        if self.key:
            return Standing.DECLARED
        if self.claims.taken:
            return Standing.PROPOSED
        return Standing.CANDIDATE if self.claims.weak else Standing.NONE

    @property
    def asked(self) -> tuple[str, ...]:
        """The columns that `standing` is about."""
        claim = self.claims.taken or next(iter(self.claims.weak), None)
        return self.key or (claim.columns if claim else ())

    @property
    def source(self) -> str:
        """Where that key comes from, in words."""
        claim = self._claim
        match self.standing:
            case Standing.DECLARED:
                beside = f", and dbt says it too: {claim.reason}" if claim else ""
                weak = f" (weakly: {claim.not_taken})" if claim and claim.not_taken else ""
                return f"its YAML{beside}{weak}"
            case Standing.PROPOSED:
                return f"proposed: {claim.reason}" if claim else ""
            case Standing.CANDIDATE:
                return f"no key: {claim.reason}, but {claim.not_taken}" if claim else ""
            case _:
                return "none is known"

    @property
    def _claim(self) -> RowKey | None:
        same = (
            claim for claim in self.claims.claims if set(_folded(claim.columns)) == set(_folded(self.asked))
        )
        return next(same, None)

    @property
    def asked_time(self) -> str | None:
        return self.time_column or self.time.column

    @property
    def time_source(self) -> str:
        if self.time_column is None:
            return f"proposed: {self.time.reason}" if self.time.column else self.time.reason
        if self.time.column is None:
            return f"its YAML; of itself: {self.time.reason}"
        agrees = self.time.column.lower() == self.time_column.lower()
        return f"its YAML, and {'the same' if agrees else self.time.column} by {self.time.reason}"

    @property
    def proposal(self) -> dict[str, Any] | None:
        """What to write into `compare` in the YAML; None if it is all there already."""
        proposed = compared_entry(self.name, self.claims, self.time)
        declared = {"name": self.name, **({"key": list(self.key)} if self.key else {})}
        declared |= {"time_column": self.time_column} if self.time_column else {}
        return {**proposed, **declared} if proposed.keys() - declared.keys() else None

    @property
    def holds(self) -> bool:
        """Nothing contradicts it, and every question about it was answered. A candidate promises nothing."""
        if self.data.verdict is KeyVerdict.VIOLATED:
            return self.standing is Standing.CANDIDATE
        return self.data.verdict is not KeyVerdict.INCONCLUSIVE

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "key": {
                "columns": list(self.asked),
                "standing": self.standing.value,
                "source": self.source,
            },
            "time_column": {
                "column": self.asked_time,
                "declared": self.time_column is not None,
                "source": self.time_source,
            },
            "claims": [claim.as_json() for claim in self.claims.claims],
            "proposal": self.proposal,
            "data": self.data.as_json(),
        }


def keys_as_json(unit: str, tables: Sequence[TableKeys]) -> dict[str, Any]:
    return {"schema": SCHEMA, "unit": unit, "tables": [table.as_json() for table in tables]}


def _folded(columns: Sequence[str]) -> list[str]:
    return [column.lower() for column in columns]
