"""The part of a manifest that a run is given: it must not be seen in what the run does."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from dagster_defs.adapters.dbt.excerpt import excerpt
from dagster_defs.adapters.dbt.project import DbtWorkspace

FILES = {
    "dbt_project.yml": (
        "name: small\nversion: 1.0.0\nprofile: small\nmodel-paths: [models]\nmacro-paths: [macros]\n"
        "on-run-end: [\"create or replace table hooked as select '{{ graph_size() }}' as nodes\"]\n"
        "flags: {send_anonymous_usage_stats: false}\n"
    ),
    "profiles.yml": (
        "small: {{target: legacy, outputs: {{legacy: {{type: duckdb, path: '{folder}/small.duckdb'}}}}}}\n"
    ),
    "macros/size.sql": "{% macro graph_size() %}0{% endmacro %}\n",
    "models/first.sql": "select 1 as number\n",
    "models/second.sql": "select number + 1 as number from {{ ref('first') }}\n",
    "models/third.sql": (
        "{{ config(materialized='table') }} select number + {{ var('more', 0) }} as number from {{ ref('second') }}\n"
    ),
    "models/other.sql": "select * from {{ ref('third') }}\n",
    "models/apart.sql": "select 5 as number\n",
    "models/models.yml": "models: [{name: third, columns: [{name: number, data_tests: [not_null]}]}]\n",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("DBT_PROFILES_DIR", raising=False)
    folder = tmp_path / "small_dbt"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text.format(folder=tmp_path) if name == "profiles.yml" else text)
    return folder


def run(project: Path, folder: str, select: str, **variables: str) -> list[str]:
    """Builds a selection on its part of the manifest; the names of what ran, in order."""
    workspace = DbtWorkspace(project, "legacy")
    dbt = workspace.run(
        ["build", "--select", select],
        variables=variables,
        run_dir=project.parent / folder,
        nodes=workspace.select(select),
    )
    return [event["data"]["node_info"]["node_name"] for event in dbt.events()]


def tables(project: Path, statement: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(project.parent / "small.duckdb")) as connection:
        return connection.execute(statement).fetchall()


def test_a_run_gets_what_it_can_reach(project: Path) -> None:
    """The selected nodes, what is upstream of them, and the hooks; neither what is below nor what is apart."""
    workspace = DbtWorkspace(project, "legacy")
    part = excerpt(workspace.load_manifest(), workspace.select("third"))
    assert part is not None
    names = {node.name for node in part.nodes.values() if node.resource_type == "model"}
    assert names == {"first", "second", "third"}
    assert any(node.resource_type == "operation" for node in part.nodes.values())
    assert part.files == {}


@pytest.mark.parametrize(
    ("select", "ran"),
    [
        ("third", ["third", "not_null_third_number"]),
        ("+third", ["first", "second", "third", "not_null_third_number"]),
        ("first+1", ["first", "second"]),
        ("+other,second+", ["second", "third", "not_null_third_number", "other"]),
    ],
)
def test_a_selection_runs_the_same_nodes(project: Path, select: str, ran: list[str]) -> None:
    """Graph operators find the same nodes in the part as in the whole, run after run and with other variables."""
    run(project, "all", "*")
    assert run(project, "once", select, more="1") == ran
    assert run(project, "again", select, more="2") == ran
    if "third" in ran:
        assert tables(project, "select number from third") == [(4,)]


def test_hooks_of_the_project_run(project: Path) -> None:
    """`on-run-end` belongs to every run, whatever is selected."""
    run(project, "hooked", "apart")
    assert tables(project, "select count(*) from hooked") == [(1,)]


def test_a_project_that_looks_at_its_graph_keeps_all_of_it(project: Path) -> None:
    """`graph` in a macro or model may ask for any node: then a run gets the whole manifest, and sees the nodes."""
    (project / "macros" / "size.sql").write_text(
        "{% macro graph_size() %}{{ graph.nodes.values() | selectattr('resource_type', 'equalto', 'model')"
        " | list | length if execute else 0 }}{% endmacro %}\n"
    )
    workspace = DbtWorkspace(project, "legacy")
    assert excerpt(workspace.load_manifest(), workspace.select("apart")) is None
    run(project, "whole", "apart")
    assert tables(project, "select nodes from hooked") == [("5",)]


def test_a_changed_file_makes_new_parts(project: Path) -> None:
    """The parts are kept as long as the manifest is."""
    run(project, "before", "apart")
    (project / "models" / "apart.sql").write_text("select 6 as number\n")
    run(project, "after", "apart")
    assert tables(project, "select number from apart") == [(6,)]
    [kept] = (project / "target" / "legacy" / "excerpts").iterdir()
    assert kept.suffix == ".msgpack"


def test_a_part_that_was_cut_off_is_never_there(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written under another name first: a crash in between leaves no file that a run would read."""

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    workspace = DbtWorkspace(project, "legacy")
    selected = workspace.select("apart")
    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        workspace.load_manifest(selected)
    monkeypatch.undo()
    assert not list((project / "target" / "legacy" / "excerpts").glob("*.msgpack"))
    assert run(project, "later", "apart") == ["apart"]
    assert json.loads((project.parent / "later" / "run_results.json").read_text())["results"]
