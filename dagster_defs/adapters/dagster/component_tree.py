"""Dagster's component tree for hundreds of YAML documents: what it works out for each of them is worked out once.

Dagster lists all declarations anew for each component that it loads, reads YAML in pure Python, and takes every plain
text for a template to compile. What a component sees is the same here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, cached_property
from types import SimpleNamespace
from typing import Any

import dagster as dg
import yaml
from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext, DefinitionsLoadType
from dagster.components.core import decl, load_defs
from dagster.components.core.component_tree import ComponentTree
from dagster.components.core.context import ComponentDeclLoadContext
from dagster.components.core.decl import ComponentDecl
from dagster.components.core.defs_module import ComponentLoc
from dagster.components.resolved import base
from dagster.components.resolved.context import ResolutionContext
from dagster_shared import yaml_utils
from jinja2.nativetypes import native_concat

_MARKS = ("{{", "{%", "{#", "\n", "\r")  # of a template; Jinja changes the ends of lines too


class PlainTextContext(ResolutionContext):
    """Resolves a text that has no template in it to what it would be rendered to, and compiles none."""

    def _resolve_inner_value(self, val: Any) -> Any:
        if isinstance(val, str) and val and not any(mark in val for mark in _MARKS):
            return native_concat([val])
        return super()._resolve_inner_value(val)


class EstateTree(ComponentTree):
    """The component tree of one load."""

    @cached_property
    def decl_load_context(self) -> ComponentDeclLoadContext:
        usual = super().decl_load_context
        scope = usual.resolution_context.scope
        return replace(usual, resolution_context=PlainTextContext(scope=scope))

    def _get_filesystem_decl(self) -> ComponentDecl[Any]:
        with _put(decl, "parse_yamls_with_source_position", _parse_yamls):
            return super()._get_filesystem_decl()

    def _component_decl_tree(self) -> dict[ComponentLoc, ComponentDecl[Any]]:
        return self._declarations

    @cached_property
    def _declarations(self) -> dict[ComponentLoc, ComponentDecl[Any]]:
        return super()._component_decl_tree()

    def reload_with_state(self, changed_state_keys: Iterable[str]) -> dg.Definitions:
        vars(self).pop("_declarations", None)
        return super().reload_with_state(changed_state_keys)

    def load(self) -> dg.Definitions:
        """The definitions of the whole project."""
        with (
            _put(base, "_get_annotations", cache(base._get_annotations)),
            _put(base, "_get_init_kwargs", cache(base._get_init_kwargs)),
        ):
            return self.build_defs()

    def build_defs(self, loc: Any = None) -> dg.Definitions:
        if DefinitionsLoadContext.get().load_type is not DefinitionsLoadType.RECONSTRUCTION:
            return super().build_defs(loc)
        # The schemas of all component types that are installed are for Dagster's UI. A run has no use for them.
        with _put(load_defs, "get_library_json_enriched_defs", _without_schemas):
            return super().build_defs(loc)


def _without_schemas(tree: ComponentTree | None) -> dg.Definitions:
    return dg.Definitions(component_tree=tree)


def _parse_yamls(src: str, filename: str = "<string>", **options: Any) -> Any:
    """As Dagster does, with the parser that is written in C. What is wrong with a file is said by the usual one."""
    parse: Callable[..., Any] = yaml_utils.parse_yamls_with_source_position
    if not yaml.__with_libyaml__:
        return parse(src, filename, **options)
    in_c: Mapping[str, Any] = {**vars(yaml), "SafeLoader": yaml.CSafeLoader}
    try:
        with _put(yaml_utils, "yaml", SimpleNamespace(**in_c)):
            return parse(src, filename, **options)
    except Exception:  # Dagster adds the file's name to the error, and those of the parser in C take none
        return parse(src, filename, **options)


@contextmanager
def _put(module: Any, name: str, value: Any) -> Iterator[None]:
    """Dagster offers no other way to hand it these."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)
