"""`make matrix`: what a team does first with both wheels, on every Python of this machine, every Airflow and every dbt.

Each row is an environment of its own in the folder for temporary files. Airflow's half exports an inventory and puts a
proxy in place of a task; Dagster's half makes a project, mirrors that task, and rehearses one of its windows. With each
dbt, the same window is run in process, and by that dbt's executable from an environment with this repository's dbt.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench import dbt_window
from bench.environments import Environment, StepFailed, completed
from bench.projects import write_project
from dagster_defs.adapters.files import atomic
from demo.checkout import PROJECT_ROOT

DAG, TASK = "harbour_daily", "build_ships"
_REHEARSAL = "{{ env_var('PARITY_REHEARSAL_DIR', '../.rehearsal') }}"
TARGETS = {  # dbt targets, and where each has its DuckDB file
    "legacy": "legacy.duckdb",
    "candidate": "candidate.duckdb",
    "rehearsal": f"{_REHEARSAL}/legacy.duckdb",
    "rehearsal_candidate": f"{_REHEARSAL}/candidate.duckdb",
}
_DAG = f"""\
from datetime import datetime

from airflow import DAG
from airflow.operators.bash import BashOperator
from handover.proxy import install_proxies

WINDOW = '{{"min_date": "{{{{ data_interval_start | ds }}}}", "max_date": "{{{{ data_interval_end | ds }}}}"}}'

with DAG("{DAG}", schedule="0 6 * * *", start_date=datetime(2024, 3, 1), catchup=True):
    BashOperator(task_id="{TASK}", bash_command=f"dbt build --select m_0 --vars '{{WINDOW}}'")

install_proxies(globals())
"""
_OPERATOR = f"""\
import sys
from airflow.models import DagBag

