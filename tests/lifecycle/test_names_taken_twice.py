"""Names that two units or two DAGs would share in Dagster, or in files: refused by name, and nobody else pays."""

from __future__ import annotations

import pytest

from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.identity import dags_taken_twice, definers, names_taken_twice

ALONE = [
    "taxi_daily.dbt_daily",
    "taxi_daily.dbt_zones",
    "taxi-hourly.dbt",
    "Sales.t",
    "größe.t",
    "a.b",
    "a.b__c",
    "x__y.z",
]


def test_names_that_do_not_collide_stay() -> None:
    """What no other unit would be called is no fault, whatever characters it has."""
    assert names_taken_twice(ALONE) == {}
    assert dags_taken_twice(name.partition(".")[0] for name in ALONE) == {}


@pytest.mark.parametrize(
    ("names", "shared"),
    [
        (("a-b.t", "a_b.t"), "a_b__t"),
        (("a-b.one", "a_b.two"), "a_b"),
        (("a.b", "a__b.t"), "a__b"),
        (("a.b-c", "a.b_c"), "a__b_c"),
        (("a.g.t", "a.g_t"), "a__g_t"),
        (("a.b__c", "a__b.c"), "a__b__c"),
        (("Taxi.t", "taxi.t"), "taxi__t"),
        (("Taxi.one", "tAXI.two"), "taxi"),
        (("a.Load", "a.load"), "a__load"),
        (("größe.t", "gr__e.t"), "gr__e__t"),
        (("a b.t", "a.b.t"), ""),
        (("shadow__a.t", "a.t"), "shadow__a__t"),
        (("compare__a.t", "a.t"), "compare__a__t"),
    ],
)
def test_names_that_collide_are_refused_by_name(names: tuple[str, str], shared: str) -> None:
    """Both units are named with the name that they would share and the way out; others are not touched."""
    errors = names_taken_twice([*names, "other.unit"])

    if not shared:
        assert errors == {}
        return
    assert set(errors) == set(names)
    for name in names:
        message = str(errors[name])
        assert message.startswith(f"unit {name}: ")
        assert f"would both be called {shared!r} in Dagster. Mirror only one of them, or rename" in message
        assert all(each.partition(".")[0] in message for each in names)


@pytest.mark.parametrize("dags", [("a-b", "a_b"), ("Taxi", "taxi"), ("a.b", "a_b"), ("größe", "gr__e")])
def test_dags_with_one_folder_are_refused_by_name(dags: tuple[str, str]) -> None:
    """DAGs whose files would overwrite each other are named, both of them."""
    errors = dags_taken_twice([*dags, "other", "other"])

    assert set(errors) == set(dags)
    assert all(
        f"DAG {dags[0]} and DAG {dags[1]} would both be called" in str(error) for error in errors.values()
    )


@pytest.mark.parametrize("backwards", [False, True])
def test_the_unit_that_builds_the_fewest_defines_a_thing(backwards: bool) -> None:
    """Among equals the first by name; what one unit alone builds is its own, in whatever order they are told."""
    wide, narrow, twin = Unit("a", "wide"), Unit("b", "narrow"), Unit("b", "twin")
    built = {(3, wide): ["x", "y", "z"], (1, narrow): ["x"], (1, twin): ["x"]}
    told = dict(reversed(built.items())) if backwards else built

    assert definers(told) == {"x": narrow, "y": wide, "z": wide}
