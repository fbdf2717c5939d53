"""Importing a module does nothing: no look at the environment or the terminal, no network, no file, no process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.estate import ROOT, foreign_environment
from tests.support.exporting import PYTHONS

WATCHER = Path(__file__).with_name("watched_imports.py")


def deeds(python: Path | str, root: Path, modules: list[str], **environment: str) -> list[str]:
    """What the modules of that folder do while a fresh interpreter imports them."""
    done = subprocess.run(
        [str(python), str(WATCHER), str(root), *modules],
        cwd=root,
        env={**foreign_environment(), **environment},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document: list[str] = json.loads(done.stdout.splitlines()[-1])
    return document


def modules_below(folder: Path, root: Path) -> list[str]:
    return [
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted(folder.rglob("*.py"))
        if "__pycache__" not in path.parts
    ]


def test_nothing_happens_on_import() -> None:
    """No module of the Dagster side does anything but define when it is imported."""
    assert deeds(sys.executable, ROOT, modules_below(ROOT / "dagster_defs", ROOT)) == []


@pytest.mark.airflow
@pytest.mark.parametrize(
    ("version", "others"), [("airflow2", "handover.facts3"), ("airflow3", "handover.facts2")]
)
def test_nothing_happens_on_import_in_airflow(tmp_path: Path, version: str, others: str) -> None:
    """Neither does a module of the half that lives in Airflow, of either version; `others` is the other version's."""
    if not PYTHONS[version].exists():
        pytest.skip(f"no {version} environment here; `make test` makes it")
    root = ROOT / "legacy_dags"
    modules = [name for name in modules_below(root / "handover", root) if name != others]
    acts = deeds(
        PYTHONS[version],
        root,
        ["airflow", *modules],
        AIRFLOW_HOME=str(tmp_path),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
    )

    assert acts == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("import os\nHOME = os.environ['HOME']", "reads the environment (HOME)", id="environ[]"),
        pytest.param("from os import environ\nX = environ.get('X')", "reads the environment (X)", id="environ.get"),
        pytest.param("import os\nX = os.getenv('X')", "reads the environment (X)", id="getenv"),
        pytest.param("import os\nX = 'X' in os.environ", "reads the environment (X)", id="in environ"),
        pytest.param("import os\nX = dict(os.environ)", "reads the whole environment", id="a copy of it"),
        pytest.param("import sys\nX = sys.stdout.isatty()", "asks for the terminal", id="isatty"),
        pytest.param("from rich.console import Console\nX = Console().width", "environment", id="a console"),
        pytest.param("import os\nX = os.get_terminal_size()", "terminal's size", id="size"),
        pytest.param("import socket\nX = socket.socket()", "socket", id="a socket"),
        pytest.param("open('left.txt', 'w').close()", "writes left.txt", id="a file"),
        pytest.param("from pathlib import Path\nPath('made').mkdir()", "os.mkdir", id="a folder"),
        pytest.param("import os\nos.chdir('/')", "os.chdir", id="another folder"),
        pytest.param("import subprocess\nsubprocess.run(['true'])", "subprocess.Popen", id="a process"),
        pytest.param("import tempfile\ntempfile.mkdtemp()", "tempfile.mkdtemp", id="a temporary folder"),
        pytest.param("import deeper\n", "deeper.py:2 reads the environment (HOME)", id="in a module below"),
    ],
)  # fmt: skip
def test_what_a_module_does_is_caught(tmp_path: Path, text: str, message: str) -> None:
    """A module that does something when it is imported is named, with the line."""
    (tmp_path / "doing.py").write_text(text)
    (tmp_path / "deeper.py").write_text("import os\nHOME = os.environ.get('HOME')\n")

    acts = deeds(sys.executable, tmp_path, ["doing"])

    assert any(message in deed for deed in acts), acts
    assert acts[0].startswith(("doing.py:", "deeper.py:"))


def test_what_a_library_does_is_its_own_affair(tmp_path: Path) -> None:
    """A module that only imports and defines does nothing, whatever its libraries read while they are imported."""
    (tmp_path / "quiet.py").write_text(
        "import rich.console\nimport logging\n\ndef f():\n    return open('x', 'w')\n"
    )

    assert deeds(sys.executable, tmp_path, ["quiet"]) == []
