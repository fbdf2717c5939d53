"""Which variables may decide what there is in a dbt project, and the parse with them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.adapters.dbt.shaping import ShapingVariables
from dagster_defs.inventory import Selection
from dagster_defs.usecases.inventory import ProjectOnDisk
from tests.support.estate import ROOT

PROJECT = ROOT / "tests" / "journeys" / "foreign" / "dbt"


def shaping(tmp_path: Path, text: str, name: str = "model.sql") -> ShapingVariables:
    (tmp_path / name).write_text(text)
    return ShapingVariables.in_files([tmp_path / name])


@pytest.mark.parametrize(
    "text",
    [
        "select * from {{ ref('a') }} where day = '{{ var('x') }}'",
        "select {{ var('x') | int + 1 }} from {{ source('s', 't') }}",
        "{{ config(materialized='table', tags=['a', 'b']) }} select '{{ var('x', 'none') }}'",
        "select * from {{ ref('a') }} {% if is_incremental() %} where d >= '{{ var('x') }}' {% endif %}",
        "select * from {{ ref('a') }} {% if var('x') %} where true {% else %} limit 0 {% endif %}",
        "{% set day = var('x') %} select '{{ day }}' from {{ ref('a') }}",
        "{# {{ config(enabled=var('x')) }} #} select 1",
    ],
)
def test_what_changes_rows_alone_shapes_nothing(text: str, tmp_path: Path) -> None:
    """A value in the SQL of a statement, or a condition around it."""
    assert shaping(tmp_path, text) == ShapingVariables(frozenset())


@pytest.mark.parametrize(
    "text",
    [
        "{{ config(enabled=var('x')) }} select 1",
        "{{ config(schema='a_' ~ var('x')) }} select 1",
        "{% set on = var('x') %}{{ config(enabled=on) }} select 1",
        "select * from {{ ref(var('x')) }}",
        "select * from {{ source('s', var('x')) }}",
        "{% if var('x') %} select * from {{ ref('a') }} {% else %} select 1 {% endif %}",
        "{% if var('x') %}{{ config(alias='b') }}{% endif %} select 1",
        "{% for one in var('x') %} select * from {{ ref('a', v=one) }} {% endfor %}",
        "select {{ 1 if var('x') else ref('a') }}",
        "select {{ var('x') and ref('a') }}",
        "select * from {{ of_my_macro(var('x')) }}",
        "select * from {{ adapter.get_relation(identifier=var('x')) }}",
        "{% macro m() %}{{ var('x') }}{% endmacro %}",
        "{% snapshot s %}{{ config(target_schema=var('x')) }} select 1 {% endsnapshot %}",
        "{% test t(model) %} select {{ var('x') }} {% endtest %}",
    ],
)
def test_what_decides_a_node_or_an_edge_may_shape(text: str, tmp_path: Path) -> None:
    """In a config, a reference, a condition around one, or where a macro may make anything of it."""
    found = shaping(tmp_path, text)

    assert found.may_shape("x")
    assert not found.may_shape("y")


@pytest.mark.parametrize(
    "text", ["{{ config(enabled=var(name)) }}", "select {{ var(name) }}", "{% set v = var %}"]
)
def test_a_name_that_is_computed_may_be_any(text: str, tmp_path: Path) -> None:
    """Then each variable may shape the project."""
    assert shaping(tmp_path, text).may_shape("y")


def test_yaml_decides(tmp_path: Path) -> None:
    """Whatever is asked for there is about nodes, sources or tests."""
    text = "models: {shop: {+enabled: \"{{ var('x') }}\", +tags: [\"{{ var('z', 'a') }}\"]}}\nvars: {y: 1}\n"

    assert shaping(tmp_path, text, "dbt_project.yml") == ShapingVariables(frozenset({"x", "z"}))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a model that a variable enables, and a schema that another one names."""
    monkeypatch.setenv("SHOP_DATA", str(tmp_path))
    root = tmp_path / "dbt"
    shutil.copytree(PROJECT, root)
    config = "{{ config(enabled=var('with_marts', false), schema=var('region', 'north')) }}"
    (root / "models" / "marts.sql").write_text(
        "\n".join([config, "select * from {{ ref('orders_per_day') }}"])
    )
    return root


def test_a_selection_is_that_of_the_variables(project: Path) -> None:
    """dbt itself enables the model with them, and so do we; without them there is none."""
    read = ProjectOnDisk(project)
    marts = Selection("run", ("marts",))

    assert read.may_be_shaped_by("with_marts")
    assert not read.may_be_shaped_by("from_day")
    assert read.executed(marts, {}) == ()
    assert read.executed(marts, {"with_marts": True}) == ("model.shop.marts",)
    assert read.executed(marts, {"with_marts": False}) == ()


def test_a_workspace_is_parsed_with_what_shapes_it(project: Path) -> None:
    """Each set of values has a manifest of its own, and none spoils the other's."""
    plain = DbtWorkspace(project, "legacy")
    north, south = (
        DbtWorkspace(project, "legacy", f"with_marts: true\nregion: {region}\n")
        for region in ("north", "south")
    )

    def schemas() -> list[str | None]:
        found = (each.manifest["nodes"].get("model.shop.marts") for each in (plain, north, south))
        return [node and node["schema"].rpartition("_")[2] for node in found]

    assert schemas() == [None, "north", "south"]
    assert north.select("marts") == {"model.shop.marts"}
    assert plain.select("marts") == frozenset()
    assert schemas() == [None, "north", "south"]
    assert len({each.target_path for each in (plain, north, south)}) == 3


def test_what_shapes_is_kept_until_a_file_changes(project: Path) -> None:
    """Reading all templates of a large project takes seconds."""
    first = DbtWorkspace(project, "legacy").shaping
    (project / "models" / "more.sql").write_text("{{ config(enabled=var('more', true)) }} select 1 as one")

    assert not first.may_shape("more")
    assert DbtWorkspace(project, "legacy").shaping.may_shape("more")
    (project / "target" / "legacy" / "shaping.json").write_text('{"files": "x", "shaping": 3}')
    assert DbtWorkspace(project, "legacy").shaping.may_shape("more")
