"""An environment has one copy of this package: which of two would run depends on the folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.estate import ROOT, foreign_environment


def install(place: Path, version: str, code: bool = False) -> Path:
    """What an installer leaves of a version, in a folder of its own; `code`: with the package itself."""
    info = place / f"airflow_parity-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: airflow-parity\nVersion: {version}\n")
    if code:
        shutil.copytree(ROOT / "dagster_defs", place / "dagster_defs", ignore=shutil.ignore_patterns("defs"))
    return place


def parity(*path: Path, arguments: str = "keys --help") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from dagster_defs.cli import main; main()", *arguments.split()],
        env={**foreign_environment(), "PYTHONPATH": os.pathsep.join(map(str, path)), "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("arguments", ["keys --help", "--version", "status"])
def test_two_versions_are_refused(tmp_path: Path, arguments: str) -> None:
    """Whatever the command: with both versions, and where each of them is."""
    newer = install(tmp_path / "newer", "7.0.0")

    done = parity(newer, arguments=arguments)

    assert done.returncode == 1
    assert done.stderr.startswith(
        "error: this environment has airflow-parity twice (airflow-parity 7.0.0 in "
    )
    assert str(newer) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_checkout_beside_an_installation_is_refused(tmp_path: Path) -> None:
    """Code that goes before the installed one, although only that has a version."""
    copy = tmp_path / "checkout"
    shutil.copytree(ROOT / "dagster_defs", copy / "dagster_defs", ignore=shutil.ignore_patterns("defs"))
    installed = install(tmp_path / "installed", own(), code=True)

    done = parity(copy, installed)

    assert done.returncode == 1
    assert f"airflow-parity {own()} in {installed}, another copy, which is imported in {copy}" in done.stderr


def own() -> str:
    return (ROOT / "legacy_dags" / "handover" / "VERSION").read_text().strip()


def test_one_version_in_two_places_of_the_path_is_one(tmp_path: Path) -> None:
    """Say, an editable installation and what its build has left in the checkout."""
    assert parity(install(tmp_path, own())).returncode == 0
