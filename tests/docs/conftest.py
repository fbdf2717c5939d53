"""The command that the documents describe."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.support.documents import ROOT

Parity = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def run_parity() -> Parity:
    """`parity`, as somebody starts it who has set no variable but those given."""

    def run(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        ours = ("PARITY_", "TAXI_", "AIRFLOW", "DAGSTER_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return subprocess.run(
            [str(Path(sys.executable).parent / "parity"), *arguments],
            env={**inherited, **(env or {})},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    return run
