"""One dbt command, run inside this process, whose results are yielded as they come."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from types import MappingProxyType
from typing import Any, Protocol

from dagster_defs.adapters.dbt.environment import giving
from dagster_defs.adapters.processes.collector import collector_paused
from dagster_defs.errors import DbtFailed, NotComparable, TimedOut

RESULT_EVENTS = frozenset({"LogSeedResult", "LogModelResult", "LogSnapshotResult", "LogTestResult"})
# Fired before the first statement of each node, and of each batch.
_START_EVENTS = frozenset({"LogStartLine", "LogStartBatch"})
_SECONDS_TO_STOP = 10


class Runnable(Protocol):
    """What a run needs from its project, whose folder is an absolute path."""

    @property
    def project_dir(self) -> Path: ...

    @property
    def database_file(self) -> Path: ...

    def load_manifest(self, nodes: frozenset[str] | None = None) -> Any: ...

    def flags(self, target_path: Path) -> list[str]: ...


class DbtRun:
    """One running dbt command.

    dbt works in a separate thread; `events()` yields each result while dbt waits, so that a consumer can still use
    dbt's own connection (say, to count rows) before dbt goes on and closes it. `limit`: the time-out of which `timeout`
    is left, both in seconds. `environment`: what `env_var()` reads, beside the environment of this process.
    """

    def __init__(
        self,
        workspace: Runnable,
        command: Sequence[str],
        run_dir: Path,
        *,
        nodes: frozenset[str] | None = None,
        parse_again: bool,
        timeout: float | None = None,
        limit: float | None = None,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.workspace = workspace
        self.command = list(command)
        self.run_dir = run_dir.absolute()
        self.nodes = nodes
        self.parse_again = parse_again
        self.timeout, self.limit = timeout, limit
        self.environment = environment
        self._queue: SimpleQueue[tuple[dict[str, Any], threading.Event] | None] = SimpleQueue()
        self._abandoned = threading.Event()
        self._outcome: Any = None
        self._adapter_type = ""

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield dbt's result events (`info`, `data`) in the order in which dbt fires them.

        Raises DbtFailed after the last one if dbt did not succeed, TimedOut if it takes longer than `timeout` seconds.
        In that case, or if the consumer stops early, running statements are cancelled in the warehouse and no further
        node is started.
        """
        self.run_dir.mkdir(parents=True, exist_ok=True)
        thread = threading.Thread(target=self._work, name="dbt", daemon=True)
        deadline = None if self.timeout is None else time.monotonic() + self.timeout
        with working_directory_kept():
            # As in the legacy task, relative paths in the profile or in SQL start at the project.
            os.chdir(self.workspace.project_dir)
            thread.start()
            try:
                while (item := self._next_item(deadline)) is not None:
                    event, handled = item
                    try:
                        yield event
                    finally:
                        handled.set()
                thread.join()
            except Empty:
                self._cancel(thread)
                what = f"dbt {' '.join(self.command)}"
                raise TimedOut(what, self.limit or self.timeout or 0, goes_on=thread.is_alive()) from None
            finally:
                if thread.is_alive() and not self._abandoned.is_set():
                    self._cancel(thread)
                self._release()
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        if not self._outcome.success:
            raise DbtFailed(self.command, self._failures(), self.run_dir / "dbt.log")

    def count_rows(self, relation: str) -> int | None:
        """The number of rows of a relation (its quoted name, as in the manifest); None if the warehouse refuses.

        Call it only while an event is being handled: it uses dbt's own adapter.
        """
        from dbt.adapters.factory import get_adapter_by_type

        adapter = get_adapter_by_type(self._adapter_type)
        with contextlib.suppress(Exception), adapter.connection_named(f"row_count_{threading.get_ident()}"):
            _, table = adapter.execute(f"select count(*) from {relation}", fetch=True)  # noqa: S608 - dbt's own name
            return int(table[0][0])
        return None

    def columns_of(self, node: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Name and type of each column of a node's relation; empty if the warehouse does not say. See `count_rows`."""
        from dbt.adapters.factory import get_adapter_by_type

        adapter = get_adapter_by_type(self._adapter_type)
        with contextlib.suppress(Exception), adapter.connection_named(f"columns_{threading.get_ident()}"):
            names = (node["database"], node["schema"], node["alias"])
            relation = adapter.Relation.create(*names, quote_policy=adapter.config.quoting)
            return [(each.name, _type_of(each)) for each in adapter.get_columns_in_relation(relation)]
        return []

    def _next_item(self, deadline: float | None) -> tuple[dict[str, Any], threading.Event] | None:
        """dbt's next event, None after the last. Raises Empty at the deadline, a time of the monotonic clock."""
        if deadline is None:
            return self._queue.get()
        return self._queue.get(timeout=max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        try:
            with collector_paused():
                from dbt.cli.main import dbtRunner

            with contextlib.suppress(NotComparable):  # not a DuckDB file: nothing to release
                self.workspace.database_file.parent.mkdir(parents=True, exist_ok=True)
            manifest = self.workspace.load_manifest(self.nodes)
            self._adapter_type = manifest.metadata.adapter_type
            runner = dbtRunner(
                manifest=None if self.parse_again else manifest,
                callbacks=[giving(self.environment), self._on_event],
            )
            # Writing the manifest again would double the time; the results are written below.
            command = ["--no-write-json", *self.command, *self.workspace.flags(self.run_dir)]
            self._outcome = runner.invoke(command)
            if hasattr(self._outcome.result, "write"):
                self._outcome.result.write(str(self.run_dir / "run_results.json"))
        except BaseException as error:
            self._outcome = error
        finally:
            self._queue.put(None)

    def _release(self) -> None:
        """Release the warehouse: dbt-duckdb would keep its file open until the process ends."""
        from dbt.adapters.factory import get_adapter_by_type

        with contextlib.suppress(Exception):
            connections = get_adapter_by_type(self._adapter_type).connections
            connections.cleanup_all()
            connections.close_all_connections()  # only dbt-duckdb has this method

    def _on_event(self, message: Any) -> None:
        if self._abandoned.is_set() and message.info.name in _START_EVENTS:
            # dbt treats it as the node's error, skips what depends on it, and finishes.
            raise DbtFailed(self.command, ["it was told to stop"], self.run_dir / "dbt.log")
        if message.info.name not in RESULT_EVENTS or self._abandoned.is_set():
            return
        from google.protobuf.json_format import MessageToDict

        handled = threading.Event()
        self._queue.put((MessageToDict(message, preserving_proto_field_name=True), handled))
        while not handled.wait(0.2):
            if self._abandoned.is_set():
                return

    def _cancel(self, thread: threading.Thread) -> None:
        from dbt.adapters.factory import get_adapter_by_type

        self._abandoned.set()
        with contextlib.suppress(Exception):
            get_adapter_by_type(self._adapter_type).cancel_open_connections()
        thread.join(timeout=_SECONDS_TO_STOP)

    def _failures(self) -> tuple[str, ...]:
        """What failed, one line each, from dbt's results, or the error that stopped dbt altogether."""
        if self._outcome.exception is not None:
            return (str(self._outcome.exception).strip(),)
        results = getattr(self._outcome.result, "results", None) or ()
        bad = ("error", "fail", "runtime error", "partial success")
        return tuple(
            f"{result.node.name}: {(result.message or result.status).strip()}"
            for result in results
            if str(result.status) in bad
        )


def _type_of(column: Any) -> str:
    """dbt would make 256 characters of a text without a length."""
    return str(column.dtype if column.is_string() and column.char_size is None else column.data_type)


@contextlib.contextmanager
def working_directory_kept() -> Iterator[None]:
    """Restore the working directory, which dbt changes to the project and leaves there."""
    before = Path.cwd()
    try:
        yield
    finally:
        os.chdir(before)
