"""Runs one task of a DAG file in Airflow's environment, without scheduler, web server or shared metadata database.

    python run_task.py REQUEST.json

It is what Dagster starts for a `LegacyTask`. Airflow's own engine renders the operator for the window and runs it, on a
private SQLite database that lives as long as the run does. What other tasks of the same window left behind, their
states and XComs, comes in the request; what this one leaves behind goes into the result file. The log goes to stdout.

The team's AIRFLOW_HOME, airflow.cfg, plugins, Connections and Variables (environment or secrets back end) stay in
force. Only the database, the executor, the DAGs folder and the logging are ours. For Airflow 2.7 to 2.11 and 3.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import importlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

SCHEMA = "parity/task/2"
#: Of a process that runs a task for Dagster; no hand-over may send the task back there.
MARK = "PARITY_LEGACY_TASK"

# What these do is done by, or read from, servers and a database that are not there.
NEEDS_SERVERS = {
    "TriggerDagRunOperator": "it asks Airflow's scheduler for a run of another DAG",
    "ExternalTaskSensor": "it reads the states of another DAG's tasks from Airflow's metadata database",
    "SubDagOperator": "it needs Airflow's scheduler",
    "HITLOperator": "it waits for a person's answer in Airflow's UI",
    "BaseProxyTaskToDagsterOperator": "it is the proxy, which would ask Dagster to run it again",
}

#: By Airflow's major version.
ENGINES = {"2": "handover.task_in_airflow2", "3": "handover.task_in_airflow3"}

#: The only bundle of Airflow 3's that is known here.
BUNDLE = "dags-folder"

#: Parts of Airflow 3 that tell what they do with the private database.
TALKATIVE = ("dag_processing", "serialization", "models", "api_fastapi")

#: For Airflow to make its database, which takes about three.
DATABASE_SECONDS = 300

#: States in which Airflow leaves a task alone.
FINISHED = ("success", "failed", "skipped", "upstream_failed", "removed")


class CannotRun(Exception):
    """The task was not run; the message says why and what to do."""


@dataclasses.dataclass(frozen=True)
class Request:
    """`file` is empty where nobody knows which file has the DAG. `records` are those of the window, by task id.

    `rules`: whether Airflow's trigger rules decide here whether the task runs; not where Airflow has decided it.
    `asks`: only these rules are asked, and nothing is run.
    `callbacks`: whether callbacks and mails on retries and failures are due. `max_tries` None: as the task says.
    `candidate`: names of the variables that keep a candidate away from legacy's places; None for legacy itself.
    """

    dags_folder: str
    file: str
    dag_id: str
    task_id: str
    run_id: str
    logical_date: str
    start: str
    end: str
    try_number: int
    max_tries: int | None
    conf: dict[str, Any]
    rules: bool
    callbacks: bool
    candidate: list[str] | None
    records: dict[str, Any]
    databases: str
    result: str
    asks: bool = False

    @classmethod
    def read(cls, path: Path) -> Request:
        document = json.loads(path.read_bytes())
        if document.pop("schema", None) != SCHEMA:
            raise CannotRun(f"the request is not {SCHEMA}: Dagster's side and Airflow's are of two versions")
        return cls(**document)


def masked(text: str) -> str:
    """Without the secrets that Airflow has handed out so far; before it is imported it has handed out none."""
    if "airflow" not in sys.modules:
        return text
    try:
        for redact in maskers():
            text = str(redact(text))
        return text
    except Exception as error:
        return f"(not shown: Airflow's masker of secrets does not work here: {type(error).__name__})"


def maskers() -> list[Any]:
    """The maskers of Airflow 3's Task SDK and of its core, each of which knows its own secrets; Airflow 2 has one."""
    functions = []
    for names in (
        ("airflow.sdk._shared.secrets_masker", "airflow.sdk.execution_time.secrets_masker"),
        ("airflow._shared.secrets_masker", "airflow.utils.log.secrets_masker"),
    ):
        for name in names:
            with contextlib.suppress(ImportError):
                functions.append(importlib.import_module(name).redact)
                break
    if not functions:
        raise LookupError
    return functions


def moment(text: str) -> datetime:
    # Python 3.8 to 3.10, where Airflow 2.7 still runs, read no Z.
    return datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)


