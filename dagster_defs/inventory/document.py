"""The inventory file as records: what Airflow itself says about its DAGs (docs/inventory.schema.json)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from dagster_defs.errors import InventoryUnreadable, InventoryVersion
from dagster_defs.graph import reachable
from dagster_defs.inventory.team import NO_TEAM, Team
from dagster_defs.inventory.timetables import PartitionRun, Schedule, partition_runs, read_schedule
from dagster_defs.older_python import datetime_of
from dagster_defs.windows import OccasionKind, Scheduled, canonical_zone, scheduled_between

__all__ = [
    "SCHEMA",
    "BrokenTask",
    "Dag",
    "Definition",
    "Inventory",
    "OperatorCode",
    "Sample",
    "Schedule",
    "Task",
    "own_code_of",
    "read_document",
]

SCHEMA = "parity/inventory/1"


@dataclass(frozen=True, slots=True)
class Sample:
    """A task's fields as Airflow rendered them for one window. `needs`: for each field that contains marks or is
    missing, what only a real run knows; `asked`: the same for each name that a template uses. `start` equals `end` for
    an empty interval."""

    start: str
    end: str
    fields: Mapping[str, Any]
    needs: Mapping[str, str] = field(default_factory=dict)
    asked: Mapping[str, str] = field(default_factory=dict)

    @property
    def window(self) -> Scheduled | None:
        """A tick if the interval is empty, which it also is for most runs without a clock; None for a run without
        an interval."""
        return scheduled_between(self.start, self.end) if self.start and self.start <= self.end else None


@dataclass(frozen=True, slots=True)
class Definition:
    """A function, or a class with its `mro`, by source text. `names`: what the global names in it are: a `value`,
    what it `refers` to, with the arguments of a partial in `placed` and `named`, or an `object` of a class. `values`:
    the same for what a class has beside methods; None in an older inventory."""

    source: str
    mro: tuple[str, ...] = ()
    names: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class OperatorCode:
    """The code of a team's own operator: its classes, and what they use of the team's, by path. `attributes`: values of
    the task that its code reads and that are no templates; `others`: what those are that are not plain. `unshown`: what
    it uses of the team's and is not in `definitions`; None in an older inventory."""

    definitions: Mapping[str, Definition]
    attributes: Mapping[str, Any]
    others: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    unshown: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class ExternalSensor:
    """What an `ExternalTaskSensor` has beside `settings`. `delta_seconds`: how much earlier than its own the logical
    date is that it asks about. `asks`: what its function returns for the window that starts at an instant, all ISO;
    `asks_unknown`: why that is not known. `unlike`: arguments that make it do something else than to ask for states."""

    skipped_states: tuple[str, ...] = ()
    delta_seconds: float | None = None
    by_function: bool = False
    unlike: tuple[str, ...] = ()
    asks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    asks_unknown: str = ""


@dataclass(frozen=True, slots=True)
class Outlet:
    """A dataset or an asset; one without a `uri` is an alias or a reference. `name`: empty in Airflow 2."""

    name: str
    uri: str


@dataclass(frozen=True, slots=True)
class Email:
    """Whom Airflow mails of a task's failures. Without addresses nobody."""

    to: tuple[str, ...] = ()
    on_failure: bool = True
    on_retry: bool = True


