"""Component types: a unit's mirror is declared in YAML, one document per legacy task."""

from dagster_defs.components.alerts.alerts import Alerts
from dagster_defs.components.sensors.airflow_estate import AirflowEstate
from dagster_defs.components.units.command_unit import CommandUnit
from dagster_defs.components.units.dbt_unit import DbtUnit
from dagster_defs.components.units.legacy_task import LegacyTask
from dagster_defs.components.units.python_unit import PythonUnit
from dagster_defs.components.units.sql_unit import SqlUnit

__all__ = ["AirflowEstate", "Alerts", "CommandUnit", "DbtUnit", "LegacyTask", "PythonUnit", "SqlUnit"]
