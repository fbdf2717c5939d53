"""The way of the tea house's `sales` from Airflow to Dagster's schedule, and what is seen on it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pendulum

from dagster_defs.adapters.airflow.task_store import WindowStore
from dagster_defs.adapters.dagster.evidence import read_evidence
from dagster_defs.lifecycle import tags
from dagster_defs.lifecycle.verdicts import Evidence
from dagster_defs.parity import Side
from dagster_defs.windows import Window
from tests.support.tea_house import FOLDERS, TeaHouse
from tests.support.tea_orders import DAYS

COMPARED = ("book", "check", "note", "pack", "worth")
NEVER = {
    "arrived": "it only waits",
    "decide": "it only says which way an order goes",
    "express": "it prints a label",
    "regular": "it prints a label",
}
OBSERVED, SHADOWED, PROXIED, *SCHEDULED = DAYS
OVER = {"success", "skipped"}
READ_BY_OTHERS = {"undetermined": ["variables"]}  # those who read its XCom move together with it
_DAY = {"time_column": "day", "lower": "{{ ds }}", "upper": "{{ data_interval_end | ds }}"}


def team_edits(house: TeaHouse) -> Mapping[str, Mapping[str, Any]]:
    """What the team writes into its mirrors: what a candidate may do, and a container in place of the operator."""
    elsewhere = str(house.root / FOLDERS["candidate"])
    pod = next(task for task in house.tasks("sales") if task["task_id"] == "pack")["templated"]
    container = {
        "engine": "kubernetes",
        "image": pod["image"],
        "entrypoint": pod["cmds"],
        "command": pod["arguments"],
        "env": pod["env_vars"],
        "namespace": "tea",
    }
    return {
        **{f"sales.{task}": {"because": why} for task, why in NEVER.items()},
        "sales.decide": {"because": NEVER["decide"], "gates": READ_BY_OTHERS},
        "sales.check": {
            **_file("checked_{{ ds }}.csv", "order_id"),
            "env": {"candidate": {"TEA_OUT": elsewhere}},
            "gates": READ_BY_OTHERS,
        },
        "sales.note": {**_file("note_{{ ds }}.csv", "day"), "env": {"candidate": {"TEA_OUT": elsewhere}}},
        "sales.pack": {
            **_file("packed_{{ ds }}.csv"),
            "type": "dagster_defs.components.CommandUnit",
            "airflow": None,
            "container": container,
            "env": {"candidate": {"OUT": elsewhere}},
        },
        "sales.book": {
            "outputs": [{"key": "sales/book", "table": "books.booked", "row_key": ["day"], **_DAY}]
        },
    }


def _file(name: str, *row_key: str) -> dict[str, Any]:
    """A unit writes this file; its candidate writes it into a folder of its own."""
    return {
        "shadow": None,
        "because": None,
        "outputs": [{"key": name.partition("_")[0], "file": name, "row_key": list(row_key)}],
        "side_folders": FOLDERS,
    }


@dataclass
class Journey:
    """`rescheduled`: the days on which the sensor gave its slot back. `xcoms`, `states`: Airflow's, by day and task."""

    house: TeaHouse
    instance: dg.DagsterInstance
    verification: dict[str, Any] = field(default_factory=dict)
    evidence: list[Evidence] = field(default_factory=list)
    rescheduled: set[str] = field(default_factory=set)
    xcoms: dict[str, Any] = field(default_factory=dict)
    states: dict[str, dict[str, str]] = field(default_factory=dict)
    windows: dict[str, Any] = field(default_factory=dict)

    def go(self) -> None:
        house = self.house
        self.verification = house.shown("verify")
        house.wait("the auctions", lambda: self._succeeded("auctions") == len(DAYS) + 1)
        self._run_in_airflow(OBSERVED)
        house.wait("the observation", lambda: self._observed() == [OBSERVED])
        house.must("parity", "shadow", "sales", "--apply")
        self._run_in_airflow(SHADOWED)
        house.wait("verdicts", lambda: self._is_compared(SHADOWED))
        house.must("parity", "rollback", "sales", "--rehearsed", "--reason", "here", "--apply")
        house.must("parity", "cutover", "sales", "--apply")
        self._run_in_airflow(PROXIED)
        house.wait("verdicts", lambda: self._is_compared(PROXIED))
        house.must("parity", "retire", "sales", "--apply")
        for day in SCHEDULED:
            self._deliver(day)
        house.wait("Dagster's schedule", self._is_schedule_done)
        self.windows = house.shown("windows", "sales")
        self.evidence = list(read_evidence(self.instance))

    def records(self, side: Side, day: str) -> Mapping[str, Mapping[str, Any]]:
        """What Dagster keeps of the tasks of a window, by task."""
        start = pendulum.from_format(f"{day} 06", "YYYY-MM-DD HH", tz="Europe/Berlin")
        window = Window(start.in_timezone("UTC"), start.add(days=1).in_timezone("UTC"))
        return WindowStore.of(self.house.settings.task_store, side, "sales", window).records()

    def returns(self, side: Side, day: str) -> dict[str, Any]:
        """What Dagster keeps of what tasks have returned for others."""
        records = self.records(side, day)
        return {
            task: json.loads(xcom["value"]["json"])
            for task in ("check", "decide")
            for instance in records.get(task, {"instances": ()})["instances"]
            for xcom in instance["xcoms"]
            if xcom["key"] == "return_value"
        }

    def _run_in_airflow(self, day: str) -> None:
        """Airflow runs one day; the DAG is paused while its last task runs, so that no other day begins."""
        house, api = self.house, self.house.api
        api.set_paused("sales", paused=False)
        self._deliver(day)
        house.wait(
            f"the last task of {day}", lambda: self._states(day).get("worth") in ("queued", "running", *OVER)
        )
        api.set_paused("sales", paused=True)
        house.wait(f"the end of {day}", lambda: {*self._states(day).values()} <= OVER)
        self.states[day] = self._states(day)
        self.xcoms[day] = self._xcoms(day)

    def _deliver(self, day: str) -> None:
        """The orders come when the sensor has found none, and has given its slot back."""
        self.house.wait("the sensor", lambda: self._waits(day))
        self.rescheduled.add(day)
        self.house.deliver(day)

    def _waits(self, day: str) -> bool:
        record = self.records(Side.LEGACY, day).get("arrived", {})
        return "up_for_reschedule" in (self._states(day).get("arrived"), record.get("state"))

    def _states(self, day: str) -> dict[str, str]:
        tasks = [task for run in self._runs(day) for task in self.house.api.task_instances("sales", run)]
        states = {task.unit.task_id: str(task.state) for task in tasks}
        assert "failed" not in states.values(), states
        return states

    def _xcoms(self, day: str) -> dict[str, Any]:
        """What Airflow has of the tasks that others read; nothing of those that it has handed to Dagster."""
        [run_id] = self._runs(day)
        return {
            unit.task_id: self.house.api.xcom(unit, run_id, key)
            for unit, _, key in self.house.api.xcom_keys("sales", run_id)
            if unit.task_id in ("check", "decide") and key == "return_value"
        }

    def _runs(self, day: str) -> list[str]:
        """Six in the morning in Berlin is four or five in UTC, on the same day."""
        runs = [run.run_id for run in self.house.api.dag_runs("sales")]
        return [run for run in runs if run.startswith(f"scheduled__{day}")]

    def _succeeded(self, dag_id: str) -> int:
        runs = self.house.api.dag_runs(dag_id)
        assert not [run for run in runs if run.state == "failed"]
        return len([run for run in runs if run.state == "success"])

    def _observed(self) -> list[str]:
        return sorted(self.instance.get_materialized_partitions(dg.AssetKey("sales")))

    def _is_compared(self, day: str) -> bool:
        units = {one.checked.unit.task_id for one in read_evidence(self.instance) if one.partition == day}
        return set(COMPARED) <= units

    def _is_schedule_done(self) -> bool:
        runs = self.instance.get_runs(dg.RunsFilter(tags={tags.DAG: "sales"}))
        assert not [run for run in runs if run.is_failure_or_canceled], [run.status for run in runs]
        return sorted(run.tags[tags.PARTITION] for run in runs if run.is_success) == SCHEDULED
