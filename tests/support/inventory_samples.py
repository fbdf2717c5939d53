"""Inventory documents made by hand: one DAG, its tasks, and fields rendered for some windows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pendulum

from dagster_defs.inventory import ModelTime, Report, Selection, UnitReading, describe, read_document
from dagster_defs.inventory.document import SCHEMA
from dagster_defs.lifecycle import Unit
from dagster_defs.windows import Schedule, TemplateContext, Window, compile_template

BASH = "airflow.operators.bash.BashOperator"
PYTHON = "airflow.operators.python.PythonOperator"
POD = "airflow.providers.cncf.kubernetes.operators.pod.KubernetesPodOperator"
DAYS = ("2024-03-01", "2024-03-09", "2024-03-10", "2024-03-31", "2024-11-03")


class FakeProject:
    """Names for selections; a model's time by its unique id; the variables that it reads, None: nobody can tell."""

    def __init__(
        self,
        models: Mapping[str, Sequence[str]] | None = None,
        times: Mapping[str, ModelTime] | None = None,
        variables: Collection[str] | None = None,
    ) -> None:
        self.models, self.times, self.variables = models or {}, times or {}, variables
        self.asked: list[Selection] = []

    def executed(
        self, selection: Selection, variables: Mapping[str, Any], environment: Mapping[str, str]
    ) -> Sequence[str]:
        self.asked.append(selection)
        return self.models.get(" ".join(selection.select), ["model.shop.orders"])

    def time_of(self, unique_id: str) -> ModelTime:
        return self.times.get(unique_id, ModelTime())

    def may_be_shaped_by(self, variable: str) -> bool:
        return False

    def reads(self, variable: str) -> bool:
        return self.variables is None or variable in self.variables


def windows_of(cron: str, zone: str, days: Sequence[str] = DAYS) -> list[Window]:
    schedule = Schedule.of(cron, zone, "2023-01-01")
    windows = []
    for day in days:
        noon = datetime.fromisoformat(day).replace(hour=12, tzinfo=ZoneInfo(zone))
        end = schedule.align_to_prev(pendulum.instance(noon))
        windows.append(Window(schedule.prev_boundary(end), end))
    return windows


def rendered(value: Any, window: Window, context: TemplateContext) -> Any:
    if isinstance(value, str):
        return compile_template(value, context.params).render(window, context)
    if isinstance(value, dict):
        return {key: rendered(item, window, context) for key, item in value.items()}
    if isinstance(value, list):
        return [rendered(item, window, context) for item in value]
    return value


def task(
    fields: Mapping[str, Any],
    *,
    name: str = "task",
    operator: str = BASH,
    source: str | None = None,
    samples: Sequence[Mapping[str, Any]] = (),
    **more: Any,
) -> dict[str, Any]:
    code = {"module": "dags.shop", "qualname": name, "file": None, "line": 1, "source": source}
    return {
        "task_id": name,
        "operator": operator,
        "bases": [],
        "templated": dict(fields),
        "rendered": list(samples),
        "python_callable": code if source is not None else None,
        **more,
    }


def document(
    *tasks: Mapping[str, Any],
    cron: str | None = "0 0 * * *",
    zone: str = "UTC",
    kind: str = "cron",
    empty: bool = False,
    dag_id: str = "shop",
) -> dict[str, Any]:
    schedule = {
        "text": cron or "None",
        "kind": kind,
        "cron": cron,
        "timezone": zone,
        "interval_is_empty": empty,
    }
    dag = {"dag_id": dag_id, "schedule": schedule, "timezone": zone, "tasks": list(tasks)}
    return {
        "schema": SCHEMA,
        "airflow_version": "2.11.2",
        "import_errors": [],
        "dags": [dag],
        "complete": True,
    }


def sampled(
    fields: Mapping[str, Any],
    cron: str = "0 0 * * *",
    zone: str = "UTC",
    params: Mapping[str, Any] | None = None,
    days: Sequence[str] = DAYS,
) -> list[dict[str, Any]]:
    """The fields as Airflow would render them, for a few windows."""
    context = TemplateContext(Schedule.of(cron, zone, "2023-01-01"), "shop", "task", params or {})
    return [
        {
            "start": window.start.isoformat(),
            "end": window.end.isoformat(),
            "fields": {key: rendered(value, window, context) for key, value in fields.items()},
            "undetermined": [],
        }
        for window in windows_of(cron, zone, days)
    ]


def read(
    fields: Mapping[str, Any],
    *,
    cron: str = "0 0 * * *",
    zone: str = "UTC",
    project: FakeProject | None = None,
    params: Mapping[str, Any] | None = None,
    **more: Any,
) -> UnitReading:
    """One task with everything rendered, as `parity inventory` reports it."""
    made = task(fields, samples=sampled(fields, cron, zone, params), **more)
    return report(document(made, cron=cron, zone=zone), project).units[0]


def bash(command: str, **more: Any) -> UnitReading:
    return read({"bash_command": command}, **more)


def read_from(source: Unit, reader: Unit) -> dict[str, Any]:
    """An inventory of one DAG, in which a task reads the XComs of a mapped one."""
    pulls = f"{{{{ ti.xcom_pull('{source.task_id}') }}}}"
    return document(
        task({"bash_command": "exit 1"}, name=source.task_id, mapped=True),
        task({"bash_command": pulls}, name=reader.task_id),
        dag_id=source.dag_id,
    )


def report(content: Mapping[str, Any], project: FakeProject | None = None) -> Report:
    return describe(read_document(content, "inventory.json"), project or FakeProject())


def codes(unit: UnitReading) -> list[str]:
    return [warning.code.value for warning in unit.warnings]
