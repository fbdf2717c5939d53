"""Runs the installed Airflow's own queue of dataset events on drawn histories for whoever asks: runs in the Airflow
environment until its stdin ends, a line of JSON for each question and each answer.

Question: `{"condition": nested `all` and `any` of addresses, "max_active_runs", "moments": [{"at": ISO, "writes":
[address, …], "start", "end": ISO of the interval of the run that writes, "ended": how many of the active runs end
before}]}`. Answer: for each moment null, or the run that Airflow's scheduler creates right after it: `{"run_id",
"logical_date", "start", "end"}`.

Registering, asking which DAGs need a run, and creating it are Airflow's, on a SQLite database with Airflow's tables.
The clock is the question's: Airflow's rows get its instants right after they were written, because their defaults are
bound when the classes are made.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

warnings.simplefilter("ignore")

import airflow.providers.fab.auth_manager.models  # noqa: E402, F401 - a table of Airflow's refers to its users
from airflow import DAG, settings  # noqa: E402 - after the filter
from airflow.datasets import BaseDataset, Dataset, DatasetAll, DatasetAny  # noqa: E402 - see above
from airflow.datasets.manager import DatasetManager  # noqa: E402 - see above
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner  # noqa: E402 - see above
from airflow.models import DagModel, DagRun, import_all_models  # noqa: E402 - see above
from airflow.models.base import Base  # noqa: E402 - see above
from airflow.models.dagbag import DagBag  # noqa: E402 - see above
from airflow.models.dataset import DatasetDagRunQueue, DatasetEvent  # noqa: E402 - see above
from airflow.models.serialized_dag import SerializedDagModel  # noqa: E402 - see above
from airflow.models.tasklog import LogTemplate  # noqa: E402 - see above
from airflow.operators.empty import EmptyOperator  # noqa: E402 - see above
from airflow.utils.log.logging_mixin import LoggingMixin  # noqa: E402 - see above
from airflow.utils.session import create_session  # noqa: E402 - see above
from airflow.utils.state import DagRunState  # noqa: E402 - see above
from airflow.utils.types import DagRunType  # noqa: E402 - see above


def read(condition: Any, number: int) -> BaseDataset:
    """With addresses of the case's own, as all cases share one database."""
    if isinstance(condition, str):
        return Dataset(f"{condition}/{number}")
    [(key, parts)] = condition.items()
    return {"all": DatasetAll, "any": DatasetAny}[key](*(read(part, number) for part in parts))


class Case:
    def __init__(self, number: int, question: dict[str, Any]) -> None:
        self.question, self.case = question, number
        self.dag_id, self.source = f"down{number}", f"up{number}"
        start = datetime(2024, 1, 1, tzinfo=timezone.utc)
        limit = question["max_active_runs"]
        with DAG(
            self.dag_id, schedule=read(question["condition"], number), start_date=start, max_active_runs=limit
        ) as dag:
            EmptyOperator(task_id="work")
        self.dag = dag
        with create_session() as session:
            DAG.bulk_write_to_db([dag], session=session)
            SerializedDagModel.write_dag(dag, session=session)
            model = session.get(DagModel, self.dag_id)
            model.is_paused = False
        self.number = 0

    def answers(self) -> Iterator[Any]:
        for moment in self.question["moments"]:
            with create_session() as session:
                self.end(session, moment["ended"])
                if moment["writes"]:
                    self.write(session, moment)
                yield self.schedule(session)
        with create_session() as session:  # the scheduler reads the queues of all DAGs each time
            session.query(DatasetDagRunQueue).delete()

    def end(self, session: Any, count: int) -> None:
        runs = session.query(DagRun).filter_by(dag_id=self.dag_id, state=DagRunState.QUEUED)
        for run in runs.order_by(DagRun.id).limit(count):
            run.state = DagRunState.SUCCESS
        session.flush()

    def write(self, session: Any, moment: dict[str, Any]) -> None:
        """One task instance that succeeds: its run, and an event for each outlet."""
        at, start, end = (datetime.fromisoformat(moment[name]) for name in ("at", "start", "end"))
        self.number += 1
        run_id = f"run{self.number}"
        session.add(
            DagRun(
                dag_id=self.source, run_id=run_id, execution_date=at, run_type=DagRunType.SCHEDULED,
                state=DagRunState.SUCCESS, data_interval=(start, end),
            )
        )  # fmt: skip
        session.flush()
        instance = SimpleNamespace(dag_id=self.source, task_id="load", run_id=run_id, map_index=-1)
        queue, events = DatasetDagRunQueue, DatasetEvent
        before = {row.dataset_id for row in session.query(queue).filter_by(target_dag_id=self.dag_id)}
        for address in moment["writes"]:
            DatasetManager().register_dataset_change(
                task_instance=instance, dataset=read(address, self.case), session=session
            )
        session.query(events).filter_by(source_dag_id=self.source, source_run_id=run_id).update(
            {"timestamp": at}
        )
        new = session.query(queue).filter(
            queue.target_dag_id == self.dag_id, queue.dataset_id.notin_(before or {-1})
        )
        new.update({"created_at": at}, synchronize_session=False)
        session.flush()
        session.expire_all()

    def schedule(self, session: Any) -> Any:
        query, triggered = DagModel.dags_needing_dagruns(session)
        if self.dag_id not in triggered:
            return None
        models = [model for model in query.all() if model.dag_id == self.dag_id]
        scheduler = SimpleNamespace(
            dagbag=DagBag(dag_folder="/dev/null", include_examples=False, read_dags_from_db=True),
            job=SimpleNamespace(id=None),
            log=LoggingMixin().log,
        )
        own = {self.dag_id: triggered[self.dag_id]}
        SchedulerJobRunner._create_dag_runs_dataset_triggered(scheduler, models, own, session)
        session.flush()
        run = session.query(DagRun).filter_by(dag_id=self.dag_id).order_by(DagRun.id.desc()).first()
        return {
            "run_id": run.run_id,
            "logical_date": run.execution_date.isoformat(),
            "start": run.data_interval_start.isoformat(),
            "end": run.data_interval_end.isoformat(),
        }


def main() -> None:
    import_all_models()
    Base.metadata.create_all(settings.engine)
    with create_session() as session:
        session.add(LogTemplate(filename="log", elasticsearch_id="log"))  # each run refers to one
    for number, line in enumerate(sys.stdin):
        print(json.dumps([*Case(number, json.loads(line)).answers()]), flush=True)  # noqa: T201 - stdout is the answer


if __name__ == "__main__":
    main()
