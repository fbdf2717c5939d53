"""Dagster's GraphQL API, as far as launching and watching runs needs it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dagster_defs.adapters.http.question import (
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
    DagsterRefuses,
    DagsterUnclear,
    DagsterUnreachable,
    LaunchRefused,
)

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
  pipelineOrError(params: $selector) { __typename ... on PythonError { message } }
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
MOST_RUNS = 1000  # that one look gives


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
    """What looks at Dagster, and changes nothing in it.

    Every call raises DagsterUnreachable if Dagster does not answer, DagsterRefuses if it says no, DagsterUnclear if its
    answer does not mean anything; each with the reason. `url` is shown without the user and password in it.
    """

    def __init__(self, url: str) -> None:
        self.url, user, password = without_credentials(url)
        self._web = Web(self.url, (user, password) if user or password else None)

    def is_ready(self) -> bool:
        """Whether every code location is loaded; never raises."""
        try:
            entries = self._call(_LOCATIONS)["locationEntries"]
        except (DagsterUnreachable, KeyError, TypeError):
            return False
        return bool(entries) and all(
            entry["loadStatus"] == "LOADED"
            and (entry["locationOrLoadError"] or {}).get("__typename") == "RepositoryLocation"
            for entry in entries
        )

    def status(self, run_id: str) -> str:
        """Dagster's run status, such as STARTED or SUCCESS; NOT_FOUND if there is no such run."""
        found = self._call(_STATUS, {"run": run_id})
        return str(found.get("status", "NOT_FOUND"))

    def runs(
        self,
        tags: Mapping[str, str],
        statuses: Sequence[str],
        limit: int = MOST_RUNS,
        since: datetime | None = None,
    ) -> list[FoundRun]:
        """The newest runs that have all of these tags and one of these states; `since`: made after that."""
        wanted: dict[str, Any] = {
            "tags": [{"key": key, "value": value} for key, value in tags.items()],
            "statuses": list(statuses),
        }
        if since is not None:
            wanted["createdAfter"] = since.timestamp()
        found = self._call(_RUNS, {"filter": wanted, "limit": limit})
        if found["__typename"] != "Runs":
            raise DagsterCannot(self.url, f"it cannot list its runs: {found.get('message', found)}")
        return [FoundRun.parse(row) for row in found["results"]]

    def missing_job(self, job: str) -> str:
        """Why the job could not be launched, in words; empty if it could."""
        if self._repository_of(job):
            return ""
        problems = [problem for entry in self._locations() if (problem := _not_loaded(entry))]
        return "; ".join(problems) or f"no code location of Dagster at {self.url} has the job {job}"

    def sleeping_sensors(self, job: str) -> str:
        """Why no sensor starts the job, in words; empty if one is there that does."""
        found = [
            sensor
            for repository in _repositories(self._locations())
            for sensor in self._call(_SENSORS, {"selector": repository}).get("results", ())
            if job in [target["pipelineName"] for target in sensor["targets"] or ()]
        ]
        if any(sensor["sensorState"]["status"] == "RUNNING" for sensor in found):
            return ""
        names = ", ".join(sensor["name"] for sensor in found)
        return (
            f"the sensor {names} is switched off in Dagster" if found else f"no sensor starts the job {job}"
        )

    def sick_daemons(self) -> list[str]:
        """The daemons that the instance needs and that have no fresh heartbeat."""
        found = self._call(_DAEMONS)["daemonHealth"]["allDaemonStatuses"]
        return [one["daemonType"] for one in found if one["required"] and not one["healthy"]]

    def _locations(self) -> Sequence[Mapping[str, Any]]:
        found: Sequence[Mapping[str, Any]] = self._call(_LOCATIONS).get("locationEntries", ())
        return found

    def _repository_of(self, job: str, location: str = "") -> dict[str, str] | None:
        """Where the job is; None where no code location that is loaded has it."""
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
        asked = {"query": query, "variables": dict(variables or {})}
        try:
            reply = self._web.ask("POST", "/graphql", json=asked)
            return _result(reply)
        except NoAnswer as error:
            raise DagsterUnreachable(self.url, str(error)) from error
        except Refusal as error:
            raise DagsterRefuses(self.url, str(error), lasting=error.lasting) from error
        except Unclear as error:
            raise DagsterUnclear(self.url, str(error), lasting=True) from error


class DagsterClient(DagsterReader):
    """What changes Dagster too; raises as its reader does."""

    def launch(
        self,
        job: str,
        partitions: tuple[str, str],
        *,
        tags: Mapping[str, str] | None = None,
        location: str = "",
    ) -> str:
        """Run a job over all partitions from the first to the last key, in one run; the run's id.

        `location`: its code location, where several have a job of that name.

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
            said = result.get("message") or "; ".join(error["message"] for error in result.get("errors", ()))
            raise LaunchRefused(job, f"{result['__typename']} ({said})", self.url)
        run_id: str = result["run"]["id"]
        return run_id

    def terminate(self, run_ids: Sequence[str]) -> None:
        """Tell runs to end; they go on until their workers have seen it."""
        if run_ids:
            told = self._call(_TERMINATE, {"ids": list(run_ids)})
            if told["__typename"] != "TerminateRunsResult":
                raise DagsterCannot(self.url, f"it cannot end runs: {told.get('message', told)}")

    def reload(self, job: str) -> None:
        """Tell Dagster to load the definitions that the job is among anew; nobody waits until it has."""
        repository = self._repository_of(job)
        if repository is None:
            raise DagsterCannot(self.url, self.missing_job(job))
        told = {"query": _RELOAD, "variables": {"name": repository["repositoryLocationName"]}}
        try:
            self._web.ask("POST", "/graphql", json=told, seconds=0.5)
        except (Refusal, Unclear):
            return
        except NoAnswer as error:
            if not error.late:
                raise DagsterUnreachable(self.url, str(error)) from error


def _result(reply: Reply) -> dict[str, Any]:
    """The one field of the answer's data. Dagster answers 500 with a PythonError inside: that is an answer."""
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
    said = body.get("errors", body) if isinstance(body, dict) else body
    raise Unclear(f"{reply.what} answered {excerpt(json.dumps(said))}")


def address_of_run(url: str, run_id: str) -> str:
    return f"{without_credentials(url)[0]}/runs/{segment(run_id)}"


def _repositories(entries: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, str]]:
    for entry in entries:
        for repository in (entry["locationOrLoadError"] or {}).get("repositories", ()):
            yield {"repositoryLocationName": entry["name"], "repositoryName": repository["name"]}


def _not_loaded(entry: Mapping[str, Any]) -> str:
    """What is wrong with a code location; empty if it is loaded."""
    loaded = entry["locationOrLoadError"] or {}
    if loaded.get("__typename") == "RepositoryLocation":
        return ""
    return f"code location {entry['name']} is not loaded: {loaded.get('message') or entry['loadStatus']}"
