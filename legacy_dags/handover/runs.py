"""What a proxy does with Dagster's runs: find the job, launch a run, look it up, end it."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pendulum
from airflow.exceptions import AirflowException

from handover.attach import ENDED, Run
from handover.client import Client, NoAnswer, given_up, is_passing, reason
from handover.graphql import (
    JOB_TAGS,
    LAUNCH,
    LOCATIONS,
    RUN_STATUS,
    RUNS_OF_TAG,
    STEP_FAILURES,
    TERMINATE,
)
from handover.names import EVENT_TAG, KEY_FORMAT_TAG, LAUNCH_TAG, TASK_INSTANCE_TAG, TIMEZONE_TAG
from handover.patience import Patience

logger = logging.getLogger(__name__)

# The most runs of one task instance: its tries and re-executions by hand do not exceed this.
RUNS = 50
# A launch builds the run's plan, so it may take longer than a look-up.
LAUNCH_TIMEOUT = 60.0
GONE = "GONE"


@dataclass(frozen=True)
class DagsterJob:
    selector: Mapping[str, str]
    tags: Mapping[str, str]

    @property
    def is_event(self) -> bool:
        """Whether its runs have neither windows nor partitions."""
        return EVENT_TAG in self.tags

    def partition_key(self, start: datetime) -> str:
        """The key of the partition that begins at `start`, in the partition's own time zone and format."""
        if TIMEZONE_TAG not in self.tags or KEY_FORMAT_TAG not in self.tags:
            raise AirflowException(
                "the Dagster job does not say how its partition keys are written; is it a unit's job?"
            )
        local = pendulum.instance(start).in_timezone(self.tags[TIMEZONE_TAG])
        key: str = local.strftime(self.tags[KEY_FORMAT_TAG])
        return key


def find_job(client: Client, name: str) -> DagsterJob:
    """Raises AirflowException if no code location has the job, or several have.

    A location that is being loaded, or has failed to load, may have the job, so the call waits for it.
    """
    job: DagsterJob = client.patiently(lambda: _find_job(client, name))
    return job


def _find_job(client: Client, name: str) -> DagsterJob:
    url = client.place.url
    workspace = _answered(client, "list its code locations", client.ask_once(LOCATIONS), "Workspace")
    jobs: list[DagsterJob] = []
    unavailable: list[str] = []
    for entry in workspace["locationEntries"]:
        location = entry["locationOrLoadError"] or {"__typename": entry["loadStatus"]}
        if location["__typename"] != "RepositoryLocation":
            unavailable.append(f"{entry['name']} is not loaded ({_first_line(location)})")
            continue
        for repository in location["repositories"]:
            selector = {
                "pipelineName": name,
                "repositoryName": repository["name"],
                "repositoryLocationName": entry["name"],
            }
            answer = client.ask_once(JOB_TAGS, {"selector": selector})
            if answer["__typename"] == "Pipeline":
                jobs.append(DagsterJob(selector, {tag["key"]: tag["value"] for tag in answer["tags"]}))
            elif answer["__typename"] == "PythonError":
                unavailable.append(f"{entry['name']} cannot be asked ({_first_line(answer)})")
    if len(jobs) > 1:
        places = ", ".join(job.selector["repositoryLocationName"] for job in jobs)
        raise AirflowException(f"Dagster at {url} has the job {name} in {places}: a unit is mirrored once")
    if jobs:
        return jobs[0]
    missing = f"no code location of Dagster at {url} has the job {name}"
    if unavailable:
        raise NoAnswer(f"{missing}: {'; '.join(unavailable)}", passing=True)
    raise AirflowException(f"{missing}: is the unit mirrored, is it loaded?")


def _first_line(result: Mapping[str, Any]) -> str:
    """Without the stack that an import error comes with; Dagster's UI shows it."""
    return str(reason(result).splitlines()[0])


def runs_of(client: Client, task_instance: str, *, stubborn: bool = False) -> list[Run]:
    """The Dagster runs of a task instance, newest first."""
    return list(
        client.patiently(lambda: _runs_with(client, TASK_INSTANCE_TAG, task_instance), stubborn=stubborn)
    )


def _runs_with(client: Client, tag: str, value: str) -> list[Run]:
    wanted = {"tag": {"key": tag, "value": value}, "limit": RUNS}
    answer = _answered(client, "list runs", client.ask_once(RUNS_OF_TAG, wanted), "Runs")
    return [
        Run(run["runId"], run["status"], {tag["key"]: tag["value"] for tag in run["tags"]})
        for run in answer["results"]
    ]


