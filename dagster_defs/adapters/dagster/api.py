"""The part of Dagster's GraphQL API that is needed to launch and watch runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import yaml
from typing_extensions import Self

from dagster_defs.adapters.http.login import DAGSTER_PLUS, Login
from dagster_defs.adapters.http.question import (
    NOBODY,
    NoAnswer,
    Refusal,
    Reply,
    Unclear,
    Web,
    checked,
    excerpt,
    segment,
    without_credentials,
)
from dagster_defs.errors import (
    DagsterCannot,
    DagsterFault,
    DagsterRefuses,
    DagsterUnclear,
    DagsterUnreachable,
    LaunchRefused,
)
from dagster_defs.lifecycle.diagnosis import Deployment, Skew
from dagster_defs.settings import Settings

T = TypeVar("T")
DAGSTER_PLUS_HOST = ".dagster.cloud"
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
ENDED = ("SUCCESS", "FAILURE", "CANCELED")

_LOCATIONS = """
query Locations {
  workspaceOrError {
    __typename
    ... on PythonError { message }
    ... on Workspace {
      locationEntries {
        name loadStatus
        locationOrLoadError {
          __typename
          ... on RepositoryLocation { repositories { name } }
          ... on PythonError { message errorChain { error { message } } }
        }
      }
    }
  }
}
"""
_LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { id } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on PipelineNotFoundError { message }
    ... on InvalidSubsetError { message }
    ... on PythonError { message }
  }
}
"""
_STATUS = """
query Status($run: ID!) { runOrError(runId: $run) { __typename ... on Run { status } } }
"""

_JOB = """
query Job($selector: PipelineSelector!) {
  pipelineOrError(params: $selector) {
    __typename
    ... on Pipeline { tags { key value } }
    ... on PythonError { message }
  }
}
"""
_SENSORS = """
query Sensors($selector: RepositorySelector!) {
  sensorsOrError(repositorySelector: $selector) {
    __typename
    ... on Sensors { results { name targets { pipelineName } sensorState { status } } }
    ... on PythonError { message }
  }
}
"""
_RELOAD = """
mutation Reload($name: String!) {
  reloadRepositoryLocation(repositoryLocationName: $name) { __typename ... on PythonError { message } }
}
"""
_DAEMONS = """
query Daemons { instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }
"""
_DEPLOYMENT = """
query Deployment {
  instance {
    info runQueuingSupported runLauncher { name } poolConfig { defaultPoolLimit }
    concurrencyLimits { concurrencyKey limit claimedSlots { runId } }
  }
}
"""
_CLOCK = {"query": "{ version }"}
_RUNS = """
query Runs($filter: RunsFilter!, $limit: Int!) {
  runsOrError(filter: $filter, limit: $limit) {
    __typename
    ... on Runs { results { runId status startTime endTime tags { key value } } }
    ... on InvalidPipelineRunsFilterError { message }
    ... on PythonError { message }
  }
}
"""
_TERMINATE = """
mutation Terminate($ids: [String!]!) {
  terminateRuns(runIds: $ids) { __typename ... on PythonError { message } }
}
"""
LIVE = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")
MOST_RUNS = 1000  # per query


@dataclass(frozen=True, slots=True)
class FoundRun:
    """`seconds` is None for a run that has not ended."""

    run_id: str
    status: str
    tags: Mapping[str, str]
    seconds: float | None

    @classmethod
    def parse(cls, row: Mapping[str, Any]) -> FoundRun:
        start, end = row["startTime"], row["endTime"]
        tags = {tag["key"]: tag["value"] for tag in row["tags"]}
        return cls(row["runId"], row["status"], tags, end - start if start and end else None)


