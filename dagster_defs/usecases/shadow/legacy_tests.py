"""dbt tests evaluated on legacy's data as it stands, without writing anything.

Where Airflow ran legacy, nobody in Dagster knows how its tests came out. So they are run once more, by their unique
ids, when both sides are compared: in a database file over a connection that cannot write, elsewhere only those that do
not write. Hooks of the project are left out: they may write, and a comparison is no run.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from dagster_defs.adapters.dbt.environment import value_of
from dagster_defs.adapters.dbt.project import DbtWorkspace, Manifest
from dagster_defs.adapters.files import atomic
from dagster_defs.adapters.warehouse.registry import FILES
from dagster_defs.errors import DbtFailed, NotComparable, ParityError

_LOCKED = re.compile(r"Could not set lock|Unique file handle conflict|different configuration", re.IGNORECASE)
_HOOK = "operation"
_PROFILES = "profiles.yml"
_REASON = 200  # characters of one


@dataclass(frozen=True, slots=True)
class Evaluated:
    """How tests came out, by unique id: whether they passed, or why nobody knows."""

    passed: Mapping[str, bool] = field(default_factory=dict)
    not_known: Mapping[str, str] = field(default_factory=dict)


def evaluate_tests(
    workspace: DbtWorkspace,
    tests: Collection[str],
    *,
    variables: Mapping[str, Any],
    run_dir: Path,
    parse_again: bool = False,
    wait_s: float = 10.0,
    timeout: float | None = None,
) -> Evaluated:
    """`tests`: unique ids. Never raises for what is wrong with the data, the project or the warehouse: then they are
    not known, with the reason. `wait_s`: seconds to wait for a DuckDB file that a run holds.
    """
    try:
        manifest, file = workspace.manifest, _database_file(workspace)
    except ParityError as error:
        return Evaluated(not_known=dict.fromkeys(tests, str(error)))
    reasons = {test: _why_not(manifest, test, file, parse_again) for test in tests}
    refused = {test: why for test, why in reasons.items() if why}
    asked = {test: _node(manifest, test) for test in sorted(tests) if test not in refused}
    if not asked:
        return Evaluated(not_known=refused)
    call = _Call(asked, variables, run_dir, parse_again, timeout)
    try:
        if file is None:
            found = call.run(_Hookless(workspace.project_dir, workspace.target, workspace.parsed_with))
        else:
            found = _on_file(call, workspace, file, wait_s)
    except ParityError as error:
        found = Evaluated(not_known=dict.fromkeys(asked, str(error)))
    return replace(found, not_known={**refused, **found.not_known})


@dataclass(frozen=True)
class _Hookless(DbtWorkspace):
    """The workspace without the project's `on-run-start` and `on-run-end`; `profiles`: where to read profiles.yml."""

    profiles: Path | None = None

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
        """Why dbt has no verdict on it: its own error, or the one that stopped dbt altogether."""
        begin = f"{self.tests[test]['name']}: "
        own = [failure.removeprefix(begin) for failure in failures if failure.startswith(begin)]
        said = (own or list(failures) or ["dbt has not evaluated it"])[0]
        return " ".join(said.split())[:_REASON]


def _on_file(call: _Call, workspace: DbtWorkspace, file: Path, wait_s: float) -> Evaluated:
    """Raises DatabaseLocked after waiting for `wait_s` seconds, DatabaseUnreadable."""
    if not file.exists():
        return Evaluated(not_known=dict.fromkeys(call.tests, f"the file {file} does not exist"))
    deadline = time.monotonic() + wait_s
    with _read_only_profile(workspace) as profiles:
        reading = _Hookless(workspace.project_dir, workspace.target, workspace.parsed_with, profiles)
        while True:
            # Who waits here holds nothing; dbt's own retries would sleep for as long as they like.
            FILES.wait_for(file, max(0.0, deadline - time.monotonic()))
            try:
                return call.run(reading)
            except DbtFailed:
                # A writer was faster: the next look says who holds the file, or that it is free again.
                if time.monotonic() >= deadline:
                    raise


@contextmanager
def _read_only_profile(workspace: DbtWorkspace) -> Iterator[Path]:
    """A folder with the target as its profile has it, over connections that cannot write and are not tried again.

    Jinja in it stays as it is, so no secret of the environment comes into the file; it is gone afterwards.
    """
    profiles: Mapping[str, Any] = yaml.safe_load((workspace.profiles_dir / _PROFILES).read_text())
    found = {
        name: {
            "target": workspace.target,
            "outputs": {workspace.target: FILES.for_reading(outputs[workspace.target])},
        }
        for name, profile in profiles.items()
        if isinstance(profile, dict) and workspace.target in (outputs := profile.get("outputs") or {})
    }
    with TemporaryDirectory(prefix="parity-profile-") as folder:
        atomic.write_text(Path(folder, _PROFILES), yaml.safe_dump(found), mode=atomic.PRIVATE)
        yield Path(folder)


def _why_not(manifest: Manifest, test: str, file: Path | None, parse_again: bool) -> str:
    """Why a test is not evaluated; empty for one that is. `file`: the database, which cannot be written to."""
    config = _node(manifest, test).get("config", {})
    stores = config.get("store_failures")
    if stores is None:
        stores = value_of("store_failures").lower() in ("1", "true", "t", "yes", "y")
    if stores or config.get("store_failures_as") in ("table", "view"):
        return "it stores its failures"
    if file is not None:
        return ""
    if test.startswith("unit_test."):
        return "a unit test writes a temporary table"
    if parse_again and any(node["resource_type"] == _HOOK for node in manifest["nodes"].values()):
        return "the project has hooks, and its window variables shape it"
    return ""


def _node(manifest: Manifest, test: str) -> Mapping[str, Any]:
    node: Mapping[str, Any] = manifest["nodes"].get(test) or manifest["unit_tests"][test]
    return node


def _database_file(workspace: DbtWorkspace) -> Path | None:
    """None where the target's database is not a file."""
    try:
        return workspace.database_file
    except NotComparable:
        return None
