"""Which column of a model says the window of a row, from its own code, and when nobody can tell."""

from __future__ import annotations

from typing import Any

import pytest

from dagster_defs.inventory.time_columns import TimeSource, WindowNames, time_column

WINDOW = WindowNames(frozenset({"lo"}), frozenset({"hi"}))
IN_WINDOW = 'day >= cast(\'{{ var("lo") }}\' as date) and day < \'{{ var("hi", "2024-01-01") }}\''


def told(code: str, window: WindowNames = WINDOW, **config: Any) -> tuple[str | None, str]:
    text = code.replace("WINDOW", IN_WINDOW)
    found = time_column(
        {"config": {"materialized": "incremental", **config}, "raw_code": text}, window, "duckdb"
    )
    assert (found.column is None) == (found.source is TimeSource.NONE)
    return found.column, found.reason


@pytest.mark.parametrize(
    ("code", "column"),
    [
        ("{{ config(tags=['x']) }} select day, n from {{ ref('x') }} where WINDOW", "day"),
        ("select day from {{ ref('x') }} {% if is_incremental() %} where WINDOW {% endif %}", "day"),
        ("select day from {% if not is_incremental() %} a {% else %} {{ ref('x') }} where WINDOW {% endif %}", "day"),
        ("with a as (select day as d from {{ ref('x') }} where WINDOW) select d as at, sum(1) from a group by 1", "at"),
        ("with a as (select * from {{ ref('x') }}), b as (select * from a where WINDOW) select * from b", "day"),
        ("select e.day, z.n from {{ ref('x') }} e join {{ ref('z') }} z using (id) "
         "where e.day >= '{{ var('lo') }}' and e.day < '{{ var('hi') }}'", "day"),
        ("{% set lo = var('lo') %} select day from x where '{{ lo }}' <= day and '{{ var('hi') }}' > day", "day"),
        ("select day from (select day from x union all select day from y) as both_ where WINDOW", "day"),
    ],
)  # fmt: skip
def test_the_filter_says_the_column(code: str, column: str) -> None:
    """The column that is compared with both ends of the window, under the name that the model gives it."""
    assert told(code) == (column, f"its filter: lo <= {column} < hi")


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("select day from x", "compares no column with both ends"),
        ("select day from x where day >= '{{ var('lo') }}'", "compares no column with both ends"),
        ("select n from x where WINDOW", "as no column of its own"),
        ("select date_trunc('month', day) as day from x where WINDOW", "as no column of its own"),
        ("select * replace (day + 1 as day) from x where WINDOW", "as no column of its own"),
        ("select day, day as again from x where WINDOW", "as day and again"),
        ("select day from x where day >= '{{ var('lo') }}' and day <= '{{ var('hi') }}'", "day <= '{{ hi }}'"),
        ("select day from x where day between '{{ var('lo') }}' and '{{ var('hi') }}'", "BETWEEN"),
        ("select day from x where (day >= '{{ var('lo') }}' or n > 0) and day < '{{ var('hi') }}'", "n > 0"),
        ("select day from x where day >= {{ local(var('lo')) }} and day < {{ local(var('hi')) }}", "`column >= start"),
        ("select day from x where day + 1 >= '{{ var('lo') }}' and day < '{{ var('hi') }}'", "`column >= start"),
        ("select day, '{{ var('hi') }}' as until from x where WINDOW", "in more places than its filter"),
        ("select e.day from x e join y using (id) where e.day >= '{{ var('lo') }}' and y.day < '{{ var('hi') }}'",
         "more than one column"),
        ("select day from x join y using (id) where WINDOW", "comes from is not clear"),
        ("with a as (select day from x where WINDOW) select b.day from a b join a c on b.day = c.day - 1",
         "as no column of its own"),
        ("select day from x where WINDOW union all select day from y", "not one select"),
        ("select day from x {% if var('full') %} where WINDOW {% endif %}", "decides more than is_incremental"),
        ("select day from x {% for one in [1] %} where WINDOW {% endfor %}", "decides more than is_incremental"),
        ("select day from where x WINDOW ((", "cannot be read"),
        ("select day {% if %}", "template cannot be read"),
        ("select day from " + "(" * 3000 + "x", "cannot be read"),
    ],
)  # fmt: skip
def test_what_is_not_plain_is_said(code: str, why: str) -> None:
    """A filter that is not half-open on one column of the rows themselves gives no column, and the reason names it."""
    column, reason = told(code)
    assert column is None
    assert why in reason


_FILTERED = "with f as (select * from x where WINDOW), u as (select * from z) select {0}.day, u.id from {1}"


@pytest.mark.parametrize(
    ("sources", "is_whole"),
    [
        ("f left join u using (id)", True),
        ("u left join f using (id)", False),
        ("u left outer join f using (id)", False),
        ("u right join f using (id)", True),
        ("f right join u using (id)", False),
        ("f full join u using (id)", False),
        ("u full outer join f using (id)", False),
        ("f positional join u", False),
        ("f join u using (id)", True),
        ("f cross join u", True),
        ("f join u using (id) left join w using (id)", True),
        ("f join u using (id) right join w using (id)", False),
        ("f left join u using (id) full join w using (id)", False),
        ("u left join (f join w using (id)) using (id)", False),
        ("w join (u left join f using (id)) using (id)", False),
        ("f as g left join u using (id)", True),
        ("u left join f as g using (id)", False),
    ],
)
def test_an_outer_join_leaves_no_window(sources: str, is_whole: bool) -> None:
    """Rows for which it finds nothing have a NULL in the column, and lie in no window; of its other side none has."""
    name = "g" if " g " in sources else "f"
    column, reason = told(_FILTERED.format(name, sources))

    assert column == ("day" if is_whole else None)
    if not is_whole:
        assert "day, and an outer join may leave that NULL" in reason or "not clear" in reason, reason


def test_a_filter_on_what_an_outer_join_finds() -> None:
    """Such a column is not taken either, and the reason says so; neither is one that an inner select had joined so."""
    assert told(
        "select f.day from u left join f using (id) "
        "where f.day >= '{{ var('lo') }}' and f.day < '{{ var('hi') }}'"
    ) == (
        None,
        "an outer join may leave f.day of its filter NULL",
    )
    assert (
        told("with j as (select f.day from u left join f using (id)) select day from j where WINDOW")[0]
        is None
    )


def test_event_time_is_that_of_a_microbatch_model() -> None:
    """`event_time` counts where dbt filters the model by it; beside another filter it has to agree."""
    batches: dict[str, Any] = {"incremental_strategy": "microbatch", "event_time": "at"}
    said = WindowNames(event_times=True)
    assert told("select 1", said, **batches) == ("at", "event_time of a microbatch model")
    assert told("select 1", **batches) == (None, "a microbatch model, and the unit says no event times")
    assert told("select day from x where WINDOW", event_time="DAY")[0] == "day"
    column, reason = told("select day from x where WINDOW", event_time="at")
    assert (column, "its event_time is at" in reason) == (None, True)


def test_a_table_that_every_run_builds_has_no_window() -> None:
    """Of a table, a seed or a snapshot all rows are the last run's, whatever its code filters."""
    assert told("select day from x where WINDOW", materialized="table") == (
        None,
        "every run builds the whole table",
    )
    assert told("select day from x where WINDOW", WindowNames())[1].startswith("the unit has no variables")
