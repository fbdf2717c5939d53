"""What somebody gets to read who declared something that cannot be."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from dagster_defs.errors import BadUnit
from tests.components.conftest import NEW_YORK_DAYS, Project
from tests.estate import ONE_TRY

Declared = Callable[..., tuple[str, dict[str, Any]]]
OUTPUT = {"key": "thing"}


def innermost(error: BaseException) -> BaseException:
    """The first error of ours in the chain of causes, as `parity` shows it."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, BadUnit):
        found = found.__cause__
    assert found is not None, repr(error)
    return found


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
        ({"select": "tag:nobody"}, r"'--select tag:nobody' matches no model.*dbt ls"),
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
    """The error names the unit, what is wrong with it and what to mend; it is a usage error."""
    project.declare("own", dbt_unit(unit="own.wrong", **attributes))

    with pytest.raises(Exception) as caught:  # noqa: PT011 - Dagster wraps it in errors of its own
        project.load()

    error = innermost(caught.value)
    assert str(error).startswith("unit own.wrong: "), error
    assert re.search(reason, str(error), re.DOTALL), error
    assert BadUnit.exit_code == 2


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

    with pytest.raises(Exception) as caught:  # noqa: PT011 - Dagster wraps it in errors of its own
        project.load()

    error = innermost(caught.value)
    assert str(error).startswith("unit own.python: "), error
    assert re.search(reason, str(error), re.DOTALL), error


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
    said = str(failure.step_failure_data.error)
    assert "unit own.python: module 'include.ingest' has no function 'load_nothing'" in said


def test_a_unit_needs_a_dag_and_a_task(project: Project, dbt_unit: Declared) -> None:
    """A unit that is not named dag_id.task_id is refused with an example of a right one."""
    project.declare("own", dbt_unit(unit="nodot"))

    with pytest.raises(Exception) as caught:  # noqa: PT011 - Dagster wraps it in errors of its own
        project.load()

    assert "a unit is named dag_id.task_id. Write for example" in str(innermost(caught.value))
