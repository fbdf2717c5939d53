"""Whether window variables shape a dbt project: then a manifest parsed without them would be wrong.

A variable may be read while a project is parsed (in `config`, `ref`, `enabled`, a file name) and not only while a model
runs. dbt does not say which, so the project is parsed twice, with two windows, and the manifests are compared, unless
its files show that they only print the variables into SQL. The result is cached until something in the project changes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.adapters.files import atomic

Variables = Mapping[str, Any]

_VOLATILE = frozenset({"created_at", "checksum", "build_path", "compiled_path", "root_path"})
_SECTIONS = (
    "nodes",
    "sources",
    "macros",
    "exposures",
    "metrics",
    "unit_tests",
    "disabled",
    "selectors",
    "groups",
)


@dataclass(frozen=True, slots=True)
class WindowValues:
    """What one window gives to dbt: its variables, and those of its environment variables that may shape a project."""

    variables: Variables
    environment: Mapping[str, str] = field(default_factory=dict)


def shaped_by_window(
    workspace: DbtWorkspace, first_window: WindowValues, second_window: WindowValues
) -> tuple[str, ...]:
    """Ids of everything in the project that differs between the two windows, sorted; empty if nothing does.

    Raises DbtProjectUnreadable if dbt cannot parse the project with one of them.
    """
    if not first_window.environment and all(map(workspace.shaping.is_only_printed, first_window.variables)):
        return ()
    kept_in = workspace.target_path / "windows.json"
    # Units with variables of the same names and types share the result: another type may not even parse.
    names = [sorted(first_window.environment)] if first_window.environment else []
    asked = json.dumps([workspace.files_digest, _shape(dict(first_window.variables)), *names], sort_keys=True)
    if (known := workspace.shapes.get(asked)) is not None:
        return known
    with workspace.prepared():
        kept: dict[str, list[str]] = atomic.read_cache(kept_in) or {}
        if not isinstance(kept.get(asked), list):
            first, second = (
                workspace.parsed_apart(each.variables, each.environment, f"window-{n}")
                for n, each in enumerate((first_window, second_window))
            )
            kept = {asked: sorted(_differences(first, second))} | {
                question: answer for question, answer in kept.items() if workspace.files_digest in question
            }
            atomic.write_json(kept_in, kept)
    workspace.shapes[asked] = tuple(kept[asked])
    return workspace.shapes[asked]


def _shape(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _shape(item) for name, item in value.items()}
    return [_shape(item) for item in value] if isinstance(value, list | tuple) else type(value).__name__


def _differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[str]:
    for section in _SECTIONS:
        here, there = first.get(section) or {}, second.get(section) or {}
        for identity in here.keys() | there.keys():
            if _without_volatile(here.get(identity)) != _without_volatile(there.get(identity)):
                yield identity


def _without_volatile(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: _without_volatile(value) for name, value in node.items() if name not in _VOLATILE}
    if isinstance(node, list):
        return [_without_volatile(item) for item in node]
    return node
