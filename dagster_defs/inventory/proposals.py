"""The key of a model's rows and the column for their window, proposed from the dbt project alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dagster_defs.inventory.drafts import DagDraft, Draft
from dagster_defs.inventory.row_keys import Node, RowKeys, default_strategy, row_keys
from dagster_defs.inventory.scaffold import MIRRORED
from dagster_defs.inventory.time_columns import NO_WINDOWS, TimeColumn, WindowNames, time_column

Manifest = Mapping[str, Any]

TABLES = frozenset({"model", "seed", "snapshot"})


@dataclass(frozen=True, slots=True)
class DbtClaims:
    """What a dbt project says about its tables. `manifest` as dbt writes it, or the parts that are needed: `nodes`,
    including their tests, `macros`, and `metadata`. `names`: the name of each table, by unique id."""

    manifest: Manifest
    names: Mapping[str, str]
    _tests: dict[str, list[Node]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        for node in self.manifest["nodes"].values():
            if node["resource_type"] == "test" and (attached := node.get("attached_node")):
                self._tests.setdefault(attached, []).append(node)

    @property
    def adapter(self) -> str:
        return str((self.manifest.get("metadata") or {}).get("adapter_type") or "")

    def is_table(self, node_id: str) -> bool:
        node = self.manifest["nodes"].get(node_id)
        return (
            node is not None
            and node["resource_type"] in TABLES
            and node["config"]["materialized"] not in ("view", "ephemeral")
        )

    def keys(self, node_id: str) -> RowKeys:
        macros = self.manifest.get("macros") or {}
        default = default_strategy(macros, self.adapter)
        tests = self._tests.get(node_id, [])
        return row_keys(self.manifest["nodes"][node_id], tests, macros, default, self.adapter)

    def time(self, node_id: str, window: WindowNames) -> TimeColumn:
        return time_column(self.manifest["nodes"][node_id], window, self.adapter)


def compared_entry(name: str, keys: RowKeys, time: TimeColumn) -> dict[str, Any]:
    """In the form of `compare` in a unit's YAML; only a name if nothing else is known."""
    key = {"key": list(keys.taken.columns)} if keys.taken else {}
    return {"name": name, **key, **({"time_column": time.column} if time.column else {})}


def with_comparisons(draft: DagDraft, models: Mapping[str, Sequence[str]], claims: DbtClaims) -> DagDraft:
    """`models`: unique ids of what each unit builds, by the unit's name."""
    return replace(
        draft, drafts=tuple(_compared(each, models.get(each.unit, ()), claims) for each in draft.drafts)
    )


def _compared(draft: Draft, models: Sequence[str], claims: DbtClaims) -> Draft:
    if draft.attributes is None or "compare" in draft.attributes:
        return draft
    entries, notes = [], []
    window = _window_names(draft.attributes)
    has_windows = "event" not in draft.attributes.get("schedule", {})
    for node_id in sorted(filter(claims.is_table, models), key=lambda each: claims.names[each]):
        name, keys, time = claims.names[node_id], claims.keys(node_id), claims.time(node_id, window)
        if not has_windows:
            time = NO_WINDOWS
        entry = compared_entry(name, keys, time)
        if len(entry) > 1:
            entries.append(entry)
        if reasons := list(_reasons(keys, time)):
            notes.append(f"compare {name}: {'; '.join(reasons)}")
    if not (entries or notes):
        return draft
    attributes = {**draft.attributes, "compare": entries} if entries else draft.attributes
    return replace(draft, attributes=attributes, notes=(*draft.notes, *map(_one_line, notes)))


def _reasons(keys: RowKeys, time: TimeColumn) -> Iterator[str]:
    if keys.taken:
        yield f"key {keys.taken}"
    elif keys.weak:
        weakest = keys.weak[0]
        yield f"no key: {weakest}, but {weakest.not_taken}; parity keys looks at the data"
    if time.column:
        yield f"time column {time.column} ({time.reason})"
    elif time.open:
        yield f"no time column: {time.reason}; say which column the window bounds"


def _window_names(attributes: Mapping[str, Any]) -> WindowNames:
    declared = attributes.get("vars") or {}
    bounds = {name: value.get("bound") for name, value in declared.items() if isinstance(value, Mapping)}
    lower, upper = (
        frozenset(name for name, bound in bounds.items() if bound == end) for end in ("lower", "upper")
    )
    return WindowNames(lower, upper, bool(attributes.get("event_time")))


def models_built(invocations: Sequence[Any]) -> tuple[str, ...]:
    """Unique ids of the tables that a unit's mirrored calls build; views and tests may be among them."""
    built = (
        node_id
        for call in invocations
        if call.selection.command in MIRRORED
        for node_id in call.models
        if node_id.partition(".")[0] in TABLES
    )
    return tuple(dict.fromkeys(built))


def _one_line(text: str) -> str:
    """In a form that fits into a YAML comment: names and SQL of a project may contain anything."""
    return "".join(char if char.isprintable() else "?" for char in " ".join(text.split()))
