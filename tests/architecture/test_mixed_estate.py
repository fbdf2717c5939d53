"""The bench's invented company: its DAG files are Python, and each bound is about a row."""

from __future__ import annotations

import ast
from pathlib import Path

from bench import mixed_estate


def test_its_dag_files_are_python(tmp_path: Path) -> None:
    """One file for each DAG, with ten tasks; no two tasks of the company build one model."""
    folder = mixed_estate.write_dags(tmp_path, 12)
    trees = [ast.parse(file.read_text()) for file in sorted(folder.glob("mixed_*.py"))]
    tasks = [
        node
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "task_id"
    ]
    assert (len(trees), len(tasks)) == (12, 12 * mixed_estate.TASKS)
    texts = "".join(file.read_text() for file in folder.glob("mixed_*.py"))
    assert all(f"m_{number}" in texts for number in range(12 * mixed_estate.DBT * 2))


def test_each_bound_is_about_a_row() -> None:
    """What has a bound is measured."""
    rows = {mixed_estate.EXPORT, mixed_estate.INVENTORY, mixed_estate.SCAFFOLD, mixed_estate.CHECK}
    assert {bound.what for bound in mixed_estate.BOUNDS} == rows
    assert {bound.of for bound in mixed_estate.BOUNDS} <= {"", mixed_estate.STOCK}
