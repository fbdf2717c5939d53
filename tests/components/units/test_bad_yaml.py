"""What somebody gets to read who declared something that cannot be."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest
from pytest_mock import MockerFixture

from dagster_defs.components import PythonUnit
from dagster_defs.components.units.broken_unit import broken_key
from tests.components.conftest import NEW_YORK_DAYS, Project
from tests.support.estate import ONE_TRY

Declared = Callable[..., tuple[str, dict[str, Any]]]
OUTPUT = {"key": "thing"}


def fault_of(definitions: dg.Definitions, name: str) -> str:
    """What Dagster shows of a broken unit, in place of its assets."""
    [spec] = [each for each in definitions.resolve_all_asset_specs() if each.key == broken_key(name)]
    return str(spec.metadata["why"])


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"schedule": {**NEW_YORK_DAYS, "cron": "61 * * * *"}}, r"'61 \* \* \* \*'.*`schedule`"),
        ({"schedule": {**NEW_YORK_DAYS, "cron": "@sometimes"}}, r"'@sometimes'.*`schedule`"),
        ({"schedule": {**NEW_YORK_DAYS, "timezone": "America/Gotham"}}, r"'America/Gotham'.*`schedule`"),
        ({"schedule": {**NEW_YORK_DAYS, "start": "the first"}}, r"the first.*`schedule`"),
        ({"vars": {"min_date": "{{ ds"}}, r"`vars`: template '\{\{ ds'"),
        ({"vars": {"min_date": "{{ dag_run.conf['day'] }}"}}, r"`vars`: .*needs dag_run\.conf"),
        ({"vars": {"min_date": {"template": "{{ ds }}", "bound": "middle"}}}, r"`vars`: .*middle"),
        ({"vars": {"min_date": {"bound": "lower"}}}, r"`vars`: .*template"),
        ({"selector": "nobody"}, r"dbt ls --selector nobody: .*Fix its selection"),
        ({"compare": [{"name": "nothing", "key": ["id"]}]}, r"`compare` names a model 'nothing'"),
        ({"retries": -1}, r"`retries` is -1"),
        ({"timeout": 0}, r"`timeout` is 0"),
        ({"schedule": {**NEW_YORK_DAYS, "max_active_runs": 0}}, r"`schedule\.max_active_runs` is 0"),
        ({"on_failure": "include.nowhere.page"}, r"`on_failure` names 'include\.nowhere\.page'.*no module"),
        ({"on_failure": "page"}, r"`on_failure` names 'page'.*no module"),
        ({"on_failure": "include.alerts.page"}, r"'include\.alerts' has no function 'page'"),
        (
            {"on_failure": "taxi_daily.report_failure"},
            r"module 'taxi_daily' imports airflow, which is not there",
        ),
    ],
    ids=[
        "cron",
        "preset",
        "zone",
        "start",
        "syntax",
        "undetermined",
        "bound",
        "no-template",
        "select",
        "model",
        "retries",
        "timeout",
        "no-run",
        "callback-module",
        "callback-without-module",
        "callback-function",
        "callback-of-a-dag-file",
    ],
)
def test_a_dbt_unit_that_cannot_be(
    project: Project, dbt_unit: Declared, attributes: dict[str, Any], reason: str
) -> None:
    """What stands for it names the unit, what is wrong with it and what to mend; the other unit is all there."""
    project.declare(
        "own", dbt_unit(unit="own.wrong", **attributes), dbt_unit(unit="own.sound", select="tag:zones")
    )

    definitions = project.load()

    fault = fault_of(definitions, "own.wrong")
    assert fault.startswith("unit own.wrong: "), fault
    assert re.search(reason, fault, re.DOTALL), fault
    keys = {spec.key.to_user_string() for spec in definitions.resolve_all_asset_specs()}
    assert {"stg_zones", "shadow/stg_zones"} <= keys
    assert "daily_metrics" not in keys


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"function": "include.nowhere.load"}, r"`function` names 'include\.nowhere\.load'.*no module"),
        ({"function": "load"}, r"`function` names 'load'"),
        ({"on_failure": "include.nowhere.page"}, r"`on_failure` names 'include\.nowhere\.page'.*no module"),
        ({"arguments": {"day": "{{ ti.xcom_pull('x') }}"}}, r"`arguments`: .*needs ti\.xcom_pull"),
    ],
    ids=["module", "no-module", "callback", "xcom"],
)
def test_a_python_unit_that_cannot_be(project: Project, attributes: dict[str, Any], reason: str) -> None:
    """A function that is nowhere and an argument that only Airflow knows are refused when definitions load."""
    declared = {
        "unit": "own.python", "schedule": NEW_YORK_DAYS, "function": "include.ingest.load_trips", "outputs": [OUTPUT],
        **attributes,
    }  # fmt: skip
    project.declare("own", ("PythonUnit", declared))

    fault = fault_of(project.load(), "own.python")

    assert fault.startswith("unit own.python: "), fault
    assert re.search(reason, fault, re.DOTALL), fault


def test_a_function_that_is_not_in_its_module(project: Project) -> None:
    """A name that its module lacks fails the run, and the error names unit, module and function."""
    declared = {
        "unit": "own.python", "schedule": NEW_YORK_DAYS, "function": "include.ingest.load_nothing",
        "outputs": [OUTPUT],
    }  # fmt: skip
    project.declare("own", ("PythonUnit", declared))
    project.load()

    result = project.estate.run("own__python", ("2024-03-09", "2024-03-09"), tags=ONE_TRY, must_succeed=False)

    [failure] = [event for event in result.all_events if event.is_step_failure]
    message = str(failure.step_failure_data.error)
    assert "unit own.python: module 'include.ingest' has no function 'load_nothing'" in message


@pytest.mark.parametrize("name", ["nodot", "", ".task", "dag."])
def test_a_unit_needs_a_dag_and_a_task(project: Project, dbt_unit: Declared, name: str) -> None:
    """A unit that is not named dag_id.task_id is broken, under the name that it has, with an example of a right one."""
    project.declare("own", dbt_unit(unit=name), dbt_unit(unit="own.sound"))

    definitions = project.load()

    assert "a unit is named dag_id.task_id. Write for example" in fault_of(definitions, name)
    assert definitions.resolve_job_def("own__sound")


def test_a_broken_unit_fails_and_says_why(project: Project, dbt_unit: Declared) -> None:
    """Its job is there under its own name and fails with the reason, and nothing is materialized."""
    project.declare("own", dbt_unit(unit="own.wrong", retries=-1))
    project.load()

    result = project.estate.run("own__wrong", ("2024-03-09", "2024-03-09"), tags=ONE_TRY, must_succeed=False)

    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert "unit own.wrong: `retries` is -1" in str(failure.step_failure_data)
    assert result.get_asset_materialization_events() == []


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        ("a-b.c", "a_b.c", r"unit a-b\.c and unit a_b\.c would both be called 'a_b__c'"),
        ("a-b.c", "a_b.d", r"DAG a-b and DAG a_b would both be called 'a_b'"),
        ("a__b.c", "a.b", r"(?s)DAG a__b.*unit a\.b|unit a\.b.*DAG a__b"),
        ("own.twice", "own.twice", r"2 mirrors are declared for it"),
    ],
)
def test_two_units_of_one_name(
    project: Project, dbt_unit: Declared, one: str, other: str, reason: str
) -> None:
    """Names that are one in Dagster break both of their units, and no third."""
    project.declare("own", dbt_unit(unit=one), dbt_unit(unit=other), dbt_unit(unit="own.sound"))

    definitions = project.load()

    for name in (one, other):
        assert re.search(reason, fault_of(definitions, name)), fault_of(definitions, name)
    assert definitions.resolve_job_def("own__sound")


def test_what_nobody_has_foreseen_is_one_units_too(
    project: Project, dbt_unit: Declared, mocker: MockerFixture
) -> None:
    """An error of any kind while a unit's assets are made breaks that unit, with the error's name."""
    mocker.patch.object(PythonUnit, "make_parts", autospec=True, side_effect=KeyError("nodes"))
    declared = {"unit": "own.python", "schedule": NEW_YORK_DAYS, "function": "include.ingest.load_trips",
                "outputs": [OUTPUT]}  # fmt: skip
    project.declare("own", ("PythonUnit", declared), dbt_unit(unit="own.sound"))

    definitions = project.load()

    assert "unit own.python: KeyError: 'nodes'" in fault_of(definitions, "own.python")
    assert definitions.resolve_job_def("own__sound")


def test_a_build_server_may_want_it_strict(
    project: Project, dbt_unit: Declared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With PARITY_STRICT a broken unit stops the load, and all of them are named."""
    project.declare("own", dbt_unit(unit="own.one", retries=-1), dbt_unit(unit="own.two", timeout=0))
    with project.estate.entered():
        monkeypatch.setattr(
            type(project.estate), "settings", {**project.estate.settings, "PARITY_STRICT": "1"}
        )

        with pytest.raises(Exception, match="Error while") as caught:
            project.load()

    message = str(caught.value.__cause__)
    assert "unit own.one: `retries` is -1" in message
    assert "unit own.two: `timeout` is 0" in message
