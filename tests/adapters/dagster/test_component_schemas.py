"""The kept schemas of component types are those that Dagster would collect now."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dagster.components.core.component_tree import ComponentTree
from dagster.components.core.load_defs import PLUGIN_COMPONENT_TYPES_JSON_METADATA_KEY
from dagster.components.core.package_entry import get_plugin_entry_points
from dagster_shared.record import replace
from pytest_mock import MockerFixture

from dagster_defs.adapters.dagster import component_schemas
from dagster_defs.adapters.dagster.component_schemas import FILE, schemas_kept
from tests.support.estate import ROOT


@pytest.fixture
def tree(tmp_path: Path) -> Any:
    """This project's component tree, with a root that is empty."""
    return replace(ComponentTree.for_project(ROOT), project_root=tmp_path)


def _shown(tree: Any) -> Any:
    return (schemas_kept(tree).metadata or {})[PLUGIN_COMPONENT_TYPES_JSON_METADATA_KEY].value


def test_the_second_load_collects_nothing_and_shows_the_same(tree: Any, mocker: MockerFixture) -> None:
    """The first load shows what Dagster collects; the next shows it from the file, and is a project's definitions."""
    collected = (component_schemas._collect(tree).metadata or {})[
        PLUGIN_COMPONENT_TYPES_JSON_METADATA_KEY
    ].value
    collect = mocker.spy(component_schemas, "_collect")

    assert json.dumps(_shown(tree)) == json.dumps(_shown(tree)) == json.dumps(collected)
    assert collect.call_count == 1
    assert schemas_kept(tree).component_tree is tree


def test_another_package_or_a_broken_file_collects_again(tree: Any, mocker: MockerFixture) -> None:
    """A package of another version, and a file that is cut off, are never answered from the cache."""
    before = _shown(tree)
    collect = mocker.spy(component_schemas, "_collect")
    (tree.project_root / FILE).write_text((tree.project_root / FILE).read_text()[:-40])
    assert _shown(tree) == before
    for distribution in {
        type(entry.dist) for entry in get_plugin_entry_points()
    }:  # there is a backport of the class
        mocker.patch.object(distribution, "version", new_callable=mocker.PropertyMock, return_value="0.0.1")
    assert _shown(tree) == before

    assert collect.call_count == 2


def _collections(
    tree: Any, package: Path, monkeypatch: pytest.MonkeyPatch, mocker: MockerFixture
) -> Callable[[], int]:
    """How often the schemas have been collected, once asked for, with only a package that is edited in place."""
    monkeypatch.syspath_prepend(package.parent)
    origin = json.dumps({"url": "file:///x", "dir_info": {"editable": True}})
    edited = SimpleNamespace(read_text=lambda name: origin, name="theirs", version="1")
    entry = SimpleNamespace(group="g", value=package.stem, module=package.stem, dist=edited)
    mocker.patch.object(component_schemas, "get_plugin_entry_points", return_value=[entry])
    collect = mocker.spy(component_schemas, "_collect")

    def collections() -> int:
        schemas_kept(tree)
        return collect.call_count

    return collections


def test_a_package_that_is_edited_in_place_is_collected_after_each_edit(
    tree: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mocker: MockerFixture
) -> None:
    """Its files may change without an installation: one is edited, added, or removed."""
    package = tmp_path / "site" / "theirs_in_place"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    collections = _collections(tree, package, monkeypatch, mocker)

    assert [collections(), collections()] == [1, 1]
    (package / "__init__.py").write_text("EDITED = True")
    assert [collections(), collections()] == [2, 2]
    (package / "more.py").write_text("")
    assert [collections(), collections()] == [3, 3]
    (package / "more.py").unlink()
    assert [collections(), collections()] == [4, 4]


def test_a_single_module_that_is_edited_in_place_is_collected_after_each_edit(
    tree: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mocker: MockerFixture
) -> None:
    """A package need not be a folder."""
    module = tmp_path / "site" / "theirs_in_one_file.py"
    module.parent.mkdir()
    module.write_text("")
    collections = _collections(tree, module, monkeypatch, mocker)

    assert [collections(), collections()] == [1, 1]
    module.write_text("EDITED = True")
    assert [collections(), collections()] == [2, 2]


def test_a_package_of_unknown_origin_is_always_collected(tree: Any, mocker: MockerFixture) -> None:
    """Nobody can tell when it changes."""
    entry = SimpleNamespace(group="g", value="theirs", module="theirs", dist=None)
    mocker.patch.object(component_schemas, "get_plugin_entry_points", return_value=[entry])

    schemas_kept(tree)

    assert not (tree.project_root / FILE).exists()
