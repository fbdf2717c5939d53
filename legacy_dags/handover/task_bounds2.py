"""What a task may not see, tell or take for true while it runs on a private database in Airflow 2."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from handover.task_window import not_environment, refuse_misnamed, says_nothing, steers

HISTORY = ("get_previous_dagrun", "get_previous_ti", "get_previous_start_date", "get_previous_execution_date")
OF_HISTORY = ("prev_data_interval_start_success", "prev_data_interval_end_success", "prev_start_date_success",
              "prev_end_date_success", "prev_execution_date_success")  # fmt: skip


def isolate(names: Sequence[str]) -> None:
    """For a candidate, before the DAG file is parsed and after: it may have imported what changes them."""
    environment_first(names)
    clear_listeners()


def environment_first(names: Sequence[str]) -> None:
    """What keeps a candidate away from legacy's places are variables: no secrets back end may come before them.

    Raises CannotRun for what would not keep it away.
    """
    from airflow import configuration
    from airflow.secrets.environment_variables import EnvironmentVariablesBackend

    refuse_misnamed(names)
    backends = configuration.ensure_secrets_loaded()
    backends.sort(key=lambda backend: type(backend) is not EnvironmentVariablesBackend)
    # Asked again, as each look-up does: two back ends only are made anew each time.
    first = next(iter(configuration.ensure_secrets_loaded()), None)
    if type(first) is not EnvironmentVariablesBackend:
        raise not_environment(type(first).__name__)


def clear_listeners() -> None:
    from airflow.listeners.listener import get_listener_manager

    get_listener_manager().clear()


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
            ids = [each for each in ids if each in dag.task_dict and steers(dag.task_dict[each])]
        elif given.get("task_ids") is None:  # of whichever task has the key
            ids = [each for each in above_of(self.task_id) if not says_nothing(dag.task_dict[each])]
        if unknown := [each for each in ids if each in dag.task_dict and each not in known]:
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