class DagsterReader:
    """Reads from Dagster, and changes nothing in it.

    Every call raises DagsterUnreachable if Dagster does not answer, DagsterRefuses if it refuses, DagsterUnclear if its
    answer makes no sense; each with the reason. `url` is shown without its user and password.
    """

    def __init__(self, url: str, way_in: Login = NOBODY) -> None:
        """`way_in`: what lets this program in, beside a user and a password in the address."""
        self.url, user, password = without_credentials(url)
        login = way_in if way_in.user else replace(way_in, user=user, password=way_in.password or password)
        self._web = Web(self.url, login)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """By DAGSTER_URL and the other variables of Dagster. Raises BadLogin."""
        login = Login.of("DAGSTER", settings.way_into_dagster)
        token, host = settings.dagster_plus_token, urlsplit(settings.dagster_url)
        # Its command line reads the variable too, so that it may be set where DAGSTER_URL is some other server.
        if token and host.scheme == "https" and (host.hostname or "").endswith(DAGSTER_PLUS_HOST):
            login = replace(login, headers=(*login.headers, (DAGSTER_PLUS, token)))
        return cls(settings.dagster_url, login)

    def is_ready(self) -> bool:
        """Whether every code location is loaded; never raises."""
        try:
            entries = self._call(_LOCATIONS)["locationEntries"]
        except (DagsterFault, KeyError, TypeError):
            return False
        return bool(entries) and all(
            entry["loadStatus"] == "LOADED"
            and (entry["locationOrLoadError"] or {}).get("__typename") == "RepositoryLocation"
            for entry in entries
        )

    def status(self, run_id: str) -> str:
        """Dagster's run status, such as STARTED or SUCCESS; NOT_FOUND if there is no such run."""
        answer = self._call(_STATUS, {"run": run_id})
        return str(answer.get("status", "NOT_FOUND"))

    def runs(
        self,
        tags: Mapping[str, str],
        statuses: Sequence[str],
        limit: int = MOST_RUNS,
        since: datetime | None = None,
    ) -> list[FoundRun]:
        """The newest runs with all of these tags and one of these states; `since`: only those created after it."""
        run_filter: dict[str, Any] = {
            "tags": [{"key": key, "value": value} for key, value in tags.items()],
            "statuses": list(statuses),
        }
        if since is not None:
            run_filter["createdAfter"] = since.timestamp()
        answer = self._call(_RUNS, {"filter": run_filter, "limit": limit})
        if answer["__typename"] != "Runs":
            raise DagsterCannot(self.url, f"it cannot list its runs: {answer.get('message', answer)}")
        return [FoundRun.parse(row) for row in answer["results"]]

    def missing_job(self, job: str) -> str:
        """Why the job could not be launched; empty if it could."""
        if self._repository_of(job):
            return ""
        problems = [problem for entry in self._locations() if (problem := _not_loaded(entry))]
        return "; ".join(problems) or f"no code location of Dagster at {self.url} has the job {job}"

    def job_tags(self, job: str) -> dict[str, str]:
        """The job's own tags; empty if no loaded code location has it."""
        if (repository := self._repository_of(job)) is None:
            return {}
        answer = self._call(_JOB, {"selector": {**repository, "pipelineName": job}})
        return {tag["key"]: tag["value"] for tag in answer.get("tags", ())}

    def sleeping_sensors(self, job: str) -> str:
        """Why no sensor starts the job; empty if one does."""
        sleeping = [
            sensor
            for repository in _repositories(self._locations())
            for sensor in self._call(_SENSORS, {"selector": repository}).get("results", ())
            if job in [target["pipelineName"] for target in sensor["targets"] or ()]
        ]
        if any(sensor["sensorState"]["status"] == "RUNNING" for sensor in sleeping):
            return ""
        names = ", ".join(sensor["name"] for sensor in sleeping)
        return (
            f"the sensor {names} is switched off in Dagster"
            if sleeping
            else f"no sensor starts the job {job}"
        )

    def sick_daemons(self) -> list[str]:
        """The daemons that the instance needs but that have no recent heartbeat."""
        statuses = self._call(_DAEMONS)["daemonHealth"]["allDaemonStatuses"]
        return [status["daemonType"] for status in statuses if status["required"] and not status["healthy"]]

    def faults_of_locations(self) -> list[str]:
        """Why code locations are not loaded, or that there is none."""
        locations = self._locations()
        faults = [problem for entry in locations if (problem := _not_loaded(entry))]
        return faults if locations else ["it has no code location"]

    def deployment(self) -> Deployment:
        """What the instance says about how it runs things."""
        told = self._call(_DEPLOYMENT)
        info = told["info"]
        pools = {row["concurrencyKey"]: row for row in told["concurrencyLimits"]}
        return Deployment(
            launcher=(told["runLauncher"] or {}).get("name") or "nobody",
            queues_runs=bool(told["runQueuingSupported"]),
            monitoring=None if info is None else _monitoring(info),
            limits={name: row["limit"] for name, row in pools.items() if row["limit"] is not None},
            default_limit=(told["poolConfig"] or {}).get("defaultPoolLimit"),
            held={name: [slot["runId"] for slot in row["claimedSlots"]] for name, row in pools.items()},
        )

    def skew(self) -> Skew | None:
        """Of the web server's clock; None if its answers have no date."""
        found = self._asked(lambda: self._web.seconds_ahead("POST", "/graphql", json=_CLOCK))
        return None if found is None else Skew(*found)

    def _locations(self) -> Sequence[Mapping[str, Any]]:
        entries: Sequence[Mapping[str, Any]] = self._call(_LOCATIONS).get("locationEntries", ())
        return entries

    def _repository_of(self, job: str, location: str = "") -> dict[str, str] | None:
        """The repository with the job; None if no loaded code location has it."""
        entries = self._locations()
        for repository in _repositories(entry for entry in entries if location in ("", entry["name"])):
            if (
                self._call(_JOB, {"selector": {**repository, "pipelineName": job}})["__typename"]
                == "Pipeline"
            ):
                return repository
        return None

    def run_address(self, run_id: str) -> str:
        return address_of_run(self.url, run_id)

    def _call(self, query: str, variables: Mapping[str, Any] | None = None) -> Any:
        payload = {"query": query, "variables": dict(variables or {})}
        return self._asked(lambda: _result(self._web.ask("POST", "/graphql", json=payload)))

    def _asked(self, once: Callable[[], T]) -> T:
        try:
            return once()
        except NoAnswer as error:
            raise DagsterUnreachable(self.url, str(error)) from error
        except Refusal as error:
            raise DagsterRefuses(self.url, str(error), lasting=error.lasting) from error
        except Unclear as error:
            raise DagsterUnclear(self.url, str(error), lasting=True) from error


