"""Which job a process loads the definitions for: the worker of a run needs those of that run alone."""

from __future__ import annotations

import sys

from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext, DefinitionsLoadType
from dagster._core.definitions.reconstruct import ReconstructableJob

# Its cached form has the function itself in `__wrapped__`; another Dagster may have neither.
_ASKING = getattr(
    getattr(ReconstructableJob.get_repository_definition, "__wrapped__", None), "__code__", None
)


def asked_job() -> str | None:
    """The name of the job that Dagster reconstructs; None where it loads the whole location, or that cannot be told.

    Dagster does not tell a load what it is for; only the frame that asks for the repository knows its job.
    """
    if DefinitionsLoadContext.get().load_type is not DefinitionsLoadType.RECONSTRUCTION:
        return None
    frame = sys._getframe()  # `inspect.stack` would read the source of every frame
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code is _ASKING and isinstance(asking := frame.f_locals.get("self"), ReconstructableJob):
            return asking.job_name
    return None
