"""Our component tree gives components what Dagster's gives them, and asks for less."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._utils.warnings import suppress_dagster_warnings
from dagster.components.core import defs_module
from dagster.components.resolved import base
from dagster.components.resolved.context import ResolutionContext
from dagster.components.utils import project_paths
from dagster_shared import yaml_utils
from dagster_shared.yaml_utils.source_position import SourcePositionTree

from dagster_defs.adapters.dagster import component_tree
from dagster_defs.adapters.dagster.component_tree import EstateTree, PlainTextContext
from dagster_defs.components import DbtUnit
from tests.support.estate import ROOT

TEXTS = ["plain", "5", "05", "1.5", "2024-03-01", "'quoted'", "[1, 2]", "None", "true", "True", " 7", "0x10", "a\nb",
         "a\n", "{one: 2}", "{'one': 2}", "{{ 1 + 1 }}", "x {{ 'y' }}", "{% if true %}z{% endif %}", "{# no #}w",
         "# a", "1_000", "é"]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_a_plain_text_is_what_dagster_would_make_of_it(text: str) -> None:
    """A text without a template resolves to the value, and the type, to which Dagster's own template renders it."""
    usual = ResolutionContext.default()

    resolved = PlainTextContext(scope=usual.scope).resolve_value(text)

    assert (type(resolved), resolved) == (type(usual.resolve_value(text)), usual.resolve_value(text))


def test_yaml_is_read_as_dagster_reads_it() -> None:
    """Values and the lines on which they begin are the same from the parser in C, for each file of this estate."""
    files = sorted((ROOT / "dagster_defs" / "defs").rglob("*.yaml"))
    assert files
    for file in files:
        text = file.read_text()
        ours = component_tree._parse_yamls(text, str(file))
        theirs = yaml_utils.parse_yamls_with_source_position(text, str(file))
        assert [one.value for one in ours] == [one.value for one in theirs]
        assert [_lines(one.source_position_tree) for one in ours] == [
            _lines(one.source_position_tree) for one in theirs
        ]


def _lines(tree: SourcePositionTree) -> object:
    return tree.position.start.line, {name: _lines(child) for name, child in tree.children.items()}


def test_a_broken_file_is_described_as_dagster_describes_it() -> None:
    """The message, with its line, is that of the usual parser."""
    text = "type: x\nattributes: [1, 2\n"
    with pytest.raises(yaml.YAMLError) as theirs:
        yaml_utils.parse_yamls_with_source_position(text, "some.yaml")
    with pytest.raises(yaml.YAMLError) as ours:
        component_tree._parse_yamls(text, "some.yaml")

    assert str(ours.value) == str(theirs.value)
    assert vars(yaml_utils)["yaml"] is yaml


def test_the_definitions_are_those_of_dagsters_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Assets with their specs, jobs, checks, sensors and schedules of this estate, from both trees."""
    # What somebody has refreshed meanwhile, such as a demo in this checkout, would be in the second tree only.
    monkeypatch.setattr(project_paths, "get_local_defs_state_dir", lambda _: tmp_path)
    ours, theirs = (tree.for_project(ROOT).build_defs() for tree in (EstateTree, dg.ComponentTree))

    assert _described(ours) == _described(theirs)


def _described(definitions: dg.Definitions) -> object:
    graph = definitions.resolve_asset_graph()
    specs = {
        key.to_user_string(): (
            node.group_name,
            node.description,
            sorted(node.tags.items()),
            sorted(node.metadata),
        )
        for key in sorted(graph.get_all_asset_keys())
        if (node := graph.get(key))
    }
    return (
        specs,
        sorted(key.to_user_string() for key in graph.asset_check_keys),
        sorted(job.name for job in definitions.resolve_all_job_defs()),
        sorted(sensor.name for sensor in definitions.sensors or ()),
        sorted(definitions.metadata),
    )


@pytest.mark.parametrize(
    ("module", "name"),
    [(base, "_get_init_kwargs"), (base, "resolve_fields"), (defs_module, "_add_defs_yaml_metadata")],
)
def test_a_name_that_dagster_lacks_is_not_replaced(
    module: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What makes the load faster is left out, and the name does not appear."""
    monkeypatch.delattr(module, name)

    with component_tree._put(module, name, lambda usual: usual):
        assert not hasattr(module, name)
    assert not hasattr(module, name)


def test_fields_are_resolved_by_dagster_where_it_lacks_what_we_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replacement that would need a missing name is not made."""
    monkeypatch.delattr(base, "_Unset")

    assert component_tree._fields_resolved_once(base.resolve_fields) is base.resolve_fields


class _Placed(dg.Component):
    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        return dg.Definitions()

    @classmethod
    def get_code_references_for_yaml(
        cls, yaml_path: Path, source_position: Any, context: Any
    ) -> list[dg.LocalFileCodeReference | dg.UrlCodeReference]:
        return [dg.LocalFileCodeReference(file_path=str(yaml_path), line_number=source_position)]


@suppress_dagster_warnings
def test_what_yaml_adds_to_metadata_is_what_dagster_adds() -> None:
    """The place in the file and the component, for the first definition of a document and for those that follow, with
    references of their own or without."""
    kept = component_tree._YamlMetadata(defs_module._add_defs_yaml_metadata)
    code = dg.CodeReferencesMetadataValue(
        code_references=[dg.LocalFileCodeReference(file_path="model.sql", line_number=1)]
    )
    cases: list[dict[str, object]] = [
        {"a": 1},
        {},
        {"b": 2, "dagster/code_references": code},
    ]
    for component in (_Placed(), _Placed()):
        for metadata in cases:
            place = {"component_yaml_path": Path("defs.yaml"), "load_context": None, "source_position": 3}
            told: dict[str, Any] = {**place, "component": component, "metadata": metadata}

            assert kept.added(**told) == defs_module._add_defs_yaml_metadata(**told)


def test_a_field_is_resolved_as_dagster_resolves_it() -> None:
    """Unset fields have their defaults, and set ones what their templates render to."""
    given = {
        "unit": "{{ 'shop' }}.build",
        "schedule": {"cron": "@daily", "start": "2024-01-01"},
        "retries": "{{ 2 }}",
    }
    model = DbtUnit.model().model_validate(given)
    context = ResolutionContext.default()

    ours = component_tree._resolve_fields(model, DbtUnit, context)

    assert ours == base.resolve_fields(model, DbtUnit, context)
    assert ours["retries"] == 2
