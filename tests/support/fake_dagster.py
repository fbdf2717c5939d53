"""A server that stands in for Dagster on loopback, spoken to over real HTTP.

It refuses every query that Dagster's own GraphQL schema would refuse, so that it cannot be more lenient than the real
thing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tests.support.dagster_marks import DagsterMarks
from tests.support.fakes import LOGIN_PAGE, LoopbackServer

KEPT_BY_DAGSTER = ("reportRunlessAssetEvents", "assetOrError", "assetsOrError", "wipeAssets")


@dataclass
class Launch:
    """A run that Dagster was asked to launch."""

    selector: dict[str, str]
    tags: dict[str, str]
    config: dict[str, Any] = field(default_factory=dict)


@dataclass
class Job:
    """A job as the fake knows it; `tags` are those that a unit's job carries."""

    name: str
    tags: dict[str, str] = field(default_factory=dict)
    location: str = "parity"


class FakeDagster(LoopbackServer):
    """Runs end at once as `run_status`; `refusal` is what a launch is answered with instead of a run. `sensors`: by
    name their state and the jobs that they start; `deployed`: what it says of its instance; `reloads`: code locations
    that were loaded anew. `marks`: the real Dagster that keeps them, where a test needs any."""

    def __init__(self) -> None:
        super().__init__()
        self.marks: DagsterMarks | None = None
        self.jobs: list[Job] = []
        self.launches: list[Launch] = []
        self.run_status = "SUCCESS"
        self.refusal: dict[str, Any] | None = None
        self.failure_events: list[dict[str, Any]] = []
        self.listed: list[dict[str, Any]] = []
        self.terminated: list[str] = []
        self.sick_daemons: list[str] = []
        self.sensors: dict[str, tuple[str, Sequence[str]]] = {}
        self.deployed: dict[str, Any] = {
            "info": "run_monitoring:\n  enabled: true\n  max_runtime_seconds: 60\n",
            "runQueuingSupported": True,
            "runLauncher": {"name": "DefaultRunLauncher"},
            "poolConfig": {"defaultPoolLimit": 1},
            "concurrencyLimits": [],
        }
        self.reloads: list[str] = []
        self.login_page = False

    def answer(self, method: str, path: str, body: bytes, headers: Any) -> tuple[int, Any]:
        if self.login_page:
            return 200, LOGIN_PAGE
        asked = json.loads(body)
        if errors := _errors_of_query(asked["query"]):
            return 400, {"errors": [{"message": error} for error in errors]}
        return 200, {"data": self._data(asked["query"], asked.get("variables") or {})}

    def _data(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        if query == "{ version }":
            return {"version": "1.13.27"}
        if self.marks is not None and any(field in query for field in KEPT_BY_DAGSTER):
            return self.marks.data(query, variables)
        if "runQueuingSupported" in query:
            return {"instance": self.deployed}
        if "launchPipelineExecution" in query:
            return {"launchPipelineExecution": self._launch(*variables.values())}
        if "logsForRun" in query:
            return {"logsForRun": {"__typename": "EventConnection", "events": self.failure_events}}
        if "daemonHealth" in query:
            kinds = ["SENSOR", "SCHEDULER", "QUEUED_RUN_COORDINATOR"]
            rows = [{"daemonType": k, "required": True, "healthy": k not in self.sick_daemons} for k in kinds]
            return {"instance": {"daemonHealth": {"allDaemonStatuses": rows}}}
        if "sensorsOrError" in query:
            rows = [
                {
                    "name": name,
                    "targets": [{"pipelineName": job} for job in jobs],
                    "sensorState": {"status": status},
                }
                for name, (status, jobs) in self.sensors.items()
            ]
            return {"sensorsOrError": {"__typename": "Sensors", "results": rows}}
        if "reloadRepositoryLocation" in query:
            self.reloads.append(variables["name"])
            return {"reloadRepositoryLocation": {"__typename": "WorkspaceLocationEntry"}}
        if "terminateRuns" in query:
            self.terminated += variables["ids"]
            return {"terminateRuns": {"__typename": "TerminateRunsResult"}}
        if "runsOrError" in query:
            return {"runsOrError": {"__typename": "Runs", "results": self._listed(**variables)}}
        if "runOrError" in query:
            tags = [{"key": key, "value": value} for key, value in self.launches[-1].tags.items()]
            return {"runOrError": {"__typename": "Run", "status": self.run_status, "tags": tags}}
        if "pipelineOrError" in query:
            return {"pipelineOrError": self._job(variables["selector"])}
        locations = sorted({job.location for job in self.jobs} | {"parity"})
        if "workspaceOrError" in query:
            repositories = [{"name": "__repository__"}]
            loaded = {"__typename": "RepositoryLocation", "repositories": repositories}
            rows = [
                {"name": name, "loadStatus": "LOADED", "locationOrLoadError": loaded} for name in locations
            ]
            return {"workspaceOrError": {"__typename": "Workspace", "locationEntries": rows}}
        nodes = [{"name": "__repository__", "location": {"name": name}} for name in locations]
        return {"repositoriesOrError": {"__typename": "RepositoryConnection", "nodes": nodes}}

    def list_run(self, run_id: str, status: str, seconds: float | None = None, /, **tags: str) -> None:
        """A run with these tags, `parity_unit` for `parity/unit`; `seconds` is how long it took."""
        rows = [{"key": name.replace("_", "/", 1), "value": value} for name, value in tags.items()]
        end = None if seconds is None else 1000.0 + seconds
        self.listed.append(
            {"runId": run_id, "status": status, "startTime": 1000.0, "endTime": end, "tags": rows}
        )

    def _listed(self, filter: dict[str, Any], limit: int) -> list[dict[str, Any]]:  # noqa: A002 - GraphQL's name
        return [
            run
            for run in self.listed
            if run["status"] in filter["statuses"]
            and all(tag in run["tags"] for tag in filter["tags"])
            and run["startTime"] >= filter.get("createdAfter", 0)
        ][:limit]

    def _launch(self, params: dict[str, Any]) -> dict[str, Any]:
        if self.refusal:
            return self.refusal
        tags = {tag["key"]: tag["value"] for tag in params["executionMetadata"]["tags"]}
        config = json.loads(params.get("runConfigData") or "{}")
        self.launches.append(Launch(params["selector"], tags, config))
        return {"__typename": "LaunchRunSuccess", "run": {"id": f"run-{len(self.launches)}"}}

    def _job(self, selector: dict[str, str]) -> dict[str, Any]:
        for job in self.jobs:
            if (job.name, job.location) == (selector["pipelineName"], selector["repositoryLocationName"]):
                tags = [{"key": key, "value": value} for key, value in job.tags.items()]
                return {"__typename": "Pipeline", "name": job.name, "tags": tags}
        return {"__typename": "PipelineNotFoundError", "message": "no such job"}


@cache
def _schema() -> Any:
    from dagster_graphql.schema import create_schema

    return create_schema().graphql_schema


def _errors_of_query(query: str) -> list[str]:
    from graphql import parse, validate

    return [error.message for error in validate(_schema(), parse(query))]
