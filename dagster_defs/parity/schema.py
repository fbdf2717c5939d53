"""Which legacy column corresponds to which candidate column, and how they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dagster_defs.parity.families import ColumnType, fold, parse_type, type_change
from dagster_defs.parity.records import Column, SchemaChange, SchemaDifference, Side


@dataclass(frozen=True, slots=True)
class ColumnPair:
    legacy: Column
    candidate: Column

    @property
    def name(self) -> str:
        return self.legacy.name

    def on(self, side: Side) -> tuple[str, ColumnType]:
        own = self.legacy if side is Side.LEGACY else self.candidate
        return own.name, parse_type(own.type)


@dataclass(frozen=True, slots=True)
class Pairing:
    pairs: tuple[ColumnPair, ...]
    differences: tuple[SchemaDifference, ...]

    def index(self, name: str) -> int:
        """Position of the pair with that name; ValueError if there is none."""
        names = [pair.name for pair in self.pairs]
        return names.index(name) if name in names else [fold(each) for each in names].index(fold(name))


def find_column(name: str, columns: Sequence[Column]) -> Column | None:
    """By exact name, else ignoring ASCII case: Snowflake may have "a" and "A" in one table."""
    exact = next((column for column in columns if column.name == name), None)
    return exact or next((column for column in columns if fold(column.name) == fold(name)), None)


def pair_columns(legacy: Sequence[Column], candidate: Sequence[Column]) -> Pairing:
    """In legacy's order; exact spelling first, so that "a" and "A" of one table keep their partners."""
    exact = {column.name for column in candidate}
    free = {column.name: column for column in candidate}
    partner = {column.name: free.pop(column.name) for column in legacy if column.name in exact}
    for column in legacy:
        if column.name not in partner:
            match = find_column(column.name, list(free.values()))
            if match is not None:
                partner[column.name] = free.pop(match.name)

    pairs: list[ColumnPair] = []
    differences: list[SchemaDifference] = []
    for column in legacy:
        other = partner.get(column.name)
        if other is None:
            differences.append(SchemaDifference(SchemaChange.MISSING, column.name, legacy_type=column.type))
            continue
        pairs.append(ColumnPair(column, other))
        change = type_change(parse_type(column.type), parse_type(other.type))
        if change is not None:
            differences.append(SchemaDifference(change, column.name, column.type, other.type))
    differences += [
        SchemaDifference(SchemaChange.EXTRA, column.name, candidate_type=column.type)
        for column in free.values()
    ]
    return Pairing(tuple(pairs), tuple(differences))
