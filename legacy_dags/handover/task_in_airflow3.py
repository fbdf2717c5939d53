"""The run of one task in Airflow 3, by its Task SDK in this process, as `DAG.test` runs it; see `run_task.py`.

The Execution API that a task of Airflow 3 talks to is Airflow's own, in this process and on the private database.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import importlib
import inspect
import sys
import traceback
from collections.abc import Coroutine, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from uuid import UUID

from handover.run_task import (
    BUNDLE,
    FINISHED,
    CannotRun,
    Request,
    candidates,
    mark_start,
    masked,
    moment,
    tell,
)
from handover.task_bounds3 import (
    begin_and_end,
    isolate,
    supervisor_of,
    with_plain_api,
)
from handover.task_window import Window, parsed, steers, task_of


def run(request: Request) -> dict[str, Any]:
    """How the task ended: a record of it for the store, or why it is not its turn."""
    log_to_stdout()
    if request.candidate is not None:
        isolate(request.candidate)
    bag = find_dags(request)
    dag = bag.dags[request.dag_id]
    task = task_of(dag, request)
    from airflow import settings

    with_plain_api()
    session = settings.Session()
    register(bag, dag, session)
    plan = scheduled(dag)
    window = Window3(with_run_id(request, plan), dag, plan, session)
    window.restore()
    result: dict[str, Any] = window.of_side(task, isolate)
    return result


class MaskedStream:
    """Masks secrets in whatever is written, line by line: Airflow's log and what the operator prints."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._kept = stream, ""

    def write(self, text: str) -> int:
        whole, newline, self._kept = (self._kept + text).rpartition("\n")
        if newline:
            self._stream.write(masked(whole + newline))
        return len(text)

    def flush(self) -> None:
        if self._kept:
            self._stream.write(masked(self._kept))
            self._kept = ""
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def log_to_stdout() -> None:
    """Everything that Airflow and the operator log, and what the operator prints, with secrets masked."""
    sys.stdout = sys.stderr = MaskedStream(sys.stdout)
    import airflow  # noqa: F401 - Airflow configures its log while it is imported
    from airflow.sdk.log import configure_logging

    wanted = {"json_output": False, "log_level": "INFO", "output": sys.stdout, "colored_console_log": False}
    known = inspect.signature(configure_logging).parameters
    configure_logging(**{name: value for name, value in wanted.items() if name in known})


# --- the DAG file -----------------------------------------------------------------------------------------------


def imported(*places: str) -> Any:
    """The first of these `module:name` that this Airflow has; it has moved some from 3.0 to 3.3."""
    for place in places:
        module, _, name = place.partition(":")
        with contextlib.suppress(ImportError, AttributeError):
            return getattr(importlib.import_module(module), name)
    raise CannotRun(f"this Airflow has no {places[0]}: its version is not supported here")


def find_dags(request: Request) -> Any:
    """Parses one file where it is named; else those that may have the DAG, until one has it."""
    DagBag = imported("airflow.dag_processing.dagbag:DagBag", "airflow.models.dagbag:DagBag")  # noqa: N806 - it is a class
    parsing = imported(
        "airflow.sdk.definitions._internal.dag_parsing_context:_airflow_parsing_context_manager",
        "airflow.utils.dag_parsing_context:_airflow_parsing_context_manager",
    )
    given = {"include_examples": False, "bundle_path": Path(request.dags_folder), "bundle_name": BUNDLE}
    known = inspect.signature(DagBag.__init__).parameters
    given = {name: value for name, value in given.items() if name in known}

    def read(path: str) -> Any:
        return DagBag(dag_folder=path, **given)

    with parsing(dag_id=request.dag_id, task_id=request.task_id):
        return parsed(request, candidates(request), read)


