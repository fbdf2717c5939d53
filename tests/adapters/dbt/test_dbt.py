"""dbt in the calling process: what is parsed again, what a failure says, and what is left behind."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dagster._core.errors import DagsterExecutionInterruptedError
from pytest_mock import MockerFixture

from dagster_defs.adapters.dbt.env_vars import env_vars_in
from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.adapters.dbt.run import DbtRun
from dagster_defs.adapters.dbt.window_shape import WindowValues, shaped_by_window
from dagster_defs.adapters.processes.guardian import GUARDIAN
from dagster_defs.errors import DbtFailed, DbtProjectUnreadable, NotComparable

PROFILES = """
small:
  target: legacy
  outputs:
    legacy: {{type: duckdb, path: "{folder}/legacy.duckdb", threads: 1}}
    candidate: {{type: duckdb, path: "{{{{ env_var('SMALL_DIR', '..') }}}}/candidate.duckdb", threads: 1}}
    elsewhere: {{type: postgres, host: localhost, user: u, password: p, port: 5432, dbname: d, schema: s}}
    snow: {{type: snowflake, account: a, user: u, password: p, database: d, schema: s, warehouse: w}}
"""
GOOD = "{{ config(materialized='table') }} select {{ var('number', 0) }} as number\n"
NEXT = "{{ config(materialized='table') }} select number from {{ ref('good') }}\n"
BROKEN = "{{ config(materialized='table') }} select no_such_column from {{ ref('good') }}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A dbt project with one table, and DuckDB files beside it."""
    folder = tmp_path / "small_dbt"
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text(
        "name: small\nversion: 1.0.0\nprofile: small\nmodel-paths: [models]\n"
        "flags: {send_anonymous_usage_stats: false}\n"
    )
    (folder / "profiles.yml").write_text(PROFILES.format(folder=tmp_path))
    (folder / "models" / "good.sql").write_text(GOOD)
    return folder


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DBT_PROFILES_DIR", raising=False)


def model_names(workspace: DbtWorkspace) -> set[str]:
    return {node["name"] for node in workspace.manifest["nodes"].values()}


def numbers(project: Path) -> list[tuple[int]]:
    with duckdb.connect(str(project.parent / "legacy.duckdb")) as connection:
        return connection.execute("select number from good").fetchall()


def build(project: Path, folder: str, **variables: str) -> Iterator[dict[str, object]]:
    workspace = DbtWorkspace(project, "legacy")
    run = workspace.run(["build"], variables=variables, run_dir=project.parent / folder)
    return run.events()


def test_a_changed_file_is_parsed_again(project: Path) -> None:
    """A new workspace sees a file that was edited, added or removed since the last parse."""
    assert model_names(DbtWorkspace(project, "legacy")) == {"good"}

    (project / "models" / "next.sql").write_text(NEXT)
    assert model_names(DbtWorkspace(project, "legacy")) == {"good", "next"}

    (project / "models" / "next.sql").unlink()
    assert model_names(DbtWorkspace(project, "legacy")) == {"good"}


