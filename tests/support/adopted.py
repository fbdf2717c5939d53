"""The project without the taxi estate, with somebody else's DAGs and dbt project in its place."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.support import warm
from tests.support.estate import AIRFLOW_PYTHON, BIN, copy_project, foreign_environment

AIRFLOWS_PYTHON = str(AIRFLOW_PYTHON)


def adopted(root: Path, theirs: Path) -> Path:
    """A copy of the project below `root` with everything that is in the folder `theirs`."""
    root = copy_project(root)
    for ours in ("dbt", "dagster_defs/defs"):
        shutil.rmtree(root / ours)
    (root / "dagster_defs" / "defs").mkdir()
    made_by_dbt = shutil.ignore_patterns("target*", "logs")
    shutil.copytree(theirs, root, ignore=made_by_dbt, dirs_exist_ok=True)
    return root


def run_in(root: Path, command: Sequence[str], **variables: str) -> subprocess.CompletedProcess[str]:
    """A command in such a copy; `python` and the exporter are Airflow's, any other program is one of ours."""
    program, *arguments = command
    if program == "airflow-inventory":
        program, arguments = "python", ["legacy_dags/handover/inventory.py", *arguments]
    environment = {
        **foreign_environment(),
        "PYTHONPATH": "" if program == "python" else str(root),
        "PATH": os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)]),
        **variables,
    }
    if program != "python":
        return warm.run(program, *arguments, cwd=root, env=environment, timeout=1200)
    return subprocess.run(
        [AIRFLOWS_PYTHON, *arguments],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
