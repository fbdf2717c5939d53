"""The names that a template may use: those of Airflow's template variables, macros and filters whose values follow
from the schedule alone.

The names are those of Airflow 2.11's "Templates reference"; each is computed as in `TaskInstance`'s
`_get_template_context`, `airflow/macros/__init__.py` and `airflow/templates.py` of 2.11.2.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from types import MappingProxyType, SimpleNamespace
from typing import Any, TypeAlias

import pendulum
import yaml
from dateutil import parser, relativedelta, tz  # type: ignore[import-untyped]  # ships no type information

from dagster_defs.windows.schedule import Recurring
from dagster_defs.windows.values import read_yaml
from dagster_defs.windows.window import Scheduled
from dagster_defs.windows.zones import Zone, zone_named


@dataclass(frozen=True, slots=True)
class TemplateContext:
    """What a unit's templates know besides the window: names, schedule and default params.

    `params` are the DAG's merged with the task's, which take precedence. `timezone` is the DAG's own if it differs from
    the schedule's, as with `timedelta` schedules, which count in UTC.
    """

    schedule: Recurring[Scheduled]
    dag_id: str
    task_id: str
    params: Mapping[str, Any] = field(default_factory=dict)
    timezone: str | None = None

    @property
    def zone(self) -> Zone:
        return self.schedule.zone if self.timezone is None else zone_named(self.timezone)


Value: TypeAlias = Callable[[Scheduled, TemplateContext], Any]


def _ds(moment: date) -> str:
    return moment.strftime("%Y-%m-%d")


def _nodash(moment: date) -> str:
    return moment.strftime("%Y%m%d")


def _next(window: Scheduled, context: TemplateContext) -> pendulum.DateTime:
    # Airflow asks the timetable for the next run, regardless of the DAG's start and end.
    return context.schedule.run_after(window)


def _previous(window: Scheduled, context: TemplateContext) -> pendulum.DateTime:
    # Airflow steps back from the logical date, even before the DAG's start.
    return context.schedule.run_before(window)


def _run_id(window: Scheduled, _: TemplateContext) -> str:
    return f"scheduled__{window.start.isoformat()}"


def _start(window: Scheduled, _: TemplateContext) -> pendulum.DateTime:
    return window.start


def _end(window: Scheduled, _: TemplateContext) -> pendulum.DateTime:
    return window.end


def _fixed(value: Any) -> Value:
    return lambda _window, _context: value


# Names whose values are dates of the run before or after a run.
OF_RUNS_BESIDE = (
    "next_execution_date",
    "next_ds",
    "next_ds_nodash",
    "prev_execution_date",
    "prev_ds",
    "prev_ds_nodash",
)

# Airflow's ds is the UTC date of the logical date, whatever the DAG's time zone; a scheduled run's logical
# date is the start of its data interval.
WINDOW_NAMES: Mapping[str, Value] = MappingProxyType(
    {
        "data_interval_start": _start,
        "data_interval_end": _end,
        "logical_date": _start,
        "execution_date": _start,
        "ds": lambda w, _: _ds(w.start),
        "ds_nodash": lambda w, _: _nodash(w.start),
        "ts": lambda w, _: w.start.isoformat(),
        "ts_nodash": lambda w, _: w.start.strftime("%Y%m%dT%H%M%S"),
        "ts_nodash_with_tz": lambda w, _: w.start.isoformat().replace("-", "").replace(":", ""),
        "yesterday_ds": lambda w, _: _ds(w.start - timedelta(1)),
        "yesterday_ds_nodash": lambda w, _: _nodash(w.start - timedelta(1)),
        "tomorrow_ds": lambda w, _: _ds(w.start + timedelta(1)),
        "tomorrow_ds_nodash": lambda w, _: _nodash(w.start + timedelta(1)),
        "next_execution_date": _next,
        "next_ds": lambda w, c: _ds(_next(w, c)),
        "next_ds_nodash": lambda w, c: _nodash(_next(w, c)),
        "prev_execution_date": _previous,
        "prev_ds": lambda w, c: _ds(_previous(w, c)),
        "prev_ds_nodash": lambda w, c: _nodash(_previous(w, c)),
        "run_id": _run_id,
        "task_instance_key_str": lambda w, c: f"{c.dag_id}__{c.task_id}__{_nodash(w.start)}",
    }
)

_RUN: Mapping[str, Value] = MappingProxyType(
    {
        "dag_id": lambda _, c: c.dag_id,
        "run_id": _run_id,
        "run_type": _fixed("scheduled"),
        "external_trigger": _fixed(False),
        "logical_date": _start,
        "execution_date": _start,
        "data_interval_start": _start,
        "data_interval_end": _end,
    }
)
_INSTANCE: Mapping[str, Value] = MappingProxyType(
    {"dag_id": lambda _, c: c.dag_id, "task_id": lambda _, c: c.task_id, "run_id": _run_id}
)

# These names have only the attributes listed here; any other is refused when the template is loaded.
RECORDS: Mapping[str, Mapping[str, Value]] = MappingProxyType(
    {
        "dag": {
            "dag_id": lambda _, c: c.dag_id,
            "safe_dag_id": lambda _, c: c.dag_id.replace(".", "__dot__"),
            "timezone": lambda _, c: c.zone,
            "start_date": lambda _, c: c.schedule.start,
            "end_date": lambda _, c: c.schedule.end,
            "params": lambda _, c: deepcopy(dict(c.params)),
        },
        "task": {
            "task_id": lambda _, c: c.task_id,
            "dag_id": lambda _, c: c.dag_id,
            "params": lambda _, c: deepcopy(dict(c.params)),
        },
        "dag_run": _RUN,
        "ti": _INSTANCE,
        "task_instance": _INSTANCE,
    }
)

# Records whose values follow from the window.
WINDOW_RECORDS = frozenset({"dag_run", "ti", "task_instance"})


def _wall_clock(text: str, layout: str) -> datetime:
    return datetime.strptime(str(text), layout)  # noqa: DTZ007 - Airflow's macros work on dates without a zone


def ds_add(ds: str, days: int) -> str:
    return _ds(_wall_clock(ds, "%Y-%m-%d") + timedelta(days=days)) if days else str(ds)


def ds_format(ds: str, input_format: str, output_format: str) -> str:
    if _MACHINE_DEPENDENT.search(input_format) or _MACHINE_DEPENDENT.search(output_format):
        raise ValueError("%s and %Z depend on the machine's time zone")
    return _wall_clock(ds, input_format).strftime(output_format)


def datetime_diff_for_humans(dt: datetime, since: pendulum.DateTime | None = None) -> str:
    """Airflow's macro measures from now if `since` is left out; that needs a clock, so here it is required."""
    if since is None:
        raise ValueError("datetime_diff_for_humans without `since` reads the clock")
    return pendulum.instance(dt).diff_for_humans(since)


