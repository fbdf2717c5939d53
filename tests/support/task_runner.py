"""Tasks of a DAG file, run one after the other as Dagster runs them, with what each leaves for the next ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dagster_defs.adapters.airflow.task_process import SCHEMA, AirflowEnvironment, result_of
from tests.support import strange_dag
from tests.support.estate import AIRFLOW3_PYTHON, AIRFLOW_PYTHON
from tests.support.strange_dag import END, START
from tests.support.warm_airflow import WarmAirflow

PYTHONS = {"2.11": AIRFLOW_PYTHON, "3.3": AIRFLOW3_PYTHON}


@dataclass
class Runner:
    folder: Path
    python: Path
    warm: WarmAirflow | None = None
    file: str = "strange.py"
    extra: Mapping[str, str] = field(default_factory=dict)
    records: dict[str, Any] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    def environment(self, variables: Mapping[str, str]) -> AirflowEnvironment:
        return AirflowEnvironment(
            self.python,
            strange_dag.dags_folder(self.folder),
            self.file,
            strange_dag.PROGRAM,
            self.folder / "databases",
            {**strange_dag.environment(self.folder), **self.extra, **variables},
        )

    def run(
        self,
        task_id: str,
        *,
        dag_id: str = "strange",
        limit: float | None = None,
        variables: Mapping[str, str] = MappingProxyType({}),
        **asked: Any,
    ) -> Mapping[str, Any]:
        request = {
            "dag_id": dag_id, "task_id": task_id, "run_id": f"scheduled__{START}", "logical_date": START,
            "start": START, "end": END, "try_number": 1, "max_tries": None, "conf": {}, "rules": True,
            "callbacks": True, "candidate": None, "records": self.records, **asked,
        }  # fmt: skip
        environment = self.environment(variables)
        if self.warm is None or limit is not None or variables:
            return environment.run(request, say=self.log.append, limit=limit)
        result = self.folder / "result.json"
        places = {"dags_folder": str(environment.dags_folder), "databases": str(environment.databases)}
        document = self.folder / "request.json"
        document.write_text(
            json.dumps({"schema": SCHEMA, **request, **places, "file": self.file, "result": str(result)})
        )
        result.unlink(missing_ok=True)
        self.warm.run(document, {"STRANGE_OUT": str(self.folder), **self.extra}, self.log.append)
        return result_of(f"{dag_id}.{task_id}", result)

    def cold(self) -> Runner:
        """As Dagster runs a task: in a process of its own."""
        return Runner(self.folder, self.python)

    def to_its_end(self, task_id: str, **asked: Any) -> None:
        """With its retries, and each time that a sensor asks for."""
        tried = 1
        for _ in range(10):
            record = self.run(task_id, try_number=tried, **asked)["record"]
            self.records[task_id] = record
            if record["state"] not in ("up_for_retry", "up_for_reschedule"):
                return
            tried += record["state"] == "up_for_retry"
        raise AssertionError(f"{task_id} does not end")

    def states(self) -> dict[str, dict[str, str]]:
        return {
            task_id: {str(each["map_index"]): each["state"] for each in record["instances"]}
            for task_id, record in self.records.items()
        }

    def xcoms(self) -> dict[str, str]:
        """Their JSON, as Airflow stores it, by task, map index and key."""
        return {
            f"{task_id}[{each['map_index']}].{row['key']}": row["value"]["json"]
            for task_id, record in self.records.items()
            for each in record["instances"]
            for row in each["xcoms"]
        }


def in_order(xcom: str) -> str:
    """Airflow writes the tasks that a short circuit skips from a set."""
    document = json.loads(xcom)
    return json.dumps({"skipped": sorted(document["skipped"])}) if "skipped" in str(xcom) else xcom
