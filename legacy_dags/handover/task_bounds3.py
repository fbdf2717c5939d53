"""What a task may not see, tell or take for true while it runs on a private database in Airflow 3."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import threading
from collections.abc import Callable, Sequence
from typing import Any

from handover.task_window import not_environment, refuse_misnamed

#: Airflow 3's own worker kills a task so many seconds after it has asked it to end.
KILL_SECONDS = 5

# What a task asks its supervisor, by the class of the message; 3.0 has not all of them.
HISTORY = {"GetPrevSuccessfulDagRun", "GetPreviousDagRun", "GetPreviousTI"}
XCOMS = {"GetXCom", "GetXComCount", "GetXComSequenceItem", "GetXComSequenceSlice"}
OF_RUNS = {
    "GetTICount",
    "GetDRCount",
    "GetTaskStates",
    "GetTaskBreadcrumbs",
    "GetDagRunState",
    "GetDagRun",
    "GetDag",
}
STATES = {"GetTaskStates", "GetTaskBreadcrumbs", "GetDRCount"}
NOT_HERE = {
    "PutVariable": "a Variable cannot be written: there is no shared metadata database that would keep it",
    "DeleteVariable": "a Variable cannot be deleted: there is no shared metadata database that has it",
    "GetVariableKeys": "the names of Variables are not at hand: there is no shared metadata database that has them",
    "TriggerDagRun": "a run of another DAG cannot be asked for: there is no scheduler of Airflow's",
    "GetAssetEventByAsset": "events of assets are not at hand: there is no shared metadata database",
    "GetAssetEventByAssetAlias": "events of assets are not at hand: there is no shared metadata database",
    "CreateHITLDetailPayload": "nobody can be asked: there is no UI of Airflow's",
    "AwaitInputTask": "nobody can be asked: there is no UI of Airflow's",
}


def supervisor_of(dag: Any, run_id: str, known: set[str]) -> Any:
    """Airflow's supervisor in this process: what a private database cannot know or keep raises, and is not nothing."""
    try:
        from airflow.sdk.exceptions import AirflowFailException
    except ImportError:
        from airflow.exceptions import AirflowFailException
    from airflow.sdk.execution_time import supervisor

    with_async_comms(supervisor)

    class Supervisor(supervisor.InProcessTestSupervisor):  # type: ignore[misc]  # Airflow's class has no types here
        last: Any = None

        def _handle_request(self, msg: Any, *args: Any, **kwargs: Any) -> Any:
            Supervisor.last = self
            if refused := refusal(msg, dag, run_id, known):
                raise AirflowFailException(refused)
            return super()._handle_request(msg, *args, **kwargs)

    return Supervisor


def refusal(msg: Any, dag: Any, run_id: str, known: set[str]) -> str:
    """Why there is no answer to what a task asks; empty if there is one."""
    kind = type(msg).__name__
    if kind in NOT_HERE or "AssetStateStore" in kind:
        return NOT_HERE.get(kind, "states of assets are not at hand: there is no shared metadata database")
    if kind in HISTORY:
        return "earlier runs are not at hand: there is no shared metadata database"
    if kind in XCOMS:
        if getattr(msg, "include_prior_dates", False) or (msg.dag_id, msg.run_id) != (dag.dag_id, run_id):
            return "XComs of other runs and other DAGs are not at hand: only those of this window are kept"
        if msg.task_id in dag.task_dict and msg.task_id not in known:
            return (
                f"the XComs of {msg.task_id} are not at hand: Dagster has not run it for this window. "
                "Run it there first, or pass on what it says in a file or a table"
            )
    if kind in OF_RUNS:
        runs = getattr(msg, "run_ids", None) or [getattr(msg, "run_id", None) or run_id]
        dates = getattr(msg, "logical_dates", None)
        asked = set(getattr(msg, "task_ids", None) or dag.task_dict)
        if msg.dag_id != dag.dag_id or list(runs) != [run_id] or dates or (kind in STATES and asked - known):
            return "other runs and their tasks are not at hand: there is no shared metadata database"
    return ""


