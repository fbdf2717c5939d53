"""requirements/licences.md names the licence of each package that the wheel brings."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dagster_defs.older_python import tomllib
from tests.support.estate import ROOT


@pytest.mark.skipif(
    sys.platform != "linux" or sys.version_info[:2] != (3, 11), reason="other platforms need other packages"
)
def test_it_is_current() -> None:
    """`make licences` would write the same."""
    program = [sys.executable, str(ROOT / "requirements" / "licences.py")]
    made = subprocess.run(program, capture_output=True, text=True, check=True, timeout=120).stdout
    assert (ROOT / "requirements" / "licences.md").read_text() == made, "run make licences"


def test_every_direct_dependency_is_in_it() -> None:
    """Of the wheel, and of each extra that a team may ask for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    rows = {
        line.split(" | ")[0].removeprefix("| ")
        for line in (ROOT / "requirements" / "licences.md").read_text().splitlines()
        if line.startswith("| ")
    }
    extras = [needs for extra, needs in project["optional-dependencies"].items() if extra != "dev"]
    direct = [
        need
        for needs in (project["dependencies"], *extras)
        for need in needs
        if "python_version <" not in need
    ]
    names = {need.partition(">")[0].partition("=")[0].partition("[")[0] for need in direct}
    assert names <= rows