bag = DagBag(sys.argv[1], include_examples=False, read_dags_from_db=False)
assert not bag.import_errors, bag.import_errors
print(type(bag.dags["{DAG}"].get_task("{TASK}")).__name__)
"""


@dataclass(frozen=True)
class Files:
    """Both wheels, and the inventory that Airflow's half leaves for Dagster's."""

    airflow: Path
    dagster: Path
    inventory: Path


@dataclass(frozen=True)
class AirflowHalf:
    """`released`: a day soon after that; what this Airflow needs is resolved as of then."""

    python: str
    version: str
    released: str

    @property
    def peer(self) -> str:
        return f"Airflow {self.version}"

    def try_out(self, environment: Environment, files: Files) -> str:
        """Export an inventory, and have a marked task proxied. Raises StepFailed."""
        environment.make()
        environment.install(f"apache-airflow=={self.version}", before=self.released)
        environment.install(str(files.airflow))
        home, dags, marks = (environment.folder / name for name in ("home", "dags", "marks"))
        environment.variables |= {"AIRFLOW_HOME": str(home), "PARITY_PROXIED_STATE": str(marks)}
        atomic.write_text(dags / "harbour.py", _DAG)
        days = ("--from", "2024-03-01", "--to", "2024-03-05")
        environment.run(
            "airflow-inventory", "--dags-folder", str(dags), *days, "--out", str(files.inventory), cwd=dags
        )
        exported = json.loads(files.inventory.read_text())
        if [dag["dag_id"] for dag in exported["dags"]] != [DAG]:
            raise StepFailed(f"the inventory lacks {DAG}: {exported['import_errors']}")
        operators = [environment.run("python", "-c", _OPERATOR, str(dags), cwd=dags).split()[-1]]
        atomic.write_text(marks / f"{DAG}.yaml", yaml.safe_dump({"tasks": [{"id": TASK, "proxied": True}]}))
        operators.append(environment.run("python", "-c", _OPERATOR, str(dags), cwd=dags).split()[-1])
        if operators[0] != "BashOperator" or operators[1] == operators[0]:
            raise StepFailed(f"the operators without and with a mark are {' and '.join(operators)}")
        return ""


@dataclass(frozen=True)
class DagsterHalf:
    python: str
    version: str

    @property
    def peer(self) -> str:
        return f"dbt {self.version}"

    def try_out(self, environment: Environment, files: Files) -> str:
        """From an empty folder to a rehearsed window, and a window by this dbt's executable beside one in process: the
        seconds of both. Raises StepFailed."""
        environment.make()
        overrides = [f"dbt-core=={self.version}.*"]
        if self.version == "1.12":  # its optional parser is downloaded while it installs
            overrides.append("dbt-core-experimental-parser; sys_platform == 'never'")
        environment.install(f"{files.dagster}[duckdb]", "dagster-dg-cli", overrides=overrides)
        project = environment.folder / "harbour"
        project.mkdir()
        environment.run("parity", "init", cwd=project)
        write_dbt_project(project / "dbt")
        mirrors = str(project / "harbour" / "defs")
        environment.run(
            "parity", "scaffold", str(files.inventory), "--dbt-project", "dbt", "--out", mirrors, cwd=project
        )
        environment.run("dg", "check", "defs", cwd=project)
        environment.run("parity", "verify", "--inventory", str(files.inventory), cwd=project)
        asked = ("rehearse", f"{DAG}.{TASK}", "--last", "1", "--inventory", str(files.inventory), "--json")
        environment.run("parity", *asked, cwd=project)
        return _both_ways(environment)


@dataclass(frozen=True)
class EngineHalf:
    """dbt-core 2, which is a program of its own and no Python package: only by an executable, beside the dbt of this
    repository. `release`: the one whose wheel has the program; the others download it. `engine`: a package of npm with
    DuckDB's library, which dbt-core 2 takes for its driver."""

    python: str
    version: str
    release: str
    engine: str = "@duckdb/node-bindings-linux-x64@1.5.6-r.1"

    @property
    def peer(self) -> str:
        return f"dbt {self.version}"

    def try_out(self, environment: Environment, files: Files) -> str:
        """The same window by it and by the dbt of this repository in process. Raises StepFailed."""
        environment.make()
        environment.install(f"dbt-core=={self.release}")
        drivers = self._drivers(environment.folder / "drivers")
        seconds: dict[str, str] = {}
        told: list[Any] = []
        for name, programs in (("in process", []), ("by executable", [str(environment.programs / "dbt")])):
            folder = environment.folder / name
            folder.mkdir()
            variables = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT), "ADBC_DRIVER_PATH": str(drivers)}
            completed([sys.executable, dbt_window.__file__, "--newer", str(folder), *programs], variables)
            reported = json.loads((folder / "reported.json").read_text())
            seconds[name] = f"{reported['seconds']:.1f} s {name}"
            # A model's own word for its end is the adapter's, and dbt-core 1 has no times of a unit test.
            results = [
                [kind, node, status if kind == "LogTestResult" else node_status, *of_table]
                for kind, node, status, node_status, _, *of_table in reported["results"]
            ]
            told.append((results, reported["tables"]))
        if told[0] != told[1]:
            raise StepFailed(f"not the same by an executable: {told[0]} / {told[1]}")
        return ", ".join(seconds.values())

    def _drivers(self, folder: Path) -> Path:
        """The folder in which dbt-core 2 looks for the driver of DuckDB."""
        npm = shutil.which("npm")
        if npm is None:
            raise StepFailed("there is no npm here to get DuckDB's library with")
        folder.mkdir()
        completed([npm, "pack", "--silent", self.engine], dict(os.environ), folder)
        [packed] = folder.glob("*.tgz")
        shutil.unpack_archive(packed, folder)
        library = folder / "package" / "libduckdb.so"
        driver = {"entrypoint": "duckdb_adbc_init", "shared": str(library)}
        lines = [f"{name} = {json.dumps(value)}" for name, value in driver.items()]
        atomic.write_text(folder / "duckdb.toml", "\n".join(["manifest_version = 1", "[Driver]", *lines, ""]))
        return folder


def _both_ways(environment: Environment) -> str:
    """Raises StepFailed if anything is reported, or left in a table, by one of the two only."""
    script = environment.folder / Path(dbt_window.__file__).name
    atomic.write_text(script, Path(dbt_window.__file__).read_text())
    folders = {name: environment.folder / name for name in ("in process", "by executable")}
    for folder in folders.values():
        folder.mkdir()
    environment.run("python", str(script), str(folders["in process"]), cwd=environment.folder)
    program = environment.folder / "bin" / "dbt"
    command = [sys.executable, dbt_window.__file__, str(folders["by executable"]), str(program)]
    completed(command, {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)})
    reported = {name: json.loads((folder / "reported.json").read_text()) for name, folder in folders.items()}
    first, second = reported.values()
    for what in ("results", "tables"):
        if first[what] != second[what]:
            raise StepFailed(f"{what} are not the same by an executable: {first[what]} / {second[what]}")
    return ", ".join(f"{each['seconds']:.1f} s {name}" for name, each in reported.items())