def launch(
    client: Client, job: DagsterJob, tags: Mapping[str, str], config: Mapping[str, Any] | None = None
) -> str:
    """Start the run and return its id. Raises AirflowException with Dagster's own reason if it refuses.

    A lost answer says nothing about the run. So the launch is repeated only after Dagster has said that it has no run
    with this launch's id, and not before the first request has had time to arrive.
    """
    params = {
        "mode": "default",
        "selector": dict(job.selector),
        "runConfigData": json.dumps(config or {}),
        "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
    }
    patience = Patience(client.place.patience)
    grace = min(client.place.timeout, client.place.patience / 2)
    sent = False
    while True:
        try:
            return _launch_once(client, params, tags[LAUNCH_TAG], sent, sent and patience.passed() < grace)
        except NoAnswer as error:
            if not error.passing:
                raise
            sent = sent or error.sent
            pause = patience.pause()
            if pause is None:
                raise NoAnswer(given_up(error, patience), passing=True) from error
            logger.warning("%s; trying again in %.1f s", error, pause)
        time.sleep(pause)


def _launch_once(client: Client, params: Mapping[str, Any], launch_id: str, sent: bool, early: bool) -> str:
    """`sent`: a launch may have arrived, so look for it first. `early`: it may still arrive, so only look for it."""
    url = client.place.url
    if sent and (known := _runs_with(client, LAUNCH_TAG, launch_id)):
        logger.info("The launch had arrived in Dagster; only its answer was lost")
        return str(known[-1].run_id)
    if early:
        raise NoAnswer(f"Dagster at {url} does not know a run of this launch yet", passing=True)
    result = client.ask_once(LAUNCH, {"params": params}, max(LAUNCH_TIMEOUT, client.place.timeout))
    if result["__typename"] == "LaunchRunSuccess":
        run_id: str = result["run"]["id"]
        return run_id
    refusal = f"Dagster at {url} refuses the run of {params['selector']['pipelineName']}: {reason(result)}"
    if is_passing(result):
        raise NoAnswer(refusal, passing=True)
    raise AirflowException(refusal)


def status_of(client: Client, run_id: str) -> str:
    """The run's status, GONE if it was deleted. Raises NoAnswer, AirflowException."""
    answer = client.ask_once(RUN_STATUS, {"runId": run_id})
    if answer["__typename"] == "RunNotFoundError":
        return GONE
    status: str = _answered(client, f"say how run {run_id} is", answer, "Run")["status"]
    return status


def has_ended(status: str) -> bool:
    return status in ENDED or status == GONE


def terminate(client: Client, run_id: str, *, seconds: float) -> str:
    """End a run, wait up to `seconds` for its end, and return its status then. Raises NoAnswer.

    The run is first ended as a person would in the UI, which gives it time to stop its work. A run that Dagster cannot
    end like that is marked as ended, but never a run that has begun to stop: it would look ended and still write.
    """
    answer = client.ask_once(TERMINATE, {"runId": run_id, "policy": "SAFE_TERMINATE"})
    status = status_of(client, run_id)
    if answer["__typename"] != "TerminateRunSuccess" and not has_ended(status) and status != "CANCELING":
        logger.warning(
            "Dagster cannot end run %s (%s): it is marked as canceled, and may still write",
            run_id,
            reason(answer),
        )
        client.ask_once(TERMINATE, {"runId": run_id, "policy": "MARK_AS_CANCELED_IMMEDIATELY"})
        status = status_of(client, run_id)
    until = time.monotonic() + seconds
    while not has_ended(status) and time.monotonic() < until:
        time.sleep(0.5)
        status = status_of(client, run_id)
    return status


def why_it_failed(client: Client, run_id: str) -> str:
    """The innermost message of the run's failures, for Airflow's log; never raises."""
    try:
        events = client.ask_once(STEP_FAILURES, {"runId": run_id}).get("events", ())
    except AirflowException as error:
        return str(error)
    for event in events:
        if event["__typename"] == "ExecutionStepFailureEvent" and event.get("error"):
            return f"{event['stepKey']}: {_innermost(event['error'])}"
    engine_message = ""
    for event in events:
        if event["__typename"] == "EngineEvent":
            engine_message = event["message"]
        if event["__typename"] == "RunFailureEvent":
            # When a run worker has died, the failure event says only that another process recorded it.
            return (
                _innermost(event["error"])
                if event.get("error")
                else f"{event['message']} {engine_message}".strip()
            )
    return "no step failed; look at the run in Dagster"


def _innermost(error: Mapping[str, Any]) -> str:
    chain = error.get("errorChain") or ()
    return str((chain[-1]["error"] if chain else error)["message"]).strip()


def _answered(client: Client, what: str, answer: Mapping[str, Any], wanted: str) -> dict[str, Any]:
    """A query that Dagster answers with an error of its own may be repeated, because it changes nothing."""
    if answer["__typename"] != wanted:
        raise NoAnswer(
            f"Dagster at {client.place.url} cannot {what}: {reason(answer)}",
            passing=answer["__typename"] == "PythonError",
        )
    return dict(answer)
