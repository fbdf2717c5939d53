"""dbt's environment, which is always that of the process in which dbt runs: its options, and a while without them.

dbt reads it at each call, so what is kept of an earlier call is compared with it as it is now, and not with a record
that was made before.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from dagster_defs.settings import Settings, process_environment

_PREFIX = "DBT_"  # of every variable from which dbt takes an option


def dbt_environment() -> Mapping[str, str]:
    """What dbt would read if it were called now."""
    return Settings.from_process().variables


def users_profiles() -> Path:
    """The folder in which dbt looks for a profile that is nowhere else."""
    return Settings.from_process().user_folder / ".dbt"


def options_set() -> Mapping[str, str]:
    """The environment variables of this process from which dbt takes an option, those of places aside."""
    environment = dbt_environment()
    if not any(name.startswith(_PREFIX) for name in environment):
        return {}  # to ask dbt takes a second of imports
    from dagster_defs.inventory.arguments import option_variables, place_variables

    names = option_variables().keys() - place_variables()
    return {name: environment[name] for name in sorted(names) if environment.get(name)}


def value_of(option: str) -> str:
    """What this process's environment says of an option (`store_failures`); empty if nothing."""
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
    """What Airflow's task runs does not depend on the options that Dagster's environment sets."""
    return process_environment({}, without=options_set())
