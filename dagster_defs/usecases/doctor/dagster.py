"""Dagster: its web server, log-in, code locations, daemons, clock, pools and run monitoring."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from dagster_defs.adapters.dagster.api import DagsterReader
from dagster_defs.errors import BadLogin, DagsterFault
from dagster_defs.lifecycle import tags
from dagster_defs.lifecycle.diagnosis import Finding, Health, of_clock, of_deployment
from dagster_defs.lifecycle.versions import why_apart
from dagster_defs.settings import Settings


def dagster_findings(
    settings: Settings, pools: Collection[str], jobs: Collection[str], version: str | None
) -> Iterator[Finding]:
    """`jobs`: of the mirrors that are loaded here. `version`: of the package here."""
    try:
        dagster = DagsterReader.of(settings)
        faults, skew = dagster.faults_of_locations(), dagster.skew()
    except (DagsterFault, BadLogin) as error:
        remedy = "Set DAGSTER_URL, and what lets this program in, where this runs"
        yield Finding("dagster", Health.FAILED, str(error), remedy)
        return
    yield Finding("dagster", Health.OK, f"Dagster at {dagster.url} answers and lets this program in")
    yield of_clock("dagster.clock", "the web server's", skew)
    try:
        yield from _of_parts(dagster, faults, pools, jobs, version)
    except (DagsterFault, KeyError, TypeError) as error:
        yield Finding("dagster.parts", Health.NOT_KNOWN, str(error), "Look at its page Deployment")


def _of_parts(
    dagster: DagsterReader,
    faults: Collection[str],
    pools: Collection[str],
    jobs: Collection[str],
    version: str | None,
) -> Iterator[Finding]:
    if faults:
        remedy = "Look at its page Deployment, and at the code server's log"
        yield Finding("dagster.locations", Health.FAILED, "; ".join(faults), remedy)
    else:
        yield Finding("dagster.locations", Health.OK, "each code location is loaded")
        yield _of_version(dagster, jobs, version)
    if sick := dagster.sick_daemons():
        why = f"these daemons have no heartbeat: {', '.join(sick)}"
        yield Finding("dagster.daemons", Health.FAILED, why, "Start it: dagster-daemon run")
    else:
        yield Finding("dagster.daemons", Health.OK, "the daemons that it needs have a heartbeat")
    yield from of_deployment(dagster.deployment(), pools)


def _of_version(dagster: DagsterReader, jobs: Collection[str], version: str | None) -> Finding:
    check = "dagster.version"
    job = next(iter(sorted(jobs)), "")
    found = dagster.job_tags(job) if job else {}
    if not found:
        why = f"no code location has the job {job}" if job else "no mirror here has a job to ask for"
        health = Health.FAILED if job else Health.NOT_KNOWN
        return Finding(check, health, why, "Let Dagster load this project's code location")
    there = found.get(tags.VERSION)
    if version is None or there is None:
        return Finding(check, Health.NOT_KNOWN, "the versions cannot be compared", "Install airflow-parity")
    if why_apart(version, there):
        why = f"the code location has airflow-parity {there}, and this is {version}"
        return Finding(check, Health.FAILED, why, "Install one version in both places")
    return Finding(check, Health.OK, f"the code location has airflow-parity {there}, as this has")
