"""Who is told of a run that failed: by Dagster of its own runs, by Airflow of those that it launched."""

from __future__ import annotations

import json
import logging
import textwrap
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_defs.lifecycle import tags
from tests.components.conftest import NEW_YORK_DAYS, Project
from tests.support.estate import Estate

DAY = ("2024-03-09", "2024-03-09")  # to 06:00 on the 10th, when clocks have gone forward
THREE_DAYS = ("2024-03-09", "2024-03-11")
PROXIED = {tags.AIRFLOW_TRY: "1"}

CODE = """
import json
from pathlib import Path

here = Path(__file__).parent


def fails(side):
    with (here / "calls.txt").open("a") as calls:
        calls.write(side + "\\n")
    raise OSError("the share is not there")


def fails_once(side):
    if not (here / "calls.txt").exists():
        fails(side)


def tell(context):
    task = context["task_instance"]
    said = {"dag": task.dag_id, "task": task.task_id, "try": task.try_number, "log": task.log_url,
            "exception": repr(context["exception"]), "run": context["run_id"],
            "start": context["data_interval_start"].isoformat(), "end": context["data_interval_end"].isoformat()}
    with (here / "told.jsonl").open("a") as told:
        told.write(json.dumps(said) + "\\n")


def tell_nobody(context):
    tell(context)
    raise SystemExit("the pager does not answer")
"""


class Code:
    """A folder of legacy code, and what its functions have left behind."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.module = folder, f"callbacks_{folder.name}"
        folder.mkdir()
        (folder / f"{self.module}.py").write_text(textwrap.dedent(CODE))

    @property
    def told(self) -> list[dict[str, Any]]:
        """What the callback was told, a record for each call."""
        file = self.folder / "told.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    @property
    def calls(self) -> int:
        return len((self.folder / "calls.txt").read_text().splitlines())


@pytest.fixture
def code(project: Project) -> Code:
    return Code(project.estate.root / f"code_{time.monotonic_ns()}")


@pytest.fixture
def run(project: Project, code: Code) -> Callable[..., dg.ExecuteInProcessResult]:
    """Declares a Python unit that calls functions of the code, and runs it."""

    def declare_and_run(
        function: str = "fails",
        on_failure: str = "tell",
        days: tuple[str, str] = DAY,
        job: str = "own__python",
        run_tags: Mapping[str, str] | None = None,
        **attributes: Any,
    ) -> dg.ExecuteInProcessResult:
        declared = {
            "unit": "own.python", "schedule": NEW_YORK_DAYS, "function": f"{code.module}.{function}",
            "on_failure": f"{code.module}.{on_failure}", "python_path": code.folder.name, "outputs": [{"key": "thing"}],
            **attributes,
        }  # fmt: skip
        project.declare("own", ("PythonUnit", declared))
        project.load()
        return project.estate.run(job, days, tags=run_tags, must_succeed=False)

    return declare_and_run


def why(result: dg.ExecuteInProcessResult) -> str:
    [failure] = [event for event in result.all_events if event.is_step_failure]
    return str(failure.step_failure_data.error)


def test_a_failure_for_good_is_told_once(run: Callable[..., dg.ExecuteInProcessResult], code: Code) -> None:
    """After the last try the callback gets, by Airflow's names, task, try, window in UTC, reason and run."""
    result = run(retries=1, retry_delay=0)

    assert (result.success, code.calls) == (False, 2)
    assert code.told == [
        {
            "dag": "own", "task": "python", "try": 2, "log": result.run_id, "run": result.run_id,
            "exception": "OSError('the share is not there')",
            "start": "2024-03-09T11:00:00+00:00", "end": "2024-03-10T10:00:00+00:00",
        }
    ]  # fmt: skip


@dataclass(frozen=True)
class Reachable(Estate):
    """An estate whose environment says where Dagster answers."""

    @property
    def settings(self) -> Mapping[str, str]:
        return {**super().settings, "DAGSTER_URL": "http://dagster.example:3000/"}


def test_the_log_has_an_address_where_dagster_has_one(
    project: Project, run: Callable[..., dg.ExecuteInProcessResult], code: Code
) -> None:
    """With DAGSTER_URL the callback is told where the run's log can be read."""
    project.estate = Reachable(project.estate.root, project.estate.instance)

    result = run()

    assert code.told[0]["log"] == f"http://dagster.example:3000/runs/{result.run_id}"


def test_tries_and_successes_are_told_to_who_asks(
    run: Callable[..., dg.ExecuteInProcessResult], code: Code
) -> None:
    """`on_retry` gets the reason of the try that another follows, `on_success` no reason, `on_failure` nothing."""
    tell = f"{code.module}.tell"
    result = run("fails_once", retries=1, retry_delay=0, on_retry=tell, on_success=tell)

    assert result.success
    assert [(told["try"], told["exception"]) for told in code.told] == [
        (1, "OSError('the share is not there')"),
        (2, "None"),
    ]