def write_dbt_project(folder: Path) -> None:
    """One model, with the targets of both sides and of a rehearsal."""
    write_project(folder, 1)
    outputs = {name: {"type": "duckdb", "path": path} for name, path in TARGETS.items()}
    profile = {"synthetic": {"target": "legacy", "outputs": outputs}}
    atomic.write_text(folder / "profiles.yml", yaml.safe_dump(profile))


Half = AirflowHalf | DagsterHalf | EngineHalf

AIRFLOWS = (
    AirflowHalf("3.8", "2.7.3", "2023-12-15"),
    AirflowHalf("3.9", "2.8.4", "2024-05-15"),
    AirflowHalf("3.10", "2.9.3", "2024-08-15"),
    AirflowHalf("3.11", "2.10.5", "2025-03-01"),
    AirflowHalf("3.12", "2.11.0", "2025-06-15"),
)
DAGSTERS = (
    DagsterHalf("3.10", "1.11"),
    DagsterHalf("3.11", "1.8"),
    DagsterHalf("3.11", "1.9"),
    DagsterHalf("3.11", "1.10"),
    DagsterHalf("3.11", "1.11"),
    DagsterHalf("3.11", "1.12"),
    DagsterHalf("3.12", "1.11"),
    DagsterHalf("3.13", "1.11"),
)


ENGINES = (EngineHalf("3.11", "2.0", "2.0.0a1"),)
HALVES: tuple[Half, ...] = (*AIRFLOWS, *DAGSTERS, *ENGINES)


def pythons() -> dict[str, Path]:
    """The interpreters of this machine by version, `3.11`: those on PATH, and pyenv's."""
    wanted = dict.fromkeys(half.python for half in HALVES)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found: dict[str, Path] = {}
    for version in wanted:
        on_path = shutil.which(f"python{version}")
        beside = sorted(pyenv.glob(f"{version}.*/bin/python{version}"))
        for candidate in [*([Path(on_path)] if on_path else []), *beside]:
            asked = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False)
            if asked.returncode == 0 and asked.stdout.startswith(f"Python {version}."):
                found[version] = candidate
                break
    return found


def main(only: Sequence[str]) -> int:
    """`only`: of the peers, `dbt 1.11` or `Airflow 2.7.3`; without any, all of them. Dagster's half needs the inventory
    that Airflow's has exported."""
    console = Console(width=160)
    there = pythons()
    # Not below this checkout, which is a Dagster project itself: a command would take it for the project.
    with TemporaryDirectory(prefix="parity-matrix-") as folder:
        failed = _try_out(console, Path(folder), there, only)
    if missing := sorted({half.python for half in HALVES} - there.keys()):
        console.print(f"Not on this machine: Python {', '.join(missing)}")
    return int(failed)


def _try_out(console: Console, folder: Path, there: Mapping[str, Path], only: Sequence[str]) -> bool:
    """Whether anything failed."""
    dist = folder / "dist"
    completed(["make", "--no-print-directory", "dist", f"DIST={dist}"], dict(os.environ), PROJECT_ROOT)
    [dagsters], [airflows] = dist.glob("airflow_parity-*.whl"), dist.glob("airflow_parity_handover-*.whl")
    files = Files(airflows, dagsters, folder / "inventory.json")
    table = Table(
        "Python",
        "with",
        "seconds",
        "outcome",
        "the same window",
        title="Both wheels, each in environments of its own",
    )
    failed = False
    for half in HALVES:
        if half.python not in there or (only and half.peer not in only):
            continue
        began = time.monotonic()
        name = f"{half.peer} python {half.python}".lower().replace(" ", "-")
        window = ""
        try:
            window = half.try_out(Environment(folder / name, there[half.python]), files)
            outcome = "ok"
        except StepFailed as error:
            outcome, failed = str(error), True
        seconds = f"{time.monotonic() - began:.0f}"
        console.print(
            f"  Python {half.python}, {half.peer}: {outcome} ({seconds} s) {window}".rstrip(),
            markup=False,
            highlight=False,
        )
        table.add_row(half.python, half.peer, seconds, Text(outcome), window)
    console.print(table)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
