"""Names and keys that several things would have in Dagster."""

from __future__ import annotations

from typing import Any

import pytest

from dagster_defs.lifecycle.broken import Fault, faults
from dagster_defs.lifecycle.identity import Claim, keys_taken_twice, names_taken_twice, prefixes_at_odds


def node(unit: str, thing: str, table: str = "db.main.t", **more: Any) -> Claim:
    message = f"model {thing} of {thing.split(':')[0]}/"
    return Claim("t", thing, message, unit, **{"builds": True, "is_written": True, "table": table, **more})


def source(unit: str, thing: str, table: str = "db.raw.t", **more: Any) -> Claim:
    message = f"source {thing} of {thing.split(':')[0]}/"
    return Claim("t", thing, message, unit, **{"builds": False, "is_written": False, "table": table, **more})


@pytest.mark.parametrize(
    ("claims", "blamed"),
    [
        pytest.param([node("a.x", "p:m"), node("a.y", "p:m")], set(), id="one node of two units"),
        pytest.param([node("a.x", "p:m"), node("b.x", "q:m")], {"a.x", "b.x"}, id="two projects"),
        pytest.param([node("a.x", "p:m"), node("b.x", "q:m", builds=False)], {"a.x"}, id="a node that is only read"),
        pytest.param([node("a.x", "p:seed"), source("a.x", "p:src")], {"a.x"}, id="a source and a seed"),
        pytest.param([node("a.x", "p:seed"), source("b.x", "p:src")], {"a.x"}, id="whoever builds is to blame"),
        pytest.param([node("a.x", "p:m", "db.raw.t"), source("b.x", "q:src")], set(), id="a source that is the model"),
        pytest.param([node("a.x", "p:m"), source("b.x", "q:src", aligned=True)], set(), id="aligned by its meta"),
        pytest.param([node("a.x", "p:m", ""), source("b.x", "q:src")], set(), id="a function that feeds by its key"),
        pytest.param([source("a.x", "p:src"), source("b.x", "q:src")], set(), id="one source of two projects"),
        pytest.param([source("a.x", "p:src"), source("b.x", "q:src", "other.raw.t")], {"a.x", "b.x"},
                     id="sources of two databases"),
        pytest.param([source("a.x", "p:1", "a"), source("a.y", "p:2", "b", aligned=True)], set(),
                     id="one of two sources is aligned"),
    ],
)  # fmt: skip
def test_one_key_is_one_table(claims: list[Claim], blamed: set[str]) -> None:
    """Two tables under one key are refused, with both of them, both projects and the way out; one table is not."""
    errors = keys_taken_twice(claims)

    assert set(errors) == blamed
    for fault in errors.values():
        text = str(fault)
        assert all(claim.said in text and claim.unit in text for claim in claims)
        assert "key_prefix" in text
        assert "asset_key" in text


@pytest.mark.parametrize(
    ("names", "broken"),
    [
        (["a.b", "a.c", "b.a"], set()),
        (["a.b", "a.b"], {"a.b"}),
        (["a-b.c", "a_b.c", "x.y"], {"a-b.c", "a_b.c"}),
        (["a-b.c", "a_b.d"], {"a-b.c", "a_b.d"}),
        (["a__b.c", "a.b"], {"a__b.c", "a.b"}),
        (["shadow__a.b", "a.b"], {"shadow__a.b", "a.b"}),
        (["nodot", "nodot", "a.b"], set()),
    ],
)
def test_one_name_is_one_thing(names: list[str], broken: set[str]) -> None:
    """Units whose jobs would have one name are both refused; a name that no unit can have is said elsewhere."""
    assert set(names_taken_twice(names)) == broken


def test_one_project_has_one_prefix() -> None:
    """Units of one project that say different prefixes are refused, and no unit of another one."""
    found = prefixes_at_odds(
        [("a.x", "/p", "finance"), ("a.y", "/p", ""), ("b.x", "/q", "q"), ("b.y", "/q", "q")]
    )

    assert set(found) == {"a.x", "a.y"}
    assert "'finance' in a.x" in str(found["a.x"])
    assert "'none' in a.y" in str(found["a.x"])


def test_one_fault_of_many_units_is_said_once() -> None:
    """A dbt project that cannot be read is one fault, with some of its units named and the others counted."""
    broken = {f"dag.task_{number:02}": "cannot read the dbt project p" for number in range(85)}

    found = faults({**broken, "own.one": "unit own.one: `retries` is -1"})

    assert [str(fault) for fault in found] == [
        "85 units (dag.task_00, dag.task_01, dag.task_02 and 82 more): cannot read the dbt project p",
        "unit own.one: `retries` is -1",
    ]
    assert found[0].as_json() == {"why": "cannot read the dbt project p", "units": sorted(broken)}
    assert str(Fault("it is gone", ("a.b",))) == "unit a.b: it is gone"
