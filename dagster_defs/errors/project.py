"""Parts of a project that cannot be read: dbt, YAML, the inventory, documents."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from dagster_defs.errors.base import ParityError, UsageError

EXTRAS = ("duckdb", "postgres", "snowflake")  # those of this package, each with the adapter of that name
_NO_ADAPTER = re.compile(r"Could not find adapter type '?(\w+)")


class DbtProjectUnreadable(ParityError):
    """`deps`: the only problem is that its packages are not installed. Without the adapter of the target, the remedy is
    the extra of this package that brings it, or the adapter."""

    def __init__(self, project_dir: Path, reason: str, deps: bool = False) -> None:
        self.project_dir, self.reason = project_dir, reason
        look = (
            f"{'Install its packages: dbt deps' if deps else 'Look: dbt parse'} --project-dir {project_dir}"
        )
        if lacking := _NO_ADAPTER.search(reason):
            adapter = lacking[1]
            package = f"'airflow-parity[{adapter}]'" if adapter in EXTRAS else f"dbt-{adapter}"
            look = f"pip install {package}"
        super().__init__(f"cannot read the dbt project {project_dir}: {reason.rstrip('.')}. {look}")


class DbtUnusable(ParityError):
    """A dbt that is too old, or not there, or none at all. `program`: as it is named, or the file that was found."""

    def __init__(
        self,
        program: str,
        reason: str,
        remedy: str = "Name a dbt 1.8 or later in the YAML: dbt: {executable: …}",
    ) -> None:
        self.program, self.reason = program, reason
        super().__init__(f"cannot run dbt by {program}: {reason}. {remedy}")


class DbtSelectionRefused(ParityError):
    """A selection that dbt itself cannot read; the project is fine."""

    def __init__(self, project_dir: Path, arguments: Sequence[str], reason: str) -> None:
        self.project_dir, self.arguments, self.reason = project_dir, tuple(arguments), reason
        command = f"dbt ls {' '.join(arguments)}"
        super().__init__(f"{command}: {reason.rstrip('.')}. Look: {command} --project-dir {project_dir}")


class FunctionMissing(ParityError):
    """`folder`: where it was looked for."""

    def __init__(self, name: str, folder: Path, reason: str) -> None:
        self.name, self.folder, self.reason = name, folder, reason
        super().__init__(
            f"there is no function {name} below {folder}: {reason}. Mend `python_path` in the YAML"
        )


class DbtFailed(ParityError):
    def __init__(self, command: Sequence[str], failures: Sequence[str], log: Path) -> None:
        self.command, self.failures, self.log = tuple(command), tuple(failures), log
        what = "; ".join(failures) or "no reason given"
        super().__init__(f"dbt {' '.join(command)} failed: {what}. Look: {log}")


class TimedOut(ParityError):
    """`goes_on`: it could not be stopped in time and may still be writing."""

    def __init__(self, what: str, seconds: float, goes_on: bool = False) -> None:
        self.what, self.seconds, self.goes_on = what, seconds, goes_on
        end = "could not be stopped: stop it before the next try" if goes_on else "was stopped"
        super().__init__(
            f"{what} took longer than its time-out of {seconds:g} s and {end}. Find out what it was waiting for, or "
            "raise `execution_timeout` in the DAG and `timeout` in the unit's YAML"
        )


class AirflowUnknown(UsageError):
    """`names`: the Airflows that parity.yaml lists."""

    def __init__(self, dag_id: str, names: Sequence[str]) -> None:
        self.dag_id, self.names = dag_id, tuple(names)
        super().__init__(
            f"which Airflow has the DAG {dag_id} is not known: parity.yaml lists it for none of {', '.join(names)}. "
            "Add its id, or a glob, below `airflows`"
        )


class DagInTwoAirflows(UsageError):
    """`names`: the Airflows. Marks, runs and assets are named after the DAG, so they could not be told apart."""

    def __init__(self, dag_id: str, names: Sequence[str], reason: str) -> None:
        self.dag_id, self.names, self.reason = dag_id, tuple(names), reason
        super().__init__(
            f"the DAG {dag_id} could be that of {' or '.join(names)}: {reason}. Its runs could not be told apart: "
            "rename it in one of them, or take it away there, and fetch what they contain: dg utils refresh-defs-state"
        )


class BadAirflows(UsageError):
    def __init__(self, reason: str, remedy: str) -> None:
        self.reason, self.remedy = reason, remedy
        super().__init__(f"this project's Airflows cannot be told apart: {reason}. {remedy}")


class NoProject(UsageError):
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(
            f"there is no Dagster project in {folder} or above it: neither a pyproject.toml with [tool.dg] nor a "
            'dg.toml says `directory_type = "project"`. Change to the project\'s folder, or make one: parity init'
        )


class NotAProject(UsageError):
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(
            f"{folder} is neither empty nor in a Dagster project, so a project of ours might mix with what is there. "
            "Make a Dagster project (create-dagster project NAME) or an empty folder, and run there: parity init"
        )


class DagsterUnsupported(ParityError):
    """`missing`: what Dagster has not, in its own words."""

    def __init__(self, installed: str, required: str, missing: str) -> None:
        self.installed, self.required, self.missing = installed, required, missing
        super().__init__(
            f"Dagster {installed} lacks an internal name that units are built with ({missing}). Install a version that "
            f"this package is made for: {required}"
        )


class TwoVersions(ParityError):
    """`found`: what is on the path of this Python, by its place."""

    def __init__(self, found: Mapping[str, str]) -> None:
        self.found = dict(found)
        listed = ", ".join(f"{what} in {place}" for place, what in found.items())
        super().__init__(
            f"this environment has airflow-parity twice ({listed}), and which one runs depends on the folder. Keep "
            "one: pip uninstall airflow-parity until none is left, then install it again; and run `parity` outside "
            "of a checkout that is not installed"
        )


class MirrorsUnreadable(ParityError):
    def __init__(self, project_root: Path, reason: str) -> None:
        self.project_root, self.reason = project_root, reason
        super().__init__(f"cannot load the mirrors below {project_root}: {reason}. Look: dg check defs")


class ProxiedStateUnreadable(ParityError):
    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"cannot read {path}: {reason}. It should contain `tasks:` and below it, for each task, `- {{id: …, "
            "proxied: true}`"
        )


class MarkedAsAWhole(ParityError):
    """One unit was to be marked in a file that marks its whole DAG."""

    def __init__(self, unit: str, path: Path) -> None:
        self.unit, self.path = unit, path
        super().__init__(
            f"cannot mark {unit}: {path} marks its DAG as a whole, and only Airflow knows which tasks that covers. "
            "Nothing was done. List the tasks first: `tasks:` and below it, for each task, `- {id: …, proxied: true}`"
        )


class MigrationPlanUnreadable(ParityError):
    def __init__(self, path: Path, reason: str, begin: str, end: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"cannot use {path}: {reason}. Its status block must stand between the lines {begin!r} and {end!r}"
        )


class ReportUnwritable(ParityError):
    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"cannot write the report {path}: {reason}. Name a file in an existing folder: parity report FILE"
        )


class InventoryUnreadable(ParityError):
    def __init__(self, file: str, reason: str) -> None:
        self.file, self.reason = file, reason
        super().__init__(
            f"cannot read the inventory {file}: {reason}. Export it again: python inventory.py --dags-folder DIR "
            f"--from DATE --to DATE --out {file}"
        )


class TeamFileUnreadable(UsageError):
    """The file in which a team records what it knows about its estate."""

    def __init__(self, file: str, reason: str) -> None:
        self.file, self.reason = file, reason
        super().__init__(
            f"cannot read {file}: {reason}. What it may contain is in docs/reference.md (images, functions, "
            "dead_dags, connections, dbt_projects and more). Fix it, or remove it"
        )


class DbtRepositoryRefused(ParityError):
    """The git repository of a dbt project, which has to be cloned."""

    def __init__(self, address: str, reason: str, remedy: str) -> None:
        self.address, self.reason = address, reason
        super().__init__(f"cannot use the repository {address}: {reason}. {remedy}")


class DbtManifestRefused(ParityError):
    """A manifest that was made elsewhere, which was to be taken."""

    def __init__(self, folder: Path, reason: str) -> None:
        self.folder, self.reason = folder, reason
        super().__init__(
            f"cannot take the manifest in {folder}: {reason}. Without that, dbt cannot tell which files it was made "
            f"from. Keep the whole folder of: dbt parse --target <target> --target-path <folder>"
        )


class InventoryVersion(ParityError):
    def __init__(self, file: str, found: str, wanted: str) -> None:
        self.file, self.found, self.wanted = file, found, wanted
        super().__init__(
            f"the inventory {file} has format {found!r}, but this version reads {wanted!r}. Export it again with this "
            "version's inventory.py"
        )


class InventoryMissing(UsageError):
    def __init__(self) -> None:
        super().__init__(
            "there is no inventory to compare with. Export one where Airflow runs (python inventory.py --dags-folder "
            "DIR --from DATE --to DATE --out inventory.json) and name it: --inventory FILE, or PARITY_INVENTORY"
        )
