"""What a mirror is, whatever kind of task it stands for: its windows and its comparable outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, Protocol

from dagster_defs.lifecycle.callback_context import Calls
from dagster_defs.lifecycle.identity import Claim
from dagster_defs.lifecycle.mail_of_tasks import NO_MAIL, TaskMail
from dagster_defs.lifecycle.programs_beside import ProgramBeside
from dagster_defs.lifecycle.settings import GateSettings
from dagster_defs.lifecycle.starters import Starters
from dagster_defs.lifecycle.units import Unit
from dagster_defs.lifecycle.waits import Wait
from dagster_defs.lifecycle.xcoms import XCom
from dagster_defs.parity import NO_ZONES, SAMPLE_LIMIT, Side, Tolerance, Zones
from dagster_defs.windows import EventSchedule, Moment, Partitions, Scheduled, Times


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms on which an output is compared; `samples` limits how many rows of each kind are shown, 0 shows none."""

    tolerances: tuple[Tolerance, ...] = ()
    masked: tuple[str, ...] = ()
    samples: int = SAMPLE_LIMIT


@dataclass(frozen=True, slots=True)
class TableOutput:
    """A relation that a task writes. `legacy`, `candidate`: in full, as dbt writes it in SQL, with its quotes.

    `time_column` is None for a table without one: every run rebuilds it, so it can only be compared as a whole. `lower`
    and `upper` are the values of the unit's bound variables: rows of the window lie in `lower <= time_column < upper`;
    `zones` says in which time zones. `former_name`: the name under which older evidence may be kept, if versions or
    packages of one model shared that name; else empty. `of_window`: each window has a relation of its own.
    """

    name: str
    project_dir: str
    legacy_target: str
    candidate_target: str
    legacy: str
    candidate: str
    key: tuple[str, ...]
    time_column: str | None
    lower: str | None
    upper: str | None
    terms: Terms = Terms()
    zones: Zones = NO_ZONES
    former_name: str = ""
    of_window: bool = False

    def relation(self, side: Side) -> str:
        return self.legacy if side is Side.LEGACY else self.candidate

    @property
    def as_a_whole(self) -> bool:
        """Whether every run writes the whole table, not only its window."""
        return self.time_column is None and not self.of_window


@dataclass(frozen=True, slots=True)
class FileOutput:
    """A Parquet or CSV file, or a folder, that a task writes for one window, one path for each side.

    `types`: the declared types of its columns, if it is a CSV file. `pattern`: which files of a folder count, empty for
    all; None for a file. `each`: a folder is compared file by file, and not as one data set.
    """

    name: str
    legacy: str
    candidate: str
    key: tuple[str, ...]
    terms: Terms = Terms()
    types: tuple[tuple[str, str], ...] = ()
    pattern: str | None = None
    each: bool = False

    def path(self, side: Side) -> str:
        return self.legacy if side is Side.LEGACY else self.candidate

    def files(self, side: Side) -> str:
        """The path, or the glob, of what is compared."""
        return f"{self.path(side)}/{self.pattern}" if self.pattern else self.path(side)

    @property
    def kind(self) -> str:
        """The suffix that all files share, in lower case; empty if it is not known. A file without one that is known is
        taken for Parquet."""
        suffix = PurePath(self.files(Side.LEGACY)).suffix.lower() if self.pattern != "" else ""
        return ".parquet" if self.pattern is None and suffix not in (".csv", ".tsv") else suffix

    @property
    def as_a_whole(self) -> bool:
        """Never: a file belongs to its window."""
        return False


Output = TableOutput | FileOutput


class Rendering(Protocol):
    """A unit's variables, rendered for a window and typed as dbt or the function gets them."""

    def for_window(self, window: Moment) -> Mapping[str, Any]: ...


class NamedRendering(Rendering, Protocol):
    """Values whose names are the same in each window."""

    @property
    def names(self) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class Declared:
    """What a mirror would do, in the terms of the legacy task that it stands for.

    `runs` is a dbt command or the dotted path of a function; `nodes` are the unique ids that dbt would execute, without
    sources, and None if the unit runs no dbt. `reads` and `writes` are asset keys, a dbt source as `source:name.table`.
    `retry_delay`, `timeout` (per try) and `sla` (after a window's end) are in seconds. `calls` and
    `dag_calls`: functions that are called for the task, and for runs of a retired DAG; a failure is one for good.
    `operator_itself`: Airflow's own engine renders and runs the operator, and calls the task's callbacks. `unsure`: why
    `nodes` may not be all that dbt would execute in each window. `full_refresh`: whether dbt gets that option.
    `fields`: the operator's templated fields that `variables` has instead of a function's arguments, first the one
    that says what runs. `environment`: variables that are set for dbt alone; `required`: names of those that
    Dagster's own environment must have; `labels`: names of those that name the run. `beside`: what it runs beside
    dbt, and for whom. `xcoms`: arguments of a function that are XComs, which `variables` does not have.
    `asks_rules`: in a retired DAG, Airflow's trigger rules decide which windows run it.
    """

    runs: str
    nodes: frozenset[str] | None
    variables: Rendering
    event_times: Rendering | None
    reads: frozenset[str]
    writes: frozenset[str]
    retries: int
    retry_delay: float
    pool: str | None
    timeout: float | None = None
    sla: float | None = None
    catchup: bool = True
    max_active_runs: int = 16
    depends_on_past: bool = False
    calls: Calls = field(default_factory=dict)
    dag_calls: Calls = field(default_factory=dict)
    mail: TaskMail = NO_MAIL
    operator_itself: bool = False
    asks_rules: bool = False
    fields: tuple[str, ...] = ()
    unsure: str = ""
    full_refresh: bool = False
    environment: NamedRendering | None = None
    required: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    beside: tuple[ProgramBeside, ...] = ()
    xcoms: Mapping[str, XCom] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Promised:
    """What a mirror says about its runs that needs no dbt project. `sla`: in seconds after a window's end. `mail`:
    Airflow's `email`. `calls` and `dag_calls`: see `Declared`."""

    retries: int = 0
    sla: float | None = None
    catchup: bool = True
    mail: TaskMail = NO_MAIL
    calls: Calls = field(default_factory=dict)
    dag_calls: Calls = field(default_factory=dict)


