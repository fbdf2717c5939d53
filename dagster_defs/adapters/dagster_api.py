"""Dagster's GraphQL API, as far as launching and watching runs needs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from dagster_defs.errors import DagsterUnreachable, RunFailed

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


class DagsterClient:
    """Every call raises DagsterUnreachable, with the reason, if Dagster does not answer as it should."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(timeout=30, trust_env=False)

    def is_ready(self) -> bool:
        """Whether every code location is loaded; never raises."""
        try:
            entries = self._call(_LOCATIONS)["locationEntries"]
        except (DagsterUnreachable, KeyError):
            return False
        return bool(entries) and all(
            entry["loadStatus"] == "LOADED"
            and (entry["locationOrLoadError"] or {}).get("__typename") == "RepositoryLocation"
            for entry in entries
        )

    def launch(self, job: str, partitions: tuple[str, str], *, location: str = "parity") -> str:
        """Run a job over all partitions from the first to the last key, in one run; the run's id.

        Raises RunFailed with Dagster's reason if it refuses.
        """
        entries = {entry["name"]: entry for entry in self._call(_LOCATIONS)["locationEntries"]}
        if location not in entries:
            raise RunFailed(f"the launch of {job}", f"no code location {location!r}", self.url)
        entry = entries[location]
        run_tags = {RANGE_START: partitions[0], RANGE_END: partitions[1]}
        params = {
            "mode": "default",
            "runConfigData": "{}",
            "selector": {
                "repositoryLocationName": entry["name"],
                "repositoryName": entry["locationOrLoadError"]["repositories"][0]["name"],
                "pipelineName": job,
            },
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in run_tags.items()]},
        }
        result = self._call(_LAUNCH, {"params": params})
        if result["__typename"] != "LaunchRunSuccess":
            said = result.get("message") or "; ".join(error["message"] for error in result.get("errors", ()))
            raise RunFailed(f"the launch of {job}", f"{result['__typename']} ({said})", self.url)
        run_id: str = result["run"]["id"]
        return run_id

    def status(self, run_id: str) -> str:
        """Dagster's run status, such as STARTED or SUCCESS; NOT_FOUND if there is no such run."""
        found = self._call(_STATUS, {"run": run_id})
        return str(found.get("status", "NOT_FOUND"))

    def run_address(self, run_id: str) -> str:
        return f"{self.url}/runs/{run_id}"

    def _call(self, query: str, variables: Mapping[str, Any] | None = None) -> Any:
        try:
            answer = self._http.post(
                f"{self.url}/graphql", json={"query": query, "variables": dict(variables or {})}
            )
            body = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise DagsterUnreachable(self.url, str(error) or type(error).__name__) from error
        if not body.get("data"):
            raise DagsterUnreachable(self.url, str(body.get("errors", body)))
        [result] = body["data"].values()
        return result
