"""dbt, run inside the calling process with the manifest in hand.

A `dbt` subprocess costs seconds of imports, and `--vars` that differ from the last run void dbt's partial parse.
So the project is parsed once without any window (a partial parse, which sees edited files), and the command runs
on that manifest: `--vars` then reach `var()` while models execute, not while they are parsed. The measurements
are in docs/decisions/0003-dbt-in-process.md.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from filelock import FileLock

from dagster_defs.errors import DbtFailed, DbtProjectUnreadable, NotComparable

Manifest = Mapping[str, Any]

_RESULT_EVENTS = frozenset({"LogSeedResult", "LogModelResult", "LogSnapshotResult", "LogTestResult"})
_NOT_SOURCE = ("target", "logs", "dbt_packages", ".")


@dataclass(frozen=True)
class DbtWorkspace:
    """A dbt project with one target: what it contains, and running it.

    Each target keeps its own target path, because target and profile are part of dbt's parse key.
    """

    project_dir: Path
    target: str

    @property
    def target_path(self) -> Path:
        return self.project_dir / "target" / self.target

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest of the project as its files are now; parsed again only if a file has changed.

        Raises DbtProjectUnreadable if there is no project or dbt cannot parse it.
        """
        with self._locked():
            if not self._is_current():
                self._parse()
                (self.target_path / "selections.json").unlink(missing_ok=True)
                (self.target_path / "files.sha256").write_text(self._fingerprint)
            manifest: Manifest = json.loads((self.target_path / "manifest.json").read_bytes())
        return manifest

    def select(self, select: str, exclude: str = "", selector: str = "") -> frozenset[str]:
        """The unique ids that dbt's own selector picks, tests and unit tests included.

        dbt is asked once for each selection, and the answer kept as long as no file of the project changes.
        Raises DbtProjectUnreadable if dbt refuses the selection.
        """
        assert self.manifest  # noqa: S101 - what is kept belongs to the manifest that is current
        arguments = ["--selector", selector] if selector else ["--select", select]
        arguments += ["--exclude", exclude] if exclude else []
        kept_in, asked = self.target_path / "selections.json", json.dumps(arguments)
        with self._locked():
            kept: dict[str, list[str]] = json.loads(kept_in.read_text()) if kept_in.exists() else {}
            if asked not in kept:
                kept[asked] = self._list(arguments)
                kept_in.write_text(json.dumps(kept))
        return frozenset(kept[asked])

    @property
    def database_file(self) -> Path:
        """The DuckDB file that the target writes, as dbt itself renders its profile.

        Raises NotComparable for a target of another kind, DbtProjectUnreadable for one that is not in the profile.
        """
        from dbt.config.runtime import load_profile
        from dbt.flags import set_from_args
        from dbt_common.context import set_invocation_context

        with _working_directory_kept():
            os.chdir(self.project_dir)  # a relative path in the profile starts where dbt runs
            set_invocation_context(os.environ)
            set_from_args(
                argparse.Namespace(PROFILES_DIR=os.environ.get("DBT_PROFILES_DIR", str(self.project_dir))), {}
            )
            try:
                profile = load_profile(str(self.project_dir), {}, None, self.target)
            except Exception as error:  # dbt has no common base for what can be wrong with a profile
                raise DbtProjectUnreadable(self.project_dir, f"target {self.target!r}: {error}") from error
            if profile.credentials.type != "duckdb":
                raise NotComparable(self.target, profile.credentials.type)
            return Path(profile.credentials.path).resolve()

    def run(self, arguments: Sequence[str], *, variables: Mapping[str, str], run_dir: Path) -> DbtRun:
        """A dbt command, not started yet; its artifacts and log go to `run_dir`."""
        command = [*arguments, "--vars", json.dumps(dict(variables))] if variables else list(arguments)
        return DbtRun(self, command, run_dir)

    def flags(self, target_path: Path) -> list[str]:
        return [
            *("--project-dir", str(self.project_dir)),
            *("--profiles-dir", os.environ.get("DBT_PROFILES_DIR", str(self.project_dir))),
            *("--target", self.target),
            *("--target-path", str(target_path)),
            *("--log-path", str(target_path)),
            "--no-send-anonymous-usage-stats",
            "--no-use-colors",
        ]

    def _parse(self) -> Any:
        """Parse without window variables and return dbt's manifest object; writes manifest.json."""
        from dbt.cli.main import dbtRunner

        with _working_directory_kept():
            outcome = dbtRunner().invoke(["--quiet", "parse", *self.flags(self.target_path)])
        if not outcome.success:
            raise DbtProjectUnreadable(self.project_dir, str(outcome.exception or "dbt parse failed"))
        return outcome.result

    def _list(self, arguments: Sequence[str]) -> list[str]:
        from dbt.cli.main import dbtRunner

        command = ["--log-level", "none", "ls", "--output", "json", "--output-keys", "unique_id", *arguments]
        with _working_directory_kept():
            outcome = dbtRunner(manifest=self._parsed).invoke([*command, *self.flags(self.target_path)])
        if not outcome.success:
            raise DbtProjectUnreadable(self.project_dir, f"dbt ls {' '.join(arguments)}: {outcome.exception}")
        return sorted(json.loads(line)["unique_id"] for line in outcome.result or ())

    @cached_property
    def _parsed(self) -> Any:
        return self._parse()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Several processes prepare and list one project; they take turns."""
        if not (self.project_dir / "dbt_project.yml").is_file():
            raise DbtProjectUnreadable(self.project_dir, "there is no dbt_project.yml in it")
        self.target_path.mkdir(parents=True, exist_ok=True)
        with FileLock(self.target_path / ".lock"):
            yield

    def _is_current(self) -> bool:
        stamp = self.target_path / "files.sha256"
        return stamp.exists() and stamp.read_text() == self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        """A digest of every file that dbt reads, and of what else shapes the manifest."""
        from importlib.metadata import version

        digest = hashlib.sha256(f"{version('dbt-core')}:{self.target}".encode())
        for folder, folders, files in os.walk(self.project_dir):
            folders[:] = sorted(name for name in folders if not name.startswith(_NOT_SOURCE))
            for name in sorted(files):
                path = Path(folder, name)
                digest.update(f"\0{path.relative_to(self.project_dir)}\0".encode())
                digest.update(path.read_bytes())
        return digest.hexdigest()


class DbtRun:
    """One running dbt command.

    dbt works in a thread of its own; `events()` hands out each result while dbt waits, so that a consumer can
    still use dbt's own connection (to count rows, say) before dbt goes on and closes it.
    """

    def __init__(self, workspace: DbtWorkspace, command: Sequence[str], run_dir: Path) -> None:
        self.workspace = workspace
        self.command = list(command)
        self.run_dir = run_dir
        self._queue: SimpleQueue[tuple[dict[str, Any], threading.Event] | None] = SimpleQueue()
        self._abandoned = threading.Event()
        self._outcome: Any = None
        self._adapter_type = ""

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield dbt's result events (`info`, `data`) in the order in which dbt fires them.

        Raises DbtFailed after the last one if dbt did not succeed. If the consumer goes away early, running
        statements are cancelled in the warehouse.
        """
        self.run_dir.mkdir(parents=True, exist_ok=True)
        thread = threading.Thread(target=self._work, name="dbt", daemon=True)
        with _working_directory_kept():
            thread.start()
            try:
                while (item := self._queue.get()) is not None:
                    event, handled = item
                    try:
                        yield event
                    finally:
                        handled.set()
                thread.join()
            finally:
                if thread.is_alive():
                    self._cancel(thread)
                self._release()
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        if not self._outcome.success:
            raise DbtFailed(self.command, self._failures(), self.run_dir / "dbt.log")

    def count_rows(self, relation: str) -> int | None:
        """Rows of a relation (its quoted name, as in the manifest); None if the warehouse refuses.

        Only while an event is being handled: it uses dbt's own adapter.
        """
        from dbt.adapters.factory import get_adapter_by_type

        adapter = get_adapter_by_type(self._adapter_type)
        with contextlib.suppress(Exception), adapter.connection_named(f"row_count_{threading.get_ident()}"):
            _, table = adapter.execute(f"select count(*) from {relation}", fetch=True)  # noqa: S608 - dbt's own name
            return int(table[0][0])
        return None

    def _work(self) -> None:
        try:
            from dbt.cli.main import dbtRunner

            with contextlib.suppress(NotComparable):  # no DuckDB file, nothing to make room for
                self.workspace.database_file.parent.mkdir(parents=True, exist_ok=True)
            with self.workspace._locked():
                manifest = self.workspace._parse()
            self._adapter_type = manifest.metadata.adapter_type
            runner = dbtRunner(manifest=manifest, callbacks=[self._on_event])
            self._outcome = runner.invoke([*self.command, *self.workspace.flags(self.run_dir)])
        except BaseException as error:
            self._outcome = error
        finally:
            self._queue.put(None)

    def _release(self) -> None:
        """Let go of the warehouse: dbt-duckdb keeps its file open until the process ends."""
        from dbt.adapters.factory import get_adapter_by_type

        with contextlib.suppress(Exception):
            connections = get_adapter_by_type(self._adapter_type).connections
            connections.cleanup_all()
            connections.close_all_connections()  # dbt-duckdb alone has it

    def _on_event(self, message: Any) -> None:
        if message.info.name not in _RESULT_EVENTS or self._abandoned.is_set():
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
        thread.join(timeout=10)

    def _failures(self) -> tuple[str, ...]:
        """What failed, a line each, from dbt's results; or the error that stopped dbt altogether."""
        if self._outcome.exception is not None:
            return (str(self._outcome.exception).strip(),)
        results = getattr(self._outcome.result, "results", None) or ()
        bad = ("error", "fail", "runtime error")
        return tuple(
            f"{result.node.name}: {(result.message or result.status).strip()}"
            for result in results
            if str(result.status) in bad
        )


@contextlib.contextmanager
def _working_directory_kept() -> Iterator[None]:
    """dbt changes the working directory of the process to the project and leaves it there."""
    before = Path.cwd()
    try:
        yield
    finally:
        os.chdir(before)
