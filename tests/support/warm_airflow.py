"""Runs tasks of a DAG file as `run_task.py` does, each in a process forked from one that has imported Airflow.

Airflow's imports take two to four CPU seconds, and the tests run some eighty tasks. What a start of its own costs and
leaves behind is the business of the tests that use `AirflowEnvironment`.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

# What a run imports, in Airflow 2 or 3.
IMPORTS = """
    airflow.models.dagbag airflow.models.taskinstance airflow.models.xcom airflow.operators.python
    airflow.operators.bash airflow.ti_deps.dep_context airflow.dag_processing.dagbag airflow.dag_processing.collection
    airflow.sdk.execution_time.task_runner airflow.sdk.execution_time.supervisor
    airflow.api_fastapi.execution_api.routes airflow.api_fastapi.execution_api.app
    airflow.serialization.serialized_objects airflow.providers.standard.operators.python
    airflow.providers.standard.operators.bash
""".split()  # noqa: SIM905 - a list of them would be as long as the file


class WarmAirflow:
    """`environment`: that of every run, apart from what `run` adds."""

    def __init__(self, python: Path, program: Path, environment: Mapping[str, str]) -> None:
        from dagster_defs.adapters.processes.guardian import GUARDIAN

        self._process = GUARDIAN.start(
            [str(python), str(Path(__file__)), str(program)],
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, request: Path, env: Mapping[str, str], say: Callable[[str], None]) -> None:
        stdin, stdout, log = self._process.stdin, self._process.stdout, request.with_suffix(".log")
        assert stdin
        assert stdout
        stdin.write(json.dumps({"request": str(request), "env": dict(env), "log": str(log)}) + "\n")
        stdin.flush()
        assert stdout.readline(), "the warm Airflow has ended"
        say(log.read_text(encoding="utf-8", errors="replace"))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            assert self._process.stdin
            self._process.stdin.close()
        self._process.wait(timeout=30)


def prepare(run_task: Any, request: Any) -> tuple[Any, Path, Path]:
    """Airflow, imported, as a run of this request finds it; and an empty database, and where Airflow has it."""
    home = Path(request.databases) / "warm"
    home.mkdir(parents=True, exist_ok=True)
    own = run_task.private_database(Path(request.databases), home, request.dags_folder)
    empty = home / "empty.db"
    shutil.copyfile(own, empty)
    os.environ.update(run_task.surroundings(home, request.dags_folder, own))
    run_task.set_path(request.dags_folder)
    engine = importlib.import_module(run_task.ENGINES[run_task.airflow_version().partition(".")[0]])
    for name in IMPORTS:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    rehearse(engine, request)
    return engine, empty, own


def rehearse(engine: Any, request: Any) -> None:
    """Prepares a run and leaves it, so that Airflow and SQLAlchemy have done once what each run does first."""
    from airflow import settings

    session = settings.Session()
    if hasattr(engine, "Window3"):
        engine.with_plain_api()
        bag = engine.find_dags(request)
        dag = bag.dags[request.dag_id]
        engine.register(bag, dag, session)
        window = engine.Window3(request, dag, engine.scheduled(dag), session)
        importlib.import_module("airflow.sdk.execution_time.supervisor").in_process_api_server().app  # noqa: B018 - it is made when it is asked for
    else:
        engine.know_users()
        window = engine.Window2(request, engine.find_dag(request), session)
    window.restore()
    for instance in window.dag_run.get_task_instances(session=session)[:3]:
        instance.task = window.plan.task_dict[instance.task_id]
        with contextlib.suppress(Exception):  # some cannot run yet; that it was asked is enough
            window._why_not(instance)
    session.close()
    settings.engine.dispose()


def serve(program: Path) -> None:
    sys.path.append(str(program.parent.parent))
    run_task: Any = importlib.import_module("handover.run_task")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    ready = None
    for line in sys.stdin:
        asked = json.loads(line)
        if ready is None:
            ready = prepare(run_task, run_task.Request.read(Path(asked["request"])))
        engine, empty, own = ready
        for left in own.parent.glob(own.name + "-*"):  # what SQLite writes ahead
            left.unlink()
        shutil.copyfile(empty, own)
        child = os.fork()
        if child == 0:
            with Path(asked["log"]).open("w") as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
            os.environ.update(asked["env"])
            run_task.run = engine.run
            run_task.main([asked["request"]])
        os.waitpid(child, 0)
        answers.write("done\n")
        answers.flush()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
