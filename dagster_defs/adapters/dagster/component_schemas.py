"""A cache of the schemas of all installed component types, which Dagster's UI shows for each location.

Dagster collects them at every load: it imports each package that registers component types and generates their JSON
schemas, which takes most of a second.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path
from typing import Any

import dagster as dg
from dagster.components.core import load_defs
from dagster.components.core.component_tree import ComponentTree
from dagster.components.core.load_defs import PLUGIN_COMPONENT_TYPES_JSON_METADATA_KEY
from dagster.components.core.package_entry import get_plugin_entry_points

from dagster_defs.adapters.files import atomic

SCHEMA = "parity/component-schemas/1"
FILE = Path(".parity", "component-schemas.json")  # in the Dagster project

_collect = load_defs.get_library_json_enriched_defs


def schemas_kept(tree: ComponentTree | None) -> dg.Definitions:
    """As `get_library_json_enriched_defs`, collected again only if an installed package has changed."""
    digest = _digest()
    if tree is None or digest is None:
        return _collect(tree)
    kept_in = tree.project_root / FILE
    with suppress(OSError):
        match atomic.read_cache(kept_in):
            case {"digest": str(kept), "schemas": list(schemas)} if kept == digest:
                metadata = {PLUGIN_COMPONENT_TYPES_JSON_METADATA_KEY: schemas}
                return dg.Definitions(metadata=metadata, component_tree=tree)
    collected = _collect(tree)
    shown = (collected.metadata or {})[PLUGIN_COMPONENT_TYPES_JSON_METADATA_KEY].value
    with suppress(OSError):  # without the file, the next load is merely slower
        atomic.write_json(kept_in, {"digest": digest, "schemas": shown})
    return collected


def _digest() -> str | None:
    """A digest of everything that the schemas are made from; None if it is not known what that is."""
    facts = [_facts_of(entry) for entry in get_plugin_entry_points()]
    if None in facts:
        return None
    return hashlib.sha256(repr((SCHEMA, sys.version, sorted(map(repr, facts)))).encode()).hexdigest()


def _facts_of(entry: EntryPoint) -> tuple[str | int, ...] | None:
    """None for a package of which it is not known how it was installed."""
    installed: Distribution | None = entry.dist
    if installed is None:
        return None
    origin: Any = json.loads(installed.read_text("direct_url.json") or "{}")
    if origin.get("dir_info", {}).get("editable"):
        return entry.group, entry.value, *_files_of(entry.module.partition(".")[0])
    site_packages = Path(str(installed.locate_file(""))).stat()
    return entry.group, entry.value, installed.name, installed.version, site_packages.st_mtime_ns


def _files_of(package: str) -> Iterator[str]:
    """The state of each file of a package that is installed in place, so that its files may be edited. It may be a
    single module."""
    spec = importlib.util.find_spec(package)
    if spec is None:
        return
    folders = spec.submodule_search_locations
    files = (
        [Path(spec.origin)]
        if folders is None and spec.has_location and spec.origin
        else [path for folder in folders or () for path in sorted(Path(folder).rglob("*.py"))]
    )
    for path in files:
        facts = path.stat()
        yield f"{path} {facts.st_size} {facts.st_mtime_ns} {facts.st_ino}"
