"""One dbt command by an executable, whose results are yielded like those of a run in this process."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from types import MappingProxyType
from typing import Any, Protocol

import yaml

from dagster_defs.adapters.dbt import partial_parse
from dagster_defs.adapters.dbt.child import Child
from dagster_defs.adapters.dbt.executable import DbtExecutable, forget, kept_in
from dagster_defs.adapters.dbt.run import RESULT_EVENTS
from dagster_defs.adapters.files import atomic
from dagster_defs.errors import DbtFailed, NotComparable, TimedOut

_BAD = ("error", "fail", "runtime error", "partial success")
# dbt Fusion has one event for the results of all nodes, where dbt-core has one for each kind; dbt-core 2 has both.
_FUSION_RESULT = "NodeFinished"
_RESULT_OF = {
    "model": "LogModelResult",
    "seed": "LogSeedResult",
    "snapshot": "LogSnapshotResult",
    "test": "LogTestResult",
    "unit_test": "LogTestResult",
}


class Project(Protocol):
    """What a run needs from its project, whose folder is an absolute path."""

    @property
    def project_dir(self) -> Path: ...

    @property
    def target(self) -> str: ...

    @property
    def target_path(self) -> Path: ...

    @property
    def parsed_with(self) -> str: ...

    @property
    def profile_name(self) -> str: ...

    @property
    def database_file(self) -> Path: ...

    @property
    def manifest(self) -> Mapping[str, Any]: ...

    def prepared(self) -> contextlib.AbstractContextManager[None]: ...

    def flags(self, target_path: Path) -> list[str]: ...


@dataclass
class ChildRun:
    """One dbt command, not started yet. `variables`: those in the command, as dbt reads them. `limit`: the time-out of
    which `timeout` is left, both in seconds. `environment`: what dbt gets beside the environment of this process."""

    executable: DbtExecutable
    project: Project
    command: Sequence[str]
    variables: Mapping[str, Any]
    run_dir: Path
    parse_again: bool = False
    timeout: float | None = None
    limit: float | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield dbt's result events (`info`, `data`) in the order in which dbt logs them.

        dbt does not wait meanwhile. If it writes a file that only one process can open, they are kept until dbt has
        ended, so that a consumer can read what was written. Raises DbtFailed after the last one if dbt did not succeed,
        TimedOut if it takes longer than `timeout` seconds. In that case, or if the consumer stops early, dbt and
        everything that it has started is ended, by SIGINT first.
        """
        self.run_dir.mkdir(parents=True, exist_ok=True)
        deadline = None if self.timeout is None else time.monotonic() + self.timeout
        waits = self._writes_file()
        held: list[dict[str, Any]] = []
        timed_out: TimedOut | None = None
        parsed = self.run_dir.absolute() / partial_parse.FILE
        self._hand_on(parsed)
        (self.run_dir / "run_results.json").unlink(missing_ok=True)
        child = self._start()
        told: set[str] = set()
        try:
            for event in child.events(deadline):
                if result := _result(event, told):
                    if self.executable.is_fusion:
                        result = self._with_relation(result)
                    if waits:
                        held.append(result)
                    else:
                        yield result
            code = child.wait()
        except Empty:
            what = f"dbt {' '.join(self.command)}"
            timed_out = TimedOut(what, self.limit or self.timeout or 0, goes_on=not child.stop())
        finally:
            child.stop()
            parsed.unlink(missing_ok=True)  # as large as the project, and of use only to this run
        if child.version and child.version != self.executable.version:
            forget(self.executable, kept_in(self.project.project_dir))
        yield from held
        if timed_out is not None:
            raise timed_out
        if code:
            raise DbtFailed(self.command, self._failures(child), self.run_dir / "dbt.log")

    def _start(self) -> Child:
        try:
            return Child(
                self.executable,
                [
                    *self.command,
                    *self.project.flags(self.run_dir.absolute()),
                    *(["--no-partial-parse"] if self.parse_again else []),
                    "--write-json",
                ],
                cwd=self.project.project_dir,
                environment=self.environment,
            )
        except OSError as error:
            reason = f"{self.executable.path} cannot be started: {error.strerror or error}"
            raise DbtFailed(self.command, (reason,), self.run_dir / "dbt.log") from error

    def _writes_file(self) -> bool:
        """Whether dbt writes a DuckDB file, whose folder is made."""
        try:
            file = self.project.database_file
        except NotComparable:
            return False
        file.parent.mkdir(parents=True, exist_ok=True)
        return True

    def _hand_on(self, file: Path) -> None:
        """The parse that is kept, as one with this run's variables."""
        file.unlink(missing_ok=True)
        if self.parse_again:
            return
        with self.project.prepared(), contextlib.suppress(FileNotFoundError):
            handed = partial_parse.handed_on(
                (self.project.target_path / partial_parse.FILE).read_bytes(),
                yaml.safe_load(self.project.parsed_with) or {},
                self.variables,
                self.project.target,
                self.project.profile_name,
                self.executable.version,
            )
            if handed is not None:
                atomic.write_bytes(file, handed)

    def _failures(self, child: Child) -> tuple[str, ...]:
        """What failed, one line each, from dbt's results, or the error that stopped dbt altogether."""
        if self.executable.is_fusion and child.errors:  # its results have no messages
            return tuple(child.errors)
        with contextlib.suppress(OSError, ValueError, KeyError):
            document = json.loads((self.run_dir / "run_results.json").read_bytes())
            bad = [result for result in document["results"] if result["status"] in _BAD]
            if bad:
                return tuple(
                    f"{self._name(result['unique_id'])}: {str(result.get('message') or result['status']).strip()}"
                    for result in bad
                )
        return child.reasons

    def _name(self, unique_id: str) -> str:
        return str(self._node(unique_id).get("name", unique_id))

    def _node(self, unique_id: str) -> Mapping[str, Any]:
        manifest = self.project.manifest
        return manifest["nodes"].get(unique_id) or manifest.get("unit_tests", {}).get(unique_id) or {}

    def _with_relation(self, result: dict[str, Any]) -> dict[str, Any]:
        """With the relation as the manifest has it: dbt 2 does not quote it in events, and gives tests one that is not
        there."""
        node = result["data"]["node_info"]
        relation = self._node(str(node["unique_id"])).get("relation_name")
        told = {**(node.get("node_relation") or {}), "relation_name": relation}
        return {**result, "data": {**result["data"], "node_info": {**node, "node_relation": told}}}


def _result(event: dict[str, Any], told: set[str]) -> dict[str, Any] | None:
    """The event as dbt-core tells the result of a node; None for any other event. `told`: the nodes whose results have
    been told by the events of their kinds, to which this one is added."""
    name, node = event["info"].get("name"), event["data"].get("node_info") or {}
    if name in RESULT_EVENTS:
        told.add(str(node.get("unique_id")))
        return event
    kind = str(node.get("unique_id", "")).partition(".")[0]
    if name != _FUSION_RESULT or kind not in _RESULT_OF or node["unique_id"] in told:
        return None
    status = str(node.get("node_status") or "").lower()
    if "test" in kind and status == "success":
        status = "pass"
    data = {**event["data"], "node_info": {**node, "node_status": status}, "status": status}
    return {"info": {**event["info"], "name": _RESULT_OF[kind]}, "data": data}
