"""Airflow's schedules and macros beside Dagster's partitions. Pure: no clock, no network, no files."""

from dagster_defs.windows.hook import Bound, Moment, PartitionVars, Times, VariableTemplate, name_of, zone_of
from dagster_defs.windows.listed import ListedSchedule, WindowList
from dagster_defs.windows.listed_partitions import ListedPartitions
from dagster_defs.windows.macros import WindowTemplate, compile_template
from dagster_defs.windows.occasions import EventKind, EventSchedule, Occasion, OccasionKind
from dagster_defs.windows.partitions import PartitionedSchedule, widest
from dagster_defs.windows.schedule import PRESETS, Schedule
from dagster_defs.windows.ticks import CronTicks
from dagster_defs.windows.vocabulary import TemplateContext
from dagster_defs.windows.window import Window, instant_text
from dagster_defs.windows.zones import canonical_zone, zone_named

__all__ = [
    "PRESETS",
    "Bound",
    "CronTicks",
    "EventKind",
    "EventSchedule",
    "ListedPartitions",
    "ListedSchedule",
    "Moment",
    "Occasion",
    "OccasionKind",
    "PartitionVars",
    "PartitionedSchedule",
    "Schedule",
    "TemplateContext",
    "Times",
    "VariableTemplate",
    "Window",
    "WindowList",
    "WindowTemplate",
    "canonical_zone",
    "compile_template",
    "instant_text",
    "name_of",
    "widest",
    "zone_named",
    "zone_of",
]
