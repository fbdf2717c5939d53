"""Dagster's component tree, made fast for hundreds of YAML documents.

Dagster lists all declarations again for each component that it loads, parses YAML in pure Python, and compiles every
plain text as a template. Here that is done once, with the same result for the components.
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
from dagster._core.definitions.metadata import metadata_set
from dagster.components.core import decl, defs_module, load_defs
from dagster.components.core.component_tree import ComponentTree
from dagster.components.core.context import ComponentDeclLoadContext
from dagster.components.core.decl import ComponentDecl
from dagster.components.core.defs_module import ComponentLoc
from dagster.components.resolved import base
from dagster.components.resolved.context import ResolutionContext
from dagster_shared import yaml_utils
from jinja2.nativetypes import native_concat

from dagster_defs.adapters.dagster.component_schemas import schemas_kept

_MARKS = ("{{", "{%", "{#", "\n", "\r")  # signs of a template; Jinja normalizes line ends too


class PlainTextContext(ResolutionContext):
    """Resolves text without a template to itself, which is what it would render to, without compiling it."""

    def _resolve_inner_value(self, val: Any) -> Any:
        if isinstance(val, str) and val and not any(mark in val for mark in _MARKS):
            return native_concat([val])
        return super()._resolve_inner_value(val)


class EstateTree(ComponentTree):
    """The component tree of one load. `job`: the only one that it is for, in the worker of a run."""

    job: str | None = None

    @cached_property
    def decl_load_context(self) -> ComponentDeclLoadContext:
        usual = super().decl_load_context
        scope = usual.resolution_context.scope
        return replace(usual, resolution_context=PlainTextContext(scope=scope))

    def _get_filesystem_decl(self) -> ComponentDecl[Any]:
        with _put(decl, "parse_yamls_with_source_position", lambda _: _parse_yamls):
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
            _put(base, "_get_annotations", cache),
            _put(base, "_get_init_kwargs", cache),
            _put(base, "_get_resolver", _by_annotation),
            _put(base, "resolve_fields", _fields_resolved_once),
            _put(metadata_set, "model_fields", cache),
            _put(defs_module, "_add_defs_yaml_metadata", lambda add: _YamlMetadata(add).added),
        ):
            return self.build_defs()

    def build_defs(self, loc: Any = None) -> dg.Definitions:
        # The schemas of all installed component types are for Dagster's UI. A run does not need them.
        is_run = DefinitionsLoadContext.get().load_type is DefinitionsLoadType.RECONSTRUCTION
        schemas = _without_schemas if is_run else schemas_kept
        with _put(load_defs, "get_library_json_enriched_defs", lambda _: schemas):
            return super().build_defs(loc)


def _fields_resolved_once(usual: Callable[..., Any]) -> Callable[..., Any]:
    """`_resolve_fields`, unless Dagster lacks a name that it uses."""
    used = ("_get_annotations", "_get_resolver", "_Unset")
    return _resolve_fields if all(hasattr(base, name) for name in used) else usual


def _resolve_fields(model: Any, resolved_cls: Any, context: ResolutionContext) -> Mapping[str, Any]:
    """As Dagster's, which dumps the whole model again for each of its fields."""
    given = model.model_dump(exclude_unset=True).keys()
    resolved: dict[str, Any] = {}
    for name, annotation in base._get_annotations(resolved_cls).items():
        resolver: Any = base._get_resolver(annotation.type, name)
        own = resolver.model_field_name or name
        if own in given and getattr(model, own) != base._Unset:
            info: Any = annotation.field_info
            value = resolver.execute(context=context, model=model, field_name=name)
            resolved[(info and info.alias) or name] = value
    return resolved


class _YamlMetadata:
    """What Dagster adds to the metadata of everything that a YAML document defines: the place in the file, which it
    determines again for each asset, check and job."""

    def __init__(self, add: Callable[..., Mapping[str, Any]]) -> None:
        self._added: tuple[Any, Mapping[str, Any]] | None = None
        self._add = add

    def added(self, *, component: Any, metadata: Mapping[str, Any], **place: Any) -> Mapping[str, Any]:
        """What is defined without Python's own place has the place in the YAML alone."""
        if _REFERENCES in metadata:
            return self._add(component=component, metadata=metadata, **place)
        if self._added is None or self._added[0] is not component:
            self._added = component, self._add(component=component, metadata={}, **place)
        return {**metadata, **self._added[1]}


_REFERENCES = "dagster/code_references"


def _without_schemas(tree: ComponentTree | None) -> dg.Definitions:
    return dg.Definitions(component_tree=tree)


def _by_annotation(find: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    """The same, found once for each field: an annotation that holds a default of a list has no hash."""
    resolved: dict[tuple[int, str], tuple[Any, Any]] = {}

    def known(annotation: Any, field_name: str) -> Any:
        key = id(annotation), field_name
        if key not in resolved:
            resolved[key] = annotation, find(annotation, field_name)  # kept, so that no other gets its id
        return resolved[key][1]

    return known


def _parse_yamls(src: str, filename: str = "<string>", **options: Any) -> Any:
    """As Dagster does, but with the parser written in C. Errors are reported by the usual parser."""
    parse: Callable[..., Any] = yaml_utils.parse_yamls_with_source_position
    if not yaml.__with_libyaml__:
        return parse(src, filename, **options)
    in_c: Mapping[str, Any] = {**vars(yaml), "SafeLoader": yaml.CSafeLoader}
    try:
        with _put(yaml_utils, "yaml", lambda _: SimpleNamespace(**in_c)):
            return parse(src, filename, **options)
    except Exception:  # Dagster adds the file's name to an error, which the C parser's errors cannot take
        return parse(src, filename, **options)


@contextmanager
def _put(module: Any, name: str, make: Callable[[Any], Any]) -> Iterator[None]:
    """Temporarily replace a module's attribute by what `make` makes of it: Dagster offers no other way to pass these
    in. If Dagster lacks the name, nothing is replaced, and the load is slower."""
    if not hasattr(module, name):
        yield
        return
    before = getattr(module, name)
    setattr(module, name, make(before))
    try:
        yield
    finally:
        setattr(module, name, before)
