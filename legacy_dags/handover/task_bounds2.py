"""What a task may not see, tell or take for true while it runs on a private database in Airflow 2."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from handover.run_task import CannotRun

HISTORY = ("get_previous_dagrun", "get_previous_ti", "get_previous_start_date", "get_previous_execution_date")
OF_HISTORY = ("prev_data_interval_start_success", "prev_data_interval_end_success", "prev_start_date_success",
              "prev_end_date_success", "prev_execution_date_success")  # fmt: skip
CALLBACKS = ("on_execute_callback", "on_success_callback", "on_failure_callback", "on_retry_callback",
             "on_skipped_callback")  # fmt: skip


def environment_first(names: Sequence[str]) -> None:
    """What keeps a candidate away from legacy's places are variables: no secrets back end may come before them.

    Raises CannotRun for what would not keep it away.
    """
    from airflow import configuration
    from airflow.secrets.environment_variables import EnvironmentVariablesBackend

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
    backends = configuration.ensure_secrets_loaded()
    backends.sort(key=lambda backend: type(backend) is not EnvironmentVariablesBackend)
    # Asked again, as each look-up does: two back ends only are made anew each time.
    first = next(iter(configuration.ensure_secrets_loaded()), None)
    if type(first) is not EnvironmentVariablesBackend:
        raise CannotRun(
            f"a candidate would read its Connections and Variables from {type(first).__name__} and not from "
            "env.candidate: take that secrets back end out of the airflow.cfg that its AIRFLOW_CONFIG names"
        )


def clear_listeners() -> None:
    from airflow.listeners.listener import get_listener_manager

    get_listener_manager().clear()


def silence(task: Any) -> None:
    """For a run of which nobody must be told, or of which somebody else tells."""
    for name in CALLBACKS:
        if isinstance(getattr(task, "partial_kwargs", None), dict):
            task.partial_kwargs.pop(name, None)
        elif getattr(task, name, None):
            setattr(task, name, None)
    for name in ("email_on_failure", "email_on_retry"):
        if isinstance(getattr(task, "partial_kwargs", None), dict):  # a mapped task has them in there
            task.partial_kwargs[name] = False
        else:
            setattr(task, name, False)


def says_nothing(task: Any) -> bool:
    """Whether it is a marker, which leaves no XCom."""
    return bool(getattr(task, "inherits_from_empty_operator", False))


def steers(task: Any) -> bool:
    """Whether it says which of the tasks below it run; a sensor skips itself only."""
    kind = getattr(task, "operator_class", None) or type(task)
    names = {each.__name__ for each in getattr(kind, "__mro__", ())}
    return "SkipMixin" in names and "BaseSensorOperator" not in names


def guard(dag: Any, known: set[str]) -> None:
    """What a private database cannot know or keep raises, instead of giving nothing."""
    import lazy_object_proxy
    from airflow.exceptions import AirflowFailException
    from airflow.models import TaskInstance, Variable
    from airflow.models.skipmixin import XCOM_SKIPMIXIN_KEY

    def above_of(task_id: str) -> set[str]:
        return set(dag.task_dict[task_id].get_flat_relative_ids(upstream=True))

    pull = TaskInstance.xcom_pull
    signature = inspect.signature(pull)

    def xcom_pull(self: Any, *args: Any, **kwargs: Any) -> Any:
        given = signature.bind(self, *args, **kwargs).arguments
        ids = given.get("task_ids")
        ids = [ids] if isinstance(ids, str) else list(ids or ())
        if given.get("include_prior_dates") or given.get("dag_id") not in (None, dag.dag_id):
            raise AirflowFailException(
                "XComs of other runs and other DAGs are not at hand: only those of this window are kept"
            )
        if given.get("key") == XCOM_SKIPMIXIN_KEY:  # Airflow's own rules ask every task right above
            ids = [one for one in ids if one in dag.task_dict and steers(dag.task_dict[one])]
        elif given.get("task_ids") is None:  # of whichever task has the key
            ids = [one for one in above_of(self.task_id) if not says_nothing(dag.task_dict[one])]
        if unknown := [one for one in ids if one in dag.task_dict and one not in known]:
            raise AirflowFailException(
                f"the XComs of {', '.join(sorted(unknown))} are not at hand: Dagster has not run it for this window. "
                "Run it there first, or pass on what it says in a file or a table"
            )
        return pull(self, *args, **kwargs)

    def no_history(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise AirflowFailException("earlier runs are not at hand: there is no shared metadata database")

    def no_keeping(*args: Any, **kwargs: Any) -> Any:
        raise AirflowFailException(
            "a Variable cannot be written: there is no shared metadata database that would keep it"
        )

    def get_template_context(self: Any, *args: Any, **kwargs: Any) -> Any:
        # Airflow asks for earlier runs while it prepares each one; only who looks at them needs them.
        with unguarded(asked):
            context = template_context(self, *args, **kwargs)
        for name in OF_HISTORY:
            if name in context:
                context[name] = lazy_object_proxy.Proxy(lambda: no_history(None))
        return context

    asked = {name: getattr(TaskInstance, name) for name in HISTORY if hasattr(TaskInstance, name)}
    template_context = TaskInstance.get_template_context
    TaskInstance.xcom_pull = xcom_pull
    TaskInstance.get_template_context = get_template_context
    for name in HISTORY:
        if hasattr(TaskInstance, name):
            setattr(TaskInstance, name, no_history)
    for name in ("set", "update", "delete"):
        setattr(Variable, name, staticmethod(no_keeping))


@contextlib.contextmanager
def unguarded(methods: Mapping[str, Any]) -> Iterator[None]:
    from airflow.models import TaskInstance

    guarded = {name: getattr(TaskInstance, name) for name in methods}
    for name, method in methods.items():
        setattr(TaskInstance, name, method)
    try:
        yield
    finally:
        for name, method in guarded.items():
            setattr(TaskInstance, name, method)
