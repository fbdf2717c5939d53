"""What the tasks of one window have left behind, restored into and read out of a private database of Airflow's."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import importlib
import json
import signal
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from handover.run_task import FINISHED, CannotRun, Request, masked, moment, refuse_unfit, tell

# The worst first: one word for all instances of a mapped task.
WORST = ("failed", "upstream_failed", "up_for_retry", "up_for_reschedule", "success", "skipped")

CALLBACKS = ("on_execute_callback", "on_success_callback", "on_failure_callback", "on_retry_callback",
             "on_skipped_callback")  # fmt: skip


class Ended(BaseException):
    """Somebody ends the run while a trigger is awaited."""


class Window:
    """The DAG's run of the window; a subclass for each major version of Airflow.

    `dag` has the operators as the DAG file makes them, `plan` the tasks as Airflow's scheduler knows them.
    """

    #: Airflow's tables by their names in a record.
    tables: Mapping[str, Any]

    def __init__(self, request: Request, dag: Any, plan: Any, session: Any) -> None:
        self.request, self.dag, self.plan, self.session = request, dag, plan, session
        self.records: Mapping[str, Any] = request.records
        #: Tasks whose states and XComs are as in the window.
        self.known: set[str] = {request.task_id}
        self.dag_run: Any = None

    # --- what differs between versions ---

    def make_dag_run(self) -> Any:
        raise NotImplementedError

    def expand(self, task: Any) -> None:
        """Makes the instances of a mapped task."""
        raise NotImplementedError

    def run_instance(self, instance: Any) -> str:
        """Runs it to its end; the error, or nothing. The state is in the database."""
        raise NotImplementedError

    #: What Airflow tells a task whose trigger took too long.
    TRIGGER_TIMED_OUT: str

    def run_trigger(self, event: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run(event)

    def take_event(self, event: Any, instance: Any) -> None:
        """Puts a trigger's event where the operator goes on, or ends the task with it."""
        raise NotImplementedError

    def told_of(self, instance: Any) -> Any:
        """The instance as a trigger knows it."""
        return instance

    def check_above(self, task: Any) -> None:
        """Raises CannotRun where Airflow's rules would read what is not there."""

    def reschedules(self, record: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        rows: Sequence[Mapping[str, Any]] = record["reschedules"]
        return rows

    # --- what the window holds so far ---

    def restore(self) -> None:
        self.dag_run = self.make_dag_run()
        self.session.commit()
        for task in in_order(self.plan):
            if task.task_id in self.records:
                self._restore(task, self.records[task.task_id])
        for record in self.records.values():
            for task_id in record["skips"]:
                for instance in self._instances(task_id):
                    if task_id not in self.records or task_id == self.request.task_id:
                        instance.state = "skipped"
                        self.known.add(task_id)
        self.session.commit()

    def _restore(self, task: Any, record: Mapping[str, Any]) -> None:
        if any(row["map_index"] >= 0 for row in record["instances"]):
            self.expand(task)
        instances = {row.map_index: row for row in self._instances(task.task_id)}
        own = task.task_id == self.request.task_id
        for row in record["instances"]:
            instance = instances.get(row["map_index"])
            if instance is None:
                continue
            instance.state = row["state"] if row["state"] in FINISHED or not own else None
            rows = {**row, "reschedules": self.reschedules(row)}
            for name, table in self.tables.items():
                self._insert(table, rows.get(name, ()), instance)
        self.session.commit()
        self.known.add(task.task_id)

    def _identity(self, table: Any, instance: Any) -> dict[str, Any]:
        own = {
            "dag_id": instance.dag_id, "task_id": instance.task_id, "run_id": instance.run_id,
            "map_index": instance.map_index,
        }  # fmt: skip
        return own if "task_id" in table.c else {"ti_id": instance.id}

    def _insert(self, table: Any, rows: Iterable[Mapping[str, Any]], instance: Any) -> None:
        for row in rows:
            values = {name: from_json(value, table.c[name]) for name, value in row.items() if name in table.c}
            values.update(self._identity(table, instance))
            if "dag_run_id" in table.c:
                values["dag_run_id"] = self.dag_run.id
            self.session.execute(table.insert().values(**values))

    def _instances(self, task_id: str) -> list[Any]:
        instances = self.dag_run.get_task_instances(session=self.session)
        return sorted(
            (each for each in instances if each.task_id == task_id), key=lambda each: each.map_index
        )

    # --- the task ---

    def of_side(self, task: Any, isolate: Callable[[Sequence[str]], None]) -> dict[str, Any]:
        """Runs the request's task, whose operator is `task`, as legacy or as a candidate."""
        if not self.request.callbacks:
            silence(task)
        if self.request.candidate is not None:
            isolate(self.request.candidate)
        return self.run()

    def run(self) -> dict[str, Any]:
        task = self.plan.task_dict[self.request.task_id]
        instances = self._own_instances(task)
        if self.request.asks:
            return self._asked(task, instances)
        before = self._states()
        errors: dict[int, str] = {}
        for instance in instances:
            instance.task = task
            index = instance.map_index
            if instance.state not in FINISHED:
                if self.request.rules and (waiting := self._why_not(instance)):
                    return {"waiting": masked(waiting)}
                if instance.state not in FINISHED:
                    errors[index] = self.run_instance(instance)
        after = self._states()
        skips = sorted(
            task_id
            for task_id, state in after.items()
            if state == "skipped" and before.get(task_id) != state and task_id != task.task_id
        )
        # Asked again: Airflow 3 gives a task instance a new row for its next try.
        made = [self._record(each, errors.get(each.map_index, "")) for each in self._instances(task.task_id)]
        states = [each["state"] for each in made] or ["skipped"]
        state = next((word for word in WORST if word in states), states[0])
        return {"record": {"state": state, "instances": made, "skips": skips}}

    def _asked(self, task: Any, instances: Sequence[Any]) -> dict[str, Any]:
        """The state that Airflow's trigger rules give the task, whose work is not done here; empty if it is to run."""
        for instance in instances:
            instance.task = task
            if waiting := self._why_not(instance):
                return {"waiting": masked(waiting)}
        made = [self._record(each, "") for each in instances]
        states = {each["state"] for each in made}
        state = str(made[0]["state"]) if len(states) == 1 and states <= set(FINISHED) else ""
        return {"record": {"state": state, "instances": made, "skips": []}}

    def _own_instances(self, task: Any) -> list[Any]:
        if self.request.rules:
            self._settle_upstream(task)
        needed = getattr(task, "get_needs_expansion", None)
        if needed() if needed else hasattr(task, "partial_kwargs"):
            if any(each.map_index >= 0 for each in self._instances(task.task_id)):
                return self._instances(task.task_id)
            self.expand(task)
            self.session.commit()
        return self._instances(task.task_id)

    def _settle_upstream(self, task: Any) -> None:
        """Tasks that have no mirror: markers have the state that Airflow's rules give them, a LatestOnly runs, and of
        others Dagster's own order says that they have succeeded."""
        above = task.get_flat_relative_ids(upstream=True)
        for upstream in in_order(self.plan):
            if upstream.task_id not in above or upstream.task_id in self.known:
                continue
            for instance in self._instances(upstream.task_id):
                instance.task = upstream
                marker = says_nothing(upstream)
                latest = "LatestOnlyOperator" in kinds(self.dag.task_dict[upstream.task_id])
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
            self.run_instance(instance)
        else:
            instance.state = "success"

    def _why_not(self, instance: Any) -> str:
        """Why Airflow's trigger rules do not let it run yet; where they never will, its state says so."""
        from airflow.ti_deps.dep_context import DepContext
        from airflow.ti_deps.deps.ready_to_reschedule import ReadyToRescheduleDep

        self.check_above(instance.task)
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

    def await_trigger(self, instance: Any) -> str:
        """Awaits the trigger in place, and puts its event where the operator goes on; the error, or nothing."""
        from airflow.models.trigger import Trigger
        from airflow.utils.state import TaskInstanceState

        row = self.session.get(Trigger, instance.trigger_id)
        module, _, name = row.classpath.rpartition(".")
        trigger = getattr(importlib.import_module(module), name)(**row.kwargs)
        trigger.task_instance = self.told_of(instance)
        limit = instance.trigger_timeout
        seconds = None if limit is None else (limit - datetime.now(limit.tzinfo)).total_seconds()
        tell(f"Deferred: {row.classpath} is awaited here")
        self.session.commit()

        def end(number: int, frame: Any) -> None:
            raise Ended

        signal.signal(signal.SIGTERM, end)
        error, event = "", None
        try:
            event = self.run_trigger(first_event(trigger, seconds))
            if event is None:
                error = "Trigger exited without sending an event"
        except asyncio.TimeoutError:
            error = self.TRIGGER_TIMED_OUT
        except Ended:
            instance.state = TaskInstanceState.FAILED
            self.session.commit()
            return "ended while its trigger was awaited"
        except Exception as failure:
            error = f"Trigger failure: {type(failure).__name__}: {failure}"
        if error:
            instance.next_method, instance.next_kwargs = "__fail__", {"error": error}
            instance.trigger_id = instance.trigger_timeout = None
        else:
            self.take_event(event, instance)
        self.session.merge(instance)
        self.session.commit()
        return ""

    # --- what it leaves behind ---

    def _states(self) -> dict[str, str]:
        self.session.expire_all()
        instances = self.dag_run.get_task_instances(session=self.session)
        return {each.task_id: str(getattr(each.state, "value", each.state)) for each in instances}

    def _record(self, instance: Any, error: str) -> dict[str, Any]:
        instance.refresh_from_db(session=self.session)
        rows = {name: self._rows(table, instance) for name, table in self.tables.items()}
        state = getattr(instance.state, "value", instance.state)
        rescheduled = state == "up_for_reschedule"
        return {
            "map_index": instance.map_index,
            "state": state,
            "error": error,
            "until": rows["reschedules"][-1]["reschedule_date"] if rescheduled else None,
            **rows,
        }

    def _rows(self, table: Any, instance: Any) -> list[dict[str, Any]]:
        query, identity = table.select(), self._identity(table, instance)
        for name, value in identity.items():
            query = query.where(table.c[name] == value)
        left = {*identity, "id", "ti_id", "dag_run_id"}
        return [
            {
                name: as_json(value, table.c[name])
                for name, value in dict(row._mapping).items()
                if name not in left
            }
            for row in self.session.execute(query)
        ]


# --- tasks ------------------------------------------------------------------------------------------------------


def kinds(task: Any) -> set[str]:
    """The names of an operator's class and of those above it."""
    kind = getattr(task, "operator_class", None) or type(task)
    return {each.__name__ for each in getattr(kind, "__mro__", ())}


def in_order(plan: Any) -> list[Any]:
    """Each task after all that are above it: those above it are fewer than its own."""
    return sorted(plan.task_dict.values(), key=lambda task: len(task.get_flat_relative_ids(upstream=True)))


def says_nothing(task: Any) -> bool:
    """Whether it is a marker, which leaves no XCom."""
    return bool(getattr(task, "inherits_from_empty_operator", False))


def steers(task: Any) -> bool:
    """Whether it says which of the tasks below it run; a sensor skips itself only."""
    names = kinds(task)
    return "SkipMixin" in names and "BaseSensorOperator" not in names


def silence(task: Any) -> None:
    """For a run of which nobody must be told, or of which somebody else tells."""
    for name in CALLBACKS:
        if isinstance(getattr(task, "partial_kwargs", None), dict):
            task.partial_kwargs.pop(name, None)
        elif callbacks := getattr(task, name, None):
            setattr(task, name, [] if isinstance(callbacks, (list, tuple)) else None)
    for name in ("email_on_failure", "email_on_retry"):
        if isinstance(getattr(task, "partial_kwargs", None), dict):  # a mapped task has them in there
            task.partial_kwargs[name] = False
        else:
            setattr(task, name, False)


def task_of(dag: Any, request: Request) -> Any:
    """Raises CannotRun where there is none, or one that cannot run here."""
    task = dag.task_dict.get(request.task_id)
    if task is None:
        raise CannotRun(f"DAG {request.dag_id} has no task {request.task_id}; it has {sorted(dag.task_dict)}")
    refuse_unfit(task)
    return task


def parsed(request: Request, files: Iterable[Any], read: Callable[[str], Any]) -> Any:
    """The bag of the first file that has the DAG; `read` parses one. Raises CannotRun where none has it."""
    errors: list[str] = []
    for path in files:
        bag = read(str(path))
        if request.dag_id in bag.dags:
            return bag
        errors += [f"{file}: {error.strip()}" for file, error in bag.import_errors.items()]
    seen = f". Not imported: {'; '.join(errors)}" if errors else ""
    where = request.file or request.dags_folder
    raise CannotRun(f"there is no DAG {request.dag_id} in {where}{seen}")


def refuse_misnamed(names: Sequence[str]) -> None:
    """Raises CannotRun for a variable that a candidate would not read."""
    unread = [
        name
        for name in names
        if name.upper().startswith(("AIRFLOW_CONN_", "AIRFLOW_VAR_")) and name != name.upper()
    ]
    if unread:
        raise CannotRun(
            f"a candidate would not read {', '.join(unread)}: Airflow looks for Connections and Variables in capitals. "
            "Write the names in env.candidate so"
        )


def not_environment(name: str) -> CannotRun:
    """For a back end called `name` that would answer before the environment."""
    return CannotRun(
        f"a candidate would read its Connections and Variables from {name} and not from "
        "env.candidate: take that secrets back end out of the airflow.cfg that its AIRFLOW_CONFIG names"
    )


# --- triggers ---------------------------------------------------------------------------------------------------


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


# --- columns ----------------------------------------------------------------------------------------------------


def is_json(column: Any) -> bool:
    """Whether the column holds JSON in the database, as XComs do in Airflow 3; in Airflow 2 they are its bytes."""
    return bool(column.name == "value" and type(column.type).__name__ == "JSON")


def as_json(value: Any, column: Any) -> Any:
    """A column as the store keeps it: JSON and bytes of it as its text, other bytes (pickles) in base 64."""
    if isinstance(value, datetime):
        return value.isoformat()
    if is_json(column):
        return {"json": json.dumps(value)}
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
        return json.loads(value["json"]) if is_json(column) else value["json"].encode("utf-8")
    if isinstance(value, dict) and set(value) == {"base64"}:
        if is_json(column):
            raise CannotRun("an XCom of the window is a pickle of Airflow 2, which Airflow 3 does not read")
        return base64.b64decode(value["base64"])
    return (
        moment(value) if isinstance(value, str) and column.name.endswith(("_date", "_at", "stamp")) else value
    )
