"""Compares the inventories of two Airflows, without mirrors and without a Dagster project."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from dagster_defs.adapters.files.inventory_file import load_inventory
from dagster_defs.inventory.upgrade import Upgrade, compare_inventories

__all__ = ["verify_upgrade"]


def verify_upgrade(before: Path, after: Path, at: datetime | None) -> Upgrade:
    """Raises what reading an inventory raises."""
    return compare_inventories(load_inventory(before), load_inventory(after), at)
