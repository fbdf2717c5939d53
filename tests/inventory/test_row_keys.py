"""What of a dbt project is a key of a model's rows, and what is too weak for one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import dbt.adapters
import pytest
from dbt.adapters.base.impl import BaseAdapter, ConstraintSupport
from dbt.adapters.duckdb.impl import DuckDBAdapter
from dbt.adapters.postgres.impl import PostgresAdapter
from dbt.adapters.snowflake.impl import SnowflakeAdapter
from dbt_common.contracts.constraints import ConstraintType

from dagster_defs.inventory.row_keys import (
    ENFORCING,
    ENFORCING_NOT_NULL,
    NOT_ENFORCING,
    KeySource,
    default_strategy,
    row_keys,
)


def model(**more: Any) -> dict[str, Any]:
    config = {"materialized": "incremental", **more.pop("config", {})}
    return {"resource_type": "model", "config": config, "columns": {}, **more}


def called(
    name: str, package: str | None = None, config: dict[str, Any] | None = None, **kwargs: Any
) -> dict[str, Any]:
    """A generic test as dbt's manifest has it."""
    return {"test_metadata": {"name": name, "namespace": package, "kwargs": kwargs}, "config": config or {}}


UNIQUE, NOT_NULL = called("unique", column_name="id"), called("not_null", column_name="ID")
PAIR = called("unique_combination_of_columns", "dbt_utils", combination_of_columns=["a", '"B"'])


def compound(**more: Any) -> dict[str, Any]:
    return called("expect_compound_columns_to_be_unique", "dbt_expectations", column_list=["a", "b"], **more)


COMPOUND = compound()
A_AND_B = [called("not_null", column_name="a"), called("not_null", column_name="b")]
UNIQUE_AND_NOT_NULL = {"c": {"name": "c", "constraints": [{"type": "unique"}, {"type": "not_null"}]}}
CONTRACT = {"contract": {"enforced": True}}
MERGE = {"unique_key": "id", "incremental_strategy": "merge"}
PRIMARY = [{"type": "primary_key", "columns": ["p", "q"]}]


@pytest.mark.parametrize(
    ("node", "tests", "taken", "source"),
    [
        pytest.param(model(), [UNIQUE, NOT_NULL], ("id",), KeySource.UNIQUE_TEST, id="tests"),
        pytest.param(model(), [PAIR, *A_AND_B], ("a", "B"), KeySource.COMBINATION_TEST, id="combination"),
        pytest.param(model(), [COMPOUND, *A_AND_B], ("a", "b"), KeySource.COMBINATION_TEST, id="dbt_expectations"),
        pytest.param(model(config={"unique_key": ["a", "b"], "incremental_strategy": "merge"}), A_AND_B, ("a", "b"),
                     KeySource.UNIQUE_KEY, id="merge"),
        pytest.param(model(config={**CONTRACT, **MERGE}, columns={"id": {
                     "name": "id", "constraints": [{"type": "not_null"}]}}), [], ("id",),
                     KeySource.UNIQUE_KEY, id="a constraint says not null"),
        pytest.param(model(config=CONTRACT, constraints=PRIMARY), [UNIQUE, NOT_NULL, PAIR, *A_AND_B], ("p", "q"),
                     KeySource.PRIMARY_KEY, id="the primary key wins"),
        pytest.param(model(config={"unique_key": "u", "incremental_strategy": "merge"}),
                     [PAIR, *A_AND_B, UNIQUE, NOT_NULL], ("id",), KeySource.UNIQUE_TEST,
                     id="a test wins over unique_key"),
        pytest.param(model(config=CONTRACT, columns=UNIQUE_AND_NOT_NULL), [], ("c",), KeySource.UNIQUE_CONSTRAINT,
                     id="unique constraint"),
        pytest.param(model(columns={"id": {"name": "id"}, "code": {"name": "code"}}),
                     [called("unique", column_name="code"), called("not_null", column_name="code"), UNIQUE, NOT_NULL],
                     ("id",), KeySource.UNIQUE_TEST, id="of two the first column"),
    ],
)  # fmt: skip
def test_the_strongest_claim_is_taken(
    node: dict[str, Any], tests: list[dict[str, Any]], taken: tuple[str, ...], source: KeySource
) -> None:
    """Constraints come before tests, tests before `unique_key`, and each says where it comes from."""
    found = row_keys(node, tests, {}, "merge", "duckdb").taken
    assert found is not None
    assert (found.columns, found.source) == (taken, source)
    assert found.reason


