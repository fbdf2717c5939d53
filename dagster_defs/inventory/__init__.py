"""The legacy estate as exported by Airflow, and the meaning of its dbt calls. Pure: no clock, no network."""

from dagster_defs.inventory.arguments import Kind, Selection
from dagster_defs.inventory.convention import Carrier, Convention, NamedWindow
from dagster_defs.inventory.document import Inventory, read_document
from dagster_defs.inventory.estate import SelectionRefused, describe
from dagster_defs.inventory.models import ModelTime, time_in
from dagster_defs.inventory.projects import Project, Projects
from dagster_defs.inventory.records import Invocation, Report, Trap, UnitReading, Warn

__all__ = [
    "Carrier",
    "Convention",
    "Inventory",
    "Invocation",
    "Kind",
    "ModelTime",
    "NamedWindow",
    "Project",
    "Projects",
    "Report",
    "Selection",
    "SelectionRefused",
    "Trap",
    "UnitReading",
    "Warn",
    "describe",
    "read_document",
    "time_in",
]
