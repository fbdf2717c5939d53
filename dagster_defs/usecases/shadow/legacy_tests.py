"""Evaluates dbt tests on legacy's current data, without writing anything.

If Airflow ran legacy, Dagster does not know how its tests came out. So they are run again, by unique id, when both
sides are compared: on a database file over a read-only connection, elsewhere only the tests that do not write. The
project's hooks are left out: they may write, and a comparison is not a run.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import yaml
from typing_extensions import Self

from dagster_defs.adapters.dbt.environment import value_of
from dagster_defs.adapters.dbt.project import DbtWorkspace, Manifest
from dagster_defs.adapters.files import atomic
from dagster_defs.adapters.warehouse.registry import FILES
from dagster_defs.errors import DbtFailed, NotComparable, ParityError

_LOCKED = re.compile(r"Could not set lock|Unique file handle conflict|different configuration", re.IGNORECASE)
_HOOK = "operation"
_PROFILES = "profiles.yml"
_REASON = 200  # most characters of a reason


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Test results by unique id: whether each test passed, or why that is unknown."""

    passed: Mapping[str, bool] = field(default_factory=dict)
    not_known: Mapping[str, str] = field(default_factory=dict)


def evaluate_tests(
    workspace: DbtWorkspace,
    tests: Collection[str],
    *,
    variables: Mapping[str, Any],
    run_dir: Path,
    environment: Mapping[str, str] = MappingProxyType({}),
    parse_again: bool = False,
    wait_s: float = 10.0,
    timeout: float | None = None,
) -> Evaluated:
    """`tests`: unique ids. Never raises for faults in the data, the project or the warehouse: the tests' results are
    then unknown, with the reason. `wait_s`: seconds to wait for a DuckDB file that a run holds.
    """
    try:
        manifest, file = workspace.manifest, _database_file(workspace)
    except ParityError as error:
        return Evaluated(not_known=dict.fromkeys(tests, str(error)))
    runs_hooks = _has_hooks(manifest) and workspace.executable is not None
    reasons = {test: _why_not(manifest, test, file, parse_again, runs_hooks) for test in tests}
    refused = {test: why for test, why in reasons.items() if why}
    nodes = {test: _node(manifest, test) for test in sorted(tests) if test not in refused}
    if not nodes:
        return Evaluated(not_known=refused)
    call = _Call(nodes, variables, environment, run_dir, parse_again, timeout)
    try:
        hookless = _Hookless.of(workspace)
        evaluated = call.run(hookless) if file is None else _on_file(call, workspace, file, wait_s)
    except ParityError as error:
        evaluated = Evaluated(not_known=dict.fromkeys(nodes, str(error)))
    return replace(evaluated, not_known={**refused, **evaluated.not_known})


@dataclass(frozen=True)
class _Hookless(DbtWorkspace):
    """The workspace without the project's `on-run-start` and `on-run-end`; `profiles`: where to read profiles.yml."""

    profiles: Path | None = None

    @classmethod
    def of(cls, workspace: DbtWorkspace, profiles: Path | None = None) -> Self:
        return cls(
            workspace.project_dir,
            workspace.target,
            workspace.parsed_with,
            workspace.given,
            workspace.executable,
            profiles,
        )

    def load_manifest(self, nodes: frozenset[str] | None = None) -> Any:
        manifest = super().load_manifest(nodes)
        for name in [name for name, node in manifest.nodes.items() if node.resource_type == _HOOK]:
            del manifest.nodes[name]
        return manifest

    def flags(self, target_path: Path) -> list[str]:
        flags = super().flags(target_path)
        if self.profiles is not None:
            flags[flags.index("--profiles-dir") + 1] = str(self.profiles)
        return flags


