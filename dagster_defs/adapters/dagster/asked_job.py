"""Which job a process loads the definitions for: the worker of a run needs those of that run alone."""

from __future__ import annotations

import sys

from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext, DefinitionsLoadType
from dagster._core.definitions.reconstruct import ReconstructableJob

_ASKING = ReconstructableJob.get_repository_definition.__wrapped__.__code__


def asked_job() -> str | None:
    """The name of the job that Dagster reconstructs; None where it loads the whole location.

    Dagster does not tell a load what it is for; only the frame that asks for the repository knows its job.
    """
    if DefinitionsLoadContext.get().load_type is not DefinitionsLoadType.RECONSTRUCTION:
        return None
    frame = sys._getframe()  # `inspect.stack` would read the source of every frame
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code is _ASKING:
            return str(frame.f_locals["self"].job_name)
    return None