def with_plain_api() -> None:
    """The Execution API of this very version only: to make those of all earlier ones takes Airflow five seconds."""
    from airflow.api_fastapi.execution_api import app as execution_api

    def create_task_execution_api_app(*args: Any, lifespan: Any = None, **kwargs: Any) -> Any:
        from airflow.api_fastapi.common.exceptions import init_error_handlers
        from airflow.api_fastapi.execution_api.routes import execution_api_router

        app = importlib.import_module("fastapi").FastAPI(
            lifespan=lifespan or getattr(execution_api, "lifespan", None)
        )
        app.include_router(execution_api_router)
        init_error_handlers(app)
        return app

    execution_api.create_task_execution_api_app = create_task_execution_api_app


def with_async_comms(supervisor: Any) -> None:
    """A trigger may ask as a coroutine, which the supervisor in one's own process does not foresee."""
    if not hasattr(supervisor.InProcessSupervisorComms, "asend"):

        class Comms(supervisor.InProcessSupervisorComms):  # type: ignore[misc]  # Airflow's class has no types here
            async def asend(self, msg: Any) -> Any:
                return self.send(msg)

        supervisor.InProcessSupervisorComms = Comms


def begin_and_end(begin: Callable[[], None]) -> None:
    """Calls `begin` where the operator does, and ends the process some seconds after it was asked to end.

    So does a worker's supervisor: `on_kill` alone ends no operator.
    """
    from airflow.sdk.execution_time import task_runner

    execute = task_runner._execute_task
    if getattr(execute, "ends", False):
        return

    def _execute_task(*args: Any, **kwargs: Any) -> Any:
        on_term = signal.getsignal(signal.SIGTERM)
        begin()

        def end(number: int, frame: Any) -> None:
            timer = threading.Timer(KILL_SECONDS, os._exit, (128 + number,))
            timer.daemon = True
            timer.start()
            if callable(on_term):
                on_term(number, frame)

        signal.signal(signal.SIGTERM, end)
        return execute(*args, **kwargs)

    _execute_task.ends = True  # type: ignore[attr-defined]  # a mark of ours
    task_runner._execute_task = _execute_task


def isolate(names: Sequence[str]) -> None:
    """For a candidate, before the DAG file is parsed and after: it may have imported what changes them."""
    environment_first(names)
    clear_listeners()


def environment_first(names: Sequence[str]) -> None:
    """What keeps a candidate away from legacy's places are variables: no secrets back end may come before them.

    Raises CannotRun for what would not keep it away.
    """
    refuse_misnamed(names)
    for module, name in (
        ("airflow.sdk.execution_time.supervisor", "ensure_secrets_backend_loaded"),
        ("airflow.sdk.configuration", "ensure_secrets_loaded"),
        ("airflow.configuration", "ensure_secrets_loaded"),
        ("airflow.models.variable", "ensure_secrets_loaded"),
        ("airflow.models.connection", "ensure_secrets_loaded"),
    ):
        with contextlib.suppress(ImportError):
            put_environment_first(importlib.import_module(module), name)
    from airflow.sdk.execution_time.supervisor import ensure_secrets_backend_loaded

    first = next(iter(ensure_secrets_backend_loaded()), None)
    if not is_environment(first):
        raise not_environment(type(first).__name__)


def put_environment_first(module: Any, name: str) -> None:
    load = getattr(module, name, None)
    if load is None or getattr(load, "sorts", False):
        return

    def environment_before_others(*args: Any, **kwargs: Any) -> list[Any]:
        return sorted(load(*args, **kwargs), key=lambda backend: not is_environment(backend))

    environment_before_others.sorts = True  # type: ignore[attr-defined]  # a mark of ours
    setattr(module, name, environment_before_others)


def is_environment(backend: Any) -> bool:
    kind = type(backend)
    return kind.__name__ == "EnvironmentVariablesBackend" and kind.__module__.startswith("airflow.")


def clear_listeners() -> None:
    for place in ("airflow.listeners.listener", "airflow.sdk.listener"):
        with contextlib.suppress(ImportError):
            importlib.import_module(place).get_listener_manager().clear()
