"""A store is a module or folder and a row of the registry; nothing else asks which one it is, or reaches behind it."""

from __future__ import annotations

import ast
from pathlib import Path

from dagster_defs.adapters.store import registry
from tests.support.estate import ROOT

STORE = ROOT / "dagster_defs" / "adapters" / "store"
SEAM = {f"dagster_defs.adapters.store.{name}" for name in ("registry", "seam")}
# What a mark is does not depend on where it is kept.
RECORDS = {("dagster_defs.adapters.store.proxied_state", "Marks")}


def imported(path: Path) -> set[tuple[str, str]]:
    """What a module takes from the store's rooms, by module and name."""
    return {
        (node.module, alias.name)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dagster_defs.adapters.store")
        for alias in node.names
        if node.module
    }


def test_the_product_reaches_a_store_through_the_seam() -> None:
    """Outside the store's folder no module of the product names the ledger's file, the marks' files or a database."""
    behind = [
        f"{path.relative_to(ROOT)}: {module}.{name}"
        for path in sorted((ROOT / "dagster_defs").rglob("*.py"))
        if not path.is_relative_to(STORE)
        for module, name in imported(path)
        if module not in SEAM and (module, name) not in RECORDS
    ]

    assert behind == []


def test_only_the_registry_knows_the_kinds() -> None:
    """Within the folder, the shared modules do not know which kinds of store there are."""
    kinds = {type(kind).__module__ for kind in registry._KINDS.values()}
    shared = [STORE / f"{name}.py" for name in ("seam", "proxied_state", "ledger", "ledger_lines", "marks")]

    assert kinds
    assert not [(path.name, each) for path in shared for each in imported(path) if each[0] in kinds]
