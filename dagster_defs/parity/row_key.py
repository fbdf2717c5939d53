"""Whether a key identifies the rows of one relation: pure SQL, one verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlglot import exp

from dagster_defs.older_python import StrEnum
from dagster_defs.parity.engine import Reader
from dagster_defs.parity.fragments import (
    all_of,
    any_of,
    as_,
    cast,
    column,
    func,
    is_null,
    number,
    quoted,
    select,
    stored,
    total,
    when,
)
from dagster_defs.parity.records import Relation
from dagster_defs.parity.schema import find_column


class KeyVerdict(StrEnum):
    """`none`: there was no key to check."""

    UNIQUE = "unique"
    VIOLATED = "violated"
    INCONCLUSIVE = "inconclusive"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """`duplicates`: rows beyond the first of each key; `nulls`: rows with a NULL in the key. `example`: the first key
    that occurs `copies` times. `null_times`: rows that belong to no window; None if no time column was checked.
    """

    verdict: KeyVerdict
    reason: str
    rows: int = 0
    duplicates: int = 0
    nulls: int = 0
    example: Mapping[str, str] = field(default_factory=dict)
    copies: int = 0
    null_times: int | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict.value,
            "reason": self.reason,
            "rows": self.rows,
            "duplicates": self.duplicates,
            "nulls": self.nulls,
            "example": {"key": dict(self.example), "copies": self.copies} if self.example else None,
            "null_times": self.null_times,
        }


def check_key(
    relation: Relation,
    key: Sequence[str],
    time_column: str | None,
    reader: Reader,
    *,
    masked: Sequence[str] = (),
    shows_rows: bool = True,
) -> KeyCheck:
    """Checks the whole relation, in its current state. `masked`: columns whose values are never shown. Raises
    WarehouseError."""
    columns = reader.columns(relation)
    if columns is None:
        return KeyCheck(KeyVerdict.INCONCLUSIVE, f"legacy relation {relation} does not exist")
    asked = [*key, *([time_column] if time_column is not None else [])]
    names = {each: matched.name for each in asked if (matched := find_column(each, columns)) is not None}
    if missing := [each for each in asked if each not in names]:
        return KeyCheck(KeyVerdict.VIOLATED, f"{relation} has no column {', '.join(missing)}")
    if not asked:
        return KeyCheck(KeyVerdict.NONE, "there is neither a key nor a time column to check")
    parts = [names[each] for each in key]
    time = names[time_column] if time_column is not None else None

    [counted] = reader.rows(_render(_counts(relation, parts, time), reader))
    null_times = None if time is None else int(counted["null_times"])
    check = KeyCheck(KeyVerdict.NONE, "no key", int(counted["rows"]), null_times=null_times)
    if not check.rows:
        return replace(check, verdict=KeyVerdict.INCONCLUSIVE, reason=f"{relation} has no rows")
    if not parts:
        return check
    [repeated] = reader.rows(_render(_duplicates(relation, parts), reader))
    check = replace(check, nulls=int(counted["nulls"]), duplicates=int(repeated["duplicates"] or 0))
    if check.duplicates and shows_rows:
        [first] = reader.rows(_render(_first(relation, parts), reader))
        hidden = {matched.name for each in masked if (matched := find_column(each, columns)) is not None}
        example = {
            name: "***" if name in hidden else str(first[f"k{index}"]) for index, name in enumerate(parts)
        }
        check = replace(check, example=example, copies=int(first["copies"]))
    return _judged(check)


def _judged(check: KeyCheck) -> KeyCheck:
    faults = []
    if check.duplicates:
        faults.append(f"{check.duplicates:,} of {check.rows:,} rows repeat a key")
    if check.nulls:
        faults.append(f"{check.nulls:,} of {check.rows:,} rows have a NULL in the key")
    if faults:
        return replace(check, verdict=KeyVerdict.VIOLATED, reason="; ".join(faults))
    keys = "1 row has a key" if check.rows == 1 else f"{check.rows:,} rows, each with a key"
    return replace(check, verdict=KeyVerdict.UNIQUE, reason=f"{keys} of its own")


def _counts(relation: Relation, key: Sequence[str], time: str | None) -> exp.Select:
    counts: list[exp.Expr] = [as_(exp.Count(this=exp.Star()), "rows")]
    if key:
        counts.append(as_(_number_of(any_of(*(is_null(column(name)) for name in key))), "nulls"))
    if time is not None:
        counts.append(as_(_number_of(is_null(column(time))), "null_times"))
    return select(*counts).from_(stored(relation), copy=False)


def _number_of(condition: exp.Expr) -> exp.Expr:
    return total(when(condition, number(1), number(0)))


def _duplicates(relation: Relation, key: Sequence[str]) -> exp.Select:
    surplus = exp.Sub(this=exp.Sum(this=column("copies")), expression=exp.Count(this=exp.Star()))
    repeated = _repeated(relation, key).subquery(quoted("repeated"), copy=False)
    return select(as_(func("coalesce", surplus, number(0)), "duplicates")).from_(repeated, copy=False)


def _first(relation: Relation, key: Sequence[str]) -> exp.Select:
    shown = (as_(cast(column(name), "varchar"), f"k{index}") for index, name in enumerate(key))
    ordered = _repeated(relation, key, *shown).order_by(*(column(name) for name in key), copy=False)
    return ordered.limit(1, copy=False)


def _repeated(relation: Relation, key: Sequence[str], *shown: exp.Expr) -> exp.Select:
    several = exp.GT(this=exp.Count(this=exp.Star()), expression=number(1))
    return (
        select(*shown, as_(exp.Count(this=exp.Star()), "copies"))
        .from_(stored(relation), copy=False)
        .where(all_of(*(is_null(column(name)).not_() for name in key)), copy=False)
        .group_by(*(column(name) for name in key), copy=False)
        .having(several, copy=False)
    )


def _render(query: exp.Select, reader: Reader) -> str:
    return query.sql(dialect=reader.dialect.value, identify=True)
