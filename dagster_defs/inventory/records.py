"""What is known about a unit, in the form of `parity inventory --json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dagster_defs.inventory.arguments import Kind, Selection, place_variables
from dagster_defs.inventory.calls import SideCommand
from dagster_defs.inventory.convention import Convention, NamedWindow
from dagster_defs.inventory.knowledge import MAY_RUN
from dagster_defs.inventory.labels import labels_a_run, window_names_in
from dagster_defs.older_python import StrEnum
from dagster_defs.windows.values import Source, plain

SCHEMA = "parity/inventory-report/1"


class Trap(StrEnum):
    """Stable codes of warnings."""

    INCLUSIVE_UPPER_BOUND = "inclusive-upper-bound"
    EXCLUSIVE_UPPER_BOUND = "exclusive-upper-bound"
    UTC_DATE = "utc-date"
    MASKED_FAILURE = "masked-failure"
    SKIP_EXIT_CODE = "skip-exit-code"
    EMPTY_WINDOW = "empty-window"
    OVERLAPPING_MODELS = "overlapping-models"
    FULL_REFRESH_ON_BRANCH = "full-refresh-on-branch"
    DEPENDS_ON_PAST = "depends-on-past"
    WATERMARK = "watermark"
    WALL_CLOCK = "wall-clock"
    DATE_OBJECT = "date-object"
    SELECTS_NOTHING = "selects-nothing"
    IRREGULAR_WINDOW = "irregular-window"
    SEVERAL_WINDOWS = "several-windows"
    FEWER_ROWS = "fewer-rows"
    NOT_SEEN_THROUGH = "not-seen-through"
    UNREAD_ENVIRONMENT = "unread-environment"


@dataclass(frozen=True, slots=True)
class Warn:
    code: Trap
    message: str

    def as_json(self) -> dict[str, str]:
        return {"code": self.code.value, "message": self.message}


@dataclass(frozen=True, slots=True)
class RenderedCall:
    """One sampled window: the values that dbt gets."""

    start: str
    end: str
    vars: Mapping[str, Any]
    env: Mapping[str, str]
    event_time: Mapping[str, str | None] | None

    def as_json(self) -> dict[str, Any]:
        return {
            "start": self.start,
            "end": self.end,
            "vars": plain(dict(self.vars)),
            "env": dict(self.env),
            "event_time": None if self.event_time is None else dict(self.event_time),
        }


@dataclass(frozen=True, slots=True)
class Invocation:
    """One dbt call; `vars`, `env` and `event_time` are template text. `models` is what dbt would execute.

    `fewer_rows`: options by which models are built from part of their input, such as `--empty`. `vars_sources`: how
    each variable is written in `--vars`. `unsure`: why its target, or one of its flags, is not known; dbt may enable
    other nodes, or treat them differently. `vars_as_a_whole`: the text of a `--vars` that becomes a mapping only when
    it is rendered, so that it is not known which of its values move with the window. `unread_env`: variables in `env`
    that the dbt project never reads. `folder`: where dbt finds its project in Airflow's environment, if it is said.
    """

    selection: Selection
    full_refresh: bool
    target: str | None
    vars: Mapping[str, Any]
    env: Mapping[str, str]
    event_time: Mapping[str, str | None] | None
    rendered: tuple[RenderedCall, ...]
    selection_determined: bool = True
    models: tuple[str, ...] = ()
    fewer_rows: tuple[str, ...] = ()
    vars_sources: Mapping[str, Source] = field(default_factory=dict)
    vars_as_a_whole: str = ""
    unsure: str = ""
    unread_env: tuple[str, ...] = ()
    folder: str = ""

    @property
    def constant_vars(self) -> Mapping[str, Any]:
        """Variables that have one value in every window: those whose text refers to nothing in a window, and whose
        names are texts. None of a `--vars` that becomes a mapping only when it is rendered."""
        if self.vars_as_a_whole:
            return {}
        given = self.rendered[0].vars if self.rendered else self.vars
        return {str(name): value for name, value in given.items() if not _moves(self.vars.get(name, value))}

    def brings_window(self, variable: str) -> bool:
        """Whether an environment variable may carry the window: the project may read it, and it does more than
        distinguish runs."""
        return variable not in self.unread_env and not labels_a_run(self.env.get(variable, ""))

    @property
    def moving_env(self) -> tuple[str, ...]:
        """Environment variables that may carry the window: their values change with it."""
        names = dict.fromkeys(name for rendered in self.rendered for name in rendered.env)
        return tuple(name for name in names if self.brings_window(name) and self._changes(name))

    @property
    def read_env(self) -> Mapping[str, str]:
        """The environment variables that the project may read, as written or else as rendered; without
        `place_variables`, which a mirror has itself."""
        rendered = {name: text for each in reversed(self.rendered) for name, text in each.env.items()}
        left_out = place_variables().union(self.unread_env)
        return {name: text for name, text in sorted({**rendered, **self.env}.items()) if name not in left_out}

    def env_values(self, variable: str) -> list[str]:
        """Its values in the rendered windows."""
        return [rendered.env[variable] for rendered in self.rendered if variable in rendered.env]

    def _changes(self, variable: str) -> bool:
        return len({rendered.env.get(variable) for rendered in self.rendered}) > 1

    @property
    def constant_env(self) -> tuple[str, ...]:
        """Environment variables that the task sets to the same value in every window, as far as that is known, and that
        the project may read. A variable that only distinguishes runs counts: it does not carry the window.

        Sorted, because a shell's variables have no order. Without `place_variables`: a mirror has its own.
        """
        known = len(self.rendered) > 1
        left_out = place_variables().union(self.moving_env, self.unread_env)
        env = sorted(self.env.items())
        return tuple(
            name
            for name, text in env
            if name not in left_out and (known or "{{" not in text or labels_a_run(text))
        )

    def as_json(self) -> dict[str, Any]:
        selection = self.selection
        return {
            "command": selection.command,
            "select": " ".join(selection.select) or None,
            "exclude": " ".join(selection.exclude) or None,
            "selector": selection.selector,
            "full_refresh": self.full_refresh,
            "target": self.target,
            "models": list(self.models),
            "vars": plain(dict(self.vars)),
            "env": dict(self.env),
            "event_time": None if self.event_time is None else dict(self.event_time),
            "rendered": [rendered.as_json() for rendered in self.rendered],
        }


def _moves(text: Any) -> bool:
    """Whether a value, as written, may differ between windows."""
    written = str(text)
    return ("{{" in written or "{%" in written) and bool(window_names_in(written))


@dataclass(frozen=True, slots=True)
class UnitReading:
    """One legacy task. `reason` says why something is undetermined, and is empty if nothing is. `beside` are command
    lines of programs that it runs beside dbt and that are not seen through. `one_build`: the selection with which one
    `dbt build` executes exactly what its calls build and then test. `sides`: programs whose effects others see, and how
    a mirror can run them. `project`: the path of its dbt project, if the estate has several.
    """

    dag_id: str
    task_id: str
    kinds: tuple[Kind, ...]
    determined: bool = True
    selection_determined: bool = True
    window_determined: bool = True
    reason: str = ""
    window: NamedWindow = field(default_factory=lambda: NamedWindow(Convention.NONE))
    masks_failure: bool = False
    warnings: tuple[Warn, ...] = ()
    invocations: tuple[Invocation, ...] = ()
    beside: tuple[str, ...] = ()
    one_build: Selection | None = None
    sides: tuple[SideCommand, ...] = ()
    project: str = ""

    @property
    def name(self) -> str:
        return f"{self.dag_id}.{self.task_id}"

    @property
    def kind(self) -> Kind:
        """The main kind in a chain."""
        return min(self.kinds, key=list(Kind).index)

    @property
    def may_run_dbt(self) -> bool:
        """Whether no dbt call was found in it, although it is not known to run none."""
        return self.kinds == (Kind.OPAQUE,) and MAY_RUN in self.reason

    @property
    def models(self) -> frozenset[str]:
        return frozenset(model for invocation in self.invocations for model in invocation.models)

    def warned(self, *more: Warn) -> UnitReading:
        return replace(self, warnings=(*self.warnings, *more)) if more else self

    def as_json(self) -> dict[str, Any]:
        return {
            "dag_id": self.dag_id,
            "task_id": self.task_id,
            "kind": self.kind.value,
            "kinds": [kind.value for kind in self.kinds],
            "determined": self.determined,
            "selection_determined": self.selection_determined,
            "window_determined": self.window_determined,
            "reason": self.reason or None,
            "window": {
                "convention": self.window.convention.value,
                "start": self.window.start,
                "end": self.window.end,
                "carrier": self.window.carrier.value if self.window.carrier else None,
            },
            "masks_failure": self.masks_failure,
            "warnings": [warning.as_json() for warning in self.warnings],
            "invocations": [invocation.as_json() for invocation in self.invocations],
        }


@dataclass(frozen=True, slots=True)
class Report:
    """`project_error` says why dbt cannot parse the project; units then have no models."""

    airflow_version: str
    import_errors: tuple[Mapping[str, Any], ...]
    units: tuple[UnitReading, ...]
    project_error: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "airflow_version": self.airflow_version,
            "import_errors": [dict(error) for error in self.import_errors],
            "units": [unit.as_json() for unit in self.units],
        }
