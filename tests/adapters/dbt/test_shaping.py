"""Which variables may decide what there is in a dbt project, and the parse with them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.adapters.dbt.project_files import files_of
from dagster_defs.adapters.dbt.shaping import ShapingVariables
from dagster_defs.inventory import Selection, SelectionRefused
from dagster_defs.usecases import inventory
from dagster_defs.usecases.inventory import ProjectOnDisk
from tests.support.estate import ROOT

PROJECT = ROOT / "tests" / "journeys" / "foreign" / "dbt"


def shaping(tmp_path: Path, text: str, name: str = "model.sql", macros: str = "") -> ShapingVariables:
    (tmp_path / name).write_text(text)
    (tmp_path / "macros.sql").write_text(macros)
    return ShapingVariables.in_files([tmp_path / name, tmp_path / "macros.sql"])


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
        "{% test t(model) %} select {{ var('x') }} {% endtest %}",
        "select * from {{ ref('a') }} where {{ between(var('x')) }}",
    ],
)
def test_what_changes_rows_alone_shapes_nothing(text: str, tmp_path: Path) -> None:
    """A value in the SQL of a statement, or a condition around it."""
    found = shaping(tmp_path, text)

    assert (found.names, found.any_name) == (frozenset(), False)


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
        "{% test t(model) %}{{ config(severity=var('x')) }} select 1 {% endtest %}",
        "{% if var('x') %}{{ builtins.ref('a') }}{% endif %}",
        """{{ config(pre_hook="{% if var('x') %} insert into {{ ref('a') }} {% endif %}") }} select 1""",
        "{% snapshot s %}{{ config(target_schema=var('x')) }} select 1 {% endsnapshot %}",
    ],
)
def test_what_decides_a_node_or_an_edge_may_shape(text: str, tmp_path: Path) -> None:
    """In a config, a reference, a condition around one, or where a macro may make anything of it."""
    found = shaping(tmp_path, text)

    assert found.may_shape("x")
    assert not found.may_shape("y")


@pytest.mark.parametrize(
    ("text", "only_printed"),
    [
        ("select * from {{ ref('a') }} where day = '{{ var('x') }}'", True),
        (
            "select '{{ var('x', 'none') }}' {% if is_incremental() %} where d >= {{ var('x') }} {% endif %}",
            True,
        ),
        ("{% for one in [1, 2] %} {{ var('x') }} {% else %} {{ var('x') }} {% endfor %}", True),
        ("{% if false %} {% elif true %} {{ var('x') }} {% endif %}", True),
        ("select {{ var('x') + 1 }}", False),
        ("select {{ var('x') }}, {{ var('x') | length }}", False),
        ("select {{ var('x').day }}", False),
        ("select {{ var('x')[0] }}", False),
        ("select '{{ var('y', var('x')) }}'", False),
        ("select '{{ var('x', 1 + 1) }}'", False),
        ("{% set day = var('x') %} select 1", False),
        ("{% set days %}{{ var('x') }}{% endset %} select {{ days | int }}", False),
        ("{% filter int %}{{ var('x') }}{% endfilter %}", False),
        ("{% call between() %}{{ var('x') }}{% endcall %}", False),
        ("{% if var('x') > 1 %} select 1 {% endif %}", False),
        ("{% for one in var('x') %} {{ one }} {% endfor %}", False),
        ("{{ config(pre_hook=\"select {{ var('x') }}\") }} select '{{ var('x') }}'", False),
        ("{{ config(enabled=var('x')) }} select '{{ var('x') }}'", False),
        ("{% macro day() %}{{ var('x') }}{% endmacro %}", False),
        ("select {{ builtins.var('x') }}", False),
        ("select {{ var(name) }}", False),
        ("select {{ var('x') ", False),
    ],
)
def test_a_value_that_is_only_printed_cannot_fail_a_parse(
    text: str, only_printed: bool, tmp_path: Path
) -> None:
    """A statement puts it into its SQL as it is, and nothing else takes it, nor the text around it."""
    assert shaping(tmp_path, text).is_only_printed("x") is only_printed


READS = "{% macro reads() %}{{ return(var('x')) }}{% endmacro %}"
REFERS = "{% macro of_a() %}{{ ref('a') }}{% endmacro %}"


@pytest.mark.parametrize(
    ("model", "macros"),
    [
        ("select {{ reads() }}", READS),
        ("select {{ two() }}", READS + "{% macro two() %}{{ reads() }}{% endmacro %}"),
        ("select * from {{ of_a() }} where {{ reads() }}", READS + REFERS),
        ("{{ config(materialized='view') }} select {{ var('y') }}", READS),
        (
            "select * from {{ ref('a') }}",
            "{% materialization m, default %}{{ var('x') }}{% endmaterialization %}",
        ),
    ],
)
def test_a_macro_that_writes_sql_shapes_nothing(model: str, macros: str, tmp_path: Path) -> None:
    """Whatever it asks for, if no node and no edge rests on its result."""
    assert not shaping(tmp_path, model, macros=macros).may_shape("x")


@pytest.mark.parametrize(
    ("model", "macros"),
    [
        ("{{ config(enabled=reads()) }} select 1", READS),
        ("{% set on = reads() %}{{ config(enabled=on) }} select 1", READS),
        ("{{ config(enabled=two()) }} select 1", READS + "{% macro two() %}{{ reads() }}{% endmacro %}"),
        ("{{ config(enabled=package.reads()) }} select 1", READS),
        (
            "{{ config(enabled=two()) }} select 1",
            "{% macro two() %}{{ adapter.dispatch('two', 'shop')() }}{% endmacro %}"
            "{% macro default__two() %}{{ var('x') }}{% endmacro %}",
        ),
        ("{% if reads() %} select * from {{ of_a() }} {% else %} select 1 {% endif %}", READS + REFERS),
        ("{% if var('x') %} select * from {{ of_a() }} {% else %} select 1 {% endif %}", REFERS),
        ("select * from {{ of(var('x')) }}", "{% macro of(name) %}{{ ref(name) }}{% endmacro %}"),
        ("{% set t = var('x') %}{{ of(t) }}", "{% macro of(name) %}{{ ref(name) }}{% endmacro %}"),
        (
            "select * from {{ some() }}",
            READS + "{% macro some() %}{% if reads() %}{{ ref('a') }}{% endif %}{% endmacro %}",
        ),
        ("select 1", "{% macro generate_schema_name(name, node) %}{{ var('x') }}{% endmacro %}"),
        ("select 1", READS + "{% macro duckdb__generate_alias_name(a, b) %}{{ reads() }}{% endmacro %}"),
        ("{{ config(enabled=context['re' ~ 'ads']()) }} select {{ reads() }}", READS),
    ],
)
def test_a_macro_on_which_a_node_rests_may_shape(model: str, macros: str, tmp_path: Path) -> None:
    """Directly, through others, by dispatch, or because dbt itself asks it for a name."""
    assert shaping(tmp_path, model, macros=macros).may_shape("x")


@pytest.mark.parametrize(
    "text", ["{{ config(enabled=var(name)) }}", "select {{ var(name) }}", "{% set v = var %}"]
)
def test_a_name_that_is_computed_may_be_any(text: str, tmp_path: Path) -> None:
    """Then each variable may shape the project."""
    assert shaping(tmp_path, text).may_shape("y")


def test_yaml_decides(tmp_path: Path) -> None:
    """Whatever is asked for there is about nodes, sources or tests."""
    text = "models: {shop: {+enabled: \"{{ var('x') }}\", +tags: [\"{{ var('z', 'a') }}\"]}}\nvars: {y: 1}\n"

    found = shaping(tmp_path, text, "dbt_project.yml")

    assert (found.names, found.any_name) == (frozenset({"x", "z"}), False)


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


def test_there_is_a_bound_to_parses(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of tasks with values of their own cost no hours: the rest is not determined, and says why."""
    monkeypatch.setattr(inventory, "MOST_PARSES", 1)
    read = ProjectOnDisk(project)
    read.executed(Selection("run"), {})
    read.executed(Selection("run"), {"region": "north"})

    with pytest.raises(SelectionRefused, match="region may decide"):
        read.executed(Selection("run"), {"region": "south"})
    assert read.executed(Selection("run", ("orders_per_day",)), {"region": "north"})


