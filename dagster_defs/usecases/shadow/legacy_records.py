"""What legacy's tasks of a window left behind, for a candidate whose upstream tasks have no candidate of their own.

A candidate reads from legacy whatever its unit does not build. Of tasks that is their state and their XComs: Airflow's
API tells those of Airflow's own run, and the store those of tasks that Dagster ran in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagster_defs.adapters.airflow.address import AirflowAddress
from dagster_defs.adapters.airflow.client import FINISHED, HANDOVER_KEYS, RUN_KEY, AirflowReader
from dagster_defs.adapters.airflow.rows import TaskInstance
from dagster_defs.adapters.airflow.task_store import WindowStore
from dagster_defs.adapters.dagster.event_log import WindowEvent
from dagster_defs.adapters.files.airflows import settings_of_dag
from dagster_defs.errors import AirflowFault
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.parity import Side
from dagster_defs.usecases.shadow.standing import EventLog
from dagster_defs.windows import Moment

Records = dict[str, Mapping[str, Any]]
PATIENCE = 10.0  # seconds for one answer of Airflow's
_TIME = "1970-01-01T00:00:00+00:00"  # no task is told when an XCom was written
# How Airflow's API shows an object that is no plain JSON: its class, the version of its form, and what it looks like;
# in Airflow 3 a mapping that has its class under this key.
_OBJECT = re.compile(r"[\w.]+@version=\d+\(.*\)|__classname__", re.DOTALL)


@dataclass(frozen=True)
class LegacyRecords:
    """`event`: the materialization by legacy's run of the window; None if there is none."""

    log: EventLog
    unit: Unit
    window: Moment
    event: WindowEvent | None
    say: Callable[[str], None]

    def read(self, besides: Collection[str]) -> Records:
        """By task id, without those in `besides`. What cannot be had is told and left out: whoever asks for it fails
        then, with its name."""
        run_id = self._airflow_run
        if not run_id:
            return {}
        kept = WindowStore.of(
            self.log.settings.task_store, Side.LEGACY, self.unit.dag_id, self.window
        ).records()
        settings = settings_of_dag(self.log.settings, self.unit.dag_id)
        try:
            client = AirflowReader(AirflowAddress.of(settings), patience=PATIENCE)
            tasks = self._tasks(client, run_id, besides)
            keys = client.xcom_keys(self.unit.dag_id, run_id) if tasks else []
            by_dagster = {unit.task_id for unit, _, key in keys if key == RUN_KEY}
            own = {
                task_id: task
                for task_id, task in tasks.items()
                if not client.is_proxy(task) and task_id not in by_dagster
            }
            asked = self._in_airflow(client, run_id, own, keys)
        except AirflowFault as error:
            self.say(f"What legacy's tasks of {run_id} left behind is not at hand: {error}")
            return {}
        return {**asked, **{name: kept[name] for name in tasks.keys() - own.keys() if name in kept}}

    @property
    def _airflow_run(self) -> str:
        if self.event is None or not self.event.run_id:
            return self.event.airflow_run if self.event else ""
        run = self.log.instance.get_run_by_id(self.event.run_id)
        return run.tags.get(tags.AIRFLOW_RUN, "") if run else ""

    def _tasks(self, client: AirflowReader, run_id: str, besides: Collection[str]) -> dict[str, TaskInstance]:
        """Those that are over. Of a mapped task, only Airflow knows how its instances belong together."""
        tasks = client.task_instances(self.unit.dag_id, run_id)
        left_out = {task.unit.task_id for task in tasks if task.map_index >= 0} | set(besides)
        return {
            task.unit.task_id: task
            for task in tasks
            if task.state in FINISHED and task.unit.task_id not in left_out
        }

    def _in_airflow(
        self,
        client: AirflowReader,
        run_id: str,
        tasks: Mapping[str, TaskInstance],
        keys: Sequence[tuple[Unit, int, str]],
    ) -> Records:
        xcoms: dict[str, list[Mapping[str, Any]]] = {name: [] for name in tasks}
        unclear: set[str] = set()
        for unit, _, key in keys:
            if unit.task_id not in tasks or key in HANDOVER_KEYS:
                continue
            value = client.xcom(unit, run_id, key)
            if any(_OBJECT.fullmatch(text) for text in _texts(value)):
                self.say(
                    f"Airflow's API does not tell the XCom {key} of {unit.task_id}, which is no plain JSON"
                )
                unclear.add(unit.task_id)
            xcoms[unit.task_id].append({"key": key, "value": {"json": json.dumps(value)}, "timestamp": _TIME})
        return {name: _record(task, xcoms[name]) for name, task in tasks.items() if name not in unclear}


def _record(task: TaskInstance, xcoms: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    """As a run of the operator leaves it in the store; what a branch skips, the skipped tasks' own records say."""
    instance = {"map_index": -1, "state": task.state, "error": "", "until": None, "xcoms": xcoms}
    return {
        "state": task.state,
        "instances": [{**instance, "task_map": [], "reschedules": []}],
        "skips": [],
    }


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = [*value, *value.values()]
    if isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, str):
        yield value
