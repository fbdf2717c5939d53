"""Run by Airflow's Python: what a proxy asks Dagster before it launches, as often as requested.

Input on stdin: `{"way": "ours" | "stock", "url", "dag_id", "task_id", "start", "times"}`. Output: the seconds of each
look-up, the requests and bytes of one, and the partition that it found, as JSON on the last line of stdout.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import requests
from dagster_airlift.in_airflow import DefaultProxyTaskToDagsterOperator
from dagster_airlift.in_airflow.partition_utils import PARTITION_NAME_TAG
from handover.client import Client
from handover.names import job_name, task_instance_name
from handover.place import Place
from handover.runs import find_job, runs_of

from dagster_defs.older_python import datetime_of

STOCK_TIMEOUT = 1_800  # stock gives up after 3 s; this measures how long it would take


class Counted(requests.Session):
    """Counts, and waits for longer than stock's three seconds."""

    def __init__(self, timeout: float | None = None) -> None:
        super().__init__()
        self.trust_env = False
        self.timeout, self.requests, self.bytes = timeout, 0, 0

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        if self.timeout is not None:
            kwargs["timeout"] = self.timeout
        answer = super().request(*args, **kwargs)
        self.requests += 1
        self.bytes += len(answer.content)
        return answer


class Launched(Exception):
    """Raised in place of the launch, with the partition that would be run."""


class StockProxy(DefaultProxyTaskToDagsterOperator):  # type: ignore[misc]  # Airflow is not installed here
    """Stock's own look-up, up to the launch."""

    def __init__(self, url: str, session: requests.Session, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.url, self.session = url, session

    def get_dagster_session(self, context: Any) -> requests.Session:
        return self.session

    def get_dagster_url(self, context: Any) -> str:
        return self.url

    def launch_dagster_run(
        self, context: Any, session: Any, dagster_url: str, execution_params: Mapping[str, Any]
    ) -> str:
        for tag in execution_params["executionMetadata"]["tags"]:
            if tag["key"] == PARTITION_NAME_TAG:
                raise Launched(tag["value"])
        raise LookupError("stock launches a run without a partition")


def _stock(question: Mapping[str, Any], start: datetime, session: Counted) -> str:
    proxy = StockProxy(url=question["url"], session=session, task_id=question["task_id"])
    run = SimpleNamespace(dag_id=question["dag_id"], run_id="bench")
    context = {"dag_run": run, "task": proxy, "logical_date": start}
    try:
        proxy.launch_runs_for_task(context, question["dag_id"], question["task_id"])
    except Launched as launched:
        return str(launched)
    raise LookupError("stock launched nothing")


def _ours(question: Mapping[str, Any], start: datetime, session: Counted) -> str:
    client = Client(Place(question["url"]))
    client._session = session
    job = find_job(client, job_name(question["dag_id"], question["task_id"]))
    partition: str = job.partition_key(start)
    runs_of(client, task_instance_name(question["dag_id"], "bench", question["task_id"]))
    return partition


WAYS: dict[str, tuple[Callable[[Mapping[str, Any], datetime, Counted], str], float | None]] = {
    "ours": (_ours, None),
    "stock": (_stock, STOCK_TIMEOUT),
}


def main() -> None:
    # Stock writes every answer into the task's log; the cost of that is left out.
    logging.disable(logging.INFO)
    question = json.load(sys.stdin)
    look_up, timeout = WAYS[question["way"]]
    start = datetime_of(question["start"])
    seconds = []
    for _ in range(question["times"]):
        session = Counted(timeout)  # each task is a process of its own, with a connection of its own
        began = time.perf_counter()
        partition = look_up(question, start, session)
        seconds.append(time.perf_counter() - began)
    answer = {
        "seconds": seconds,
        "requests": session.requests,
        "bytes": session.bytes,
        "partition": partition,
    }
    # Airflow logs to stdout as well: the answer is the last line.
    sys.stdout.write("\n" + json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
