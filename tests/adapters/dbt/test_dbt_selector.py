"""Selections of one project are asked of dbt together, and answered as `dbt ls` answers each."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench.projects import write_project
from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.adapters.dbt.selector import Lister
from dagster_defs.errors import DbtSelectionRefused

SELECTIONS = [["--select", "m_3"], ["--select", "m_3+"], ["--select", "+m_19"], ["--select", "tag:first"],
              ["--select", "m_1 m_2"], ["--select", "m_1*", "--exclude", "m_11"], ["--select", "nothing_of_that_name"],
              ["--exclude", "layer_0"], ["--select", "resource_type:test"], []]  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp("selections") / "dbt", 20)


def test_the_answers_are_those_of_dbt_ls(project: Path) -> None:
    """The second and every later selection, which dbt's command does not list itself, picks what the command picks."""
    workspace = DbtWorkspace(project, "legacy")
    flags = workspace.flags(workspace.target_path)
    lister = Lister(project, workspace.load_manifest(), flags)
    assert lister.select(["--select", "m_0"])  # the first, which dbt lists

    for arguments in SELECTIONS:
        assert lister.select(arguments) == Lister(project, workspace.load_manifest(), flags).select(arguments)


def test_a_refused_selection_spoils_no_other(project: Path) -> None:
    """What dbt cannot read is said of that selection, first or later, and the others are kept, in one file."""
    workspace = DbtWorkspace(project, "legacy")
    workspace.select_all([("strange:x", "", ""), ("m_5", "", ""), ("other:y", "", "")])

    assert "model.synthetic.m_5" in workspace.select("m_5")
    for refused in ("strange:x", "other:y"):
        with pytest.raises(DbtSelectionRefused, match=refused.partition(":")[0]):
            workspace.select(refused)
    kept = json.loads((workspace.target_path / "selections.json").read_text())
    assert [*kept] == ['["--select", "m_5"]']


@pytest.mark.parametrize("garbled", [b"", b"{", b"[]", b'{"[\\"--select\\", \\"m_4\\"]": 3}', b"\xff\x00"])
def test_a_garbled_file_is_made_again(project: Path, garbled: bytes) -> None:
    """A file of answers that is no such file is as good as none."""
    expected = DbtWorkspace(project, "legacy").select("m_4")
    (project / "target" / "legacy" / "selections.json").write_bytes(garbled)

    assert DbtWorkspace(project, "legacy").select("m_4") == expected


def test_one_byte_of_a_model_counts(project: Path) -> None:
    """Answers are of the files as they are: a changed model is asked about again in the next process."""
    assert "model.synthetic.m_7" not in DbtWorkspace(project, "legacy").select("tag:first")
    model = project / "models" / "layer_3" / "m_7.sql"
    before = model.read_text()
    model.write_text("{{ config(tags=['first']) }}" + before)
    try:
        assert "model.synthetic.m_7" in DbtWorkspace(project, "legacy").select("tag:first")
    finally:
        model.write_text(before)


def test_two_processes_ask_at_the_same_time(project: Path) -> None:
    """Both get the answer, and what they keep is whole."""
    (project / "target" / "legacy" / "selections.json").unlink(missing_ok=True)
    program = (
        "import sys; from pathlib import Path; from dagster_defs.adapters.dbt.project import DbtWorkspace;"
        "print(sorted(DbtWorkspace(Path(sys.argv[1]), 'legacy').select('m_8+')))"
    )

    def ask(_: int) -> str:
        command = [sys.executable, "-c", program, str(project)]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=240).stdout

    with ThreadPoolExecutor(2) as both:
        answers = set(both.map(ask, range(2)))

    assert answers == {f"{sorted(DbtWorkspace(project, 'legacy').select('m_8+'))}\n"}
    assert json.loads((project / "target" / "legacy" / "selections.json").read_text())
