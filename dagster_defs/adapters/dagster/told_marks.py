"""Marks that tasks in Airflow ask Dagster for: observations of assets that no code location defines.

`parity_marks/<dag>` has the marks of a DAG, its newest observation those that hold. `parity_marks` itself has an
observation without a partition once moves write here, and one for each DAG that was ever told: if a DAG's asset has
been wiped, a task can tell that from `no mark`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagster_defs.adapters.dagster.api import DagsterClient
from dagster_defs.errors import DagsterCannot

ASSET = "parity_marks"
SAID_OF_IT = (
    "Moves of airflow-parity observe parity_marks/<dag>, and tasks in Airflow read their marks there."
)
PAGE = 500  # assets of one answer
MOST_DAGS = 10_000  # observations of one answer, by Dagster's own limit

_REPORT = """
mutation Report($params: ReportRunlessAssetEventsParams!) {
  reportRunlessAssetEvents(eventParams: $params) {
    __typename
    ... on UnauthorizedError { message }
    ... on PythonError { message }
  }
}
"""
_OBSERVED = """
query Observed($key: AssetKeyInput!, $partitions: [String!], $limit: Int!) {
  assetOrError(assetKey: $key) {
    __typename
    ... on Asset { assetObservations(partitions: $partitions, limit: $limit) { partition description } }
    ... on AssetNotFoundError { message }
  }
}
"""
_ALL = """
query All($prefix: [String!], $cursor: String, $limit: Int!) {
  assetsOrError(prefix: $prefix, cursor: $cursor, limit: $limit) {
    __typename
    ... on AssetConnection { cursor nodes { key { path } assetObservations(limit: 1) { description } } }
    ... on PythonError { message }
  }
}
"""


@dataclass(frozen=True)
class Told:
    """`texts`: of each DAG's marks. `wiped`: DAGs that were told, and whose marks are gone."""

    texts: Mapping[str, str]
    wiped: Sequence[str] = ()


class ToldMarks(DagsterClient):
    """Each method raises what the client raises."""

    def set_up(self) -> None:
        self._report([ASSET], None, SAID_OF_IT)

    def tell(self, dag_id: str, text: str) -> None:
        """First that the DAG is told at all: if this is cut off in between, its tasks refuse to run."""
        if not self._observations([ASSET], [dag_id]):
            self._report([ASSET], dag_id, "")
        self._report([ASSET, dag_id], None, text)

    def of_dag(self, dag_id: str) -> Told:
        found = self._observations([ASSET, dag_id])
        if found:
            return Told({dag_id: str(found[0]["description"] or "")})
        return Told({}, [dag_id] if self._observations([ASSET], [dag_id]) else ())

    def of_all(self) -> Told:
        texts: dict[str, str] = {}
        cursor: str | None = None
        while True:
            variables = {"prefix": [ASSET], "cursor": cursor, "limit": PAGE}
            answer = self._granted(_ALL, variables, "AssetConnection")
            for node in answer["nodes"]:
                path, observed = node["key"]["path"], node["assetObservations"]
                if len(path) == 2 and observed:
                    texts[path[1]] = str(observed[0]["description"] or "")
            cursor = answer["cursor"]
            if len(answer["nodes"]) < PAGE or not cursor:
                break
        told = {row["partition"] for row in self._observations([ASSET], limit=MOST_DAGS)}
        return Told(texts, sorted(told - {None, *texts}))

    def _observations(
        self, key: Sequence[str], partitions: Sequence[str] | None = None, limit: int = 1
    ) -> Sequence[Mapping[str, Any]]:
        """The newest first; none of an asset that is not there."""
        variables = {"key": {"path": list(key)}, "partitions": partitions, "limit": limit}
        answer = self._call(_OBSERVED, variables)
        if answer["__typename"] == "AssetNotFoundError":
            return ()
        observed: Sequence[Mapping[str, Any]] = answer["assetObservations"]
        return observed

    def _report(self, key: Sequence[str], partition: str | None, text: str) -> None:
        params = {
            "eventType": "ASSET_OBSERVATION",
            "assetKey": {"path": list(key)},
            "description": text,
            **({} if partition is None else {"partitionKeys": [partition]}),
        }
        self._granted(_REPORT, {"params": params}, "ReportRunlessAssetEventsSuccess")

    def _granted(self, query: str, variables: Mapping[str, Any], wanted: str) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self._call(query, variables)
        if answer["__typename"] != wanted:
            raise DagsterCannot(self.url, f"it keeps no marks: {answer.get('message', answer['__typename'])}")
        return answer
