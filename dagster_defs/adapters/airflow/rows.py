"""Rows of Airflow's REST API as records: DAG runs and task instances."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pendulum

from dagster_defs.adapters.http.question import Unclear, excerpt, seconds, text, whole
from dagster_defs.errors import BadOccasion
from dagster_defs.lifecycle import Unit
from dagster_defs.windows import Occasion, Scheduled, instant_text, scheduled_between

COMMANDS = (
    "bash_command",
    "command",
    "cmds",
    "arguments",
    "sql",
    "op_kwargs",
)  # what a task renders and then runs
COMMAND_LENGTH = 2_000
STARTED_BY_ASSETS = ("dataset_triggered", "asset_triggered")  # the types of such runs


@dataclass(frozen=True, slots=True)
class DagRun:
    """`window` is a tick if the data interval is empty, and None if the run has none; `occasion` is None if Airflow's
    answer is not complete enough to make one. `bundle_version`: of the DAG file that its tasks are run from, if the run
    keeps to one version of it."""

    dag_id: str
    run_id: str
    state: str
    window: Scheduled | None
    end: pendulum.DateTime | None
    occasion: Occasion | None = None
    partition_key: str = ""
    bundle_version: str = ""

    @classmethod
    def parse(cls, row: Mapping[str, Any]) -> DagRun:
        """Raises Unclear for a malformed row."""
        start, end = instant(row, "data_interval_start"), instant(row, "data_interval_end")
        window = scheduled_between(start, end) if start and end and start <= end else None
        ids = text(row, "dag_id"), text(row, "dag_run_id")
        occasion = _occasion(row, ids[1], start, end)
        key = text(row, "partition_key", "")
        version = text(row, "bundle_version", "")
        return cls(*ids, text(row, "state"), window, instant(row, "end_date"), occasion, key, version)

    @property
    def instead_of_window(self) -> str:
        """What it is about if it has no window, in words."""
        if self.partition_key:
            return f"a run of the partition key {self.partition_key}, without a data interval"
        if self.occasion and self.occasion.start and self.occasion.start == self.occasion.end:
            return f"a run with an empty data interval at {instant_text(self.occasion.start)}"
        if self.occasion and self.occasion.run_type in STARTED_BY_ASSETS:
            return "a run that assets started, without a data interval"
        return "a run without a data interval"


@dataclass(frozen=True, slots=True)
class TaskInstance:
    """One finished (or running) try of a task; `map_index` is -1 for a task that is not mapped.

    `run_date`: the date by which its DAG run is listed, `run_after` in Airflow 3 and the logical date before; None for
    an earlier try. `command`: what Airflow rendered, with its own masks, truncated; empty if Airflow no longer keeps
    it.
    """

    unit: Unit
    run_id: str
    map_index: int
    state: str
    try_number: int
    start: pendulum.DateTime | None
    end: pendulum.DateTime | None
    duration: float | None
    operator: str
    run_date: pendulum.DateTime | None = None
    command: str = ""
    max_tries: int = 0

    @classmethod
    def parse(cls, row: Mapping[str, Any]) -> TaskInstance:
        """Raises Unclear for a malformed row."""
        if "state" not in row:
            raise Unclear("a task instance has no `state`")
        return cls(
            unit=Unit(text(row, "dag_id"), text(row, "task_id")),
            run_id=text(row, "dag_run_id"),
            map_index=whole(row, "map_index", -1),
            state=text(row, "state", "none"),
            try_number=whole(row, "try_number", 0),
            start=instant(row, "start_date"),
            end=instant(row, "end_date"),
            duration=seconds(row, "duration"),
            operator=text(row, "operator", ""),
            run_date=instant(row, "run_after") or instant(row, "execution_date"),
            command=_command(row.get("rendered_fields")),
            max_tries=whole(row, "max_tries", 0),
        )

    @property
    def identity(self) -> str:
        """Identifies a try of a task, whenever it is read."""
        return f"{self.of_try}|{self.end}"

    @property
    def of_try(self) -> str:
        """Identifies a try even if the list and the history of tries disagree about its end."""
        return f"{self.unit}|{self.run_id}|{self.map_index}|{self.try_number}"


def xcom_key(row: Mapping[str, Any]) -> tuple[Unit, int, str]:
    """The task, map index and key of an XCom in a list. Raises Unclear for a malformed row."""
    unit = Unit(text(row, "dag_id"), text(row, "task_id"))
    return unit, whole(row, "map_index", -1), text(row, "key")


def _command(rendered: Any) -> str:
    """The rendered fields that say what was run; not the environment, which holds secrets."""
    fields = rendered if isinstance(rendered, Mapping) else {}
    rendered_command = {name: fields[name] for name in COMMANDS if fields.get(name)}
    if not rendered_command:
        return ""
    [*texts] = rendered_command.values()
    whole = (
        texts[0]
        if len(texts) == 1 and isinstance(texts[0], str)
        else json.dumps(rendered_command, default=str)
    )
    return whole if len(whole) <= COMMAND_LENGTH else f"{whole[: COMMAND_LENGTH - 1]}…"


def _occasion(
    row: Mapping[str, Any], run_id: str, start: pendulum.DateTime | None, end: pendulum.DateTime | None
) -> Occasion | None:
    """What a run without a window is about: its templates are evaluated on nothing but this."""
    conf = row.get("conf") or {}
    if not isinstance(conf, Mapping):
        return None
    logical_date = instant(row, "logical_date") or instant(row, "execution_date")
    try:
        return Occasion(run_id, logical_date, start, end, text(row, "run_type", "manual"), dict(conf))
    except BadOccasion:
        return None


def instant(row: Mapping[str, Any], name: str) -> pendulum.DateTime | None:
    written = text(row, name, "")
    if not written:
        return None
    try:
        parsed = pendulum.parse(written)
        if isinstance(parsed, pendulum.DateTime):
            return parsed.in_timezone("UTC")
    except (ValueError, OverflowError):
        pass
    raise Unclear(f"`{name}` is not an instant: {excerpt(written)!r}")