@dataclass(frozen=True, slots=True)
class _Call:
    """`tests`: nodes by unique id."""

    tests: Mapping[str, Mapping[str, Any]]
    variables: Mapping[str, Any]
    environment: Mapping[str, str]
    run_dir: Path
    parse_again: bool
    timeout: float | None

    def run(self, workspace: DbtWorkspace) -> Evaluated:
        """Raises DbtFailed if the database is locked, TimedOut, DbtProjectUnreadable."""
        names = ["fqn:" + ".".join(node["fqn"]) for node in self.tests.values()]
        run = workspace.run(
            ["test", "--select", *names, "--indirect-selection", "empty"],
            variables=self.variables,
            run_dir=self.run_dir,
            nodes=frozenset(self.tests),
            parse_again=self.parse_again,
            timeout=self.timeout,
            environment=self.environment,
        )
        passed: dict[str, bool] = {}
        failures: tuple[str, ...] = ()
        try:
            for event in run.events():
                test, status = event["data"]["node_info"]["unique_id"], event["data"]["status"].lower()
                if status in ("pass", "warn", "fail"):
                    passed[test] = status == "pass"  # as dagster-dbt counts a warning
        except DbtFailed as error:
            if not passed and _LOCKED.search(str(error)):
                raise
            failures = error.failures
        return Evaluated(
            passed, {test: self._why(test, failures) for test in self.tests if test not in passed}
        )

    def _why(self, test: str, failures: Sequence[str]) -> str:
        """Why dbt has no result for the test: its own error, or the one that stopped dbt altogether."""
        begin = f"{self.tests[test]['name']}: "
        own = [failure.removeprefix(begin) for failure in failures if failure.startswith(begin)]
        reason = (own or list(failures) or ["dbt did not evaluate it"])[0]
        return " ".join(reason.split())[:_REASON]


def _on_file(call: _Call, workspace: DbtWorkspace, file: Path, wait_s: float) -> Evaluated:
    """Raises DatabaseLocked after waiting for `wait_s` seconds, DatabaseUnreadable."""
    if not file.exists():
        return Evaluated(not_known=dict.fromkeys(call.tests, f"the file {file} does not exist"))
    deadline = time.monotonic() + wait_s
    with _read_only_profile(workspace) as profiles:
        reading = _Hookless.of(workspace, profiles)
        while True:
            # Waiting here holds no lock; dbt's own retries would sleep for an unbounded time.
            FILES.wait_for(file, max(0.0, deadline - time.monotonic()))
            try:
                return call.run(reading)
            except DbtFailed:
                # A writer was faster: the next wait tells who holds the file, or that it is free again.
                if time.monotonic() >= deadline:
                    raise


@contextmanager
def _read_only_profile(workspace: DbtWorkspace) -> Iterator[Path]:
    """A temporary folder with the profile's target, on connections that cannot write and are not retried.

    Jinja is copied unrendered, so no secrets from the environment end up in the file.
    """
    profiles: Mapping[str, Any] = yaml.safe_load((workspace.profiles_dir / _PROFILES).read_text())
    read_only = {
        name: {
            "target": workspace.target,
            "outputs": {workspace.target: FILES.for_reading(outputs[workspace.target])},
        }
        for name, profile in profiles.items()
        if isinstance(profile, dict) and workspace.target in (outputs := profile.get("outputs") or {})
    }
    with TemporaryDirectory(prefix="parity-profile-") as folder:
        atomic.write_text(Path(folder, _PROFILES), yaml.safe_dump(read_only), mode=atomic.PRIVATE)
        yield Path(folder)


def _why_not(manifest: Manifest, test: str, file: Path | None, parse_again: bool, runs_hooks: bool) -> str:
    """Why a test is not evaluated, or empty. `file`: the database file, opened read-only, if there is one.
    `runs_hooks`: dbt would run the project's hooks, because it is another process, which parses the project itself."""
    config = _node(manifest, test).get("config", {})
    stores = config.get("store_failures")
    if stores is None:
        stores = value_of("store_failures").lower() in ("1", "true", "t", "yes", "y")
    if stores or config.get("store_failures_as") in ("table", "view"):
        return "it stores its failures"
    if runs_hooks:
        return "the project has hooks, and the dbt executable would run them"
    if file is not None:
        return ""
    if test.startswith("unit_test."):
        return "a unit test writes a temporary table"
    if parse_again and _has_hooks(manifest):
        return "the project has hooks, and its window variables shape it"
    return ""


def _has_hooks(manifest: Manifest) -> bool:
    return any(node["resource_type"] == _HOOK for node in manifest["nodes"].values())


def _node(manifest: Manifest, test: str) -> Mapping[str, Any]:
    node: Mapping[str, Any] = manifest["nodes"].get(test) or manifest["unit_tests"][test]
    return node


def _database_file(workspace: DbtWorkspace) -> Path | None:
    """None if the target's database is not a file."""
    try:
        return workspace.database_file
    except NotComparable:
        return None
