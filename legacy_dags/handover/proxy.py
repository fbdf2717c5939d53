"""A task that `proxied_state/` marks as proxied runs in Dagster when Airflow's task runs.

The last line of a DAG file is `install_proxies(globals())`, which replaces the marked tasks when Airflow parses the
file, or `install_proxies(globals(), enrolled=…)`, which leaves each task the operator that it is and asks when the task
executes whose its window is (`switch.py`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import requests

from handover.airlift import ProxyOperator
from handover.dagster_try import DagsterTry
from handover.install import FAIL, Settings, install, stand_in
from handover.owners import proxied_state
from handover.place import DEFAULT_CONNECTION, find_place


def install_proxies(
    dag_file_globals: dict[str, Any],
    *,
    enrolled: str | Collection[str] | None = None,
    when_unknown: str = FAIL,
    conn_id: str = DEFAULT_CONNECTION,
    deferrable: bool | Collection[str] | None = None,
    patience: float | None = None,
) -> None:
    """Hand the marked tasks of the DAGs in this file over to Dagster; without any mark nothing changes. Never raises.

    `enrolled`: the ids of the tasks that ask whose a window is when they execute, or "all": each task that does work.
    None: marked tasks are replaced when Airflow parses the file. `when_unknown`: what an enrolled task does if nobody
    can say whose its window is: "fail", or "legacy" to run in Airflow all the same, which may make two writers.
    `deferrable`: whether proxies wait in Airflow's triggerer, or the ids of the tasks that do; None: Airflow's
    `[operators] default_deferrable`. `patience`: seconds that Dagster may be unavailable; None: the connection's value.
    """
    settings = Settings(conn_id, deferrable, patience, enrolled, when_unknown)
    install(dag_file_globals, proxied_state(), ProxyToDagster, settings)


class ProxyToDagster(ProxyOperator):  # type: ignore[misc]  # Airflow is not installed here
    """Runs a unit's job in Dagster for the run's data interval, and ends as the Dagster run ends.

    `instance`: what the proxies of a mapped task are expanded over. `position`: of the task's mark.
    """

    ui_color = "#dedcfb"

    def __init__(
        self,
        *,
        conn_id: str = DEFAULT_CONNECTION,
        deferrable: bool = False,
        patience: float | None = None,
        instance: int | None = None,
        position: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.instance, self.position = instance, position
        self.conn_id, self.deferrable, self.patience = conn_id, deferrable, patience
        self._dagster_try: DagsterTry | None = None

    def get_dagster_session(self, context: Any) -> requests.Session:
        session: requests.Session = find_place(self.conn_id, self.patience).session()
        return session

    def get_dagster_url(self, context: Any) -> str:
        return str(find_place(self.conn_id, self.patience).url)

    @classmethod
    def build_from_task(cls, task: Any) -> ProxyToDagster:
        """The signature that Airlift's `proxying_to_dagster` requires; `stand_in` also joins the DAG's groups."""
        proxy: ProxyToDagster = stand_in(task, cls)
        return proxy

    def execute(self, context: Any) -> None:
        self._try().run(context)

    def resume(self, context: Any, event: dict[str, str]) -> None:
        """Continue after the trigger has seen the run end."""
        self._try().resume(context, event)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> Any:
        self._try().end_if_timed_out(next_method, next_kwargs, context)
        return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        if self._dagster_try is not None:
            self._dagster_try.end()

    def _try(self) -> DagsterTry:
        if self._dagster_try is None:
            self._dagster_try = DagsterTry(
                self,
                conn_id=self.conn_id,
                deferrable=self.deferrable,
                patience=self.patience,
                position=self.position,
            )
        return self._dagster_try
