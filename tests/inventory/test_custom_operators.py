"""Operators of a team's own: what their fields say counts, whatever their classes are called."""

from __future__ import annotations

from typing import Any

import pytest

from dagster_defs.inventory import Kind, describe, read_document
from tests.support import inventory_samples as samples
from tests.support.inventory_samples import BASH, POD

DOCKER = "airflow.providers.docker.operators.docker.DockerOperator"
SSH = "airflow.providers.ssh.operators.ssh.SSHOperator"
COSMOS = "cosmos.operators.local.DbtRunLocalOperator"
SHELL = {"bash_command": "dbt run -s orders"}
WORDS = {"cmds": ["dbt"], "arguments": ["run", "-s", "orders"]}


@pytest.mark.parametrize(
    ("name", "base", "fields"),
    [
        ("team.ops.RunDbt", BASH, SHELL),
        ("team.dbt.cloud.DbtCloudShell", BASH, SHELL),
        ("team.python_tools.Run", BASH, SHELL),
        ("team.ops.DbtPod", POD, WORDS),
        ("team.python_tools.Pod", POD, WORDS),
        ("team.ops.DbtInDocker", DOCKER, {"image": "ours", "command": "dbt run -s orders"}),
        ("team.ops.Remote", SSH, {"command": "dbt run -s orders"}),
        ("team.ops.Nightly", COSMOS, {"select": ["orders"]}),
    ],
    ids=lambda value: value.rpartition(".")[2] if isinstance(value, str) else "",
)
def test_a_subclass_is_read_by_its_fields(name: str, base: str, fields: dict[str, Any]) -> None:
    """As Airflow rendered them."""
    task = samples.task(fields, operator=name, samples=samples.sampled(fields))
    task["bases"] = [base, "airflow.models.baseoperator.BaseOperator"]

    [unit] = describe(read_document(samples.document(task), "inventory.json"), samples.FakeProject()).units

    [call] = unit.invocations
    assert unit.determined, unit.reason
    assert (unit.kind, call.selection.select) == (Kind.RUN, ("orders",))
