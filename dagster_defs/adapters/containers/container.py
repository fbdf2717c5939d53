"""What is run in a container, whatever runs it, and how its messages reach the run."""

from __future__ import annotations

import contextlib
import hashlib
import io
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
from dagster import PipesExecutionResult
from typing_extensions import Self

from dagster_defs.adapters.processes.piped import Log
from dagster_defs.lifecycle import tags

Facts = Mapping[dg.AssetKey | None, Mapping[str, Any]]  # what a program has reported about each asset

SAYS_NOTHING = "A program that does not use dagster-pipes sends no messages, and needs none."


@dataclass(frozen=True, slots=True)
class Container:
    """`entrypoint` is empty for the image's own; a `command` is what that gets. `labels` say what it does:
    the unit, the side and the window. `options` are the engine's own, by its own names."""

    unit: str
    image: str
    entrypoint: Sequence[str]
    command: str | Sequence[str]
    env: Mapping[str, str]
    labels: Mapping[str, str]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def work(self) -> str:
        """`labels` as one value that is short enough for each engine, and the same for each try."""
        return hashlib.sha256(repr(sorted(self.labels.items())).encode()).hexdigest()[:32]

    def labels_of_try(self, run_id: str, mark: str) -> dict[str, str]:
        ours = {tags.CONTAINER_WORK: self.work, tags.CONTAINER_RUN: run_id, tags.CONTAINER_TRY: mark}
        return {**self.labels, **ours}


def is_left_behind(context: dg.AssetExecutionContext, name: str, labels: Mapping[str, str] | None) -> bool:
    """Whether nobody waits any more for a container that does the same work as the run of `context`.

    That of another Dagster, whose runs this one does not know, and that of a run which has not ended are somebody's.
    """
    run_id = (labels or {}).get(tags.CONTAINER_RUN, "")
    run = context.instance.get_run_by_id(run_id) if run_id else None
    is_left = run_id == context.run.run_id or (run is not None and run.is_finished)
    if is_left:
        context.log.warning(f"{name} of run {run_id} was left behind with the same work: it is removed first")
    else:
        whose = "has not ended" if run is not None else "is not one of this Dagster's"
        context.log.warning(f"{name} does the same work for run {run_id}, which {whose}: it is left alone")
    return is_left


def facts_of(reported: Sequence[PipesExecutionResult]) -> Facts:
    return {
        result.asset_key: dict(result.metadata or {})
        for result in reported
        if isinstance(result, dg.MaterializeResult) and result.asset_key is not None
    }


class LogFile(io.TextIOBase):
    """A run's log as a file of lines, which appear there within a second or so."""

    def __init__(self, log: Log) -> None:
        self._log, self._open = log, ""
        self._lock, self._over = threading.Lock(), threading.Event()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        with self._lock:
            *lines, self._open = (self._open + text).split("\n")
            for line in lines:
                self._log.take(line.rstrip("\r"))
        return len(text)

    @contextlib.contextmanager
    def kept_up(self) -> Iterator[Self]:
        thread = threading.Thread(target=self._flush_when_due, name="container-log", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join()
            with self._lock:
                if self._open:
                    self._log.take(self._open)
                self._log.close()

    def _flush_when_due(self) -> None:
        while not self._over.wait(0.5):
            with self._lock:
                self._log.flush_if_due()
