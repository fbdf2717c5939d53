"""Which of several dbt projects a task runs: never guessed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from dagster_defs.inventory import Projects, UnitReading, describe, read_document
from tests.support import inventory_samples as samples

SHOP, CRM = "/team/dbt/shop", "/team/customers"
PROJECTS = {
    SHOP: samples.FakeProject({"": ["model.shop.a"]}),
    CRM: samples.FakeProject({"": ["model.crm.b"]}),
}
DBT = "dbt run"


def read(fields: Mapping[str, Any], told: Mapping[str, str] | None = None, **more: Any) -> UnitReading:
    made = samples.task(fields, samples=samples.sampled(fields), **more)
    inventory = read_document(samples.document(made), "inventory.json")
    projects = Projects(PROJECTS, {SHOP: "shop", CRM: "crm"}, told or {})
    return describe(inventory, projects).units[0]


@pytest.mark.parametrize(
    ("command", "more", "path"),
    [
        ("cd /opt/airflow/dbt/shop && dbt run", {}, SHOP),
        ("cd /opt/airflow/dbt/shop/ && dbt run", {}, SHOP),
        ("cd /opt/airflow && cd customers && dbt run", {}, CRM),
        ("cd /opt/airflow/crm && dbt run", {}, CRM),
        ("dbt run --project-dir /opt/airflow/shop", {}, SHOP),
        ("cd /opt/airflow/shop && dbt run --project-dir=../crm", {}, CRM),
        ("DBT_PROJECT_DIR=/opt/crm dbt run", {}, CRM),
        ("export DBT_PROJECT_DIR=/opt/crm; cd /opt/shop; dbt run", {}, CRM),
        (DBT, {"settings": {"cwd": "/opt/shop"}}, SHOP),
    ],
)
def test_the_folder_says_which(command: str, more: dict[str, Any], path: str) -> None:
    """Its last part is the project's folder, or its name in dbt; dbt itself decides which folder counts."""
    unit = read({"bash_command": command}, **more)

    assert unit.determined, unit.reason
    assert unit.project == path
    assert unit.models == {"model.shop.a" if path == SHOP else "model.crm.b"}


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (DBT, "in a folder that it does not name"),
        ("cd /opt/airflow/dbt && dbt run", 'dbt_projects: {"/opt/airflow/dbt": /team/dbt/shop}'),
        ("cd /opt/shop/target && dbt run", "is not known"),
        ("cd /opt/shop && dbt run; cd /opt/crm && dbt run", "in several projects"),
    ],
)
def test_what_does_not_say_is_not_guessed(command: str, why: str) -> None:
    """The reason names the projects, and says what to write down."""
    unit = read({"bash_command": command})

    assert not unit.determined
    assert not unit.selection_determined
    assert why in unit.reason
    assert unit.project == ""
    assert not unit.models


def test_two_projects_of_one_name_are_not_told_apart() -> None:
    """By their name in dbt; a folder's name still does."""
    made = samples.task(
        {"bash_command": "cd /opt/dbt && dbt run"},
        samples=samples.sampled({"bash_command": "cd /opt/dbt && dbt run"}),
    )
    inventory = read_document(samples.document(made), "inventory.json")
    found = describe(inventory, Projects(PROJECTS, {SHOP: "dbt", CRM: "dbt"})).units[0]
    assert "is not known" in found.reason


def test_the_teams_word_comes_first() -> None:
    """Whatever the folder's name says; a word for a project that was not given is no answer."""
    command = {"bash_command": "cd /opt/shop && dbt run"}

    assert read(command, {"/opt/shop": CRM}).project == CRM
    assert "/elsewhere" in read(command, {"/opt/shop": "/elsewhere"}).reason


def test_a_task_without_dbt_needs_none() -> None:
    """Nor does one that only prepares."""
    for command in ("echo hello", "dbt deps"):
        unit = read({"bash_command": command})
        assert "dbt_projects" not in unit.reason


def test_environment_that_the_tasks_own_project_does_not_read_is_only_noted() -> None:
    """Another project of the estate may read it."""
    projects = Projects(
        {SHOP: samples.FakeProject(variables=["REGION"]), CRM: samples.FakeProject(variables=[])}
    )
    for folder, unread in (("shop", ()), ("customers", ("REGION",))):
        fields = {"bash_command": f"cd /opt/{folder} && REGION=north dbt run"}
        made = samples.task(fields, samples=samples.sampled(fields))
        inventory = read_document(samples.document(made), "inventory.json")
        [call] = describe(inventory, projects).units[0].invocations
        assert call.unread_env == unread
