"""The bench's invented company: its DAG files are Python, and each bound is about a row."""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

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
    inventories = {mixed_estate.FIRST_INVENTORY, mixed_estate.INVENTORY}
    rows = {mixed_estate.EXPORT, mixed_estate.SCAFFOLD, mixed_estate.CHECK, *inventories}
    assert {bound.what for bound in mixed_estate.BOUNDS} == rows
    assert {bound.of for bound in mixed_estate.BOUNDS} <= {"", mixed_estate.STOCK, mixed_estate.PARSE}


def exported(tasks: int, **more: Any) -> str:
    return json.dumps({"import_errors": [], "dags": [{"tasks": [{}] * tasks}], **more})


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (exported(mixed_estate.TASKS), ""),
        (exported(mixed_estate.TASKS - 1), "exported tasks"),
        (exported(mixed_estate.TASKS, dags=[]), "exported tasks"),
        (exported(mixed_estate.TASKS, import_errors=["one"]), "import errors"),
    ],
)
def test_an_export_that_lost_something_has_no_figure(tmp_path: Path, document: str, message: str) -> None:
    """A stage that does half of its work is quick."""
    (tmp_path / "inventory.json").write_text(document)

    with refused(message):
        mixed_estate.refuse_lost_dags(tmp_path / "inventory.json", 1)


def report(models: Sequence[Sequence[str]], others: int = mixed_estate.TASKS - mixed_estate.DBT) -> str:
    units: list[Any] = [{"invocations": [{"models": each}]} for each in models]
    return json.dumps({"units": [*units, *[{"invocations": []}] * others]})


BUILT = [
    [f"model.synthetic.m_{2 * each}", f"model.synthetic.m_{2 * each + 1}"] for each in range(mixed_estate.DBT)
]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (report([*BUILT[:-1], [*BUILT[-1], "test.synthetic.not_null"]]), ""),
        (report(BUILT, 0), "units: 6"),
        (report(BUILT[:-1], mixed_estate.TASKS - mixed_estate.DBT + 1), "units that run dbt"),
        (report([*BUILT[:-1], BUILT[-1][:1]]), "models"),
    ],
)
def test_an_inventory_that_misses_something_has_no_figure(text: str, message: str) -> None:
    """Each task is a unit, and each dbt task has its models."""
    with refused(message):
        mixed_estate.refuse_unread_tasks(text, 1)


@pytest.mark.parametrize(
    ("dbt_units", "others", "message"), [(6, 4, ""), (6, 3, "mirrors: 9"), (5, 5, "dbt mirrors: 5")]
)
def test_a_scaffold_without_a_mirror_has_no_figure(
    tmp_path: Path, dbt_units: int, others: int, message: str
) -> None:
    """Each task has a mirror, and dbt's are DbtUnits."""
    kinds = ["x.DbtUnit"] * dbt_units + ["x.LegacyTask"] * others
    (tmp_path / "mixed_000").mkdir()
    (tmp_path / "mixed_000" / "defs.yaml").write_text("---\n".join(f"type: {kind}\n" for kind in kinds))

    with refused(message):
        mixed_estate.refuse_missing_mirrors(tmp_path, 1)


def refused(message: str) -> Any:
    return pytest.raises(RuntimeError, match=message) if message else nullcontext()
