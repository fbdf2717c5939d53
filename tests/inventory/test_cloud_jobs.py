"""dbt Cloud's jobs: the operators that start them, read with the answer of dbt Cloud's own API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dagster_defs.adapters.files.team_file import read_team
from dagster_defs.errors import TeamFileUnreadable
from dagster_defs.inventory import Kind, UnitReading, describe, read_document
from dagster_defs.inventory.team import FILE, NO_TEAM, Team
from tests.support import inventory_samples as samples

OPERATOR = "airflow.providers.dbt.cloud.operators.dbt.DbtCloudRunJobOperator"
JOBS = [
    {"id": 5, "name": "nightly", "execute_steps": ["dbt seed -s names", "dbt build --select tag:nightly --exclude x"],
     "generate_docs": True, "settings": {"threads": 4, "target_name": "prod"}},
    {"id": 6, "name": "twice", "execute_steps": ["dbt run -s {{ nothing }}"]},
    {"id": 7, "name": "twice", "execute_steps": ["dbt source freshness"]},
]  # fmt: skip


def team(tmp_path: Path, answer: Any = None) -> Team:
    content = {"status": {"code": 200}, "data": JOBS} if answer is None else answer
    (tmp_path / "cloud.json").write_text(content if isinstance(content, str) else json.dumps(content))
    (tmp_path / FILE).write_text("dbt_cloud_jobs: cloud.json")
    return read_team(tmp_path / FILE)


def read(fields: Mapping[str, Any], known: Team) -> UnitReading:
    task = samples.task(dict(fields), operator=OPERATOR, samples=samples.sampled(dict(fields)))
    inventory = read_document(samples.document(task), "inventory.json").told_by(known)
    return describe(inventory, samples.FakeProject()).units[0]


@pytest.mark.parametrize("fields", [{"job_id": 5}, {"job_id": "5"}, {"job_name": "nightly"}])
@pytest.mark.parametrize("alone", [False, True])
def test_a_jobs_steps_are_dbt_commands(fields: dict[str, Any], alone: bool, tmp_path: Path) -> None:
    """Whether the answer is about one job or all, and the operator names it by id or by name."""
    unit = read(fields, team(tmp_path, {"data": JOBS[0]} if alone else None))

    assert unit.determined, unit.reason
    assert unit.kinds == (Kind.SEED, Kind.BUILD)
    assert [call.selection.select for call in unit.invocations] == [("names",), ("tag:nightly",)]


@pytest.mark.parametrize(
    "fields",
    [
        {"job_id": 5, "steps_override": ["dbt run -s one"]},
        {"job_id": 5, "additional_run_config": {"steps_override": ["dbt run -s one"], "threads_override": 8}},
        {"job_id": 4711, "steps_override": ["dbt run -s one"]},
    ],
)
def test_overridden_steps_are_those_that_run(fields: dict[str, Any], tmp_path: Path) -> None:
    """Then the job's own are of no interest, known or not."""
    unit = read(fields, team(tmp_path))

    [call] = unit.invocations
    assert unit.determined, unit.reason
    assert call.selection.select == ("one",)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"schema_override": "other"}, "schema_override=other"),
        ({"additional_run_config": {"git_branch": "next", "cause": "x"}}, "git_branch=next"),
        ({"additional_run_config": {"target_name_override": "dev"}}, "target_name_override=dev"),
    ],
)
def test_a_run_of_something_else_is_said(fields: dict[str, Any], message: str, tmp_path: Path) -> None:
    """Another schema or another state of the project is not what a mirror builds."""
    unit = read({"job_id": 5, **fields}, team(tmp_path))

    assert (unit.kind, unit.determined) == (Kind.OPAQUE, False)
    assert f"dbt Cloud job 5 runs with {message}, and a mirror does not" in unit.reason


@pytest.mark.parametrize("fields", [{"job_id": 4711}, {"job_name": "twice"}, {"job_name": "unknown"}])
def test_an_unknown_job_is_asked_for(fields: dict[str, Any], tmp_path: Path) -> None:
    """The reason says which answer to save, and the line to paste; a name that two jobs have names none."""
    for known in (NO_TEAM, team(tmp_path)):
        unit = read(fields, known)

        assert (unit.kind, unit.determined) == (Kind.OPAQUE, False)
        assert "GET /api/v2/accounts/ACCOUNT/jobs/" in unit.reason
        assert unit.reason.endswith("in parity.yaml: dbt_cloud_jobs: dbt_cloud_jobs.json")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("", "not dbt Cloud's answer"),
        ({"status": {"code": 401}}, "it has no jobs"),
        ({"data": []}, "it has no jobs"),
        ({"data": [{"name": "x", "execute_steps": []}]}, "a job has no `id`"),
        ({"data": [{"id": 5}]}, "job 5 has no list of texts `execute_steps`"),
        ({"data": [JOBS[0], JOBS[0]]}, "job 5 is in it twice"),
    ],
)
def test_another_file_is_an_error(answer: Any, message: str, tmp_path: Path) -> None:
    """One that names the file and what is missing."""
    with pytest.raises(TeamFileUnreadable, match=rf"cloud\.json.*{message}"):
        team(tmp_path, answer)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    """The team meant to give it."""
    (tmp_path / FILE).write_text("dbt_cloud_jobs: nowhere.json")
    with pytest.raises(TeamFileUnreadable, match=r"nowhere\.json.*No such file"):
        read_team(tmp_path / FILE)
