"""The key of a model's rows, as the dbt project itself says it: in constraints, tests and `unique_key`.

Only what claims that each row is one of its kind is taken. A `unique_key` by which rows are replaced, a test that looks
at a part of the rows or only warns, and a column that may be NULL are said, and not taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Node = Mapping[str, Any]


class KeySource(StrEnum):
    """The first that a model has is taken."""

    PRIMARY_KEY = "primary_key"
    UNIQUE_TEST = "unique_test"
    COMBINATION_TEST = "combination_test"
    UNIQUE_CONSTRAINT = "unique_constraint"
    UNIQUE_KEY = "unique_key"


@dataclass(frozen=True, slots=True)
class RowKey:
    """`not_taken`: why the claim is too weak for a key; empty if it is one."""

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
    """All that the project says of one model's key, the strongest first."""

    claims: tuple[RowKey, ...] = ()

    @property
    def taken(self) -> RowKey | None:
        return next((claim for claim in self.claims if not claim.not_taken), None)

    @property
    def weak(self) -> tuple[RowKey, ...]:
        return tuple(claim for claim in self.claims if claim.not_taken)


def row_keys(node: Node, tests: Sequence[Node], macros: Mapping[str, Node], default: str) -> RowKeys:
    """`node` of dbt's manifest, with the `tests` that are attached to it. `default`: see `default_strategy`."""
    if node["resource_type"] == "snapshot":
        return (
            RowKeys()
        )  # its `unique_key` names a record, and each record has a row for each of its versions
    claims = [*_constraints(node), *_tests(tests, macros), *_unique_key(node, default)]
    order = {column.lower(): number for number, column in enumerate(node.get("columns") or {})}
    ranks = {source: rank for rank, source in enumerate(KeySource)}

    def strength(claim: RowKey) -> tuple[bool, int, int, list[int]]:
        places = [order.get(column.lower(), len(order)) for column in claim.columns]
        return bool(claim.not_taken), ranks[claim.source], len(claim.columns), places

    return RowKeys(tuple(sorted(dict.fromkeys(claims), key=strength)))


def _constraints(node: Node) -> Iterator[RowKey]:
    """dbt applies them only where the contract is enforced."""
    enforced = bool(((node.get("config") or {}).get("contract") or {}).get("enforced"))
    columns = [
        (column["name"], constraint)
        for column in (node.get("columns") or {}).values()
        for constraint in column.get("constraints") or []
    ]
    not_null = {name.lower() for name, constraint in columns if constraint.get("type") == "not_null"}
    listed = [(tuple(one.get("columns") or ()), one) for one in node.get("constraints") or []]
    not_null |= {name.lower() for names, one in listed if one.get("type") == "not_null" for name in names}
    for names, constraint in [*listed, *(((name,), one) for name, one in columns)]:
        kind = constraint.get("type")
        if kind not in ("primary_key", "unique") or not (read := _columns(names)):
            continue
        weak = "" if enforced else "the model's contract is not enforced, so that dbt does not apply it"
        if kind == "unique" and not weak:
            nullable = [name for name in read if name.lower() not in not_null]
            weak = f"{', '.join(nullable)} may be NULL" if nullable else ""
        source = KeySource.PRIMARY_KEY if kind == "primary_key" else KeySource.UNIQUE_CONSTRAINT
        yield RowKey(read, source, f"{kind} constraint of its contract", weak)


def _tests(tests: Sequence[Node], macros: Mapping[str, Node]) -> Iterator[RowKey]:
    not_null = {
        name.lower()
        for test in tests
        if _called(test)[1] == "not_null" and not _partial(test)
        for name in _columns((_arguments(test).get("column_name"),))
    }
    for test in tests:
        package, name = _called(test)
        arguments = _arguments(test)
        if (package, name) == ("", "unique"):
            columns = _columns((arguments.get("column_name"),))
            nullable = (
                "" if {one.lower() for one in columns} <= not_null else "nothing tests that it is not null"
            )
            claim = RowKey(
                columns, KeySource.UNIQUE_TEST, _tested("unique", nullable), _partial(test) or nullable
            )
        else:
            columns = _columns(_combination(package, name, arguments, test, macros))
            said = f"test {package}.{name}" if package else f"test {name}"
            claim = RowKey(columns, KeySource.COMBINATION_TEST, said, _partial(test))
        if claim.columns:
            yield claim


def _tested(name: str, nullable: str) -> str:
    return f"test {name}" if nullable else f"tests {name} and not_null"


def _called(test: Node) -> tuple[str, str]:
    """Package (empty for dbt's own and the project's) and name of a generic test."""
    metadata = test.get("test_metadata") or {}
    return metadata.get("namespace") or "", metadata.get("name") or ""


def _arguments(test: Node) -> Mapping[str, Any]:
    return (test.get("test_metadata") or {}).get("kwargs") or {}


_COMBINATIONS = {
    ("dbt_utils", "unique_combination_of_columns"): "combination_of_columns",
    ("dbt_expectations", "expect_compound_columns_to_be_unique"): "column_list",
}
# A test of the project's own that is nothing but this: the rows that share all columns of one argument.
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
                found := _GROUPED.search(macro.get("macro_sql") or "")
            ):
                argument = found["name"]
    columns = arguments.get(argument) if argument else None
    return columns if isinstance(columns, list) else ()


def _partial(test: Node) -> str:
    """Why a test that passes does not speak for every row; empty if it does."""
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
    """Whether `default_strategy` reads the macro of that name."""
    return macro.endswith(_DEFAULT)


def default_strategy(macros: Mapping[str, Node], adapter: str) -> str:
    """What dbt does with an incremental model that has a `unique_key` and names no strategy, as the macro of its
    adapter says it; empty if that is not plain."""
    written = [macro for macro in macros.values() if macro.get("name") == f"{adapter}{_DEFAULT}"]
    found = {_HANDED_ON.search(macro.get("macro_sql") or "") for macro in written}
    names = {match[1] for match in found if match is not None}
    return names.pop().replace("delete_insert", "delete+insert") if len(found) == len(names) == 1 else ""


def _unique_key(node: Node, default_strategy: str) -> Iterator[RowKey]:
    config = node.get("config") or {}
    written = config.get("unique_key")
    columns = _columns(written if isinstance(written, list) else (written,))
    if not columns or config.get("materialized") != "incremental":
        return
    strategy = config.get("incremental_strategy") or default_strategy
    reason = f"unique_key of the strategy {strategy}" if strategy else "unique_key"
    weak = "" if strategy == "merge" else (
        "it names the rows that a run replaces, which may be many"
        if strategy
        else "what it means depends on the strategy, which the model does not name"
    )  # fmt: skip
    yield RowKey(columns, KeySource.UNIQUE_KEY, reason, weak)


_NAME = re.compile(r"[^\W\d][\w$]*")


def _columns(written: Sequence[Any]) -> tuple[str, ...]:
    """Names without their quotes; none where one is an expression."""
    found: list[str] = []
    for name in written:
        if not isinstance(name, str) or not (bare := name.strip()):
            return ()
        if len(bare) > 2 and bare[0] == bare[-1] and bare[0] in '"`' and bare[0] not in bare[1:-1]:
            bare = bare[1:-1]
        elif not _NAME.fullmatch(bare):
            return ()
        found.append(bare)
    return tuple(dict.fromkeys(found))
