"""A task that `proxied_state/` marks as proxied runs in Dagster when Airflow's task runs.

The last line of a DAG file is `install_proxies(globals())`. The proxy launches the unit's job in Dagster, which has a
name that follows from the unit's: no look-up over all assets, and dbt's tests are part of it. Which partition is
decided by the run's data interval, written in the partition's own time zone; the interval travels along, and the
Dagster run refuses to start its work if it is not the partition's window.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pendulum
import requests
from airflow.exceptions import AirflowException
from airflow.models import BaseOperator
from airflow.utils.context import Context
from dagster_airlift.in_airflow import (
    BaseProxyTaskToDagsterOperator,
    load_proxied_state_from_yaml,
    proxying_to_dagster,
)

from handover.graphql import FIND_JOB, JOB_TAGS, LAUNCH, STEP_FAILURES, call, reason

PROXIED_STATE = Path(
    os.environ.get("PARITY_PROXIED_STATE") or Path(__file__).resolve().parents[1] / "proxied_state"
)

# The same names as in dagster_defs/components/run_window.py; a test holds the two together.
TIMEZONE_TAG = "parity/timezone"
KEY_FORMAT_TAG = "parity/key_format"
WINDOW_START_TAG = "parity/window_start"
WINDOW_END_TAG = "parity/window_end"
PARTITION_TAG = "dagster/partition"


def install_proxies(dag_file_globals: dict[str, Any]) -> None:
    """Replace the proxied tasks of the DAGs in this file; without any mark nothing changes."""
    if not PROXIED_STATE.is_dir():
        return
    proxying_to_dagster(
        global_vars=dag_file_globals,
        proxied_state=load_proxied_state_from_yaml(PROXIED_STATE),
        build_from_task_fn=ProxyToDagster.build_from_task,
    )


class ProxyToDagster(BaseProxyTaskToDagsterOperator):  # type: ignore[misc]  # Airflow is not installed here
    """Runs a unit's job in Dagster for the run's data interval, and ends as the Dagster run ends."""

    ui_color = "#dedcfb"

    def get_dagster_session(self, context: Context) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        return session

    def get_dagster_url(self, context: Context) -> str:
        url = os.environ.get("DAGSTER_URL")
        if not url:
            raise AirflowException("DAGSTER_URL is not set: a proxied task must know where Dagster is")
        return url.rstrip("/")

    @classmethod
    def build_from_task(cls, task: BaseOperator) -> ProxyToDagster:
        proxy: ProxyToDagster = super().build_from_task(task)
        proxy.doc_md = f"Runs in Dagster as job `{job_name(task.dag_id, task.task_id)}`."
        return proxy

    def execute(self, context: Context) -> None:
        session, url = self.get_dagster_session(context), self.get_dagster_url(context)
        task = context["task_instance"]
        selector, tags = find_job(session, url, job_name(task.dag_id, task.task_id))
        start, end = context["data_interval_start"], context["data_interval_end"]
        partition = partition_key(start, tags)
        self.log.info(
            "Window [%s, %s) is partition %s of %s", start, end, partition, selector["pipelineName"]
        )
        run_tags = {
            **self.default_dagster_run_tags(context),
            PARTITION_TAG: partition,
            WINDOW_START_TAG: start.isoformat(),
            WINDOW_END_TAG: end.isoformat(),
            "parity/airflow_try": str(task.try_number),
        }
        run_id = launch(session, url, selector, run_tags)
        self.log.info("Dagster run: %s/runs/%s", url, run_id)
        result = self.wait_for_run_to_complete(session, url, run_id)
        if not result.succeeded:
            raise AirflowException(
                f"Dagster run {url}/runs/{run_id} ended as {result.status}: {why_it_failed(session, url, run_id)}"
            )
        self.log.info("Dagster run %s succeeded", run_id)


def job_name(dag_id: str, task_id: str) -> str:
    """The name of the unit's job in Dagster: only letters, digits and underscores are allowed there."""
    return "__".join(
        "".join(char if char.isascii() and char.isalnum() else "_" for char in name)
        for name in (dag_id, task_id)
    )


def find_job(session: requests.Session, url: str, job: str) -> tuple[dict[str, str], dict[str, str]]:
    """The job's selector and its tags. Raises AirflowException if no code location has it, or several have."""
    repositories = call(session, url, FIND_JOB)
    if repositories["__typename"] != "RepositoryConnection":
        raise AirflowException(f"Dagster at {url} cannot list its code locations: {reason(repositories)}")
    found = []
    for repository in repositories["nodes"]:
        selector = {
            "pipelineName": job,
            "repositoryName": repository["name"],
            "repositoryLocationName": repository["location"]["name"],
        }
        answer = call(session, url, JOB_TAGS, {"selector": selector})
        if answer["__typename"] == "Pipeline":
            found.append((selector, {tag["key"]: tag["value"] for tag in answer["tags"]}))
    if len(found) != 1:
        places = ", ".join(selector["repositoryLocationName"] for selector, _ in found)
        raise AirflowException(
            f"Dagster at {url} has the job {job} in {places}: a unit is mirrored once"
            if found
            else f"no code location of Dagster at {url} has the job {job}: is the unit mirrored, is it loaded?"
        )
    return found[0]


def partition_key(start: datetime, tags: dict[str, str]) -> str:
    """The key of the partition that begins at `start`, in the partition's own time zone and format."""
    if TIMEZONE_TAG not in tags or KEY_FORMAT_TAG not in tags:
        raise AirflowException(
            "the Dagster job does not say how its partition keys are written; is it a unit's job?"
        )
    return pendulum.instance(start).in_timezone(tags[TIMEZONE_TAG]).strftime(tags[KEY_FORMAT_TAG])


def launch(session: requests.Session, url: str, selector: dict[str, str], tags: dict[str, str]) -> str:
    """Start the run and return its id. Raises AirflowException with Dagster's own reason if it refuses."""
    params = {
        "mode": "default",
        "selector": selector,
        "runConfigData": "{}",
        "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
    }
    result = call(session, url, LAUNCH, {"params": params})
    if result["__typename"] != "LaunchRunSuccess":
        raise AirflowException(
            f"Dagster at {url} refuses the run of {selector['pipelineName']}: {reason(result)}"
        )
    run_id: str = result["run"]["id"]
    return run_id


def why_it_failed(session: requests.Session, url: str, run_id: str) -> str:
    """The innermost message of the run's failures, for Airflow's log; never raises."""
    try:
        events = call(session, url, STEP_FAILURES, {"runId": run_id}).get("events", ())
    except AirflowException as error:
        return str(error)
    for event in events:
        if event["__typename"] == "ExecutionStepFailureEvent" and event.get("error"):
            chain = event["error"].get("errorChain") or ()
            innermost = chain[-1]["error"] if chain else event["error"]
            return f"{event['stepKey']}: {innermost['message'].strip()}"
    return "no step failed; look at the run"
