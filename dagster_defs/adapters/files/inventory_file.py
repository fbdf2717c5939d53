"""Reads an inventory file."""

from __future__ import annotations

from pathlib import Path

from dagster_defs.adapters.files import strict_json
from dagster_defs.errors import InventoryUnreadable
from dagster_defs.inventory import Inventory, read_document

__all__ = ["load_inventory"]


def load_inventory(file: Path) -> Inventory:
    """What Airflow said, without what the team knows. Raises InventoryUnreadable (which says where a truncated file
    ends) or InventoryVersion."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is not text"
        raise InventoryUnreadable(str(file), reason) from error
    try:
        document = strict_json.loads(text)
    except ValueError as error:
        at = getattr(error, "pos", 0)
        cut = not text.rstrip().endswith("}") or at >= len(text.rstrip())
        reason = f"it is cut off after {len(text)} characters" if cut else f"it is no JSON: {error}"
        raise InventoryUnreadable(str(file), reason) from error
    return read_document(document, str(file))
