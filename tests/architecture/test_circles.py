"""No module imports itself by way of others, not even for types."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.estate import ROOT

ROOTS = ("dagster_defs", "demo", "bench", "legacy_dags")


def modules_below(root: Path) -> dict[str, Path]:
    """Every module by its dotted name from the root; a package by that of its folder."""
    found = {}
    for top in ROOTS:
        for path in sorted((root / top).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(root: Path) -> dict[str, set[str]]:
    """Which modules each module imports anywhere: at its top, in a function, or for types alone."""
    modules = modules_below(root)
    return {
        name: {known for told in _named(name, path) if (known := _known(told, modules)) and known != name}
        for name, path in modules.items()
    }


def _named(name: str, path: Path) -> Iterator[str]:
    package = name if path.stem == "__init__" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _known(told: str, modules: Mapping[str, Path]) -> str:
    """The module that a dotted name leads to; the Airflow side begins its names inside of legacy_dags."""
    for name in (told, f"legacy_dags.{told}"):
        while name and name not in ROOTS:
            if name in modules:
                return name
            name = name.rpartition(".")[0]
    return told if told in modules else ""


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of modules each of which imports every other by way of the group: Tarjan, without recursion."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    waiting: list[str] = []
    found: list[list[str]] = []
    for start in graph:
        todo = [(start, iter(sorted(graph[start])))] if start not in number else []
        while todo:
            module, rest = todo[-1]
            if module not in number:
                number[module] = lowest[module] = len(number)
                waiting.append(module)
            for other in rest:
                if other not in number:
                    todo.append((other, iter(sorted(graph[other]))))
                    break
                if other in waiting:
                    lowest[module] = min(lowest[module], number[other])
            else:
                todo.pop()
                if todo:
                    above = todo[-1][0]
                    lowest[above] = min(lowest[above], lowest[module])
                if lowest[module] == number[module]:
                    group = waiting[waiting.index(module) :]
                    del waiting[waiting.index(module) :]
                    if len(group) > 1:
                        found.append(sorted(group))
    return sorted(found)


def test_there_is_no_circle() -> None:
    """Whatever a module needs lies below it, in the product, the demo, the benches and Airflow's folder."""
    graph = imports(ROOT)

    assert len(graph) > 200
    assert (
        "dagster_defs.windows"
        in graph["dagster_defs.lifecycle.facets"] | graph["dagster_defs.lifecycle.mirrors"]
    )
    assert "legacy_dags.handover.names" in graph["legacy_dags.handover.dagster_try"]
    assert circles(graph) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param("from demo.second import x", "from demo.first import y", id="at the top"),
        pytest.param(
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from demo.second import x",
            "from demo.first import y",
            id="for types alone",
        ),
        pytest.param("def f():\n    import demo.second", "import demo.first", id="in a function"),
        pytest.param("from demo import second", "from demo import first", id="from the package"),
        pytest.param("from .second import x", "from . import first", id="relative"),
        pytest.param("import demo.third", "import demo.first", id="by way of a third"),
    ],
)
def test_a_circle_is_seen(tmp_path: Path, first: str, second: str) -> None:
    """However the import is written, and however many modules the way round takes."""
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "__init__.py").touch()
    (tmp_path / "demo" / "first.py").write_text(first)
    (tmp_path / "demo" / "second.py").write_text(second)
    (tmp_path / "demo" / "third.py").write_text("import demo.second")
    [groups] = circles(imports(tmp_path))

    assert {"demo.first", "demo.second"} <= set(groups)


def test_a_circle_in_airflows_folder_is_seen(tmp_path: Path) -> None:
    """Modules there import each other by names that begin inside of the folder."""
    folder = tmp_path / "legacy_dags" / "handover"
    folder.mkdir(parents=True)
    (folder / "marks.py").write_text("from handover.proxy import x")
    (folder / "proxy.py").write_text("def f():\n    from handover import marks")

    assert circles(imports(tmp_path)) == [["legacy_dags.handover.marks", "legacy_dags.handover.proxy"]]


def test_a_tree_is_no_circle(tmp_path: Path) -> None:
    """Two modules that import the same third one import nothing that imports them."""
    (tmp_path / "demo").mkdir()
    for name, text in (("a", "import demo.c"), ("b", "import demo.a, demo.c"), ("c", "import os")):
        (tmp_path / "demo" / f"{name}.py").write_text(text)

    assert circles(imports(tmp_path)) == []