class Key(Protocol):
    """An asset's key, as Dagster has it."""

    @property
    def path(self) -> Sequence[str]: ...


class Mirror(Protocol):
    """A unit as it is declared for Dagster, whatever kind of task it stands for; the YAML components implement it.

    `unit`: its name in the YAML, which need not be one that a unit can have. `owners`: of its assets, e-mail addresses
    or `team:name`. `pool`: its name before that of a side. `rehearsal`: environment variables under which a function
    writes where a rehearsal keeps its files; empty where none are declared.
    """

    unit: str
    owners: Sequence[str]
    pool: str | None
    rehearsal: Mapping[str, str]

    @property
    def legacy_unit(self) -> Unit:
        """Raises BadUnit."""
        ...

    @property
    def dbt_mirror(self) -> DbtMirror | None:
        """The mirror itself if its task runs dbt, and None if it runs anything else."""
        ...

    @property
    def event(self) -> EventSchedule | None:
        """None if it has windows."""
        ...

    @property
    def partitions(self) -> Partitions[Scheduled]:
        """Raises HasNoWindows for a unit whose DAG has no clock."""
        ...

    @property
    def times(self) -> Times:
        """`partitions`, or `event` if there are none."""
        ...

    @property
    def waits(self) -> Sequence[Wait]:
        """What each window of its DAG waits for, once the DAG is retired. Raises BadUnit."""
        ...

    @property
    def starters(self) -> Starters | None:
        """What starts its DAG's runs once that is retired, if its YAML says so. Raises BadUnit."""
        ...

    @property
    def gate_settings(self) -> GateSettings:
        """What must hold before the unit is moved."""
        ...

    @property
    def promised(self) -> Promised: ...

    @property
    def takes_ranges(self) -> bool:
        """Whether one run can build several consecutive windows."""
        ...

    @property
    def folders(self) -> frozenset[Path]:
        """The folders with the files, other than its YAML, that its definitions are built from."""
        ...

    @property
    def python_folder(self) -> Path:
        """Where the functions that its YAML names are imported from."""
        ...

    @property
    def feeds(self) -> Mapping[str, Key]:
        """Keys of the unit's assets that are sources of dbt's, by `source_name.table`."""
        ...

    def refuse_faults(self, *, resolved: bool) -> None:
        """Raises a ParityError if the mirror is broken, that is, if its definitions cannot be built.

        `resolved`: include faults that only the dbt project can show; reading it is slow.
        """
        ...

    def precedence(self) -> tuple[int, Unit]:
        """The unit with the lowest precedence defines what several build; may read the dbt project."""
        ...

    def declared(self) -> Declared:
        """May read the dbt project, which is slow."""
        ...

    def outputs_of(self, window: Moment) -> Iterable[Output]:
        """What the unit's run of this window, or this run without a window, produces; may read the dbt project."""
        ...

    def claims(self, feeds: Mapping[str, Any]) -> Iterable[Claim]:
        """Asset keys, and what the unit makes or reads under them. `feeds`: those of all units. Raises as
        `refuse_faults`."""
        ...

    def job_name(self, side: Side) -> str: ...

    def building_defs(self, context: Any) -> Any:
        """Dagster's definitions of the candidate, with a job that compares nothing; `context`: Dagster's, of a load.

        Raises as `refuse_faults`.
        """
        ...


def owners_of(mirrors: Iterable[Mirror]) -> dict[Unit, tuple[str, ...]]:
    """By unit; units without owners are missing."""
    return {mirror.legacy_unit: tuple(mirror.owners) for mirror in mirrors if mirror.owners}


def any_moment(mirror: Mirror) -> Moment:
    """A moment to enumerate a unit's outputs with: its first window, or an invented run if it has no windows."""
    return mirror.partitions.schedule.first_window() if mirror.event is None else mirror.event.example()


class DbtMirror(Mirror, Protocol):
    """A mirror of a task that runs dbt: what its workspace is opened with."""

    @property
    def project_dir(self) -> Path: ...

    @property
    def key_prefix_parts(self) -> tuple[str, ...]:
        """First parts of the asset keys of what the dbt project builds."""
        ...

    @property
    def executable(self) -> str:
        """The path of the `dbt` that its runs start, or its name on PATH; empty for the one in Dagster's process."""
        ...

    @property
    def parsed_with(self) -> str:
        """As YAML, the variables that shape the project and are the same in each window. Raises what rendering them
        raises."""
        ...

    @property
    def parse_environment(self) -> Mapping[str, str]:
        """Environment variables for parsing the project: those of its first window. Raises what rendering them
        raises."""
        ...

    def target(self, side: Side) -> str: ...

    def selected(self, side: Side) -> frozenset[str]:
        """Unique ids of what its runs execute on that side. Raises BadUnit, DbtProjectUnreadable."""
        ...
