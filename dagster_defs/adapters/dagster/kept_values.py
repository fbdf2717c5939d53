"""Documents in Dagster's own storage, beside its daemon's cursors: they outlive daemons, machines and locations."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import dagster as dg

_PREFIX = "parity/"


def kept(instance: dg.DagsterInstance, name: str) -> Any:
    """None if nothing was kept under this name, or nothing that can be read."""
    key = _PREFIX + name
    text = instance.daemon_cursor_storage.get_cursor_values({key}).get(key)
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None


def keep(instance: dg.DagsterInstance, name: str, document: Any) -> None:
    instance.daemon_cursor_storage.set_cursor_values({_PREFIX + name: json.dumps(document)})