def airflow_version() -> str:
    for distribution in ("apache-airflow-core", "apache-airflow"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(distribution)
    raise CannotRun(f"Airflow is not installed for {sys.executable}: name the Python that runs the DAGs")


def of_airflow2() -> bool:
    return airflow_version().startswith("2.")


# --- Airflow's surroundings -------------------------------------------------------------------------------------


def surroundings(home: Path, dags_folder: str, database: Path) -> dict[str, str]:
    """Settings under which Airflow uses nothing shared. It reads them while it is imported, so they come first.

    The exporter has settings of its own: it is one file that is copied to where Airflow is.
    """
    team_home = Path(os.environ.get("AIRFLOW_HOME") or Path.home() / "airflow")
    team_config = Path(os.environ.get("AIRFLOW_CONFIG") or team_home / "airflow.cfg")
    marks = home / "no_marks"
    marks.mkdir(exist_ok=True)
    return {
        # Airflow makes the folder if it is not there: one that nobody has is looked for elsewhere.
        "AIRFLOW_HOME": str(team_home if team_home.is_dir() else home),
        # Where there is no airflow.cfg, Airflow writes its own.
        "AIRFLOW_CONFIG": str(team_config if team_config.is_file() else home / "airflow.cfg"),
        "AIRFLOW__WEBSERVER__CONFIG_FILE": str(home / "webserver_config.py"),
        "AIRFLOW__CORE__DAGS_FOLDER": dags_folder,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # Airflow 3 has no other that runs on SQLite, and Airflow 2 knows no local one there.
        "AIRFLOW__CORE__EXECUTOR": "SequentialExecutor" if of_airflow2() else "LocalExecutor",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{database}",
        "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__SCHEDULER__CHILD_PROCESS_LOG_DIRECTORY": str(home / "logs" / "scheduler"),
        "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(home / "logs" / "dag_processor"),
        "AIRFLOW__LOGGING__DAG_PROCESSOR_MANAGER_LOG_LOCATION": str(home / "logs" / "manager.log"),
        "AIRFLOW__LOGGING__LOGGING_CONFIG_CLASS": "",
        "AIRFLOW__LOGGING__REMOTE_LOGGING": "False",
        "AIRFLOW__METRICS__TIMER_UNIT_CONSISTENCY": "True",  # without it Airflow 2 warns on every start
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        # Airflow 3 only:
        "AIRFLOW__LOGGING__NAMESPACE_LEVELS": " ".join(f"airflow.{name}=warning" for name in TALKATIVE),
        "AIRFLOW__CORE__AUTH_MANAGER": (
            "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
        ),
        "AIRFLOW__DATABASE__EXTERNAL_DB_MANAGERS": "",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(
            [
                {
                    "name": BUNDLE,
                    "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
                    "kwargs": {"path": dags_folder},
                }
            ]
        ),
        # A DAG file that enrols its tasks finds no mark: the operators are its own.
        "PARITY_PROXIED_STATE": str(marks),
        MARK: "1",
    }


#: Nothing reports a candidate's run to the platform's monitoring: it is not one of the platform's runs.
UNREPORTED = {
    "AIRFLOW__METRICS__STATSD_ON": "False",
    "AIRFLOW__METRICS__OTEL_ON": "False",
    "AIRFLOW__TRACES__OTEL_ON": "False",
    "AIRFLOW__OPENLINEAGE__DISABLED": "True",
}


def set_path(dags_folder: str) -> None:
    """As a worker of Airflow has it; this file's neighbours must not stand in for libraries."""
    here = str(Path(__file__).resolve().parent)
    sys.path[:] = [entry for entry in sys.path if str(Path(entry or ".").resolve()) != here]
    team_home = Path(os.environ["AIRFLOW_HOME"])
    wanted = [team_home / "config", team_home / "plugins", Path(dags_folder), Path(here).parent]
    sys.path += [str(folder) for folder in wanted if folder.is_dir() and str(folder) not in sys.path]


def private_database(folder: Path, home: Path, dags_folder: str) -> Path:
    """An empty database of this very Airflow: made once for an environment, and copied for each run."""
    version, own = airflow_version(), home / "airflow.db"
    configured = (
        os.environ.get("AIRFLOW_CONFIG") or Path(os.environ.get("AIRFLOW_HOME", "~/airflow")) / "airflow.cfg"
    )
    config = Path(configured).expanduser()
    text = config.read_bytes() if config.is_file() else b""
    digest = hashlib.sha256(f"{version}\n{sys.prefix}\n".encode() + text).hexdigest()[:12]
    made = folder / f"airflow-{version}-{digest}.db"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{made.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            unfinished = folder / f"{made.name}.{os.getpid()}.tmp"
            environment = {**os.environ, **surroundings(home, dags_folder, unfinished)}
            command = [sys.executable, __file__, "--make-database"]
            try:
                done = subprocess.run(
                    command, env=environment, capture_output=True, text=True, timeout=DATABASE_SECONDS
                )
                if done.returncode != 0:
                    raise CannotRun(
                        f"Airflow cannot make a database of its own: {done.stderr[-2000:].strip()}"
                    )
                unfinished.replace(made)
            except subprocess.TimeoutExpired:
                raise CannotRun(
                    f"Airflow has not made a database of its own within {DATABASE_SECONDS} seconds: see with this "
                    "Python whether `airflow db migrate` on an empty SQLite file ends"
                ) from None
            finally:
                with contextlib.suppress(OSError):
                    unfinished.unlink()
        shutil.copyfile(made, own)
    return own


def make_database() -> None:
    from airflow.utils.db import initdb

    initdb()


# --- the DAG file -----------------------------------------------------------------------------------------------


def candidates(request: Request) -> Iterator[Path]:
    """The file that has the DAG, or those in which its id stands as text, and then the others."""
    folder = Path(request.dags_folder)
    if request.file:
        file = folder / request.file
        if not file.is_file():
            raise CannotRun(
                f"there is no DAG file {file}. Name it in the unit's YAML: airflow: {{dag_file: …}}"
            )
        yield file
        return
    files = sorted(
        path
        for path in folder.rglob("*.py")
        if not any(part.startswith((".", "__")) for part in path.relative_to(folder).parts)
    )
    texts = {path: path.read_bytes() for path in files}
    files = [path for path in files if b"dag" in texts[path].lower() and b"airflow" in texts[path].lower()]
    name = request.dag_id.encode()
    yield from sorted(files, key=lambda path: name not in texts[path])


def refuse_unfit(task: Any) -> None:
    """Raises CannotRun for an operator whose work is done by servers: it would succeed and do nothing."""
    kind = getattr(task, "operator_class", None) or type(task)
    names = [each.__name__ for each in getattr(kind, "__mro__", ())]
    reason = next((NEEDS_SERVERS[name] for name in names if name in NEEDS_SERVERS), "")
    if reason:
        raise CannotRun(f"task {task.task_id} cannot run without Airflow's servers: {reason}")
    if getattr(task, "run_as_user", None):
        raise CannotRun(f"task {task.task_id} has run_as_user, and a Dagster run has one user only")


def tell(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def mark_start(request: Request) -> None:
    """From now on it is the operator that takes its time; whoever started this process has a limit for that."""
    Path(request.result + ".started").touch()


# --- the run ----------------------------------------------------------------------------------------------------


def run(request: Request) -> dict[str, Any]:
    version = airflow_version()
    engine_name = ENGINES.get(version.split(".")[0])
    if engine_name is None:
        raise CannotRun(
            f"Airflow {version} is not supported here, only 2.7 to 2.11 and 3: mirror the task in another way"
        )
    # In the folder of whoever waits for the result: it is removed there, however this process ends.
    with tempfile.TemporaryDirectory(prefix="home-", dir=Path(request.result).parent) as folder:
        home = Path(folder)
        database = private_database(Path(request.databases), home, request.dags_folder)
        os.environ.update(surroundings(home, request.dags_folder, database))
        if request.candidate is not None:
            os.environ.update(UNREPORTED)
        set_path(request.dags_folder)
        engine = importlib.import_module(engine_name)
        result: dict[str, Any] = engine.run(request)
        return {**result, "airflow": version}


def write_result(path: Path, result: Mapping[str, Any]) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps({"schema": SCHEMA, **result}), encoding="utf-8")
    temporary.replace(path)


def main(argv: list[str] | None = None) -> int:
    """Exit code 0: the result file says how the task ended; anything else: nobody knows."""
    [word] = sys.argv[1:] if argv is None else argv
    if word == "--make-database":
        set_path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
        try:
            make_database()
        except Exception:
            sys.stderr.write(masked(traceback.format_exc()))
            return 1
        return 0
    request = Request.read(Path(word))
    try:
        result = run(request)
    except CannotRun as error:
        result = {"refused": masked(str(error))}
    except Exception as error:
        tell(masked(traceback.format_exc()))
        reason = f"Airflow could not be brought to run it: {type(error).__name__}: {error}"
        result = {"refused": masked(reason)}
    write_result(Path(request.result), result)
    sys.stdout.flush()
    # Threads of a library that do not end must not keep the result from whoever waits for it.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
