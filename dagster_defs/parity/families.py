"""Types of all warehouses, reduced to what decides whether two values can be equal.

Values of different families are never equal; within a family they are compared by value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache

from sqlglot import exp
from sqlglot.errors import ParseError

from dagster_defs.parity.records import SchemaChange


class Family(Enum):
    BOOLEAN = auto()
    EXACT = auto()
    """Integers and decimals."""
    BINARY = auto()
    """Floats; one family of numbers with EXACT, separate because their values are compared differently."""
    TEXT = auto()
    INSTANT = auto()
    """Dates and timestamps: a date is its midnight, and values without a zone are UTC."""
    INTERVAL = auto()
    JSON = auto()
    """Declared JSON, and Snowflake's semi-structured types; text that looks like JSON is TEXT."""
    STRUCT = auto()
    LIST = auto()
    """Including arrays of a fixed length."""
    MAP = auto()
    OTHER = auto()
    """Compared only with exactly the same type."""


NUMBERS = frozenset({Family.EXACT, Family.BINARY})
NESTED = frozenset({Family.STRUCT, Family.LIST, Family.MAP})


@dataclass(frozen=True, slots=True)
class ColumnType:
    """`digits` (before the point) and `scale` describe exact numbers, `fraction` (of a second) describes instants.

    `parts`: the fields of a struct with their names, `key` and `value` of a map, the one `element` of a list.
    """

    name: str
    family: Family
    digits: int = 0
    scale: int = 0
    fraction: int = 0
    zoned: bool = False
    parts: tuple[tuple[str, ColumnType], ...] = ()

    @property
    def is_date(self) -> bool:
        return self.name == "DATE"

    @property
    def fields(self) -> dict[str, tuple[str, ColumnType]]:
        """A struct's fields by folded name, sorted by that name."""
        return {fold(name): (name, kind) for name, kind in sorted(self.parts, key=lambda part: fold(part[0]))}

    def contains(self, family: Family) -> bool:
        return self.family is family or any(kind.contains(family) for _, kind in self.parts)


_INTEGER_DIGITS = {
    **dict.fromkeys(("TINYINT", "UTINYINT", "BYTEINT"), 3),
    **dict.fromkeys(("SMALLINT", "USMALLINT"), 5),
    **dict.fromkeys(("INTEGER", "INT", "UINTEGER"), 10),
    "BIGINT": 19,
    "UBIGINT": 20,
    "HUGEINT": 39,
    "UHUGEINT": 39,
    "BIGNUM": 9_999,
}
_BINARY = {"FLOAT", "REAL", "DOUBLE", "DOUBLE PRECISION", "FLOAT4", "FLOAT8"}
_TEXT = {
    "VARCHAR",
    "TEXT",
    "STRING",
    "CHAR",
    "ENUM",
    "CHARACTER VARYING",
    "CHARACTER",
    "BPCHAR",
    "NAME",
    "CITEXT",
}
_UNBOUNDED = ColumnType(
    "NUMERIC", Family.EXACT, digits=131_072, scale=16_383
)  # PostgreSQL's, without a scale
# name → (decimal places, zoned)
_INSTANTS = {
    "DATE": (0, False),
    "TIMESTAMP_S": (0, False),
    "TIMESTAMP_MS": (3, False),
    "TIMESTAMP": (6, False),
    "DATETIME": (6, False),
    "TIMESTAMP_NS": (9, False),
    "TIMESTAMP WITH TIME ZONE": (6, True),
    "TIMESTAMPTZ": (6, True),
    "TIMESTAMPTZ_NS": (9, True),
    "TIMESTAMP_NTZ": (9, False),
    "TIMESTAMP_LTZ": (9, True),
    "TIMESTAMP_TZ": (9, True),
}
_JSON = {"JSON", "JSONB", "VARIANT", "OBJECT", "ARRAY"}
_SIZED = {"BIT", "BIT VARYING"}
_DECIMALS = {"DECIMAL", "NUMERIC", "NUMBER", "FIXED"}
_SQLGLOT_NAMES = {"INT128": "HUGEINT", "UINT128": "UHUGEINT"}
# PostgreSQL's words: the precision of a time is inside its name, and lower case distinguishes an array from DuckDB's.
_TIME = re.compile(r"(timestamp|time)(?:\(\d\))? (with|without) time zone")
_ARRAY = re.compile(r"([a-z\"][^A-Z]*)\[\]")
_SCALAR = re.compile(r"\s*([A-Za-z][A-Za-z0-9_ ]*?)\s*(?:\((.*)\))?\s*", re.DOTALL)


