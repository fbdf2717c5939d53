"""The run of one task in Airflow 2.7 to 2.11, as `DAG.test` and a worker run it; see `run_task.py`."""

from __future__ import annotations

import contextlib
import importlib
import logging
import sys
import traceback
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from handover.run_task import (
    FINISHED,
    Request,
    candidates,
    mark_start,
    masked,
    moment,
    tell,
)
from handover.task_bounds2 import guard, isolate
from handover.task_window import Window, parsed, task_of


def run(request: Request) -> dict[str, Any]:
    """How the task ended: a record of it for the store, or why it is not its turn."""
    log_to_stdout()
    if request.candidate is not None:
        isolate(request.candidate)
    dag = find_dag(request)
    task = task_of(dag, request)
    from airflow import settings

    know_users()
    session = settings.Session()
    window = Window2(request, dag, session)
    window.restore()
    guard(dag, window.known)
    result: dict[str, Any] = window.of_side(task, isolate)
    return result


def know_users() -> None:
    """Notes on task instances refer to a table of users, which the auth manager's models bring."""
    for name in ("airflow.providers.fab.auth_manager.models", "airflow.auth.managers.fab.models"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
            return


class MaskedFormatter(logging.Formatter):
    """The whole text, since an exception may put a secret into its own only when it is shown."""

    def format(self, record: logging.LogRecord) -> str:
        text: str = masked(super().format(record))
        return text


def log_to_stdout() -> None:
    """Everything that Airflow and the operator log, and what the operator prints, with secrets masked."""
    from airflow.utils.log.secrets_masker import _secrets_masker

    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(MaskedFormatter("{%(filename)s:%(lineno)d} %(levelname)s - %(message)s"))
    handler.addFilter(_secrets_masker())
    handler.setLevel(logging.INFO)
    root = logging.getLogger()
    root.handlers, root.level = [handler], logging.INFO
    logger = logging.getLogger("airflow.task")
    logger.handlers, logger.propagate = [], True
    logging.getLogger("airflow.processor").handlers = []


@contextlib.contextmanager
def prints_are_logged() -> Iterator[None]:
    from airflow.utils.log.logging_mixin import StreamLogWriter

    logger = logging.getLogger("airflow.task")
    out, err = StreamLogWriter(logger, logging.INFO), StreamLogWriter(logger, logging.WARNING)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        yield


def find_dag(request: Request) -> Any:
    """Parses one file where it is named; else those that may have the DAG, until one has it."""
    from airflow.models.dagbag import DagBag
    from airflow.utils.dag_parsing_context import _airflow_parsing_context_manager

    def read(path: str) -> Any:
        return DagBag(dag_folder=path, include_examples=False, read_dags_from_db=False)

    with _airflow_parsing_context_manager(dag_id=request.dag_id, task_id=request.task_id):
        return parsed(request, candidates(request), read).dags[request.dag_id]


class Window2(Window):  # type: ignore[misc]  # types stop at the package that this folder is not here
    TRIGGER_TIMED_OUT = "Trigger/execution timeout"

    def __init__(self, request: Request, dag: Any, session: Any) -> None:
        from airflow.models import TaskReschedule
        from airflow.models.taskmap import TaskMap
        from airflow.models.xcom import BaseXCom

        super().__init__(request, dag, dag, session)
        models = {"xcoms": BaseXCom, "task_map": TaskMap, "reschedules": TaskReschedule}
        self.tables = {name: model.__table__ for name, model in models.items()}

    def make_dag_run(self) -> Any:
        from airflow.models import DagModel
        from airflow.utils.state import DagRunState
        from airflow.utils.types import DagRunType

        request, dag = self.request, self.dag
        self.session.add(DagModel(dag_id=dag.dag_id, fileloc=dag.fileloc, is_paused=False))
        self.session.flush()
        run_type = DagRunType.from_run_id(request.run_id)
        return dag.create_dagrun(
            state=DagRunState.RUNNING,
            execution_date=moment(request.logical_date),
            run_id=request.run_id,
            run_type=run_type,
            start_date=datetime.now(timezone.utc),
            external_trigger=run_type is DagRunType.MANUAL,
            conf=request.conf,
            data_interval=(moment(request.start), moment(request.end)),
            session=self.session,
        )

    def expand(self, task: Any) -> None:
        task.expand_mapped_task(self.request.run_id, session=self.session)

    def run_instance(self, instance: Any) -> str:
        from airflow.utils.state import TaskInstanceState

        request = self.request
        instance.refresh_from_task(instance.task)
        instance.state = TaskInstanceState.RUNNING
        instance.try_number = request.try_number
        instance.max_tries = instance.task.retries if request.max_tries is None else request.max_tries
        instance.start_date = datetime.now(timezone.utc)
        self.session.merge(instance)
        self.session.commit()
        unmapped = instance.task
        mark_start(request)
        tell(f"Running {request.dag_id}.{instance.task_id} of [{request.start}, {request.end})")
        while True:
            try:
                with prints_are_logged():
                    instance._run_raw_task(session=self.session)
            except BaseException as error:
                self.session.rollback()
                instance.refresh_from_db(session=self.session)
                if instance.state == TaskInstanceState.RUNNING:  # Airflow had not begun with the operator yet
                    tell(masked(traceback.format_exc()))
                    instance.state = TaskInstanceState.FAILED
                self.session.commit()
                failure: str = masked(f"{type(error).__name__}: {error}")
                return failure
            self.session.commit()
            instance.refresh_from_db(session=self.session)
            if instance.state != TaskInstanceState.DEFERRED:
                return ""
            instance.task = unmapped
            stop: str = self.await_trigger(instance)
            if stop:
                return stop
            if instance.state in FINISHED:
                return ""
            instance.state, instance.trigger_id = TaskInstanceState.RUNNING, None
            self.session.merge(instance)
            self.session.commit()

    def take_event(self, event: Any, instance: Any) -> None:
        if hasattr(event, "handle_submit"):
            event.handle_submit(task_instance=instance, session=self.session)
        else:
            instance.next_kwargs = {**(instance.next_kwargs or {}), "event": event.payload}