class DagsterClient(DagsterReader):
    """Changes Dagster too; raises what its reader raises."""

    def launch(
        self,
        job: str,
        partitions: tuple[str, str],
        *,
        tags: Mapping[str, str] | None = None,
        location: str = "",
    ) -> str:
        """Launch one run of a job over all partitions from the first to the last key; returns the run id.

        `location`: the job's code location, if several have a job of that name.

        Raises LaunchRefused with Dagster's reason.
        """
        repository = self._repository_of(job, location)
        if repository is None:
            raise LaunchRefused(job, self.missing_job(job), self.url)
        run_tags = {RANGE_START: partitions[0], RANGE_END: partitions[1], **(tags or {})}
        params = {
            "mode": "default",
            "runConfigData": "{}",
            "selector": {**repository, "pipelineName": job},
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in run_tags.items()]},
        }
        result = self._call(_LAUNCH, {"params": params})
        if result["__typename"] != "LaunchRunSuccess":
            reason = result.get("message") or "; ".join(
                error["message"] for error in result.get("errors", ())
            )
            raise LaunchRefused(job, f"{result['__typename']} ({reason})", self.url)
        run_id: str = result["run"]["id"]
        return run_id

    def terminate(self, run_ids: Sequence[str]) -> None:
        """Ask runs to end; they go on until their workers notice."""
        if run_ids:
            answer = self._call(_TERMINATE, {"ids": list(run_ids)})
            if answer["__typename"] != "TerminateRunsResult":
                raise DagsterCannot(self.url, f"it cannot end runs: {answer.get('message', answer)}")

    def reload(self, job: str) -> None:
        """Ask Dagster to reload the code location with the job, without waiting for it."""
        repository = self._repository_of(job)
        if repository is None:
            raise DagsterCannot(self.url, self.missing_job(job))
        request = {"query": _RELOAD, "variables": {"name": repository["repositoryLocationName"]}}
        try:
            self._web.ask("POST", "/graphql", json=request, seconds=0.5)
        except (Refusal, Unclear):
            return
        except NoAnswer as error:
            if not error.late:
                raise DagsterUnreachable(self.url, str(error)) from error


def _result(reply: Reply) -> dict[str, Any]:
    """The single field of the answer's data. A 500 with a PythonError inside counts as Dagster's answer."""
    try:
        body = reply.document()
    except Unclear:
        checked(reply)
        raise
    match body:
        case {"data": dict(data)} if len(data) == 1:
            [result] = data.values()
            if isinstance(result, dict):
                return result
    checked(reply)
    problem = body.get("errors", body) if isinstance(body, dict) else body
    raise Unclear(f"{reply.what} answered {excerpt(json.dumps(problem))}")


def address_of_run(url: str, run_id: str) -> str:
    return f"{without_credentials(url)[0]}/runs/{segment(run_id)}"


def _repositories(entries: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, str]]:
    for entry in entries:
        for repository in (entry["locationOrLoadError"] or {}).get("repositories", ()):
            yield {"repositoryLocationName": entry["name"], "repositoryName": repository["name"]}


def _monitoring(info: str) -> Mapping[str, Any]:
    """`run_monitoring` of the instance's configuration, as it is shown."""
    try:
        shown = yaml.safe_load(info)
        known = shown.get("run_monitoring") or {}
        return dict(known)
    except (yaml.YAMLError, AttributeError, TypeError, ValueError):
        return {}


def _not_loaded(entry: Mapping[str, Any]) -> str:
    """Why a code location is not loaded; empty if it is."""
    loaded = entry["locationOrLoadError"] or {}
    if loaded.get("__typename") == "RepositoryLocation":
        return ""
    return f"code location {entry['name']} is not loaded: {loaded.get('message') or entry['loadStatus']}"