@pytest.mark.parametrize(
    ("node", "tests", "why"),
    [
        pytest.param(model(), [UNIQUE], "not null", id="nullable"),
        pytest.param(model(), [called("unique", column_name="id", config={"where": "day > 1"}), NOT_NULL], "`where`",
                     id="a part of the rows"),
        pytest.param(model(), [called("unique", column_name="id", config={"severity": "warn"}), NOT_NULL], "`severity`",
                     id="a warning"),
        pytest.param(model(), [called("unique", column_name="id", config={"error_if": ">100"}), NOT_NULL], "`error_if`",
                     id="some may break it"),
        pytest.param(model(), [UNIQUE, called("not_null", column_name="id", config={"where": "x"})], "not null",
                     id="not null in part"),
        pytest.param(model(config={"unique_key": "day", "incremental_strategy": "delete+insert"}), [], "may be many",
                     id="delete+insert"),
        pytest.param(model(config={"unique_key": "day"}), [], "may be many", id="the adapter's default"),
        pytest.param(model(constraints=PRIMARY), [], "not enforced", id="no contract"),
        pytest.param(model(config=CONTRACT, constraints=[{"type": "unique", "columns": ["a"]}]), [], "may be NULL",
                     id="a nullable constraint"),
        pytest.param(model(config=MERGE), [], "id may be NULL", id="merge by what may be NULL"),
        pytest.param(model(config={**MERGE, "incremental_predicates": ["day > 1"]}), [NOT_NULL],
                     "`incremental_predicates`", id="merge within a part of the table"),
        pytest.param(model(config={**MERGE, "predicates": ["day > 1"]}), [NOT_NULL],
                     "`incremental_predicates`", id="by the older name"),
        pytest.param(model(config={**MERGE, "merge_on_using_columns": ["day"]}), [NOT_NULL], "`merge_on_using_columns`",
                     id="merge by other columns"),
        pytest.param(model(), [PAIR, A_AND_B[0]], "B may be NULL", id="a nullable combination"),
        pytest.param(model(), [COMPOUND], "ignore_row_if: all_values_are_missing", id="rows of NULLs are ignored"),
        pytest.param(model(), [compound(ignore_row_if="any_value_is_missing"), A_AND_B[0]],
                     "ignore_row_if: any_value_is_missing", id="rows with a NULL are ignored"),
        pytest.param(model(), [compound(ignore_row_if="never")], "a, b may be NULL", id="no row is ignored"),
        pytest.param(model(config=MERGE, columns={"id": {"name": "id", "constraints": [{"type": "not_null"}]}}), [],
                     "id may be NULL", id="a not_null that is not applied"),
    ],
)  # fmt: skip
def test_what_is_too_weak_is_said(node: dict[str, Any], tests: list[dict[str, Any]], why: str) -> None:
    """A claim that rows may break without anybody being told is there with its reason, and is not the key."""
    found = row_keys(node, tests, {}, "delete+insert", "duckdb")
    assert found.taken is None
    [weak] = found.weak
    assert why in weak.not_taken


@pytest.mark.parametrize(
    ("node", "tests"),
    [
        pytest.param(model(config={"unique_key": "a || b", "incremental_strategy": "merge"}), [], id="an expression"),
        pytest.param(model(), [called("unique", column_name="lower(id)"), NOT_NULL], id="a tested expression"),
        pytest.param(model(), [called("unique_combination_of_columns", "theirs", combination_of_columns=["a"])],
                     id="another package's test"),
        pytest.param(model(config={"materialized": "table", "unique_key": "a"}), [], id="not incremental"),
        pytest.param({**model(config={"unique_key": "id"}), "resource_type": "snapshot"}, [UNIQUE, NOT_NULL],
                     id="a snapshot"),
    ],
)  # fmt: skip
def test_what_names_no_key_says_nothing(node: dict[str, Any], tests: list[dict[str, Any]]) -> None:
    """Expressions, unknown tests and the records of a snapshot are no columns that tell rows apart."""
    assert row_keys(node, tests, {}, "merge", "duckdb").claims == ()


@pytest.mark.parametrize(
    ("adapter", "why"),
    [
        ("snowflake", "snowflake does not enforce it"),
        ("other", "not known that other enforces it"),
        ("", "warehouse"),
    ],
)
def test_a_constraint_that_nobody_enforces_is_below_a_test(adapter: str, why: str) -> None:
    """dbt writes it into the table, and rows may repeat it: tests are taken, and alone it is only said."""
    node = model(config=CONTRACT, constraints=[*PRIMARY, {"type": "unique", "columns": ["p"]}])

    tested = row_keys(node, [UNIQUE, NOT_NULL], {}, "merge", adapter)
    alone = row_keys(node, [], {}, "merge", adapter)

    assert tested.taken is not None
    assert tested.taken.source is KeySource.UNIQUE_TEST
    assert alone.taken is None
    assert [why in weak.not_taken for weak in alone.weak] == [True, True]


def test_what_is_enforced_is_as_dbts_adapters_say() -> None:
    """`CONSTRAINT_SUPPORT` of each adapter that is installed; the others inherit what dbt has for all."""
    enforced = ConstraintSupport.ENFORCED
    for adapter in (DuckDBAdapter, PostgresAdapter, SnowflakeAdapter):
        support, name = adapter.CONSTRAINT_SUPPORT, adapter.__module__.split(".")[2]
        for kind in (ConstraintType.primary_key, ConstraintType.unique):
            assert name in (ENFORCING if support[kind] is enforced else NOT_ENFORCING)
        assert (support[ConstraintType.not_null] is enforced) is (name in ENFORCING_NOT_NULL)
    assert BaseAdapter.CONSTRAINT_SUPPORT[ConstraintType.primary_key] is ConstraintSupport.NOT_ENFORCED


@pytest.mark.parametrize(
    ("package", "strategy"),
    [("snowflake", "merge"), ("duckdb", "delete+insert"), ("postgres", "delete+insert"), ("x", "")],
)
def test_the_strategy_that_a_model_does_not_name_is_its_adapters(package: str, strategy: str) -> None:
    """It is read in the macros that dbt's adapters bring; an adapter without such a macro says nothing."""
    adapters = Path(dbt.adapters.__path__[0]).parent / "include"
    text = "\n".join(path.read_text() for path in sorted((adapters / package).rglob("*.sql")))
    found = re.findall(r"{%-?\s*macro (\w+)\(.*?endmacro\s*-?%}", text, re.DOTALL)
    bodies = re.findall(r"{%-?\s*macro \w+\(.*?endmacro\s*-?%}", text, re.DOTALL)
    macros = {
        str(n): {"name": name, "macro_sql": body}
        for n, (name, body) in enumerate(zip(found, bodies, strict=True))
    }

    assert default_strategy(macros, package) == strategy
    assert (
        default_strategy({**macros, "own": {"name": f"{package}__get_incremental_default_sql"}}, package)
        == ""
    )
