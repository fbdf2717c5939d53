"""dbt's options in this process's own environment: which there are, and a while without them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from dagster_defs.inventory.arguments import option_variables, place_variables


def options_set() -> Mapping[str, str]:
    """The environment variables of this process from which dbt takes an option, those of places aside."""
    names = option_variables().keys() - place_variables()
    return {name: os.environ[name] for name in sorted(names) if os.environ.get(name)}


def value_of(option: str) -> str:
    """What this process's environment says of an option (`store_failures`); empty if nothing."""
    return next(
        (
            os.environ[name]
            for name, known in option_variables().items()
            if known == option and os.environ.get(name)
        ),
        "",
    )


@contextmanager
def without_options() -> Iterator[None]:
    """What Airflow's task runs does not depend on the options that Dagster's environment sets."""
    kept = options_set()
    for name in kept:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(kept)
