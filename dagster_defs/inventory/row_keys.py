"""The key of a model's rows, according to the dbt project itself (constraints, tests, `unique_key`) or the warehouse.

Only a claim that every row is unique is accepted. A `unique_key` by which rows are replaced, a test that examines only
some rows or only warns, a constraint that the warehouse does not enforce, and a column that may be NULL are reported
but not accepted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagster_defs.older_python import StrEnum

Node = Mapping[str, Any]


class KeySource(StrEnum):
    """In order of precedence."""

    PRIMARY_KEY = "primary_key"
    UNIQUE_TEST = "unique_test"
    COMBINATION_TEST = "combination_test"
    UNIQUE_CONSTRAINT = "unique_constraint"
    UNIQUE_KEY = "unique_key"
    WAREHOUSE = "warehouse"


@dataclass(frozen=True, slots=True)
class RowKey:
    """`not_taken`: why the claim is too weak for a key; empty if it is accepted."""

    columns: tuple[str, ...]
    source: KeySource
    reason: str
    not_taken: str = ""

    def __str__(self) -> str:
        return f"{', '.join(self.columns)} ({self.reason})"

    def as_json(self) -> dict[str, Any]:
        return {
            "columns": list(self.columns),
            "source": self.source.value,
            "reason": self.reason,
            "not_taken": self.not_taken,
        }


@dataclass(frozen=True, slots=True)
class RowKeys:
    """Everything that the project says about one model's key, the strongest claim first."""

    claims: tuple[RowKey, ...] = ()

    @property
    def taken(self) -> RowKey | None:
        return next((claim for claim in self.claims if not claim.not_taken), None)

    @property
    def weak(self) -> tuple[RowKey, ...]:
        return tuple(claim for claim in self.claims if claim.not_taken)

    def enforced(self, keys: Sequence[tuple[str, ...]]) -> RowKeys:
        """Together with the keys that the warehouse enforces, which count where the project has none."""
        mine = [
            RowKey(key, KeySource.WAREHOUSE, "the warehouse keeps it unique and not null") for key in keys
        ]
        taken = [claim for claim in self.claims if not claim.not_taken]
        return RowKeys((*taken, *mine, *self.weak))


# `CONSTRAINT_SUPPORT` of dbt's adapters: those that enforce primary and unique keys, and those that do not.
ENFORCING = frozenset({"duckdb", "postgres"})
NOT_ENFORCING = frozenset({"bigquery", "databricks", "redshift", "snowflake", "spark"})
# All of these but one enforce not_null.
ENFORCING_NOT_NULL = (ENFORCING | NOT_ENFORCING) - {"spark"}


def row_keys(
    node: Node, tests: Sequence[Node], macros: Mapping[str, Node], default: str, adapter: str
) -> RowKeys:
    """`node` of dbt's manifest, with the `tests` attached to it. `default`: see `default_strategy`; `adapter`: dbt's
    type of its warehouse."""
    if node["resource_type"] == "snapshot":
        return RowKeys()  # its `unique_key` identifies a record, and each record has one row per version
    not_null = _NotNull(_tested_not_null(tests), _constrained_not_null(node, adapter))
    claims = [
        *_constraints(node, not_null, adapter),
        *_tests(tests, macros, not_null),
        *_unique_key(node, default, not_null),
    ]
    order = {column.lower(): number for number, column in enumerate(node.get("columns") or {})}
    ranks = {source: rank for rank, source in enumerate(KeySource)}

    def strength(claim: RowKey) -> tuple[bool, int, int, list[int]]:
        places = [order.get(column.lower(), len(order)) for column in claim.columns]
        return bool(claim.not_taken), ranks[claim.source], len(claim.columns), places

    return RowKeys(tuple(sorted(dict.fromkeys(claims), key=strength)))


@dataclass(frozen=True, slots=True)
class _NotNull:
    """Lower-case names of columns that the project declares to contain no NULL."""

    tested: frozenset[str]
    constrained: frozenset[str]

    def nullable(self, columns: Sequence[str]) -> str:
        """Why a key of these columns may be NULL; empty if it cannot be."""
        missing = [name for name in columns if name.lower() not in self.tested | self.constrained]
        if not missing:
            return ""
        return f"{', '.join(missing)} may be NULL: nothing says that it is not null"


