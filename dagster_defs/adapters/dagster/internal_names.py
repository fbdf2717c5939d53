"""Names of Dagster's that are not public: another version may lack them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from dagster_defs.distribution import required
from dagster_defs.errors import DagsterUnsupported


@contextmanager
def internal_names() -> Iterator[None]:
    """Around imports from Dagster's internals. Raises DagsterUnsupported if one of the names is gone."""
    try:
        yield
    except ImportError as error:
        raise DagsterUnsupported(dg.__version__, required("dagster"), str(error)) from error
