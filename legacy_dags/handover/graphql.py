"""A proxy's GraphQL queries, each of constant size however large the Dagster estate is."""

from __future__ import annotations

LOCATIONS = """
query Locations {
  workspaceOrError {
    __typename
    ... on Workspace {
      locationEntries {
        name
        loadStatus
        locationOrLoadError {
          __typename
          ... on RepositoryLocation { repositories { name } }
          ... on PythonError { message className }
        }
      }
    }
    ... on PythonError { message className }
  }
}
"""

JOB_TAGS = """
query JobTags($selector: PipelineSelector!) {
  pipelineOrError(params: $selector) {
    __typename
    ... on Pipeline { name tags { key value } }
    ... on PythonError { message className }
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
    ... on PythonError { message className }
  }
}
"""

RUNS_OF_TAG = """
query RunsOfTag($tag: ExecutionTag!, $limit: Int!) {
  runsOrError(filter: {tags: [$tag]}, limit: $limit) {
    __typename
    ... on Runs { results { runId status tags { key value } } }
    ... on InvalidPipelineRunsFilterError { message }
    ... on PythonError { message className }
  }
}
"""

RUN_STATUS = """
query RunStatus($runId: ID!) {
  runOrError(runId: $runId) {
    __typename
    ... on Run { status }
    ... on RunNotFoundError { message }
    ... on PythonError { message className }
  }
}
"""

OBSERVED = """
query Observed($key: AssetKeyInput!, $partitions: [String!]) {
  assetOrError(assetKey: $key) {
    __typename
    ... on Asset { assetObservations(partitions: $partitions, limit: 1) { description } }
    ... on AssetNotFoundError { message }
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
        ... on EngineEvent { message }
      }
    }
  }
}
"""

TERMINATE = """
mutation Terminate($runId: String!, $policy: TerminateRunPolicy!) {
  terminateRun(runId: $runId, terminatePolicy: $policy) {
    __typename
    ... on TerminateRunFailure { message }
    ... on RunNotFoundError { message }
    ... on UnauthorizedError { message }
    ... on PythonError { message className }
  }
}
"""
