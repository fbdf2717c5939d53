"""The few GraphQL calls that a proxy makes, each of constant size however large the Dagster estate is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests
from airflow.exceptions import AirflowException

TIMEOUT_SECONDS = 20

FIND_JOB = """
query FindJob {
  repositoriesOrError {
    __typename
    ... on RepositoryConnection { nodes { name location { name } } }
    ... on PythonError { message }
  }
}
"""

JOB_TAGS = """
query JobTags($selector: PipelineSelector!) {
  pipelineOrError(params: $selector) {
    __typename
    ... on Pipeline { name tags { key value } }
    ... on PythonError { message }
  }
}
"""

LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { id } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on PipelineNotFoundError { message }
    ... on InvalidSubsetError { message }
    ... on PresetNotFoundError { message }
    ... on ConflictingExecutionParamsError { message }
    ... on UnauthorizedError { message }
    ... on PythonError { message }
  }
}
"""

STEP_FAILURES = """
query Failures($runId: ID!) {
  logsForRun(runId: $runId) {
    __typename
    ... on EventConnection {
      events {
        __typename
        ... on ExecutionStepFailureEvent { stepKey error { message errorChain { error { message } } } }
        ... on RunFailureEvent { message error { message errorChain { error { message } } } }
      }
    }
  }
}
"""


def call(session: requests.Session, url: str, query: str, variables: Mapping[str, Any] | None = None) -> Any:
    """The single field of the answer's `data`. Raises AirflowException with what the other side really said."""
    try:
        answer = session.post(
            f"{url}/graphql",
            json={"query": query, "variables": dict(variables or {})},
            timeout=TIMEOUT_SECONDS,
        )
    except requests.RequestException as error:
        raise AirflowException(f"Dagster does not answer at {url}: {error}") from error
    try:
        body = answer.json()
    except ValueError as error:
        start = answer.text[:200].strip()
        raise AirflowException(
            f"Dagster at {url} answered {answer.status_code} with something that is not JSON (a login page?): {start}"
        ) from error
    if not body.get("data"):
        raise AirflowException(f"Dagster at {url} answered {answer.status_code}: {body.get('errors', body)}")
    [result] = body["data"].values()
    return result


def reason(result: Mapping[str, Any]) -> str:
    """What a refusal says, whatever its type."""
    messages = [error["message"] for error in result.get("errors", ())] or [
        result.get("message", "no reason given")
    ]
    return f"{result['__typename']}: {'; '.join(messages)}"
