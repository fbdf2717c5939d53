"""Programs that run in Airflow's environment, where neither Dagster nor pytest is installed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.estate import ROOT, foreign_environment

AIRFLOW_PYTHON = ROOT / ".venv-airflow" / "bin" / "python"

InAirflow = Callable[..., Any]


@pytest.fixture(scope="session")
def in_airflow(tmp_path_factory: pytest.TempPathFactory) -> InAirflow:
    """Runs a program of this folder with a JSON document on stdin; what it answers."""
    home = tmp_path_factory.mktemp("airflow")

    def run(program: str, document: Any, **settings: str) -> Any:
        done = subprocess.run(
            [str(AIRFLOW_PYTHON), str(Path(__file__).with_name(program))],
            input=json.dumps(document),
            env={
                **foreign_environment(),
                "AIRFLOW_HOME": str(home),
                "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "legacy_dags"),
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                "PYTHONPATH": str(ROOT / "legacy_dags"),
                # An empty folder: no unit is proxied, whatever the estate's own state is.
                "PARITY_PROXIED_STATE": str(home),
                **settings,
            },
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run
