"""The run of one task in Airflow 2.7 to 2.11, as `DAG.test` and a worker run it; see `run_task.py`."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import importlib
import json
import logging
import signal
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from handover.run_task import (
    FINISHED,
    CannotRun,
    Request,
    candidates,
    mark_start,
    masked,
    moment,
    refuse_unfit,
    tell,
)
from handover.task_bounds2 import clear_listeners, environment_first, guard, says_nothing, silence

# The worst first: one word for all instances of a mapped task.
WORST = ("failed", "upstream_failed", "up_for_retry", "up_for_reschedule", "success", "skipped")


def run(request: Request) -> dict[str, Any]:
    """How the task ended: a record of it for the store, or why it is not its turn."""
    log_to_stdout()
    if request.candidate is not None:
        environment_first(request.candidate)
        clear_listeners()
    dag = find_dag(request)
    task = dag.task_dict.get(request.task_id)
    if task is None:
        raise CannotRun(f"DAG {request.dag_id} has no task {request.task_id}; it has {sorted(dag.task_dict)}")
    refuse_unfit(task)
    from airflow import settings

    know_users()
    session = settings.Session()
    window = Window2(request, dag, session)
    window.restore()
    guard(dag, window.known)
    if not request.callbacks:
        silence(task)
    if request.candidate is not None:  # parsing the DAG file has imported what may change them
        environment_first(request.candidate)
        clear_listeners()
    return window.run(task)


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

    errors: list[str] = []
    with _airflow_parsing_context_manager(dag_id=request.dag_id, task_id=request.task_id):
        for path in candidates(request):
            bag = DagBag(dag_folder=str(path), include_examples=False, read_dags_from_db=False)
            if request.dag_id in bag.dags:
                return bag.dags[request.dag_id]
            errors += [f"{file}: {error.strip()}" for file, error in bag.import_errors.items()]
    seen = f". Not imported: {'; '.join(errors)}" if errors else ""
    where = request.file or request.dags_folder
    raise CannotRun(f"there is no DAG {request.dag_id} in {where}{seen}")


class Ended(BaseException):
    """Somebody ends the run while a trigger is awaited."""


class Window2:
    """The DAG's run of the window in the private database."""

    def __init__(self, request: Request, dag: Any, session: Any) -> None:
        self.request, self.dag, self.session = request, dag, session
        self.records: Mapping[str, Any] = request.records
        #: Tasks whose states and XComs are as in the window.
        self.known: set[str] = {request.task_id}
        self.dag_run: Any = None

    # --- what the window holds so far ---

    def restore(self) -> None:
        from airflow.models import DagModel
        from airflow.utils.state import DagRunState
        from airflow.utils.types import DagRunType

        request, dag = self.request, self.dag
        self.session.add(DagModel(dag_id=dag.dag_id, fileloc=dag.fileloc, is_paused=False))
        self.session.flush()
        run_type = DagRunType.from_run_id(request.run_id)
        self.dag_run = dag.create_dagrun(
            state=DagRunState.RUNNING,
            execution_date=moment(request.logical_date),
            run_id=request.run_id,
            run_type=run_type,
            start_date=datetime.now(timezone.utc),  # noqa: UP017 - Python 3.8
            external_trigger=run_type is DagRunType.MANUAL,
            conf=request.conf,
            data_interval=(moment(request.start), moment(request.end)),
            session=self.session,
        )
        self.session.commit()
        for task in dag.topological_sort():
            if task.task_id in self.records:
                self._restore(task, self.records[task.task_id])
        for record in self.records.values():
            for task_id in record["skips"]:
                for instance in self._instances(task_id):
                    if task_id not in self.records or task_id == request.task_id:
                        instance.state = "skipped"
                        self.known.add(task_id)
        self.session.commit()

    def _restore(self, task: Any, record: Mapping[str, Any]) -> None:
        from airflow.models import TaskReschedule
        from airflow.models.taskmap import TaskMap
        from airflow.models.xcom import BaseXCom

        mapped = any(one["map_index"] >= 0 for one in record["instances"])
        if mapped:
            task.expand_mapped_task(self.request.run_id, session=self.session)
        instances = {one.map_index: one for one in self._instances(task.task_id)}
        own = task.task_id == self.request.task_id
        for one in record["instances"]:
            instance = instances.get(one["map_index"])
            if instance is None:
                continue
            instance.state = one["state"] if one["state"] in FINISHED or not own else None
            for table, rows in (
                (BaseXCom.__table__, one["xcoms"]),
                (TaskMap.__table__, one["task_map"]),
                (TaskReschedule.__table__, one["reschedules"]),
            ):
                self._insert(table, rows, instance)
        self.session.commit()
        self.known.add(task.task_id)

    def _insert(self, table: Any, rows: Iterable[Mapping[str, Any]], instance: Any) -> None:
        for row in rows:
            values = {name: from_json(value, table.c[name]) for name, value in row.items()}
            identity = {
                "dag_id": instance.dag_id, "task_id": instance.task_id, "run_id": instance.run_id,
                "map_index": instance.map_index, "dag_run_id": self.dag_run.id,
            }  # fmt: skip
            values.update({name: value for name, value in identity.items() if name in table.c})
            self.session.execute(table.insert().values(**values))

    def _instances(self, task_id: str) -> list[Any]:
        found = self.dag_run.get_task_instances(session=self.session)
        return sorted((one for one in found if one.task_id == task_id), key=lambda one: one.map_index)

    # --- the task ---

    def run(self, task: Any) -> dict[str, Any]:
        instances = self._own_instances(task)
        before = self._states()
        done: list[tuple[Any, str]] = []
        for instance in instances:
            instance.task = task
            error = ""
            if instance.state not in FINISHED:
                if self.request.rules and (waiting := self._why_not(instance)):
                    return {"waiting": masked(waiting)}
                if instance.state not in FINISHED:
                    error = self._run_instance(instance)
            done.append((instance, error))
        after = self._states()
        skips = sorted(
            task_id
            for task_id, state in after.items()
            if state == "skipped" and before.get(task_id) != state and task_id != task.task_id
        )
        made = [self._record(instance, error) for instance, error in done]
        states = [one["state"] for one in made] or ["skipped"]
        state = next((word for word in WORST if word in states), states[0])
        return {"record": {"state": state, "instances": made, "skips": skips}}

    def _own_instances(self, task: Any) -> list[Any]:
        if self.request.rules:
            self._settle_upstream(task)
        if (
            task.get_needs_expansion()
            if hasattr(task, "get_needs_expansion")
            else hasattr(task, "partial_kwargs")
        ):
            if any(one.map_index >= 0 for one in self._instances(task.task_id)):
                return self._instances(task.task_id)
            task.expand_mapped_task(self.request.run_id, session=self.session)
            self.session.commit()
        return self._instances(task.task_id)

    def _settle_upstream(self, task: Any) -> None:
        """Tasks that have no mirror: markers have the state that Airflow's rules give them, a LatestOnly runs, and of
        others Dagster's own order says that they have succeeded."""
        above = task.get_flat_relative_ids(upstream=True)
        for upstream in self.dag.topological_sort():
            if upstream.task_id not in above or upstream.task_id in self.known:
                continue
            for instance in self._instances(upstream.task_id):
                instance.task = upstream
                marker = says_nothing(upstream)
                latest = any(kind.__name__ == "LatestOnlyOperator" for kind in type(upstream).__mro__)
                if marker or latest:
                    self._settle(instance, latest)
                    self.known.add(upstream.task_id)
                else:
                    tell(
                        f"{upstream.task_id}: Dagster keeps no state of it for this window, taken as success"
                    )
                    instance.state = "success"
            self.session.commit()

    def _settle(self, instance: Any, latest: bool) -> None:
        if self._why_not(instance) or instance.state in FINISHED:
            return
        if latest:
            self._run_instance(instance)
        else:
            instance.state = "success"

    def _why_not(self, instance: Any) -> str:
        """Why Airflow's trigger rules do not let it run yet; where they never will, its state says so."""
        from airflow.ti_deps.dep_context import DepContext
        from airflow.ti_deps.deps.ready_to_reschedule import ReadyToRescheduleDep

        context = DepContext(
            flag_upstream_failed=True, ignore_depends_on_past=True, ignore_in_retry_period=True
        )
        failed = [
            status
            for status in instance.get_failed_dep_statuses(dep_context=context, session=self.session)
            if status.dep_name != ReadyToRescheduleDep.NAME
        ]
        self.session.commit()
        return "" if instance.state in FINISHED else "; ".join(status.reason for status in failed)

    def _run_instance(self, instance: Any) -> str:
        """The error, or nothing; the state is in the database."""
        from airflow.utils.state import TaskInstanceState

        request = self.request
        instance.refresh_from_task(instance.task)
        instance.state = TaskInstanceState.RUNNING
        instance.try_number = request.try_number
        instance.max_tries = instance.task.retries if request.max_tries is None else request.max_tries
        instance.start_date = datetime.now(timezone.utc)  # noqa: UP017 - Python 3.8
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
                said: str = masked(f"{type(error).__name__}: {error}")
                return said
            self.session.commit()
            instance.refresh_from_db(session=self.session)
            if instance.state != TaskInstanceState.DEFERRED:
                return ""
            instance.task = unmapped
            if stop := self._await_trigger(instance):
                return stop
            if instance.state in FINISHED:
                return ""

    def _await_trigger(self, instance: Any) -> str:
        """Awaits the trigger in place, and puts its event where the operator goes on; the error, or nothing."""
        from airflow.models.trigger import Trigger
        from airflow.utils.module_loading import import_string
        from airflow.utils.state import TaskInstanceState

        row = self.session.get(Trigger, instance.trigger_id)
        trigger = import_string(row.classpath)(**row.kwargs)
        trigger.task_instance = instance
        limit = instance.trigger_timeout
        seconds = None if limit is None else (limit - datetime.now(limit.tzinfo)).total_seconds()
        tell(f"Deferred: {row.classpath} is awaited here")

        def end(number: int, frame: Any) -> None:
            raise Ended

        signal.signal(signal.SIGTERM, end)
        failed: dict[str, Any] | None = None
        event: Any = None
        try:
            event = asyncio.run(first_event(trigger, seconds))
            if event is None:
                failed = {"error": "Trigger exited without sending an event"}
        except asyncio.TimeoutError:  # noqa: UP041 - Python 3.8 to 3.10 have two
            failed = {"error": "Trigger/execution timeout"}
        except Ended:
            instance.state = TaskInstanceState.FAILED
            self.session.commit()
            return "ended while its trigger was awaited"
        except Exception as error:
            failed = {"error": f"Trigger failure: {type(error).__name__}: {error}"}
        instance.trigger_id = instance.trigger_timeout = None
        instance.state = TaskInstanceState.RUNNING
        if failed is not None:
            instance.next_method, instance.next_kwargs = "__fail__", failed
        elif hasattr(event, "handle_submit"):
            instance.trigger_id = row.id
            event.handle_submit(task_instance=instance, session=self.session)
            if instance.state not in FINISHED:
                instance.state = TaskInstanceState.RUNNING
        else:
            instance.next_kwargs = {**(instance.next_kwargs or {}), "event": event.payload}
        self.session.merge(instance)
        self.session.commit()
        return ""

    # --- what it leaves behind ---

    def _states(self) -> dict[str, str]:
        self.session.expire_all()
        found = self.dag_run.get_task_instances(session=self.session)
        return {one.task_id: str(getattr(one.state, "value", one.state)) for one in found}

    def _record(self, instance: Any, error: str) -> dict[str, Any]:
        from airflow.models import TaskReschedule
        from airflow.models.taskmap import TaskMap
        from airflow.models.xcom import BaseXCom

        instance.refresh_from_db(session=self.session)
        reschedules = self._rows(TaskReschedule.__table__, instance, ("id", "ti_id"))
        state = getattr(instance.state, "value", instance.state)
        return {
            "map_index": instance.map_index,
            "state": state,
            "error": error,
            "until": reschedules[-1]["reschedule_date"] if state == "up_for_reschedule" else None,
            "xcoms": self._rows(BaseXCom.__table__, instance),
            "task_map": self._rows(TaskMap.__table__, instance),
            "reschedules": reschedules,
        }

    def _rows(self, table: Any, instance: Any, without: Sequence[str] = ()) -> list[dict[str, Any]]:
        identity = ("dag_id", "task_id", "run_id", "map_index")
        query = table.select()
        for name in identity:
            query = query.where(table.c[name] == getattr(instance, name))
        left = {*identity, "dag_run_id", *without}
        return [
            {name: as_json(value) for name, value in dict(row._mapping).items() if name not in left}
            for row in self.session.execute(query)
        ]


async def first_event(trigger: Any, seconds: float | None) -> Any:
    async def first() -> Any:
        async for event in trigger.run():
            return event
        return None

    try:
        return await asyncio.wait_for(first(), seconds)
    finally:
        with contextlib.suppress(Exception):
            await trigger.cleanup()


def as_json(value: Any) -> Any:
    """A column as the store keeps it: bytes of JSON as its text, other bytes (pickles) in base 64."""
    if isinstance(value, datetime):
        return value.isoformat()
    if not isinstance(value, bytes):
        return value
    try:
        text = value.decode("utf-8")
        json.loads(text)
    except ValueError:
        return {"base64": base64.b64encode(value).decode()}
    return {"json": text}


def from_json(value: Any, column: Any) -> Any:
    if isinstance(value, dict) and set(value) == {"json"}:
        return value["json"].encode("utf-8")
    if isinstance(value, dict) and set(value) == {"base64"}:
        return base64.b64decode(value["base64"])
    return moment(value) if isinstance(value, str) and column.name.endswith(("_date", "stamp")) else value
