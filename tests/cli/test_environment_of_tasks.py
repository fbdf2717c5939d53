"""What a task sets in dbt's environment: a note where the dbt project asks for it nowhere, else in the mirror."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dagster_defs import cli
from tests.support import inventory_samples as samples
from tests.support.estate import ROOT
from tests.support.inventory_samples import DAYS, POD

PROJECT = ROOT / "tests" / "journeys" / "foreign" / "dbt"
UNREAD = "{{ next_execution_date }}"
LABEL = "{{ run_id }}__{{ ti.try_number }}"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dbt project with an audit hook that says which run wrote."""
    monkeypatch.setenv("SHOP_DATA", str(tmp_path))
    root = tmp_path / "dbt"
    shutil.copytree(PROJECT, root)
    macro = "{% macro audit() %}select '{{ env_var('RUNNER', 'nobody') }}'{% endmacro %}"
    (root / "macros").mkdir(exist_ok=True)
    (root / "macros" / "audit.sql").write_text(macro)
    return root


def task_with(env: Mapping[str, str]) -> dict[str, Any]:
    """A pod that runs dbt, its environment rendered for some windows; what only a run knows stays a mark."""
    fields = {"cmds": ["bash", "-c"], "arguments": ["dbt run --select orders_per_day"]}
    known = {name: text for name, text in env.items() if "ti." not in text}
    rendered = samples.sampled({**fields, "env_vars": known}, cron="0 5 * * *", days=DAYS[:3])
    marks = dict.fromkeys(env.keys() - known.keys(), "<<undetermined:ti.try_number>>")
    for sample in rendered:
        sample["fields"]["env_vars"] |= marks
        sample["undetermined"] = [
            {"field": "env_vars", "needs": "ti.try_number", "reason": "is known only while a run is going on"}
        ] * bool(marks)
    return samples.task({**fields, "env_vars": dict(env)}, operator=POD, samples=rendered)


def command(verb: str, project: Path, task: dict[str, Any], *more: str) -> Any:
    content = samples.document(task, cron="0 5 * * *")
    content["dags"][0]["start"] = "2024-01-01T00:00:00+00:00"
    file = project.parent / "inventory.json"
    file.write_text(json.dumps(content))
    outcome = CliRunner().invoke(cli.app, [verb, str(file), "--dbt-project", str(project), *more, "--json"])
    assert outcome.exit_code == 0, outcome.exception
    return json.loads(outcome.stdout)


def test_a_variable_that_nothing_reads_is_a_note_and_one_that_a_hook_reads_is_carried(project: Path) -> None:
    """Neither is the window, whatever it is called (estate-unread_env)."""
    task = task_with({"EXECUTION_DATE": UNREAD, "RUNNER": LABEL})

    [unit] = command("inventory", project, task)["units"]
    assert unit["determined"], unit["reason"]
    assert unit["window"]["convention"] == "none"
    [note] = [each for each in unit["warnings"] if each["code"] == "unread-environment"]
    assert "EXECUTION_DATE" in note["message"]
    assert "RUNNER" not in note["message"]
    [file] = command("scaffold", project, task, "--out", str(project.parent / "defs"))["files"]
    assert file["units"] == ["shop.task"]
    assert file["gaps"] == []
    assert f"RUNNER: '{LABEL}'" in Path(file["path"]).read_text()


@pytest.mark.parametrize(
    "text",
    [
        "{{ ds }}",
        "{{ run_id }}_{{ ds }}",
        "{{ ti.execution_date }}",
        "{{ dag_run.logical_date }}",
        "{{ ti.start_date }}",
    ],
)
def test_a_variable_that_is_read_and_moves_is_never_passed_over(text: str, project: Path) -> None:
    """It is in the mirror's environment, or what is missing stands in a gap."""
    out = str(project.parent / "defs")
    [file] = command("scaffold", project, task_with({"RUNNER": text}), "--out", out)["files"]

    written = Path(file["path"]).read_text()
    if "DbtUnit" in written:
        assert f"RUNNER: '{text}'" in written
    else:
        assert any("the environment variable RUNNER" in gap or "is known only" in gap for gap in file["gaps"])


@pytest.mark.parametrize(
    "text",
    [
        "{{ run_id }}",
        "{{ dag.dag_id }}.{{ task.task_id }}",
        "airflow-{{ dag_run.run_id }}",
        "{{ ti.map_index ~ '' }}",
    ],
)
def test_what_tells_runs_from_each_other_is_carried(text: str, project: Path) -> None:
    """What the window determines is as in Airflow; the rest names Dagster's run."""
    [file] = command("scaffold", project, task_with({"RUNNER": text}), "--out", str(project.parent / "defs"))[
        "files"
    ]

    assert file["units"] == ["shop.task"]
    assert file["gaps"] == []
    assert "RUNNER: " in Path(file["path"]).read_text()


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("macros/which.sql", "{% macro which(name) %}{{ env_var(name) }}{% endmacro %}"),
        ("models/more.py", "import os\n\ndef model(dbt, session):\n    return dbt.ref('orders_per_day')\n"),
    ],
)
def test_where_any_variable_may_be_read_nothing_is_a_note(file: str, text: str, project: Path) -> None:
    """A name that is computed may be that of the window."""
    (project / file).write_text(text)

    [unit] = command("inventory", project, task_with({"EXECUTION_DATE": "{{ ds }}"}))["units"]

    assert "unread-environment" not in {each["code"] for each in unit["warnings"]}
    assert unit["window"]["carrier"] == "env"