def register(bag: Any, dag: Any, session: Any) -> None:
    """Puts the DAG into the private database, as Airflow's DAG processor does."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    DagBundlesManager().sync_bundles_to_db(session=session)
    session.commit()
    bag.dags = {dag.dag_id: dag}
    bag.import_errors.clear()
    if hasattr(bag, "sync_to_db"):  # 3.0
        bag.sync_to_db(BUNDLE, None, session=session)
    else:
        sync = imported(
            "airflow.dag_processing.dagbag:sync_bag_to_db", "airflow.models.dagbag:sync_bag_to_db"
        )
        sync(bag, BUNDLE, None, session=session)
    session.commit()


def scheduled(dag: Any) -> Any:
    """The DAG as the scheduler has it."""
    kind = imported(
        "airflow.serialization.serialized_objects:DagSerialization",
        "airflow.serialization.serialized_objects:SerializedDAG",
    )
    return kind.deserialize_dag(kind.serialize_dag(dag))


def with_run_id(request: Request, plan: Any) -> Request:
    """With the id that Airflow 3 would give the run, where it has not given one."""
    import pendulum
    from airflow.utils.types import DagRunType

    if request.run_id != f"scheduled__{request.start}":
        return request
    start, end = (pendulum.instance(moment(text)) for text in (request.start, request.end))
    run_id = plan.timetable.generate_run_id(
        run_type=DagRunType.SCHEDULED,
        run_after=end,
        data_interval=imported("airflow.timetables.base:DataInterval")(start, end),
    )
    return dataclasses.replace(request, run_id=run_id)


# --- the run ----------------------------------------------------------------------------------------------------


class Window3(Window):  # type: ignore[misc]  # types stop at the package that this folder is not here
    TRIGGER_TIMED_OUT = "Trigger timeout"

    def __init__(self, request: Request, dag: Any, plan: Any, session: Any) -> None:
        super().__init__(request, dag, plan, session)
        from airflow.models.taskmap import TaskMap
        from airflow.models.taskreschedule import TaskReschedule
        from airflow.models.xcom import XComModel

        models = {"xcoms": XComModel, "task_map": TaskMap, "reschedules": TaskReschedule}
        with contextlib.suppress(ImportError):  # from 3.3
            from airflow.models.task_state_store import TaskStateStoreModel

            models["task_state"] = TaskStateStoreModel
        self.tables = {name: model.__table__ for name, model in models.items()}
        self.supervisor = supervisor_of(dag, request.run_id, self.known)

    def make_dag_run(self) -> Any:
        from airflow.utils.state import DagRunState
        from airflow.utils.types import DagRunTriggeredByType, DagRunType

        request = self.request
        run_type = DagRunType.from_run_id(request.run_id)
        # The id of a run has the end of its interval in it, and its logical date is the start.
        of_clock = run_type in (DagRunType.SCHEDULED, DagRunType.BACKFILL_JOB)
        date = request.start if of_clock else request.logical_date
        return self.plan.create_dagrun(
            run_id=request.run_id,
            logical_date=moment(date),
            data_interval=(moment(request.start), moment(request.end)),
            run_after=moment(request.end),
            conf=request.conf,
            run_type=run_type,
            triggered_by=DagRunTriggeredByType.TIMETABLE,
            state=DagRunState.RUNNING,
            start_date=datetime.now(timezone.utc),
            session=self.session,
        )

    def expand(self, task: Any) -> None:
        from airflow.models.taskmap import TaskMap

        TaskMap.expand_mapped_task(task, self.request.run_id, session=self.session)
        self.session.commit()

    def reschedules(self, record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Those of this try: Airflow 3 keeps them by a try's own id."""
        return list(record["reschedules"]) if record["state"] == "up_for_reschedule" else []

    def check_above(self, task: Any) -> None:
        """A branch right above says in an XCom which of the tasks below it run."""
        unknown = [
            each
            for each in sorted(task.upstream_task_ids)
            if each not in self.known and steers(self.dag.task_dict[each])
        ]
        if unknown:
            raise CannotRun(
                f"the XComs of {', '.join(unknown)} are not at hand: Dagster has not run it for this window. "
                "Run it there first"
            )

    def run_instance(self, instance: Any) -> str:
        from airflow.utils.state import TaskInstanceState

        request = self.request
        instance.refresh_from_task(instance.task)
        instance.try_number = request.try_number
        instance.max_tries = instance.task.retries if request.max_tries is None else request.max_tries
        self.session.merge(instance)
        self.session.commit()
        tell(f"Running {request.dag_id}.{instance.task_id} of [{request.start}, {request.end})")
        begin_and_end(lambda: mark_start(request))
        place = instance.task_id, instance.map_index
        while True:
            # Airflow's own API runs a queued task only, also after it was deferred.
            instance.state = TaskInstanceState.QUEUED
            self.session.commit()
            try:
                ended = self.supervisor.start(
                    what=self.told_of(instance), task=self.dag.task_dict[instance.task_id]
                )
            except BaseException as error:
                instance = self._reread(*place)
                if instance.state not in FINISHED:  # Airflow had not begun with the operator yet
                    tell(masked(traceback.format_exc()))
                    instance.state = TaskInstanceState.FAILED
                self.session.commit()
                failure_text: str = masked(f"{type(error).__name__}: {error}")
                return failure_text
            instance = self._reread(*place)
            if instance.state != TaskInstanceState.DEFERRED:
                failure = getattr(ended, "error", None)
                return "" if failure is None else str(masked(f"{type(failure).__name__}: {failure}"))
            stop: str = self.await_trigger(instance)
            if stop:
                return stop
            if instance.state in FINISHED:
                return ""

    def _reread(self, task_id: str, map_index: int) -> Any:
        """The instance as Airflow's API has left it, by a session of its own, and perhaps in a new row."""
        self.session.rollback()
        self.session.expire_all()
        [instance] = [each for each in self._instances(task_id) if each.map_index == map_index]
        instance.task = self.plan.task_dict[task_id]
        return instance

    def told_of(self, instance: Any) -> Any:
        """The instance as a worker and a trigger are told of it."""
        from airflow.sdk.api.datamodels._generated import TaskInstance

        known = {
            "id": UUID(str(instance.id)), "task_id": instance.task_id, "dag_id": instance.dag_id,
            "run_id": instance.run_id, "try_number": instance.try_number, "map_index": instance.map_index,
            "dag_version_id": instance.dag_version_id and UUID(str(instance.dag_version_id)),
        }  # fmt: skip
        return TaskInstance(
            **{name: value for name, value in known.items() if name in TaskInstance.model_fields}
        )

    def run_trigger(self, event: Coroutine[Any, Any, Any]) -> Any:
        """With a supervisor to talk to, as a trigger has in a triggerer."""
        from airflow.sdk.execution_time.supervisor import set_supervisor_comms

        with set_supervisor_comms(self.supervisor.last.comms):
            return asyncio.run(event)

    def take_event(self, event: Any, instance: Any) -> None:
        with contextlib.suppress(ImportError):
            from airflow.models.trigger import handle_event_submit

            handle_event_submit(event, task_instance=instance, session=self.session)
            return
        event.handle_submit(task_instance=instance, session=self.session)  # 3.0
