"""Has a code server fork the workers of its runs from a process that has imported what all of them need."""

from __future__ import annotations

import multiprocessing
import sys
from multiprocessing.context import SpawnContext
from typing import Any

_SERVER = "dagster._grpc.server"


def fork_workers(preloaded: str) -> bool:
    """Whether this process is a code server that is loading its definitions; its runs are then forked.

    Dagster starts each worker with `spawn`. Python's own fork server, which starts with the first run, has one thread
    and imports the module `preloaded`; a worker gets its job from it as from `spawn`. Where Dagster's code server is
    another than is known here, nothing changes.
    """
    server = _loading_server()
    if type(getattr(server, "_mp_ctx", None)) is not SpawnContext:
        return False
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([preloaded])
    server._mp_ctx = context
    return True


def _loading_server() -> Any:
    """The server whose constructor loads the definitions, found among the frames that have called; None elsewhere."""
    known = getattr(sys.modules.get(_SERVER), "DagsterApiServer", None)
    if known is None:
        return None
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code is known.__init__.__code__:
            return frame.f_locals.get("self")
    return None