def _tested_not_null(tests: Sequence[Node]) -> frozenset[str]:
    return frozenset(
        name.lower()
        for test in tests
        if _called(test) == ("", "not_null") and not _partial(test)
        for name in _columns((_arguments(test).get("column_name"),))
    )


def _is_applied(node: Node) -> bool:
    """dbt applies constraints only if the contract is enforced."""
    return bool(((node.get("config") or {}).get("contract") or {}).get("enforced"))


def _declared(node: Node) -> list[tuple[Sequence[Any], Node]]:
    """The columns of each constraint, the model's own before those of its columns."""
    listed = [(tuple(each.get("columns") or ()), each) for each in node.get("constraints") or []]
    columns = (node.get("columns") or {}).values()
    return [
        *listed,
        *(((column["name"],), each) for column in columns for each in column.get("constraints") or []),
    ]


def _constrained_not_null(node: Node, adapter: str) -> frozenset[str]:
    if not _is_applied(node) or adapter not in ENFORCING_NOT_NULL:
        return frozenset()
    return frozenset(
        name.lower()
        for names, constraint in _declared(node)
        if constraint.get("type") == "not_null"
        for name in _columns(names)
    )


def _constraints(node: Node, not_null: _NotNull, adapter: str) -> Iterator[RowKey]:
    for names, constraint in _declared(node):
        kind = constraint.get("type")
        if kind not in ("primary_key", "unique") or not (read := _columns(names)):
            continue
        if not _is_applied(node):
            weak = "the model's contract is not enforced, so that dbt does not apply it"
        elif adapter in NOT_ENFORCING:
            weak = f"{adapter} does not enforce it"
        elif adapter not in ENFORCING:
            weak = f"it is not known that {adapter or 'the warehouse'} enforces it"
        else:
            weak = not_null.nullable(read) if kind == "unique" else ""
        source = KeySource.PRIMARY_KEY if kind == "primary_key" else KeySource.UNIQUE_CONSTRAINT
        yield RowKey(read, source, f"{kind} constraint of its contract", weak)


def _tests(tests: Sequence[Node], macros: Mapping[str, Node], not_null: _NotNull) -> Iterator[RowKey]:
    for test in tests:
        package, name = _called(test)
        arguments = _arguments(test)
        if (package, name) == ("", "unique"):
            columns = _columns((arguments.get("column_name"),))
            source = KeySource.UNIQUE_TEST
            is_tested = {column.lower() for column in columns} <= not_null.tested
            names = "tests unique and not_null" if is_tested else "test unique"
        else:
            columns = _columns(_combination(package, name, arguments, test, macros))
            source = KeySource.COMBINATION_TEST
            names = f"test {package}.{name}" if package else f"test {name}"
        if columns:
            weak = _partial(test) or not_null.nullable(columns)
            # Without a NULL in the columns it ignores no row.
            if weak and not _partial(test) and (package, name) == _IGNORING:
                ignored = arguments.get("ignore_row_if") or "all_values_are_missing"
                weak += (
                    "" if ignored == "never" else f", and the test ignores rows (`ignore_row_if: {ignored}`)"
                )
            yield RowKey(columns, source, names, weak)


def _called(test: Node) -> tuple[str, str]:
    """Package (empty for dbt's own and the project's) and name of a generic test."""
    metadata = test.get("test_metadata") or {}
    return metadata.get("namespace") or "", metadata.get("name") or ""


def _arguments(test: Node) -> Mapping[str, Any]:
    return (test.get("test_metadata") or {}).get("kwargs") or {}


_IGNORING = "dbt_expectations", "expect_compound_columns_to_be_unique"
_COMBINATIONS = {
    ("dbt_utils", "unique_combination_of_columns"): "combination_of_columns",
    _IGNORING: "column_list",
}
# A project's own test that does nothing but this: find rows that share all columns of one argument.
_GROUPED = re.compile(
    r"\{%-?\s*test\s+\w+\s*\(\s*model\s*,\s*(?P<name>\w+)\s*\)\s*-?%\}"
    r"\s*select\s+[^%]*?\s+from\s+\{\{\s*model\s*\}\}"
    r"\s+group\s+by\s+\{\{\s*(?P=name)\s*\|\s*join\(\s*(['\"]),\s*\2\s*\)\s*\}\}"
    r"\s+having\s+count\(\s*\*\s*\)\s*>\s*1\s*\{%-?\s*endtest\s*-?%\}",
    re.IGNORECASE,
)


