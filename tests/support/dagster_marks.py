"""Marks kept by a real Dagster: its own schema over an instance, without any code location and without a server."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster_graphql.schema import create_schema

from tests.support.instances import instance_for_test


@dataclass
class DagsterMarks:
    """Answers as Dagster's web server would, one question at a time."""

    instance: dg.DagsterInstance
    process: WorkspaceProcessContext
    schema: Any = field(default_factory=create_schema)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def data(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            outcome = self.schema.execute(
                query, variables=dict(variables), context=self.process.create_request_context()
            )
        assert not outcome.errors, outcome.errors
        return dict(outcome.data)

    def wipe(self, *path: str) -> None:
        with self._lock:
            self.instance.wipe_assets([dg.AssetKey(path)])


@contextmanager
def dagster_marks() -> Iterator[DagsterMarks]:
    with (
        instance_for_test() as instance,
        WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as process,
    ):
        yield DagsterMarks(instance, process)
