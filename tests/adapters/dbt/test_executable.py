"""dbt by an executable: the same results as in this process, no second parse, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pytest

from bench.dbt_window import WINDOWS, run_window, workspace_by, write_project
from dagster_defs.adapters.dbt.executable import DbtExecutable
from dagster_defs.adapters.dbt.partial_parse import handed_on
from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.errors import (
    DbtFailed,
    DbtProjectUnreadable,
    DbtSelectionRefused,
    DbtUnusable,
    TimedOut,
)

DBT = Path(sys.executable).parent / "dbt"
LEFT = str(10_000_000 + os.getpid())  # seconds that a process of this test's wrapper would sleep
SLOW = "{{ config(materialized='table') }} select count(*) as n from range(1000000000000) as t(i) where i % 7 = 3"
BROKEN = "{{ config(materialized='table') }} select no_such_column from {{ ref('ships') }}"
_NO_PARSE = ("Unable to do partial parsing", "full parse")


def script(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return path


@dataclass(frozen=True)
class Built:
    """One window, built; see `run_window`."""

    workspace: DbtWorkspace
    results: list[list[Any]]
    tables: dict[str, list[list[Any]]]
    log: str

    @property
    def rows(self) -> dict[str, int | None]:
        """By unique id."""
        return {unique_id: rows for _, unique_id, *_, rows, _ in self.results}


def build(workspace: DbtWorkspace, window: dict[str, Any] = WINDOWS[0]) -> Built:
    run_dir = workspace.target_path / "runs" / str(window["number"])
    reported = run_window(workspace, window, run_dir)
    log = (run_dir / "dbt.log").read_text()
    return Built(workspace, reported["results"], reported["tables"], log)


@pytest.fixture(scope="module")
def wrapper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A script that starts dbt as its child, and something else that holds its output open and goes on."""
    return script(tmp_path_factory.mktemp("tools") / "dbt.sh", f"sleep {LEFT} &", f'"{DBT}" "$@"', "exit $?")


