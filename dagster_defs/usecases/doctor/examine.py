"""All examinations in their order. What one cannot learn stops no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from dagster_defs.adapters.files.airflows import settings_of_each
from dagster_defs.distribution import own_version
from dagster_defs.errors import ParityError
from dagster_defs.lifecycle.diagnosis import Diagnosis, Finding, Health
from dagster_defs.settings import Settings
from dagster_defs.usecases.doctor.airflow import Looking, airflow_findings
from dagster_defs.usecases.doctor.dagster import dagster_findings
from dagster_defs.usecases.doctor.project import project_findings
from dagster_defs.usecases.doctor.record import read_for_doctor, record_findings


def examine(
    settings: Settings, now: datetime, *, looking: Looking, say: Callable[[str], None] = lambda _: None
) -> Diagnosis:
    """`looking`: whether the DAG on Airflow's worker is triggered, and for how long its run is waited for."""
    return Diagnosis(tuple(_findings(settings, now, looking, say)))


def _findings(
    settings: Settings, now: datetime, looking: Looking, say: Callable[[str], None]
) -> Iterator[Finding]:
    version = own_version()
    yield (
        Finding("here.version", Health.OK, f"Dagster's half of airflow-parity is {version}")
        if version
        else Finding(
            "here.version",
            Health.NOT_KNOWN,
            "airflow-parity is on the path without being installed",
            "Install it: pip install airflow-parity",
        )
    )
    say("looking at the store")
    record, problem = read_for_doctor(settings)
    yield from record_findings(settings, record, problem)
    say("asking Dagster")
    project = project_findings(settings)
    yield from dagster_findings(settings, project.pools, project.jobs, version)
    yield from project.findings
    try:
        each = settings_of_each(settings)
    except ParityError as error:
        yield Finding("airflow", Health.FAILED, str(error), "Correct parity.yaml")
        return
    for one in each:
        say(f"asking Airflow{f' {one.airflow}' if one.airflow else ''}")
        yield from airflow_findings(one, record, now, looking, version)
