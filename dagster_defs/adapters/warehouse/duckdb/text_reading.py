"""The types of a side's CSV columns, chosen so that nothing is lost in comparing them with the other side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlglot import exp

from dagster_defs.adapters.warehouse.duckdb.data_files import FileRows
from dagster_defs.errors import StatementFailed, TypeOfNoColumn
from dagster_defs.parity import Column, Side
from dagster_defs.parity.families import ColumnType, fold, parse_type
from dagster_defs.parity.fragments import as_, cast, column, func
from dagster_defs.parity.schema import find_column
from dagster_defs.parity.text_types import (
    TEXT,
    DeclaredType,
    TextFacts,
    facts_of,
    keeps,
    reading_beside,
    second_choice,
)


def refuse_unknown(
    texts: Mapping[Side, FileRows], declared: Mapping[Side, Mapping[str, DeclaredType]]
) -> None:
    """Raises TypeOfNoColumn for the declared type of a column that none of the CSV files has."""
    for name in dict.fromkeys(name for types in declared.values() for name in types):
        sides = [side for side, types in declared.items() if name in types]
        known = {fold(own) for side in sides if side in texts for own, _ in texts[side].columns}
        if fold(name) not in known:
            raise TypeOfNoColumn(name, sides)


@dataclass(frozen=True)
class TextReading:
    """What is known about both sides' columns; `texts` has the sides that are CSV files."""

    rows: Callable[[str], list[dict[str, Any]]]
    texts: Mapping[Side, FileRows]
    columns: Mapping[Side, Sequence[Column]]
    declared: Mapping[Side, Mapping[str, DeclaredType]]

    def query(self, side: Side, time_column: str | None) -> str:
        """The rows with their types. Raises StatementFailed if a value is not of the declared type, or if the time
        column that bounds the window is mere text.
        """
        own = self.texts[side]
        selected = []
        for name, _ in own.columns:
            declared = self._declared(side, name)
            if declared is not None:
                self._refuse_other_values(side, name, declared)
                value = declared.value(column(name))
            else:
                kind = self._kind(side, name)
                if kind == TEXT and time_column is not None and fold(name) == fold(time_column):
                    kind = self._kind_of_time(side, name)
                value = column(name) if kind == TEXT else cast(column(name), kind)
            selected.append(as_(value, name))
        listed = ", ".join(each.sql(dialect="duckdb") for each in selected)
        return f"select {listed} from ({own.query})"  # noqa: S608 - quoted

    def _kind(self, side: Side, name: str) -> str:
        facts = self._facts[side][fold(name)]
        other = self._partner(side, name)
        if isinstance(other, TextFacts):
            return facts.with_those_of(other).reading
        if other is None:
            return facts.reading
        kind, unproved = reading_beside(facts, other)
        if unproved and self._any_lost(side, name, other):
            return second_choice(facts, other)
        return kind

    def _partner(self, side: Side, name: str) -> TextFacts | ColumnType | None:
        other = next(each for each in Side if each is not side)
        partner = find_column(name, self.columns.get(other, ()))
        if partner is None:
            return None
        declared = self._declared(other, partner.name)
        if declared is not None:
            return declared.kind
        return self._facts[other][fold(partner.name)] if other in self.texts else parse_type(partner.type)

    def _kind_of_time(self, side: Side, name: str) -> str:
        facts = self._facts[side][fold(name)]
        if not facts.present:
            return "TIMESTAMP"  # all values are NULL
        raise StatementFailed(
            f"the time column {name} of {side} holds text that is not throughout dates or times in one unambiguous "
            f"form ({self._shown(side, name, exp.true())}). Declare its type (types, --type)"
        )

    def _any_lost(self, side: Side, name: str, kind: ColumnType) -> bool:
        lost = exp.not_(func("coalesce", keeps(column(name), kind), exp.false()))
        return bool(self._values(side, name, lost, 1))

    def _refuse_other_values(self, side: Side, name: str, declared: DeclaredType) -> None:
        other = exp.not_(func("coalesce", declared.holds(column(name)), exp.false()))
        if self._values(side, name, other, 1):
            form = f" as {declared.form}" if declared.form else ""
            raise StatementFailed(
                f"column {name} of {side} is declared {declared.kind.name}{form}, and a value is not, or says more "
                f"than that: {self._shown(side, name, other)}"
            )

    def _shown(self, side: Side, name: str, condition: exp.Expr) -> str:
        # In quotes, as DuckDB writes values: a mask hides everything in quotes.
        return ", ".join(f"'{value}'" for value in self._values(side, name, condition, 2))

    def _values(self, side: Side, name: str, condition: exp.Expr, limit: int) -> list[str]:
        there = f"{column(name).sql(dialect='duckdb')} is not null and {condition.sql(dialect='duckdb')}"
        rows = self.rows(
            f"select distinct {column(name).sql(dialect='duckdb')} as found from ({self.texts[side].query})"  # noqa: S608 - quoted
            f" where {there} order by found limit {limit}"
        )
        return [row["found"].replace("'", "’") for row in rows]

    def _declared(self, side: Side, name: str) -> DeclaredType | None:
        types = self.declared.get(side, {})
        return next((kind for own, kind in types.items() if fold(own) == fold(name)), None)

    @cached_property
    def _facts(self) -> Mapping[Side, Mapping[str, TextFacts]]:
        return {side: _facts_of(self.rows, files) for side, files in self.texts.items()}


def _facts_of(rows: Callable[[str], list[dict[str, Any]]], files: FileRows) -> Mapping[str, TextFacts]:
    names = [name for name, _ in files.columns]
    aggregates: Iterable[exp.Expr] = (
        each for index, name in enumerate(names) for each in facts_of(name, index)
    )
    listed = ", ".join(each.sql(dialect="duckdb") for each in aggregates)
    [row] = rows(f"select {listed} from ({files.query})")  # noqa: S608 - quoted
    return {fold(name): TextFacts.of_row(row, index) for index, name in enumerate(names)}