@pytest.fixture(scope="module")
def in_process(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(workspace_by(None, write_project(tmp_path_factory.mktemp("process"))))


@pytest.fixture(scope="module")
def by_wrapper(tmp_path_factory: pytest.TempPathFactory, wrapper: Path) -> Built:
    return build(workspace_by(wrapper, write_project(tmp_path_factory.mktemp("wrapper"))))


@pytest.fixture
def project(tmp_path: Path, by_wrapper: Built) -> Path:
    """A project that is as it was parsed by the wrapper's dbt."""
    shutil.copytree(by_wrapper.workspace.project_dir, tmp_path / "small")
    return tmp_path / "small"


def is_left(started: str) -> bool:
    """Whether a process with this word in its command line is running."""
    for process in psutil.process_iter():
        try:
            if started in process.cmdline():
                return True
        except psutil.Error:
            continue
    return False


def test_the_same_window_has_the_same_results(in_process: Built, by_wrapper: Built) -> None:
    """Events, statuses, row counts and tables are those of a run in this process."""
    assert by_wrapper.results == in_process.results
    assert by_wrapper.rows["seed.small.ports"] == 2
    assert by_wrapper.tables == in_process.tables
    assert by_wrapper.tables["ships"] == [[7, "2024-01-01"]]
    assert by_wrapper.workspace.select("ships") == in_process.workspace.select("ships")
    assert not is_left(LEFT)


def test_another_window_is_not_parsed_again(by_wrapper: Built) -> None:
    """The kept parse becomes one with the window's variables, and each model reads the new ones."""
    before = by_wrapper.workspace.target_path / "partial_parse.msgpack"
    kept = before.read_bytes()

    later = build(by_wrapper.workspace, WINDOWS[1])

    assert later.tables["ships"] == [[7, "2024-01-01"], [8, "2024-01-02"]]
    for log in (by_wrapper.log, later.log):
        assert not [reason for reason in _NO_PARSE if reason in log], log
        assert "Partial parsing enabled, no changes found" in log
    assert before.read_bytes() == kept


def test_a_parse_with_an_unknown_digest_is_not_handed_on() -> None:
    """A dbt that tells parses apart in another way parses again, instead of with wrong variables."""
    assert handed_on(b"no digest at all", {}, {"day": 1}, "legacy", "small", "1.11.0") is None


def test_two_versions_share_nothing(project: Path, tmp_path: Path) -> None:
    """What is kept of a parse lies in a folder of the file, its version and its adapters."""
    folders = {
        DbtWorkspace(project, "legacy", executable=executable).target_path
        for executable in (
            None,
            DbtExecutable(DBT, "1.10.0", ("duckdb 1.10.0",)),
            DbtExecutable(DBT, "1.11.0", ("duckdb 1.10.0",)),
            DbtExecutable(tmp_path / "dbt", "1.11.0", ("duckdb 1.10.0",)),
        )
    }
    assert len(folders) == 4


def test_a_failing_model_is_named(project: Path) -> None:
    """Results come before the failure, which names the model, its reason and dbt's log."""
    (project / "models" / "broken.sql").write_text(BROKEN)
    run = workspace_by(DBT, project).run(
        ["run", "--select", "ships broken"], variables={}, run_dir=project / "target" / "run"
    )
    told: list[str] = []
    with pytest.raises(DbtFailed, match=r"(?s)broken: .*no_such_column") as caught:  # noqa: PT012 - what comes before counts
        for event in run.events():
            told.append(event["data"]["node_info"]["node_name"])

    assert told == ["ships", "broken"]
    assert caught.value.log.is_file()


def test_a_project_that_cannot_be_parsed_is_told(project: Path, wrapper: Path) -> None:
    """dbt's own reason, from its log; so it is for a selection that it refuses."""
    workspace = workspace_by(wrapper, project)
    with pytest.raises(DbtSelectionRefused, match="'nope' is not a valid method name"):
        workspace.select("nope:x")

    (project / "models" / "broken.sql").write_text("select * from {{ ref('nobody') }}")
    with pytest.raises(DbtProjectUnreadable, match=r"(?s)nobody.*not found"):
        _ = workspace_by(wrapper, project).manifest


def _interrupt_when(log: Path, text: str) -> threading.Thread:
    """Interrupts the main thread, as a person would, once dbt's log has the text."""
    main = threading.main_thread().ident
    assert main is not None

    def wait() -> None:
        until = time.monotonic() + 300
        while time.monotonic() < until and not (log.exists() and text in log.read_text()):
            time.sleep(0.1)
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_a_cancellation_reaches_the_warehouse(project: Path, wrapper: Path) -> None:
    """dbt is interrupted first, and cancels its statement; nothing of it is left, and its file is free."""
    (project / "models" / "slow.sql").write_text(SLOW)
    workspace = workspace_by(wrapper, project)
    run_dir = project / "target" / "run"
    run = workspace.run(["run", "--select", "slow"], variables={}, run_dir=run_dir)
    _interrupt_when(run_dir / "dbt.log", "START sql table model main.slow")

    with pytest.raises(KeyboardInterrupt):
        list(run.events())

    assert "Cancel" in (run_dir / "dbt.log").read_text().title()
    assert not is_left(LEFT)
    with duckdb.connect(str(workspace.database_file)) as connection:
        connection.execute("create table another (x int)")


def test_a_time_out_ends_everything(project: Path, wrapper: Path) -> None:
    """The error says the unit's time-out; what the wrapper has started is gone too."""
    run = workspace_by(wrapper, project).run(
        ["build"], variables={}, run_dir=project / "target" / "run", timeout=1, limit=60
    )
    with pytest.raises(TimedOut, match="longer than its time-out of 60 s and was stopped"):
        list(run.events())
    assert not is_left(LEFT)


def test_it_is_asked_once(tmp_path: Path) -> None:
    """What it says is kept until its file changes."""
    count = tmp_path / "count"
    program = script(tmp_path / "dbt", f"echo asked >> {count}", "echo '  - installed: 1.9.3'")

    def ask() -> DbtExecutable:
        return DbtExecutable.named(str(program), tmp_path / "kept.json")

    assert ask() == ask() == DbtExecutable(program, "1.9.3")
    assert count.read_text().split() == ["asked"]

    os.utime(program, (1, 1))
    assert ask().version == "1.9.3"
    assert count.read_text().split() == ["asked", "asked"]


@pytest.fixture
def named(tmp_path: Path) -> Callable[..., Path]:
    def write(*lines: str) -> Path:
        return script(tmp_path / "dbt", *lines)

    return write


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (["echo 'installed version: 0.21.1'"], "it is dbt 0.21.1, and the oldest that can be run is 1.8"),
        (["echo '  - installed: 1.7.19'"], "it is dbt 1.7.19, and the oldest that can be run is 1.8"),
        (["echo 'dbt Cloud CLI - 0.38.22'"], "names no version of dbt, but says 'dbt Cloud CLI - 0.38.22'"),
        (["exit 3"], "`--version` exits 3 and names no version of dbt, but says 'nothing'"),
    ],
)
def test_a_program_that_is_too_old_or_no_dbt(
    named: Callable[..., Path], tmp_path: Path, lines: list[str], why: str
) -> None:
    """One error, with the remedy; nothing is kept of the answer."""
    with pytest.raises(DbtUnusable) as caught:
        DbtExecutable.named(str(named(*lines)), tmp_path / "kept.json")
    assert why in str(caught.value)
    assert str(caught.value).endswith("Name a dbt 1.8 or later in the YAML: dbt: {executable: …}")
    assert not (tmp_path / "kept.json").exists()