@dataclass(frozen=True, slots=True)
class Task:
    """`templated` are the raw fields; a field that names a template file contains that file's text. `callbacks` maps
    each kind, such as `on_failure_callback`, to the dotted names of functions. `start` and `end` (both included, ISO
    with an offset) bound the task's logical dates; they are None also in an older inventory. `reaches` and
    `code_reaches` are what a custom operator and the Python callable can reach in libraries; None if there is no such
    code, or in an older inventory, and so is `own_code`. `team`: what is known from outside the DAG files. `given`: the
    arguments of a library's operator that have another value than its default, beside those of every operator; None if
    that is not known. `group`: the id of its task group, or empty. `waits`: None for anything but a sensor that waits
    for another DAG, and in an older inventory. `outlets`: the datasets or assets that its success is an event of.
    `returns`: what becomes of the value of its callable: `nothing`, an `xcom`, or `multiple_outputs`, one for each key
    of it besides; empty without a callable, or in an older inventory. `email`: None in an older inventory.
    `called_code`: the callable and what it calls of the team's own, where dbt is mentioned; `placed` and `named`: the
    arguments that a partial gives it."""

    dag_id: str
    task_id: str
    classes: tuple[str, ...]
    templated: Mapping[str, Any]
    samples: tuple[Sample, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    source: str | None = None
    callable_name: str = ""
    depends_on_past: bool = False
    mapped: bool = False
    upstream: tuple[str, ...] = ()
    retries: int = 0
    retry_delay: float = 0.0
    pool: str = "default_pool"
    timeout: float | None = None
    sla: float | None = None
    owner: str = ""
    callbacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    start: str | None = None
    end: str | None = None
    reaches: tuple[str, ...] | None = None
    code_reaches: tuple[str, ...] | None = None
    trigger_rule: str = "all_success"
    params: Mapping[str, Any] = field(default_factory=dict)
    own_code: OperatorCode | None = None
    team: Team = NO_TEAM
    in_mapped_group: bool = False
    given: tuple[str, ...] | None = None
    group: str = ""
    waits: ExternalSensor | None = None
    outlets: tuple[Outlet, ...] = ()
    returns: str = ""
    email: Email | None = None
    called_code: OperatorCode | None = None
    placed: tuple[Any, ...] = ()
    named: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BrokenTask:
    dag_id: str
    task_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Dag:
    """`catchup` and `max_active_runs` default to Airflow's own defaults in an older inventory.

    `span`: the inventory's days as instants, half-open; None in an older inventory. `bounds_move`: start or end are
    computed when the DAG file is parsed. `stuck`: what Airflow's timetable does not get past, or empty. `partitions`:
    the scheduled runs of the span if they are for partition keys; such a DAG has no windows.
    """

    dag_id: str
    schedule: Schedule
    timezone: str
    tasks: tuple[Task | BrokenTask, ...]
    file: str = ""
    start: str | None = None
    end: str | None = None
    windows: tuple[tuple[str, str], ...] = ()
    windows_cut: bool = False
    catchup: bool = True
    max_active_runs: int = 16
    callbacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    span: tuple[str, str] | None = None
    bounds_move: bool = False
    stuck: str = ""
    partitions: tuple[PartitionRun, ...] = ()

    def bounds_of(self, task: Task) -> tuple[datetime | None, datetime | None]:
        """From when to when Airflow runs the task, both included: the narrower of its bounds and the DAG's."""
        starts, ends = (
            [datetime_of(bound) for bound in bounds if bound]
            for bounds in ((self.start, task.start), (self.end, task.end))
        )
        return max(starts, default=None), min(ends, default=None)

    def windows_of(self, task: Task) -> tuple[tuple[str, str], ...]:
        """The windows of the span for which the task has an instance."""
        start, end = self.bounds_of(task)
        return tuple(
            window
            for window in self.windows
            if (start is None or start <= datetime_of(window[0]))
            and (end is None or datetime_of(window[0]) <= end)
        )

    def above(self, task_id: str) -> frozenset[str]:
        """The ids of all tasks upstream of the task, directly or indirectly."""
        upstream = {task.task_id: task.upstream for task in self.tasks if isinstance(task, Task)}
        return frozenset(reachable([task_id], lambda name: upstream.get(name, ())))

    @property
    def why_it_moves(self) -> str:
        return (
            f"its start date ({self.start}) or end date is computed when the DAG file is parsed, so that partitions "
            "would begin or end elsewhere each day"
        )

    def why_no_window(self, task: Task) -> str:
        """Why the inventory has no window of the task, and so nothing that Airflow rendered; empty if it has one."""
        if self.windows_of(task):
            return ""
        if self.bounds_move:
            return self.why_it_moves
        if self.schedule.occasion is OccasionKind.PARTITION:
            return (
                f"the runs of its schedule {self.schedule.in_words} are for partition keys and have no window"
            )
        if self.schedule.kind not in ("cron", "delta", "cron-trigger", "delta-trigger"):
            return (
                ""
                if self.windows
                else f"its schedule {self.schedule.text} has no windows that are known ahead"
            )
        start, end = self.bounds_of(task)
        if start is None:
            return "it has no start date, so Airflow never schedules it"
        lives = f"from {start.isoformat()}" + (f" to {end.isoformat()}" if end else "")
        return f"Airflow runs it {lives}, and no window of that starts in the inventory's span: export other days"


@dataclass(frozen=True, slots=True)
class Inventory:
    """`span`: the first and the last requested day; `Dag.span` has the instants."""

    airflow_version: str
    import_errors: tuple[Mapping[str, Any], ...]
    dags: tuple[Dag, ...]
    span: tuple[str, str] = ("", "")

    def told_by(self, team: Team) -> Inventory:
        """The inventory with what the team knows about its tasks, and without the DAGs that it declares dead."""
        living = [dag for dag in self.dags if dag.dag_id not in team.dead_dags]
        return replace(self, dags=tuple(replace(dag, tasks=_told(dag.tasks, team)) for dag in living))


def _told(tasks: Sequence[Task | BrokenTask], team: Team) -> tuple[Task | BrokenTask, ...]:
    return tuple(replace(task, team=team) if isinstance(task, Task) else task for task in tasks)


def read_document(document: Any, file: str) -> Inventory:
    """`file` is for messages only. Raises InventoryVersion or InventoryUnreadable; an invalid task becomes a
    BrokenTask, so that the rest can still be read."""
    if not isinstance(document, dict) or "schema" not in document:
        raise InventoryUnreadable(file, "it is not an inventory: it has no `schema`")
    if document["schema"] != SCHEMA:
        raise InventoryVersion(file, str(document["schema"]), SCHEMA)
    if document.get("complete") is not True:
        raise InventoryUnreadable(file, "the export did not finish")
    try:
        span = document.get("span") or {}
        return Inventory(
            str(document["airflow_version"]),
            tuple(document["import_errors"]),
            tuple(_dag(dag) for dag in document["dags"]),
            (str(span.get("start", "")), str(span.get("end", ""))),
        )
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise InventoryUnreadable(file, f"a part of it is missing or of another shape: {error}") from error


def _dag(dag: Mapping[str, Any]) -> Dag:
    schedule = dag["schedule"]
    zone = canonical_zone(str(dag.get("timezone") or schedule.get("timezone") or "UTC"))
    span = dag.get("span")
    windows = tuple((str(window["start"]), str(window["end"])) for window in dag.get("windows") or ())
    return Dag(
        str(dag["dag_id"]),
        read_schedule(schedule, windows),
        zone,
        tuple(_task(str(dag["dag_id"]), task) for task in dag["tasks"]),
        str(dag.get("file") or ""),
        dag.get("start"),
        dag.get("end"),
        windows,
        bool(dag.get("windows_cut")),
        bool(dag.get("catchup", True)),
        16 if dag.get("max_active_runs") is None else int(dag["max_active_runs"]),
        _callbacks(dag),
        (str(span["start"]), str(span["end"])) if span else None,
        bool(dag.get("bounds_move")),
        str((dag.get("advances") or {}).get("reason") or ""),
        partition_runs(dag.get("partitions")),
    )


def _task(dag_id: str, task: Any) -> Task | BrokenTask:
    name = str(task.get("task_id", "?")) if isinstance(task, dict) else "?"
    try:
        code = task.get("python_callable") or {}
        return Task(
            dag_id,
            task["task_id"],
            (task["operator"], *task.get("bases", ())),
            dict(task["templated"]),
            tuple(_sample(sample) for sample in task.get("rendered", ())),
            dict(task.get("settings") or {}),
            code.get("source"),
            f"{code.get('module', '')}.{code.get('qualname', '')}".strip("."),
            bool(task.get("depends_on_past")),
            bool(task.get("mapped")),
            tuple(task.get("upstream") or ()),
            int(task.get("retries") or 0),
            float(task.get("retry_delay_seconds") or 0),
            str(task.get("pool") or "default_pool"),
            task.get("execution_timeout_seconds"),
            task.get("sla_seconds"),
            str(task.get("owner") or ""),
            _callbacks(task),
            task.get("start"),
            task.get("end"),
            _names(task.get("reaches")),
            _names(code.get("reaches")),
            str(task.get("trigger_rule") or "all_success"),
            dict(task.get("params") or {}),
            own_code_of(task.get("own_code")),
            in_mapped_group=bool(task.get("in_mapped_group")),
            given=_names(task.get("given")),
            group=str(task.get("task_group") or ""),
            waits=_external_sensor(task.get("waits")),
            outlets=tuple(
                Outlet(str(each["name"] or ""), str(each["uri"] or "")) for each in task.get("outlets") or ()
            ),
            returns=str(code.get("returns") or ""),
            email=_email(task),
            called_code=own_code_of(code.get("code")),
            placed=tuple(code.get("placed") or ()),
            named=dict(code.get("named") or {}),
        )
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        return BrokenTask(
            dag_id, name, f"the inventory's record of this task is not as it should be: {error!r}"
        )


def own_code_of(code: Any) -> OperatorCode | None:
    """The record of a task's `own_code`."""
    if code is None:
        return None
    definitions = {
        str(path): Definition(
            str(each["source"]),
            tuple(map(str, each.get("mro") or ())),
            dict(each.get("names") or {}),
            None if each.get("values") is None else dict(each["values"]),
        )
        for path, each in code["definitions"].items()
    }
    unshown = code.get("unshown")
    return OperatorCode(
        definitions,
        dict(code.get("attributes") or {}),
        dict(code.get("others") or {}),
        None if unshown is None else frozenset(map(str, unshown)),
    )


def _external_sensor(waits: Any) -> ExternalSensor | None:
    if waits is None:
        return None
    return ExternalSensor(
        tuple(map(str, waits["skipped_states"])),
        waits["delta_seconds"],
        bool(waits["by_function"]),
        tuple(map(str, waits["unlike"])),
        {str(each["start"]): tuple(map(str, each["dates"])) for each in waits["asks"]},
        str(waits["asks_unknown"] or ""),
    )


def _email(task: Mapping[str, Any]) -> Email | None:
    if "email" not in task:
        return None
    email = task["email"]
    if email is None:
        return Email()
    return Email(tuple(map(str, email["to"])), bool(email["on_failure"]), bool(email["on_retry"]))


def _names(listed: Any) -> tuple[str, ...] | None:
    return None if listed is None else tuple(map(str, listed))


def _callbacks(holder: Mapping[str, Any]) -> Mapping[str, tuple[str, ...]]:
    found = holder.get("callbacks") or {}
    return {str(name): tuple(str(function) for function in functions) for name, functions in found.items()}


def _sample(sample: Mapping[str, Any]) -> Sample:
    needs: dict[str, str] = {}
    asked: dict[str, str] = {}
    listed: Sequence[Mapping[str, Any]] = sample.get("undetermined", ())
    for item in listed:
        name, reason = str(item.get("needs", "?")), str(item.get("reason", ""))
        needs.setdefault(str(item["field"]), f"{name}: {reason}".rstrip(": "))
        asked.setdefault(name, reason)
    return Sample(str(sample["start"]), str(sample["end"]), dict(sample["fields"]), needs, asked)
