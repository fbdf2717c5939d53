"""Airflow's schedules and macros beside Dagster's partitions. Pure: no clock, no network, no files."""

from dagster_defs.windows.boundaries import CronTicks
from dagster_defs.windows.hook import (
    Bound,
    Moment,
    PartitionVars,
    Times,
    VariableTemplate,
    about,
    name_of,
    zone_of,
)
from dagster_defs.windows.listed import ListedSchedule, WindowList
from dagster_defs.windows.listed_partitions import ListedPartitions
from dagster_defs.windows.macros import WindowTemplate, compile_template
from dagster_defs.windows.occasions import EventKind, EventSchedule, Occasion, OccasionKind
from dagster_defs.windows.partitions import PartitionedSchedule, Partitions, widest
from dagster_defs.windows.schedule import PRESETS, Recurring, Schedule
from dagster_defs.windows.ticks import TickPartitions, TickSchedule
from dagster_defs.windows.vocabulary import TemplateContext
from dagster_defs.windows.window import Scheduled, Tick, Window, instant_text, scheduled_between, share_time
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
    "Partitions",
    "Recurring",
    "Schedule",
    "Scheduled",
    "TemplateContext",
    "Tick",
    "TickPartitions",
    "TickSchedule",
    "Times",
    "VariableTemplate",
    "Window",
    "WindowList",
    "WindowTemplate",
    "about",
    "canonical_zone",
    "compile_template",
    "instant_text",
    "name_of",
    "scheduled_between",
    "share_time",
    "widest",
    "zone_named",
    "zone_of",
]
