"""dbt's environment, which is always that of the process in which dbt runs, and how to run without dbt's options.

dbt reads it at each call, so cached results must be checked against the environment as it is now, not against an
earlier record.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from dagster_defs.settings import Settings, process_environment

_PREFIX = "DBT_"  # of every variable that sets a dbt option


def dbt_environment() -> Mapping[str, str]:
    """The environment that dbt would read if it were called now."""
    return Settings.from_process().variables


def users_profiles() -> Path:
    """The folder in which dbt looks for a profile that is nowhere else."""
    return Settings.from_process().user_folder / ".dbt"


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