@lru_cache(maxsize=1_000)
def parse_type(text: str) -> ColumnType:
    """Parses a type as DuckDB, PostgreSQL or Snowflake writes it; unknown types are OTHER."""
    if array := _ARRAY.fullmatch(text):
        return ColumnType(text, Family.LIST, parts=(("element", parse_type(array[1])),))
    if time := _TIME.fullmatch(text):
        text = time[1] if time[2] == "without" else f"{time[1]} with time zone"
    scalar = _SCALAR.fullmatch(text)
    if scalar is None or scalar[1].upper() in {"STRUCT", "MAP"}:
        return _parse_nested(text)
    name, arguments = scalar[1].upper(), scalar[2] or ""
    if name in _INTEGER_DIGITS:
        return ColumnType(name, Family.EXACT, digits=_INTEGER_DIGITS[name])
    if name == _UNBOUNDED.name and not arguments:
        return _UNBOUNDED
    if name in _DECIMALS:
        precision, _, scale = (arguments or "38,0").partition(",")
        return ColumnType(
            text.strip().upper(), Family.EXACT, digits=int(precision) - int(scale or 0), scale=int(scale or 0)
        )
    if name in _INSTANTS:
        fraction, zoned = _INSTANTS[name]
        fraction = int(arguments) if arguments.isdigit() else fraction
        return ColumnType(name, Family.INSTANT, fraction=fraction, zoned=zoned)
    if name in _BINARY:
        return ColumnType(name, Family.BINARY)
    if name in _TEXT:
        return ColumnType(text.strip() if name == "ENUM" else name, Family.TEXT)
    if name in {"BOOLEAN", "BOOL"}:
        return ColumnType(name, Family.BOOLEAN)
    if name.partition(" ")[0] == "INTERVAL":
        return ColumnType("INTERVAL", Family.INTERVAL)
    if name in _JSON:
        return ColumnType(name, Family.JSON)
    return ColumnType(text.strip() if name not in _SIZED else name, Family.OTHER)


def _parse_nested(text: str) -> ColumnType:
    try:
        return _nested(exp.DataType.build(text, dialect="duckdb"))
    except ParseError:  # whatever a later version introduces
        return ColumnType(text.strip(), Family.OTHER)


def _nested(parsed: exp.DataType) -> ColumnType:
    family = {"STRUCT": Family.STRUCT, "MAP": Family.MAP, "ARRAY": Family.LIST, "LIST": Family.LIST}.get(
        parsed.this.value
    )
    name = parsed.sql(dialect="duckdb")
    inner = parsed.expressions
    if family is None or not inner:
        return parse_type(_SQLGLOT_NAMES.get(name, name))
    if family is Family.STRUCT:
        if not all(isinstance(field, exp.ColumnDef) for field in inner):
            return ColumnType(name, Family.OTHER)
        return ColumnType(name, family, parts=tuple((field.name, _nested(field.kind)) for field in inner))
    names = ("key", "value") if family is Family.MAP else ("element",)
    return ColumnType(
        name, family, parts=tuple((part, _nested(kind)) for part, kind in zip(names, inner, strict=True))
    )


def comparable(legacy: ColumnType, candidate: ColumnType) -> bool:
    """Can a value of one equal a value of the other? NULL equals NULL whatever the types."""
    if legacy.family is Family.OTHER or candidate.family is Family.OTHER:
        return legacy.name == candidate.name
    if legacy.family in NUMBERS:
        return candidate.family in NUMBERS
    if legacy.family is not candidate.family:
        return False
    if legacy.family is Family.STRUCT:
        return legacy.fields.keys() == candidate.fields.keys()
    if legacy.family in NESTED and (legacy.contains(Family.JSON) or candidate.contains(Family.JSON)):
        # Such a list is compared as one document, in which text and a date could look the same.
        return legacy.name == candidate.name
    return True


def type_change(legacy: ColumnType, candidate: ColumnType) -> SchemaChange | None:
    if legacy.name == candidate.name:
        return None
    return SchemaChange.WIDENED if _holds(candidate, legacy) else SchemaChange.TYPE


def _holds(wide: ColumnType, narrow: ColumnType) -> bool:
    if wide.family is not narrow.family:
        return False
    if wide.family is Family.EXACT:
        signs_kept = not wide.name.startswith("U") or narrow.name.startswith("U")
        # An unsigned type has one bit more than the signed type with as many decimal digits.
        room = wide.digits > narrow.digits or (
            wide.digits == narrow.digits
            and not (narrow.name.startswith("U") and not wide.name.startswith("U"))
        )
        return signs_kept and room and wide.scale >= narrow.scale
    if wide.family is Family.BINARY:
        return narrow.name in {"FLOAT", "REAL", "FLOAT4"}
    if wide.family is Family.INSTANT:
        # Nanoseconds reach less far than microseconds, and a DATE further than either.
        return wide.fraction >= narrow.fraction and wide.zoned == narrow.zoned and not narrow.is_date
    return wide.family is Family.TEXT and narrow.name.startswith("ENUM")


def fold(name: str) -> str:
    """ASCII case only: É and é are different names."""
    return name.translate(_FOLD)


_FOLD = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