# strftime directives that depend on the machine's zone: epoch seconds, and the zone's name.
_MACHINE_DEPENDENT = re.compile(r"(?<!%)(?:%%)*%[-_0^#]*\d*[EO]?[sZ]")


def _named_zone(name: str | None, offset: int | None) -> Any:
    """dateutil takes a name such as CET for the machine's own zone if that has the name, so an offset is required."""
    if offset is not None:
        return tz.UTC if offset == 0 else tz.tzoffset(name, offset)
    if name is not None:
        raise ValueError(f"the meaning of the zone {name} depends on the machine; write its offset")
    return None


def _parse(text: str, **how: Any) -> datetime:
    """dateutil's parser fills in missing parts from today's date; parsing with two different days detects that."""
    days = (_wall_clock(day, "%Y-%m-%d") for day in ("2000-01-01", "2001-02-02"))
    parsed = [parser.parse(text, **{"default": day, "tzinfos": _named_zone, **how}) for day in days]
    if parsed[0] != parsed[1]:
        raise ValueError(f"{text!r} leaves out a part of the date, which dateutil would take from today's")
    moment: datetime = parsed[0]
    return moment


MACROS: Mapping[str, Any] = MappingProxyType(
    {
        "ds_add": ds_add,
        "ds_format": ds_format,
        "datetime_diff_for_humans": datetime_diff_for_humans,
        "datetime": datetime,
        "timedelta": timedelta,
        "json": SimpleNamespace(dumps=json.dumps, loads=json.loads),
        "yaml": SimpleNamespace(dump=yaml.safe_dump, safe_load=read_yaml),
        "dateutil": SimpleNamespace(
            parser=SimpleNamespace(parse=_parse),
            relativedelta=SimpleNamespace(relativedelta=relativedelta.relativedelta),
        ),
    }
)


Moment: TypeAlias = date | time | None


def _ds_filter(value: Moment) -> str | None:
    return None if value is None else value.strftime("%Y-%m-%d")


def _ds_nodash_filter(value: Moment) -> str | None:
    return None if value is None else value.strftime("%Y%m%d")


def _ts_filter(value: Moment) -> str | None:
    return None if value is None else value.isoformat()


def _ts_nodash_filter(value: Moment) -> str | None:
    return None if value is None else value.strftime("%Y%m%dT%H%M%S")


def _ts_nodash_with_tz_filter(value: Moment) -> str | None:
    return None if value is None else value.isoformat().replace("-", "").replace(":", "")


FILTERS: Mapping[str, Callable[[Moment], str | None]] = MappingProxyType(
    {
        "ds": _ds_filter,
        "ds_nodash": _ds_nodash_filter,
        "ts": _ts_filter,
        "ts_nodash": _ts_nodash_filter,
        "ts_nodash_with_tz": _ts_nodash_with_tz_filter,
    }
)

# Why a name that Airflow defines is missing here.
_HISTORY = "it depends on which runs came before"
_RUN_TIME = "it is known only while Airflow runs the task"
REASONS: Mapping[str, str] = MappingProxyType(
    {
        "prev_data_interval_start_success": _HISTORY,
        "prev_data_interval_end_success": _HISTORY,
        "prev_execution_date_success": _HISTORY,
        "prev_start_date_success": _HISTORY,
        "prev_end_date_success": _HISTORY,
        "dag_run": "it depends on who triggers the run",
        "ti": _RUN_TIME,
        "task_instance": _RUN_TIME,
        "var": "it is a Variable in Airflow's database",
        "conn": "it is a Connection in Airflow's database",
        "conf": "it is Airflow's own configuration",
        "triggering_dataset_events": _RUN_TIME,
        "inlet_events": _RUN_TIME,
        "outlet_events": _RUN_TIME,
        "macros.random": "it is different each time",
        "macros.uuid": "it is different each time",
        "macros.time": "it is the wall clock",
        "macros.ds_format_locale": "it depends on the locale of the machine",
        "macros.hive": "it queries a Hive metastore",
        "lipsum": "it is different each time",
    }
)
