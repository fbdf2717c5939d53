"""Whole files are written by one function on each side, and by nothing else."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.test_rooms import files
from tests.support.estate import ROOT

WRITERS = {
    "dagster_defs/adapters/files/atomic.py": "the one of the Dagster side",
    "legacy_dags/include/files.py": "the one of the estate's own code",
    "legacy_dags/handover/inventory.py": "one file on purpose: it is copied alone into anybody's Airflow",
    "legacy_dags/handover/run_task.py": "it runs in Airflow's environment, and writes its own result and database",
}
# What is no whole file that is put in place: logs while they are written, and files inside a `replacing` block.
STREAMS = {
    "dagster_defs/adapters/dbt/repositories.py": "whole folders, put in place when they are complete",
    "dagster_defs/adapters/dbt/working_folders.py": "whole folders, put in place when they are complete",
    "dagster_defs/usecases/rehearse/sides.py": "logs of commands",
    "dagster_defs/usecases/rehearse/upstream.py": "the log of a build",
    "dagster_defs/adapters/processes/supervisor.py": "logs of servers",
    "dagster_defs/adapters/store/locks.py": "a file to try locks and the clock on, which is gone after that",
    "legacy_dags/include/export.py": "inside `replacing`",
    "legacy_dags/include/landing.py": "inside `replacing`",
}
WRITING = {
    "write_text",
    "write_bytes",
    "mkstemp",
    "NamedTemporaryFile",
    "rename",
    "copyfile",
    "copy2",
    "copy",
}
OF_MODULES = {("os", "replace"), ("shutil", "move"), ("shutil", "copy")}


def writes(tree: ast.AST) -> list[int]:
    """The lines in which a file is written, or moved to its place."""
    return [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Call) and _writes(node)]


def _writes(call: ast.Call) -> bool:
    if isinstance(call.func, ast.Name):
        return call.func.id == "open" and _has_writing_mode(call)
    if not isinstance(call.func, ast.Attribute):
        return False
    name, owner = call.func.attr, call.func.value
    module = owner.id if isinstance(owner, ast.Name) else ""
    if name == "open":
        return _has_writing_mode(call)
    if name == "copy":
        return module == "shutil"
    if name in ("write_text", "write_bytes") and module == "atomic":
        return False
    return name in WRITING or (module, name) in OF_MODULES


def _has_writing_mode(call: ast.Call) -> bool:
    modes = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
    return any(
        isinstance(mode, ast.Constant) and isinstance(mode.value, str) and set(mode.value) <= set("rwxabt+")
        and set(mode.value) & set("wxa+")
        for mode in modes
    )  # fmt: skip


def test_nothing_writes_a_whole_file_by_hand() -> None:
    """No module writes a file but through `atomic`, except for the ones that are named here with their reason."""
    found = {
        str(path.relative_to(ROOT)): lines
        for path in files(("dagster_defs", "demo", "legacy_dags", "bench"))
        if (lines := writes(ast.parse(path.read_text(encoding="utf-8"))))
    }

    assert found.keys() - WRITERS.keys() - STREAMS.keys() == set(), found


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("path.write_text('x')", 1),
        ("open('f', 'w')", 1),
        ("path.open('wb')", 1),
        ("path.open(mode='a')", 1),
        ("os.replace(a, b)", 1),
        ("shutil.move(a, b)", 1),
        ("atomic.write_text(path, 'x')", 0),
        ("path.open()", 0),
        ("open('f', 'rb')", 0),
        ("text.replace('a', 'b')", 0),
        ("values.copy()", 0),
    ],
)
def test_what_counts_as_writing(text: str, count: int) -> None:
    """The look itself tells a write from a read."""
    assert len(writes(ast.parse(text))) == count
