"""A warehouse is a folder and a row of each registry; nothing else branches on which one it is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from dagster_defs.adapters.warehouse import registry
from dagster_defs.parity import Dialect
from dagster_defs.parity.dialects import sql_of
from tests.support.estate import ROOT

FOLDERS = ROOT / "dagster_defs" / "adapters" / "warehouse"
SQL = ROOT / "dagster_defs" / "parity" / "dialects"
REGISTRY = FOLDERS / "registry.py"
NAMES = {dialect.value for dialect in Dialect} | {"postgresql"}
ANOTHER_THING = {
    "dagster_defs/adapters/processes/guardian.py": "the name of a server's program",
    "demo/local_dagster.py": "where Dagster keeps its own records",
}
PRODUCT = ("dagster_defs", "demo", "bench")


def product() -> list[Path]:
    """Every module outside the rooms in which one warehouse is known by its name."""
    return sorted(
        path
        for folder in PRODUCT
        for path in (ROOT / folder).rglob("*.py")
        if "__pycache__" not in path.parts
        and not is_in_a_room(path)
        and str(path.relative_to(ROOT)) not in ANOTHER_THING
    )


def is_in_a_room(path: Path) -> bool:
    return path.is_relative_to(SQL) or (path.is_relative_to(FOLDERS) and path.parent != FOLDERS)


def names_a_warehouse(node: ast.AST) -> bool:
    """`"duckdb"`, `Dialect.DUCKDB`, or a collection of them."""
    match node:
        case ast.Constant(value=str(text)):
            return text.lower() in NAMES
        case ast.Attribute(value=ast.Name(id="Dialect")):
            return True
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
            return any(map(names_a_warehouse, parts))
        case ast.MatchValue(value=value):
            return names_a_warehouse(value)
    return False


def branches(tree: ast.AST) -> Iterator[int]:
    """Lines that compare with the name of a warehouse, match it, or look something up by it."""
    for node in ast.walk(tree):
        match node:
            case ast.Compare(left=left, comparators=others) if any(map(names_a_warehouse, [left, *others])):
                yield node.lineno
            case ast.MatchValue() if names_a_warehouse(node):
                yield node.value.lineno
            case ast.Dict(keys=keys) if any(key is not None and names_a_warehouse(key) for key in keys):
                yield node.lineno
            case ast.Call(func=ast.Attribute(attr="startswith" | "endswith"), args=arguments) if any(
                map(names_a_warehouse, arguments)
            ):
                yield node.lineno


@pytest.mark.parametrize(
    "text",
    [
        'if credentials.type == "duckdb": ...',
        "x = 1 if dialect is not Dialect.SNOWFLAKE else 2",
        'match kind:\n    case "postgres": ...',
        "match kind:\n    case Dialect.POSTGRES: ...",
        'if kind in ("snowflake", "postgres"): ...',
        "TABLE = {Dialect.DUCKDB: 1}",
        'if kind.startswith("duckdb"): ...',
    ],
)
def test_a_branch_is_seen(text: str) -> None:
    """Each way to branch on a warehouse's name is one that the next test finds."""
    assert list(branches(ast.parse(text)))


def test_nothing_branches_on_a_warehouse() -> None:
    """Outside a warehouse's own rooms no module asks which one it is."""
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in product()
        for line in branches(ast.parse(path.read_text(encoding="utf-8")))
    ]

    assert found == []


def test_only_the_registry_knows_the_folders() -> None:
    """No module imports a warehouse's folder but the registry, the folder itself, and the benches of one."""
    folders = tuple(f"dagster_defs.adapters.warehouse.{kind}" for kind in NAMES)
    found = [
        str(path.relative_to(ROOT))
        for path in product()
        if path != REGISTRY and path.parts[len(ROOT.parts)] != "bench"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(folders)
    ]

    assert found == []


def test_each_folder_is_a_row() -> None:
    """Every folder of a warehouse stands in the registry, and has a row for its SQL."""
    folders = {path.name for path in FOLDERS.iterdir() if (path / "warehouse.py").is_file()}

    assert folders == {dialect.value for dialect in Dialect}
    assert folders == {
        path.name for path in FOLDERS.iterdir() if path.is_dir() and path.name != "__pycache__"
    }
    for kind in folders:
        found = registry.warehouse_of(kind)
        assert found is not None
        assert found.kind == sql_of(Dialect(kind)).dialect.value == kind
    assert registry.warehouse_of("bigquery") is None
    assert registry.titles() == "DuckDB, PostgreSQL and Snowflake"