def test_an_unchanged_project_is_not_parsed_again(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as no file changes the manifest on disk is taken as it is; a run and its files change nothing."""
    assert model_names(DbtWorkspace(project, "legacy")) == {"good"}
    assert list(build(project, "run"))

    def refuse(self: DbtWorkspace) -> None:
        raise AssertionError("dbt parsed a project that has not changed")

    monkeypatch.setattr(DbtWorkspace, "_parse", refuse)
    assert model_names(DbtWorkspace(project, "legacy")) == {"good"}


def test_each_target_has_a_manifest_of_its_own(project: Path) -> None:
    """Two targets of one project do not void each other's parse: each has its own target path."""
    legacy, candidate = (DbtWorkspace(project, target) for target in ("legacy", "candidate"))
    assert legacy.manifest
    assert candidate.manifest

    assert (legacy.target_path / "manifest.json").exists()
    assert (candidate.target_path / "manifest.json").exists()
    assert legacy.target_path != candidate.target_path


def test_a_selection_is_kept_until_a_file_changes(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """dbt is asked once what a selection picks; a changed file makes it be asked again."""
    assert DbtWorkspace(project, "legacy").select("fqn:*") == {"model.small.good"}

    with monkeypatch.context() as patched:
        patched.setattr(DbtWorkspace, "_list", lambda *_: pytest.fail("dbt was asked again"))
        assert DbtWorkspace(project, "legacy").select("fqn:*") == {"model.small.good"}

    (project / "models" / "next.sql").write_text(NEXT)
    assert DbtWorkspace(project, "legacy").select("fqn:*") == {"model.small.good", "model.small.next"}
    assert DbtWorkspace(project, "legacy").select("fqn:*", exclude="next") == {"model.small.good"}


def test_variables_reach_the_models(project: Path) -> None:
    """Other variables give other rows without another parse of the project."""
    for number in ("1", "2"):
        assert list(build(project, number, number=number))
        assert numbers(project) == [(int(number),)]


def test_the_working_directory_is_kept(project: Path) -> None:
    """dbt leaves the process where it was, whether it parses, lists, runs or fails."""
    before = Path.cwd()
    workspace = DbtWorkspace(project, "legacy")
    assert workspace.manifest
    assert workspace.select("fqn:*")
    assert workspace.database_file
    assert list(build(project, "good"))
    (project / "models" / "next.sql").write_text(BROKEN)
    with pytest.raises(DbtFailed):
        list(build(project, "broken"))

    assert Path.cwd() == before


def test_the_database_is_free_after_a_run(project: Path) -> None:
    """DuckDB's file can be opened for writing as soon as the run is over, and after a failed one too."""
    assert list(build(project, "first"))
    with duckdb.connect(str(project.parent / "legacy.duckdb")) as connection:
        connection.execute("create table another (x int)")

    (project / "models" / "next.sql").write_text(BROKEN)
    with pytest.raises(DbtFailed):
        list(build(project, "second"))
    with duckdb.connect(str(project.parent / "legacy.duckdb")) as connection:
        connection.execute("drop table another")


def test_a_failing_model_is_named(project: Path) -> None:
    """What succeeded before is told as usual; the error names the model, the reason and dbt's log."""
    (project / "models" / "next.sql").write_text(BROKEN)
    told: list[str] = []

    with pytest.raises(DbtFailed) as caught:
        told += [event["data"]["node_info"]["node_name"] for event in build(project, "run")]  # type: ignore[index]  # untyped JSON

    message = str(caught.value)
    assert "next: " in message
    assert "no_such_column" in message
    assert caught.value.log.is_file()
    assert caught.value.exit_code == 1


def test_results_are_told_before_a_failure(project: Path) -> None:
    """The events of the models that were built arrive although the run then fails."""
    (project / "models" / "next.sql").write_text(BROKEN)
    told: list[tuple[str, str]] = []

    with pytest.raises(DbtFailed):  # noqa: PT012 - what arrives before the error is the subject
        for event in build(project, "run"):
            data: dict[str, dict[str, str]] = event["data"]  # type: ignore[assignment]  # untyped JSON
            told.append((data["node_info"]["node_name"], data["node_info"]["node_status"]))

    assert told == [("good", "success"), ("next", "error")]


def test_a_consumer_that_goes_away_ends_dbt(project: Path) -> None:
    """Whoever stops listening in the middle gets dbt's thread ended and its file free."""
    for number in range(5):
        (project / "models" / f"next_{number}.sql").write_text(NEXT)

    events = build(project, "run")
    next(events)
    events.close()  # type: ignore[attr-defined]  # a generator

    assert not [thread for thread in threading.enumerate() if thread.name == "dbt"]
    with duckdb.connect(str(project.parent / "legacy.duckdb")) as connection:
        connection.execute("create table another (x int)")


def test_rows_are_counted_while_dbt_waits(project: Path) -> None:
    """While an event is handled, dbt's own connection counts the rows of what was just built."""
    workspace = DbtWorkspace(project, "legacy")
    run = workspace.run(["build"], variables={}, run_dir=project.parent / "run")
    assert isinstance(run, DbtRun)
    relation = workspace.manifest["nodes"]["model.small.good"]["relation_name"]

    counted = [(run.count_rows(relation), run.count_rows('"no"."such"."table"')) for _ in run.events()]

    assert counted == [(1, None)]


def test_the_database_file_is_dbts_own_view(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path of a target is what dbt's profile says, environment included, relative to the project."""
    assert DbtWorkspace(project, "candidate").database_file == tmp_path / "candidate.duckdb"

    monkeypatch.setenv("SMALL_DIR", str(tmp_path / "other"))
    assert DbtWorkspace(project, "candidate").database_file == tmp_path / "other" / "candidate.duckdb"


def test_a_warehouse_that_is_no_duckdb_is_told(project: Path) -> None:
    """A Snowflake target has no file: the error names target and kind."""
    with pytest.raises(NotComparable, match="'snow' is a snowflake warehouse"):
        _ = DbtWorkspace(project, "snow").database_file


def test_a_target_that_is_not_there_is_told(project: Path) -> None:
    """An unknown target is an error that names project and target."""
    with pytest.raises(DbtProjectUnreadable, match="target 'nowhere'"):
        _ = DbtWorkspace(project, "nowhere").database_file


@pytest.mark.parametrize("adapter", ["bigquery", "sqlserver"])
def test_an_adapter_that_is_not_installed_is_told(project: Path, adapter: str) -> None:
    """Every dbt project can be one for another warehouse: the remedy is to install its adapter."""
    profile = (project / "profiles.yml").read_text()
    (project / "profiles.yml").write_text(profile.replace("type: duckdb", f"type: {adapter}"))
    with pytest.raises(DbtProjectUnreadable, match=rf"pip install dbt-{adapter}$"):
        _ = DbtWorkspace(project, "legacy").credentials


def test_the_extra_of_an_adapter_is_told() -> None:
    """Those that are extras of this package; all of them are installed where its tests run."""
    error = DbtProjectUnreadable(Path("dbt"), "Could not find adapter type snowflake!")
    assert str(error).endswith("pip install 'airflow-parity[snowflake]'")


def test_a_folder_without_a_project_is_told(tmp_path: Path) -> None:
    """A folder without dbt_project.yml is named; nothing is written into it."""
    with pytest.raises(DbtProjectUnreadable, match=r"it has no dbt_project\.yml"):
        _ = DbtWorkspace(tmp_path, "legacy").manifest
    assert list(tmp_path.iterdir()) == []


def test_a_project_that_cannot_be_parsed_is_told(project: Path) -> None:
    """A reference to a model that is not there is dbt's own reason, with the project's path."""
    (project / "models" / "next.sql").write_text("select * from {{ ref('nobody') }}")

    with pytest.raises(DbtProjectUnreadable, match=r"(?s)nobody.*not found") as caught:
        _ = DbtWorkspace(project, "legacy").manifest
    assert str(project) in str(caught.value)


def test_a_manifest_is_no_half_written_one(project: Path) -> None:
    """After a parse that failed, the project's next good state is parsed again, not taken from before."""
    assert model_names(DbtWorkspace(project, "legacy")) == {"good"}
    broken = project / "models" / "next.sql"
    broken.write_text("select * from {{ ref('nobody') }}")
    with pytest.raises(DbtProjectUnreadable):
        _ = DbtWorkspace(project, "legacy").manifest
    broken.write_text(NEXT)

    assert model_names(DbtWorkspace(project, "legacy")) == {"good", "next"}


def test_profiles_may_lie_elsewhere(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DBT_PROFILES_DIR is obeyed, as dbt itself does."""
    elsewhere = tmp_path / "profiles"
    elsewhere.mkdir()
    os.rename(project / "profiles.yml", elsewhere / "profiles.yml")  # noqa: PTH104 - the point is the move
    monkeypatch.setenv("DBT_PROFILES_DIR", str(elsewhere))

    assert model_names(DbtWorkspace(project, "legacy")) == {"good"}
    assert DbtWorkspace(project, "legacy").database_file == tmp_path / "legacy.duckdb"


def test_variables_that_a_profile_reads_are_found_whatever_its_quotes() -> None:
    """YAML's own quotes are taken off first; what is no template, or no YAML, hides nothing else."""
    text = """
    a: {path: '{{ env_var(''ONE'') }}', more: ["{{ env_var('TWO', 'x') }}"]}
    b: "{{ env_var('THREE') | upper }}"
    c: "{{ broken"
    """
    assert env_vars_in(text) == {"ONE", "TWO", "THREE"}
    assert env_vars_in("path: {{ env_var('FOUR') }}") == {"FOUR"}


SPOILED: dict[str, Callable[[bytes], bytes]] = {
    "half": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "null": lambda data: b"null",
    "a list": lambda data: b"[]",
    "another object": lambda data: b'{"place": 1}',
    "no text": lambda data: b"\xff\xfe" + data,
}
CACHES = ("prepared.json", "selections.json", "manifest.json", "partial_parse.msgpack", "excerpts/*")


SPOILED_CACHES = [(cache, kind) for cache in CACHES for kind in ("half", "another object")] + [
    ("prepared.json", kind) for kind in ("empty", "null", "a list", "no text")
]


@pytest.mark.parametrize(("cache", "kind"), SPOILED_CACHES)
def test_a_broken_cache_is_made_again(project: Path, cache: str, kind: str) -> None:
    """Each file that is kept between two commands may be broken: what is asked has the same answer as before."""
    nodes = frozenset({"model.small.good"})

    def asked() -> tuple[object, ...]:
        workspace = DbtWorkspace(project, "legacy")
        loaded = workspace.load_manifest(nodes).nodes.keys(), workspace.load_manifest().nodes.keys()
        return workspace.select("good"), model_names(workspace), *map(sorted, loaded)

    before = asked()
    [file] = (project / "target" / "legacy").glob(cache)
    file.write_bytes(SPOILED[kind](file.read_bytes()))

    assert asked() == before == asked()


@pytest.mark.parametrize("broken", [SPOILED["half"], SPOILED["another object"]])
def test_a_broken_answer_about_windows_is_made_again(project: Path, broken: Callable[[bytes], bytes]) -> None:
    """Whether windows shape the project is asked again where the kept answer is broken."""
    (project / "models" / "good.sql").write_text("{{ config(tags=[var('day')]) }} select 1 as number\n")
    (project / "dbt_project.yml").write_text(
        (project / "dbt_project.yml").read_text() + "vars: {day: none}\n"
    )
    asked = WindowValues({"day": "2024-03-01"}), WindowValues({"day": "2024-03-02"})
    found = shaped_by_window(DbtWorkspace(project, "legacy"), *asked)
    file = project / "target" / "legacy" / "windows.json"
    file.write_bytes(broken(file.read_bytes()))

    assert shaped_by_window(DbtWorkspace(project, "legacy"), *asked) == found == ("model.small.good",)


def test_variables_that_are_only_printed_need_no_parse(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two parses of a large project take minutes: they are made only where something takes the value."""
    asked: list[str] = []
    parsed_apart = DbtWorkspace.parsed_apart

    def parse(workspace: DbtWorkspace, *given: Any) -> Any:
        asked.append(given[-1])
        return parsed_apart(workspace, *given)

    monkeypatch.setattr(DbtWorkspace, "parsed_apart", parse)
    windows = WindowValues({"number": "2024-03-01"}), WindowValues({"number": "2024-03-02"})

    assert shaped_by_window(DbtWorkspace(project, "legacy"), *windows) == ()
    assert asked == []
    (project / "models" / "good.sql").write_text("select {{ var('number', '') | length }} as number\n")
    assert shaped_by_window(DbtWorkspace(project, "legacy"), *windows) == ()
    assert asked == ["window-0", "window-1"]


SELECT = """
import sys
from pathlib import Path
from dagster_defs.adapters.dbt.project import DbtWorkspace
print("up", flush=True)
print(sorted(DbtWorkspace(Path(sys.argv[1]), "legacy").select("good")))
"""


@pytest.mark.parametrize("seconds", [1.5, 3.0])
def test_a_command_that_was_killed(project: Path, seconds: float) -> None:
    """A selection that is killed with -9 on its way does not hinder the next one."""
    with GUARDIAN.start(
        [sys.executable, "-c", SELECT, str(project)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=seconds)
        process.kill()

    assert DbtWorkspace(project, "legacy").select("good") == frozenset({"model.small.good"})


@pytest.mark.parametrize("raised", [KeyboardInterrupt, DagsterExecutionInterruptedError])
def test_an_interrupted_parse_is_an_interrupt(
    project: Path, mocker: MockerFixture, raised: type[BaseException]
) -> None:
    """dbt catches it, and it is meant for the process: no unit is broken by it, and the next parse is a new one."""
    workspace = DbtWorkspace(project, "legacy")
    mocker.patch("dbt.cli.main.cli.invoke", side_effect=raised())
    with pytest.raises(raised):
        workspace.select("fqn:*")
    mocker.stopall()

    assert workspace.select("fqn:*") == {"model.small.good"}


def test_an_unreadable_project_has_a_reason_even_if_dbt_gives_none(
    project: Path, mocker: MockerFixture
) -> None:
    """The kind of the error, and what to look at."""
    mocker.patch("dbt.cli.main.cli.invoke", side_effect=RuntimeError())

    said = r"ended with RuntimeError, and no message\. Look: dbt parse"
    with pytest.raises(DbtProjectUnreadable, match=said):
        DbtWorkspace(project, "legacy").select("fqn:*")
