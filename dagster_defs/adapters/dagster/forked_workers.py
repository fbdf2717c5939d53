"""Has a code server fork the workers of its runs from a process that has imported what all of them need."""

from __future__ import annotations

import multiprocessing
import sys
import threading
import time
from multiprocessing import forkserver
from multiprocessing.context import SpawnContext
from typing import Any

import dagster as dg
from dagster._core.launcher import DefaultRunLauncher

_SERVER = "dagster._grpc.server"
_LONGEST_LOAD = 1800.0  # seconds
_PAUSE = 0.1  # between two looks at whether the definitions are loaded


def fork_workers(preloaded: str) -> bool:
    """Whether this process is a code server that is loading its definitions; its runs are then forked.

    Dagster starts each worker with `spawn`. Python's own fork server has one thread and imports the module `preloaded`;
    a worker gets its job from it as from `spawn`. It starts with the first run or, where the code server itself starts
    the workers of runs, once the definitions are loaded, so that the first run need not wait for its imports. Where
    Dagster's code server is another than is known here, nothing changes.
    """
    server = _loading_server()
    if type(getattr(server, "_mp_ctx", None)) is not SpawnContext:
        return False
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([preloaded])
    server._mp_ctx = context
    if starts_workers(server):
        name = "parity-fork-server"
        threading.Thread(target=_start_when_loaded, args=(server,), name=name, daemon=True).start()
    return True


def starts_workers(server: Any) -> bool:
    """Other run launchers start containers, pods or tasks of a queue, and need no process to fork from."""
    instance = getattr(server, "_instance", None)
    return isinstance(instance, dg.DagsterInstance) and isinstance(instance.run_launcher, DefaultRunLauncher)


def _start_when_loaded(server: Any) -> None:
    """Not earlier: it keeps the environment that it starts with, and code that is being loaded may set variables."""
    until = time.monotonic() + _LONGEST_LOAD
    while getattr(server, "_loaded_repositories", None) is None:
        if time.monotonic() > until or getattr(server, "_serializable_load_error", None) is not None:
            return
        time.sleep(_PAUSE)
    forkserver.ensure_running()


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