def _combination(
    package: str, name: str, arguments: Mapping[str, Any], test: Node, macros: Mapping[str, Node]
) -> Sequence[Any]:
    argument = _COMBINATIONS.get((package, name))
    if argument is None and not package:
        for macro_id in (test.get("depends_on") or {}).get("macros") or []:
            macro = macros.get(macro_id) or {}
            if macro.get("name") == f"test_{name}" and (
                match := _GROUPED.search(macro.get("macro_sql") or "")
            ):
                argument = match["name"]
    columns = arguments.get(argument) if argument else None
    return columns if isinstance(columns, list) else ()


def _partial(test: Node) -> str:
    """Why a passing test does not cover every row; empty if it does."""
    config = test.get("config") or {}
    if config.get("where") or _arguments(test).get("row_condition"):
        return "the test looks only at the rows of its `where`"
    if config.get("enabled") is False:
        return "the test is disabled"
    severity, error_if = str(config.get("severity") or "error").lower(), str(config.get("error_if") or "!= 0")
    if severity != "error" or error_if.replace(" ", "") not in ("!=0", ">0", ">=1"):
        return "the test lets rows pass that break it (`severity`, `error_if`)"
    if config.get("limit") == 0:
        return "the test has a `limit` of 0"
    return ""


_DEFAULT = "__get_incremental_default_sql"
_HANDED_ON = re.compile(r"\bget_incremental_(?!default_)(\w+)_sql\s*\(")


def says_strategy(macro: str) -> bool:
    """Whether `default_strategy` reads the macro with that name."""
    return macro.endswith(_DEFAULT)


def default_strategy(macros: Mapping[str, Node], adapter: str) -> str:
    """What dbt does with an incremental model that has a `unique_key` but names no strategy, according to the macro of
    its adapter; empty if that is not clear."""
    written = [macro for macro in macros.values() if macro.get("name") == f"{adapter}{_DEFAULT}"]
    strategies = {_HANDED_ON.search(macro.get("macro_sql") or "") for macro in written}
    names = {match[1] for match in strategies if match is not None}
    return names.pop().replace("delete_insert", "delete+insert") if len(strategies) == len(names) == 1 else ""


_OWN_MERGE = ("merge_clauses", "merge_on_using_columns")  # of dbt-duckdb


def _unique_key(node: Node, default_strategy: str, not_null: _NotNull) -> Iterator[RowKey]:
    config = node.get("config") or {}
    written = config.get("unique_key")
    columns = _columns(written if isinstance(written, list) else (written,))
    if not columns or config.get("materialized") != "incremental":
        return
    strategy = config.get("incremental_strategy") or default_strategy
    reason = f"unique_key of the strategy {strategy}" if strategy else "unique_key"
    if not strategy:
        weak = "what it means depends on the strategy, which the model does not name"
    elif strategy != "merge":
        weak = "it names the rows that a run replaces, which may be many"
    elif config.get("incremental_predicates") or config.get("predicates"):
        weak = "a row that its `incremental_predicates` do not find is inserted again"
    elif own := [name for name in _OWN_MERGE if config.get(name)]:
        weak = f"its `{own[0]}` says which rows match and what becomes of them"
    else:
        weak = not_null.nullable(columns)
    yield RowKey(columns, KeySource.UNIQUE_KEY, reason, weak)


_NAME = re.compile(r"[^\W\d][\w$]*")


def _columns(written: Sequence[Any]) -> tuple[str, ...]:
    """Names without their quotes; empty if one is an expression."""
    columns: list[str] = []
    for name in written:
        if not isinstance(name, str) or not (bare := name.strip()):
            return ()
        if len(bare) > 2 and bare[0] == bare[-1] and bare[0] in '"`' and bare[0] not in bare[1:-1]:
            bare = bare[1:-1]
        elif not _NAME.fullmatch(bare):
            return ()
        columns.append(bare)
    return tuple(dict.fromkeys(columns))
