"""What a unit sets in dbt's environment: templates of the legacy task, and names that Dagster itself must have."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import dagster as dg

from dagster_defs.adapters.dbt.env_vars import variables_of
from dagster_defs.errors import BadUnit
from dagster_defs.inventory.arguments import option_variables
from dagster_defs.inventory.labels import RunNames, names_a_run
from dagster_defs.settings import Settings
from dagster_defs.windows import EventSchedule, Moment, PartitionVars

EnvironmentTemplates = Annotated[
    Mapping[str, Any],
    dg.Resolver.passthrough(
        description=(
            "Environment variables that dbt's `env_var()` reads in this unit's runs, and nothing else does. Text "
            "is an Airflow template exactly as in the DAG, or `{template, bound}` as in `vars`. For secrets see "
            "`required_env`."
        ),
        examples=[{"REGION": "eu", "DAY": {"template": "{{ ds }}", "bound": "lower"}}],
    ),
]
RequiredNames = Annotated[
    Sequence[str],
    dg.Resolver.default(
        description=(
            "Names of environment variables that the legacy task sets for dbt and that Dagster's own environment "
            "must have, such as secrets; a run fails without them."
        ),
        examples=[["WAREHOUSE_TOKEN"]],
    ),
]
_SECRET, _OPTION = "DBT_ENV_SECRET", "DBT_"  # dbt's own prefixes
_REMEDY = "Correct it in its YAML"


@dataclass(frozen=True)
class UnitEnvironment:
    """`required`: names that are only checked, because their values are the deployment's; `labels`: texts that name a
    run, which no window determines."""

    unit: str
    templates: PartitionVars
    required: tuple[str, ...]
    labels: Mapping[str, str]

    @property
    def moving(self) -> tuple[str, ...]:
        """The variables that change with the window."""
        constants = self.templates.constants()
        return tuple(name for name in self.templates.names if name not in constants)

    def for_window(self, window: Moment) -> dict[str, str]:
        return self._effective(self.templates.for_window(window))

    def for_range(self, first: Moment, last: Moment) -> dict[str, str]:
        """Raises NotRangeable, as `PartitionVars` does."""
        return self._effective(self.templates.for_range(first, last))

    def for_parse(self) -> dict[str, str]:
        """Every variable that is set, with its value in the first window, or else without one."""
        times = self.templates.partitions
        if isinstance(times, EventSchedule):
            unknown = dict.fromkeys(self.templates.names, "")
            values = self._effective({**unknown, **self.templates.constants()})
        else:
            values = self.for_window(times.schedule.first_window())
        return {**self.labelled(RunNames(self.unit, "no-run", 1)), **values}

    def labelled(self, run: RunNames) -> dict[str, str]:
        return {name: run.render(text) for name, text in self.labels.items()}

    def _effective(self, values: Mapping[str, str]) -> dict[str, str]:
        # A rehearsal's own environment overrides what the DAG file fixes, as for Airflow's command: it says where
        # nothing of the real data lies.
        settings = Settings.from_process()
        own = settings.variables.keys() & self.templates.constants().keys() if settings.rehearses else ()
        return {name: value for name, value in values.items() if name not in own}

    def refuse_missing(self) -> None:
        """Raises BadUnit if this process lacks a variable that the unit needs from it."""
        missing = sorted(set(self.required) - Settings.from_process().variables.keys())
        if missing:
            raise BadUnit(
                self.unit,
                f"`required_env`: {', '.join(missing)} not set in Dagster's environment",
                "Set it where Dagster starts its runs, as the legacy task does for dbt",
            )


def refuse_moving_place(environment: UnitEnvironment, profile: Callable[[], Path]) -> None:
    """Raises BadUnit if the profile, whose file `profile` finds, reads a variable whose value changes from run to
    run."""
    moving = {*environment.moving, *environment.labels}
    if moving and (read := sorted(moving & variables_of(profile()))):
        raise BadUnit(
            environment.unit,
            f"`env`: {', '.join(read)} changes from run to run, and dbt's profile reads it: where dbt writes would "
            "not be one place",
            "Give it one value, or run the task's operator as it is, as a LegacyTask",
        )


def environment_of(
    unit: str,
    env: Mapping[str, Any],
    required: Sequence[str],
    compiled: Callable[[Mapping[str, Any], str], PartitionVars],
) -> UnitEnvironment:
    """`compiled`: makes templates of what is declared at a place in the YAML. Raises BadUnit."""
    for name, declared in env.items():
        if why := _refusal(str(name), declared):
            raise BadUnit(unit, f"`env`: {name} {why}", _REMEDY)
    labels = {name: text for name, text in env.items() if isinstance(text, str) and names_a_run(text)}
    templates = {name: declared for name, declared in env.items() if name not in labels}
    return UnitEnvironment(unit, compiled(templates, "env"), tuple(required), labels)


def _refusal(name: str, declared: Any) -> str:
    value = declared.get("template") if isinstance(declared, Mapping) else declared
    if not isinstance(value, str):
        return "is not text, and an environment has nothing else: put it in quotes"
    if isinstance(declared, Mapping) and "yaml" in declared:
        return "has `yaml`, but env_var() reads text"
    if name.startswith(_SECRET):
        return "is a secret to dbt, and this file is none: name it under `required_env`"
    # dbt's command line reads these from the process, which all runs share.
    if name.startswith(_OPTION) and name in option_variables():
        return "sets an option of dbt, which one run cannot set for itself: set it in Dagster's environment"
    return ""
