"""Names of Dagster's that are not public: another version may lack them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import requires

import dagster as dg

from dagster_defs.errors import DagsterUnsupported

PACKAGE = "airflow-parity"


@contextmanager
def internal_names() -> Iterator[None]:
    """Around imports from Dagster's internals. Raises DagsterUnsupported if one of the names is gone."""
    try:
        yield
    except ImportError as error:
        raise DagsterUnsupported(dg.__version__, _required(), str(error)) from error


def _required() -> str:
    return next(
        each for each in requires(PACKAGE) or () if each.startswith(("dagster<", "dagster>", "dagster="))
    )
