"""What CI and the hooks run is what README.md names."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.documents import ROOT, document

TARGETS = ("check", "matrix", "test")
PASSED = "============================== 3 passed in 0.12s ==============================="
FAILED = "========================= 1 failed, 2 passed in 0.12s =========================="


@pytest.fixture
def make(tmp_path: Path) -> Path:
    """A stand-in for `make`; what it does is told by MAKE_CHECK, MAKE_MATRIX and MAKE_TEST."""
    program = tmp_path / "make"
    commands = "".join(f'  {target}) sh -c "$MAKE_{target.upper()}";;\n' for target in TARGETS)
    program.write_text(f'#!/bin/sh\ncase "$1" in\n{commands}  *) exit 9;;\nesac\n')
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("check", "matrix", "test", "closing", "succeeds"),
    [
        ("true", "true", f"echo '{PASSED}'", PASSED, True),
        ("exit 2", "true", f"echo '{PASSED}'", PASSED, False),
        ("true", "exit 2", f"echo '{PASSED}'", PASSED, False),
        ("true", "true", f"echo '{FAILED}'; echo 'make: *** [test] Error 1' >&2; exit 2", FAILED, False),
    ],
    ids=["all well", "a check fails", "a row fails", "a test fails"],
)
def test_ci_runs_all_and_ends_with_the_closing_line(
    make: Path, check: str, matrix: str, test: str, closing: str, succeeds: bool
) -> None:
    """`.ci/run` runs checks, the matrix and tests, fails if one does, and the test runner has the last word."""
    path = os.pathsep.join([str(make.parent), os.environ["PATH"]])
    done = subprocess.run(
        [str(ROOT / ".ci/run")],
        env={**os.environ, "PATH": path, "MAKE_CHECK": check, "MAKE_MATRIX": matrix, "MAKE_TEST": test},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout.splitlines()[-1] == closing
    assert (done.returncode == 0) is succeeds


def test_ci_calls_what_the_readme_names() -> None:
    """The commands of `.ci/run` and of the workflow are README's."""
    readme = document("README.md").text
    called = re.findall(r"^make \w+", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    assert called == [f"make {target}" for target in TARGETS]
    assert all(f"`{command}`" in readme for command in called)
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    steps = {step["run"] for job in jobs.values() for step in job["steps"] if "run" in step}
    assert steps == {".ci/run", "make demo"}


def test_hooks_call_the_projects_own_tools() -> None:
    """No hook comes from elsewhere: each runs a program of the project's environment."""
    [repository] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        assert (ROOT / hook["entry"].split()[0]).exists(), hook["id"]
