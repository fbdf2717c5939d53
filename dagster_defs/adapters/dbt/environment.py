"""dbt's environment, which is always that of the process in which dbt runs, and how to run without dbt's options.

dbt reads it at each call, so cached results must be checked against the environment as it is now, not against an
earlier record.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from typing_extensions import Self

from dagster_defs.settings import Settings, process_environment

_NO_PROJECT = Path()  # looking for the project each time would read its files for each unit
_PREFIX = "DBT_"  # of every variable that sets a dbt option
_FIRST_EVENT = (
    "MainReportVersion"  # fired once dbt has copied the process's environment, and before it reads any of it
)


@dataclass(frozen=True, slots=True)
class GivenEnvironment:
    """Environment variables that a unit gives to dbt while the project is parsed, beside those of this process.

    `shaping`: those that may decide what the project contains. `others`: the names of the rest, which change only rows;
    a parse needs them, with whatever value, because `env_var()` fails without one.
    """

    shaping: tuple[tuple[str, str], ...] = ()
    others: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, values: Mapping[str, str], may_shape: Callable[[str], bool]) -> Self:
        shaping = tuple(sorted((name, value) for name, value in values.items() if may_shape(name)))
        others = tuple(sorted(values.keys() - dict(shaping).keys()))
        return cls(shaping, others, MappingProxyType(dict(values)))

    @property
    def key(self) -> str:
        """Equal for two that parse a project to the same manifest; empty if nothing is given."""
        return json.dumps([self.shaping, self.others]) if self.values else ""


NOTHING_GIVEN = GivenEnvironment()


def giving(variables: Mapping[str, str]) -> Callable[[Any], None]:
    """A callback for one invocation of dbt: `env_var()` sees these variables in it, and nothing else does."""

    def add(message: Any) -> None:
        if variables and message.info.name == _FIRST_EVENT:
            from dbt_common.context import get_invocation_context

            seen: Any = get_invocation_context().env  # a copy of the process's, made for this invocation
            seen.update(variables)

    return add


def dbt_environment() -> Mapping[str, str]:
    """The environment that dbt would read if it were called now."""
    return Settings.from_process(_NO_PROJECT).variables


def other_target_dir() -> Path | None:
    """The folder for the working files of all projects; None if each has its own."""
    return Settings.from_process(_NO_PROJECT).dbt_target_dir


def users_profiles() -> Path:
    """The folder in which dbt looks for a profile that is nowhere else."""
    return Settings.from_process(_NO_PROJECT).user_folder / ".dbt"


def options_set() -> Mapping[str, str]:
    """This process's environment variables that set dbt options, except those for paths."""
    environment = dbt_environment()
    if not any(name.startswith(_PREFIX) for name in environment):
        return {}  # asking dbt would cost a second of imports
    from dagster_defs.inventory.arguments import option_variables, place_variables

    names = option_variables().keys() - place_variables()
    return {name: environment[name] for name in sorted(names) if environment.get(name)}


def value_of(option: str) -> str:
    """The value of a dbt option (such as `store_failures`) in this process's environment; empty if unset."""
    environment = dbt_environment()
    if not any(name.startswith(_PREFIX) for name in environment):
        return ""
    from dagster_defs.inventory.arguments import option_variables

    return next(
        (
            environment[name]
            for name, known in option_variables().items()
            if known == option and environment.get(name)
        ),
        "",
    )


def without_options() -> AbstractContextManager[None]:
    """Hide dbt options in Dagster's environment, on which Airflow's task does not depend."""
    return process_environment({}, without=options_set())