@pytest.mark.parametrize("value", ['ref(var("x"))', "{{ var('x') }}", "{{ broken var('x'"])
def test_yaml_adds_its_braces_by_itself(value: str, tmp_path: Path) -> None:
    """`to: ref(var("x"))` is a template to dbt; what cannot be read may ask for anything."""
    text = f"models: [{{name: a, data_tests: [{{relationships: {{to: {value!r}, field: id}}}}]}}]\n"

    assert shaping(tmp_path, text, "schema.yml").may_shape("x")


@pytest.mark.parametrize("place", ["models/targeting", "models/logs", "linked"])
def test_every_file_of_the_project_counts(place: str, tmp_path: Path) -> None:
    """Whatever a folder below the top is called; a package may be a link, and links may go round."""
    root = tmp_path / "dbt"
    (root / "target" / "compiled").mkdir(parents=True)
    (root / "target" / "compiled" / "b.sql").write_text("{{ config(enabled=var('compiled')) }}")
    folder = tmp_path / "elsewhere" if place == "linked" else root / place
    folder.mkdir(parents=True)
    (folder / "a.sql").write_text("{{ config(enabled=var('x')) }} select 1")
    if place == "linked":
        (root / "dbt_packages").mkdir()
        (root / "dbt_packages" / "p").symlink_to(folder)
        (folder / "again").symlink_to(folder)

    found = ShapingVariables.in_files(files_of(root))

    assert (found.names, found.any_name) == (frozenset({"x"}), False)


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
    kept = project / "target" / "legacy" / "shaping.json"
    kept.write_text('{"files": "x", "shaping": 3}')
    assert DbtWorkspace(project, "legacy").shaping.may_shape("more")
