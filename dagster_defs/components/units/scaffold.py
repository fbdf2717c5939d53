"""`dg scaffold defs` for the mirrors: YAML that loads as soon as its names are real."""

from __future__ import annotations

from typing import Any

import dagster as dg
from dagster.components.component_scaffolding import scaffold_component
from pydantic import BaseModel, Field

from dagster_defs.inventory.unsaid import NOBODY_HAS_SAID


class UnitParams(BaseModel):
    unit: str = Field(description="The legacy task: dag_id.task_id.")
    cron: str = Field(default="@daily", description="The DAG's schedule: a preset or five cron fields.")
    timezone: str = Field(default="UTC", description="The DAG's time zone.")
    start: str = Field(default="2024-01-01", description="First day of the partitions.")
    catchup: bool = Field(default=True, description="Airflow's catchup: whether missed windows are run.")
    max_active_runs: int = Field(default=16, description="Airflow's max_active_runs.")

    def attributes(self) -> dict[str, Any]:
        schedule = self.model_dump(include={"cron", "timezone", "start", "catchup", "max_active_runs"})
        return {"unit": self.unit, "schedule": schedule}


class DbtUnitParams(UnitParams):
    select: str = Field(
        default="",
        description="dbt's --select, as in the legacy command; by default the default selector, or everything.",
    )


class PythonUnitParams(UnitParams):
    function: str = Field(description="Dotted path of the function that the legacy task calls.")
    key: str = Field(description="Key of the asset that it writes.")


class SqlUnitParams(UnitParams):
    sql: str = Field(description="The operator's SQL, or the name of its file.")
    table: str = Field(description="The table that it writes.")


class CommandUnitParams(UnitParams):
    command: str = Field(description="The operator's bash_command.")


class LegacyTaskParams(UnitParams):
    dag_file: str = Field(default="", description="The DAG's file, in Airflow's DAGs folder.")


class DbtUnitScaffolder(dg.Scaffolder[DbtUnitParams]):
    @classmethod
    def get_scaffold_params(cls) -> type[DbtUnitParams]:
        return DbtUnitParams

    def scaffold(self, request: dg.ScaffoldRequest[DbtUnitParams]) -> None:
        window = {
            "min_date": {"template": "{{ data_interval_start | ds }}", "bound": "lower"},
            "max_date": {"template": "{{ data_interval_end | ds }}", "bound": "upper"},
        }
        attributes = {**request.params.attributes(), "select": request.params.select, "vars": window}
        scaffold_component(request, attributes)


class PythonUnitScaffolder(dg.Scaffolder[PythonUnitParams]):
    @classmethod
    def get_scaffold_params(cls) -> type[PythonUnitParams]:
        return PythonUnitParams

    def scaffold(self, request: dg.ScaffoldRequest[PythonUnitParams]) -> None:
        attributes = {
            **request.params.attributes(),
            "function": request.params.function,
            "arguments": {},
            "outputs": [{"key": request.params.key}],
        }
        scaffold_component(request, attributes)


class SqlUnitScaffolder(dg.Scaffolder[SqlUnitParams]):
    @classmethod
    def get_scaffold_params(cls) -> type[SqlUnitParams]:
        return SqlUnitParams

    def scaffold(self, request: dg.ScaffoldRequest[SqlUnitParams]) -> None:
        key = request.params.table.replace(".", "/")
        attributes = {
            **request.params.attributes(),
            "sql": request.params.sql,
            "outputs": [{"key": key, "table": request.params.table}],
        }
        scaffold_component(request, attributes)


class CommandUnitScaffolder(dg.Scaffolder[CommandUnitParams]):
    @classmethod
    def get_scaffold_params(cls) -> type[CommandUnitParams]:
        return CommandUnitParams

    def scaffold(self, request: dg.ScaffoldRequest[CommandUnitParams]) -> None:
        never = {"shadow": "never", "because": NOBODY_HAS_SAID}
        scaffold_component(
            request, {**request.params.attributes(), "command": request.params.command, **never}
        )


class LegacyTaskScaffolder(dg.Scaffolder[LegacyTaskParams]):
    @classmethod
    def get_scaffold_params(cls) -> type[LegacyTaskParams]:
        return LegacyTaskParams

    def scaffold(self, request: dg.ScaffoldRequest[LegacyTaskParams]) -> None:
        attributes = {**request.params.attributes(), "shadow": "never", "because": NOBODY_HAS_SAID}
        if request.params.dag_file:
            attributes["airflow"] = {"dag_file": request.params.dag_file}
        scaffold_component(request, attributes)