def test_the_beginning_is_told_and_several_are_called(
    run: Callable[..., dg.ExecuteInProcessResult], code: Code
) -> None:
    """`on_execute` before each try, without a reason; of several functions each one, whatever the first one does."""
    tell = f"{code.module}.tell"
    result = run("fails_once", retries=1, retry_delay=0, on_execute=[f"{code.module}.tell_nobody", tell])

    assert result.success
    assert [(told["try"], told["exception"]) for told in code.told] == [(1, "None")] * 2 + [(2, "None")] * 2


def test_a_task_that_says_it_is_skipped_has_not_succeeded(project: Project, code: Code) -> None:
    """As in Airflow: `on_skipped` and not `on_success`."""
    tell = {f"on_{kind}": f"{code.module}.tell" for kind in ("skipped", "execute")}
    declared = {
        "unit": "own.command", "schedule": NEW_YORK_DAYS, "command": "exit 99", "python_path": code.folder.name,
        "outputs": [{"key": "thing"}], "on_success": f"{code.module}.tell_nobody", **tell,
    }  # fmt: skip
    project.declare("own", ("CommandUnit", declared))
    project.load()

    result = project.estate.run("own__command", DAY)

    log = [entry.user_message for entry in project.estate.instance.all_logs(result.run_id)]
    assert [line for line in log if line.startswith("calling ")] == [
        f"calling on_execute: {code.module}.tell", f"calling on_skipped: {code.module}.tell"
    ]  # fmt: skip
    assert len(code.told) == 2


def test_a_run_over_many_windows_is_told_of_as_one(
    run: Callable[..., dg.ExecuteInProcessResult], code: Code
) -> None:
    """The interval of a run over three days begins with the first and ends with the last."""
    run(days=THREE_DAYS)

    [told] = code.told
    assert (told["start"], told["end"]) == ("2024-03-09T11:00:00+00:00", "2024-03-12T10:00:00+00:00")


def test_a_proxied_run_leaves_it_to_airflow(
    run: Callable[..., dg.ExecuteInProcessResult], code: Code
) -> None:
    """Of a failed run that Airflow's proxy launched Dagster tells nobody: the proxy has the task's callback."""
    result = run(run_tags=PROXIED)

    assert (result.success, code.calls, code.told) == (False, 1, [])


def test_a_candidate_disturbs_nobody(run: Callable[..., dg.ExecuteInProcessResult], code: Code) -> None:
    """A failed run of the candidate, on which nobody depends, calls nothing."""
    result = run(job="shadow__own__python")

    assert (result.success, code.calls, code.told) == (False, 1, [])


def test_a_try_that_is_followed_by_another_is_no_failure(
    run: Callable[..., dg.ExecuteInProcessResult], code: Code
) -> None:
    """A run whose second try succeeds calls nothing."""
    result = run("fails_once", retries=1, retry_delay=0)

    assert (result.success, code.calls, code.told) == (True, 1, [])


def test_a_refused_run_is_no_failure_of_the_unit(
    run: Callable[..., dg.ExecuteInProcessResult], code: Code
) -> None:
    """A run that another task's proxy has launched is refused, and nobody is told that the unit has begun or failed."""
    result = run(
        run_tags={tags.AIRFLOW_DAG: "own", tags.AIRFLOW_TASK: "other"}, on_execute=f"{code.module}.tell"
    )

    assert "NotOwner" in why(result)
    assert code.told == []


def test_a_callback_that_fails_hides_nothing(
    run: Callable[..., dg.ExecuteInProcessResult], code: Code, project: Project
) -> None:
    """The run fails with the unit's own reason, and its log says that the callback has failed too."""
    result = run(on_failure="tell_nobody")

    assert "OSError: the share is not there" in why(result)
    assert len(code.told) == 1
    log = [entry.user_message for entry in project.estate.instance.all_logs(result.run_id)]
    assert any(
        "tell_nobody, failed itself, so nobody was notified" in line and "pager" in line for line in log
    ), log


def test_a_dbt_unit_tells_too(
    fresh_project: Project, dbt_unit: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """A dbt command that fails, as there is no data, is one line of the estate's own callback, with the window."""
    unit = dbt_unit(select="daily_metrics", on_failure="include.alerts.report_failure")
    fresh_project.declare("own", unit)
    fresh_project.load()

    with caplog.at_level(logging.ERROR, logger="include.alerts"):
        result = fresh_project.estate.run("own__dbt", DAY, must_succeed=False)

    assert not result.success
    [line] = [record.getMessage() for record in caplog.records if record.name == "include.alerts"]
    assert line.startswith(
        "taxi estate: own.dbt failed for [2024-03-09 11:00:00+00:00, 2024-03-10 10:00:00+00:00): "
    )
    assert line.endswith(f"log: {result.run_id}")
