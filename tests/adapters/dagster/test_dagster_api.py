"""The GraphQL client against a loopback server that knows Dagster's own schema."""

from __future__ import annotations

import pytest

from dagster_defs.adapters.dagster.api import DagsterClient
from dagster_defs.adapters.processes.supervisor import free_port
from dagster_defs.errors import DagsterFault, LaunchRefused
from tests.support.fake_dagster import FakeDagster, Job

DAYS = ("2024-03-09", "2024-03-12")


def test_a_launch_covers_a_range_in_one_run(dagster_server: FakeDagster) -> None:
    """A launch names the job and, in the tags of a single-run backfill, the first and the last partition."""
    dagster_server.jobs = [Job("shadow__taxi_daily__dbt_daily")]
    client = DagsterClient(dagster_server.url)

    run_id = client.launch("shadow__taxi_daily__dbt_daily", DAYS)

    [launch] = dagster_server.launches
    assert launch.selector["pipelineName"] == "shadow__taxi_daily__dbt_daily"
    assert launch.tags["dagster/asset_partition_range_start"] == DAYS[0]
    assert launch.tags["dagster/asset_partition_range_end"] == DAYS[1]
    assert client.status(run_id) == "SUCCESS"
    assert client.run_address(run_id) == f"{dagster_server.url}/runs/{run_id}"


def test_a_refused_launch_says_why(dagster_server: FakeDagster) -> None:
    """Dagster's own reason for refusing a run is in the error, with the job's name."""
    dagster_server.jobs = [Job("x")]
    dagster_server.refusal = {"__typename": "PipelineNotFoundError", "message": "Could not find Pipeline x"}

    with pytest.raises(
        LaunchRefused, match=r"did not launch x: PipelineNotFoundError.*Could not find Pipeline x"
    ):
        DagsterClient(dagster_server.url).launch("x", DAYS)


def test_a_launch_of_a_job_that_nobody_has(dagster_server: FakeDagster) -> None:
    """A job that no code location has is not launched, and the error names it."""
    with pytest.raises(LaunchRefused, match=r"no code location of Dagster at .* has the job nobody"):
        DagsterClient(dagster_server.url).launch("nobody", DAYS)


def test_ready_means_every_location_is_loaded(dagster_server: FakeDagster) -> None:
    """A server that shows a login page, or nothing, is not ready; it never raises."""
    assert DagsterClient(dagster_server.url).is_ready()
    dagster_server.login_page = True
    assert not DagsterClient(dagster_server.url).is_ready()
    assert not DagsterClient(f"http://127.0.0.1:{free_port()}").is_ready()


def test_a_login_page_is_unreachable(dagster_server: FakeDagster) -> None:
    """Every call to something that does not speak GraphQL raises with the address."""
    dagster_server.login_page = True

    with pytest.raises(DagsterFault, match=dagster_server.url):
        DagsterClient(dagster_server.url).status("x")
