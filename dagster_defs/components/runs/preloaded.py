"""What the workers of all runs import: they are forked from a process that has imported this module.

Nothing of a team's own is among it: each worker imports mirrors, projects and functions as they are when it starts.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import multiprocessing.util
from contextlib import suppress

LIBRARIES = (
    "dagster_defs.components",
    "dagster_defs.usecases.airflow_values",
    "dagster_defs.usecases.check",
    "dagster._grpc.impl",
    "dagster_postgres",
    "dbt.cli.main",
)


class _Ends:
    """Ends a forked worker as Python ends any process: a fork server leaves out what is registered for that."""

    def __init__(self) -> None:
        multiprocessing.util.register_after_fork(self, _Ends._register)

    def _register(self) -> None:
        # Below every priority that `multiprocessing` itself uses: it comes last.
        multiprocessing.util.Finalize(None, atexit._run_exitfuncs, exitpriority=-1_000)


for library in LIBRARIES:
    with suppress(ImportError):  # dbt may live elsewhere, and Dagster's storage in SQLite
        importlib.import_module(library)
ENDS = _Ends()
gc.freeze()  # no worker's collector walks, and so copies, what they share