def test_a_program_that_cannot_be_started(tmp_path: Path, named: Callable[..., Path]) -> None:
    """Not there, not on PATH, a folder, or no program: each is said."""
    named().chmod(0o644)
    bad = {
        str(tmp_path / "nowhere" / "dbt"): "there is no such file",
        "dbt-of-nobody": "there is no such program on PATH",
        str(tmp_path): "it is a folder",
        str(tmp_path / "dbt"): "it cannot be started: Permission denied",
    }
    for program, why in bad.items():
        with pytest.raises(DbtUnusable, match=why):
            DbtExecutable.named(program, tmp_path / "kept.json")


@pytest.mark.parametrize("said", ["dbt-fusion 2.0.0-preview.181", "dbt 2.0.0", "dbt-core 2.0.0-alpha.1"])
def test_dbt_fusion_is_known_by_its_name(named: Callable[..., Path], tmp_path: Path, said: str) -> None:
    """It lists neither itself as a plug-in nor adapters."""
    found = DbtExecutable.named(str(named(f"echo '{said}'")), tmp_path / "kept.json")
    assert (found.is_fusion, found.adapters) == (True, ())
    assert said.endswith(found.version)


FUSION = f"""\
import json, subprocess, sys

if sys.argv[1:] == ["--version"]:
    sys.exit(print("dbt-fusion 2.0.0-preview.181"))
if any("\\n" in word or word in ("--no-use-colors", "--no-partial-parse") for word in sys.argv):
    sys.exit("variables are in one line, and these options are no longer supported")
done = subprocess.Popen([{str(DBT)!r}, *sys.argv[1:]], stdout=subprocess.PIPE, text=True)
for line in done.stdout:
    event = json.loads(line)
    if event["info"]["name"].endswith("Result"):
        relation = {{"relation_name": "nowhere.at.all"}}
        event["data"]["node_info"]["node_relation"] = relation
        if "TELLS_TWICE":
            print(json.dumps(event), flush=True)
        event["info"]["name"] = "NodeFinished"
        node = event["data"]["node_info"]
        passed = node["node_status"] == "pass" or event["data"]["status"] == "pass"
        event["data"] = {{"node_info": {{**node, "node_status": "success" if passed else node["node_status"]}}}}
    print(json.dumps(event), flush=True)
sys.exit(done.wait())
"""


@pytest.mark.parametrize("twice", ["", "twice"], ids=["as Fusion says it", "as dbt-core 2 says it"])
def test_results_in_the_words_of_dbt_2(project: Path, tmp_path: Path, in_process: Built, twice: str) -> None:
    """One event for all nodes, in which a test that passes is a success; or each result twice, in the words of
    dbt-core 1 too. Relations are the manifest's. (dbt-core's own events, told in these words; `make matrix` runs
    dbt-core 2 itself.)"""
    (tmp_path / "fusion.py").write_text(FUSION.replace("TELLS_TWICE", twice))
    program = script(tmp_path / "dbtf", f'exec {sys.executable} {tmp_path}/fusion.py "$@"')

    built = build(workspace_by(program, project))

    def plain(results: list[list[Any]]) -> list[list[Any]]:
        return [[name, node, status if name == "LogTestResult" else ""] for name, node, status, *_ in results]

    assert plain(built.results) == plain(in_process.results)
    assert built.rows == in_process.rows
