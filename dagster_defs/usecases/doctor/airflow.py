"""One Airflow: its web server, log-in, scheduler and clock, and what its worker reads of the channel."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from dagster_defs.adapters.airflow.address import AirflowAddress
from dagster_defs.adapters.airflow.client import AirflowClient, AirflowReader
from dagster_defs.adapters.airflow.rows import DagRun
from dagster_defs.adapters.files.airflows import airflows
from dagster_defs.errors import AirflowFault, AirflowRefuses, BadLogin, ParityError
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.diagnosis import Finding, Health, of_clock
from dagster_defs.lifecycle.worker_look import Look, Told, of_look
from dagster_defs.settings import Settings
from dagster_defs.usecases.doctor.record import Recorded

DAG_ID = "parity_doctor"  # as Airflow's half names it
_PATIENCE = 5.0  # seconds for an answer
_ENDED = ("success", "failed")


@dataclass(frozen=True)
class Looking:
    """`anew`: trigger the DAG, and wait for its run so many seconds; otherwise its last run is read."""

    anew: bool = False
    seconds: float = 120.0
    dag_id: str = DAG_ID


def airflow_findings(
    settings: Settings, record: Recorded | None, now: datetime, looking: Looking, version: str | None
) -> Iterator[Finding]:
    """`settings`: those of the one Airflow."""
    where = f"[{settings.airflow}]" if settings.airflow else ""
    remedy = f"Set {settings.of_this_airflow('AIRFLOW_URL')}, and what lets this program in, where this runs"
    try:
        client = AirflowClient(AirflowAddress.of(settings), patience=_PATIENCE)
        known, skew = client.version.text, client.skew()
    except (AirflowFault, BadLogin) as error:
        yield Finding(f"airflow{where}", Health.FAILED, str(error), remedy)
        return
    yield Finding(f"airflow{where}", Health.OK, f"Airflow {known} at {client.address.url} answers")
    yield of_clock(f"airflow.clock{where}", "the web server's", skew)
    try:
        has_doctor = client.has_dag(looking.dag_id)
    except AirflowFault as error:
        yield Finding(f"airflow.login{where}", Health.FAILED, str(error), remedy)
        return
    yield Finding(f"airflow.login{where}", Health.OK, "it lets this program read DAGs")
    yield _of_scheduler(client, f"airflow.scheduler{where}")
    if not has_doctor:
        why = f"there is no DAG {looking.dag_id}, so nobody has looked from where Airflow's tasks run"
        yield Finding(
            f"worker{where}", Health.NOT_KNOWN, why, "Deploy it: docs/reference.md, `parity doctor`"
        )
        return
    try:
        yield from _of_worker(client, settings, record, now, looking, version, where)
    except ParityError as error:
        yield Finding(f"worker{where}", Health.NOT_KNOWN, str(error), "Look at the DAG's run in Airflow")


def _of_scheduler(airflow: AirflowReader, check: str) -> Finding:
    if airflow.is_healthy():
        return Finding(check, Health.OK, "its scheduler has a heartbeat")
    return Finding(check, Health.FAILED, "it does not say that its scheduler has a heartbeat", "Start it")


def _of_worker(
    airflow: AirflowClient,
    settings: Settings,
    record: Recorded | None,
    now: datetime,
    looking: Looking,
    version: str | None,
    where: str,
) -> Iterator[Finding]:
    check, again = f"worker{where}", "Let it look: parity doctor --look"
    marks = _own_marks(settings, record)
    run = _looked(airflow, now, looking, list(marks)) if looking.anew else airflow.newest_run(looking.dag_id)
    if run is None:
        yield Finding(check, Health.NOT_KNOWN, f"the DAG {looking.dag_id} has not run yet", again)
        return
    if run.state != "success":
        why = f"the run {run.run_id} of {looking.dag_id} is {run.state}"
        paused = airflow.dag(looking.dag_id)["is_paused"]
        remedy = "Switch the DAG on in Airflow" if paused else "Look at its tasks' logs in Airflow"
        yield Finding(check, Health.FAILED if run.state == "failed" else Health.NOT_KNOWN, why, remedy)
        return
    looks = _looks(airflow, looking.dag_id, run)
    if not looks:
        why = f"the run {run.run_id} has left nothing"
        yield Finding(check, Health.NOT_KNOWN, why, "Airflow before 2.10 does not say what tasks have left")
    for look in looks:
        yield from of_look(look, marks, record.last_move if record else None, version, where)


def _own_marks(settings: Settings, record: Recorded | None) -> dict[Unit, Told]:
    """Those of the units of this Airflow."""
    declared = airflows(settings)
    return {
        unit: told
        for unit, told in (record.marks if record else {}).items()
        if declared.has(settings.airflow, unit.dag_id)
    }


def _looked(airflow: AirflowClient, now: datetime, looking: Looking, units: list[Unit]) -> DagRun:
    """The run that was triggered now, as it is once it has ended or the time is up."""
    conf = {"units": [[unit.dag_id, unit.task_id] for unit in units]}
    run = airflow.begin(looking.dag_id, now, conf)
    until = time.monotonic() + looking.seconds
    while run.state not in _ENDED and time.monotonic() < until:
        time.sleep(0.5)
        run = airflow.dag_run(looking.dag_id, run.run_id)
    return run


def _looks(airflow: AirflowReader, dag_id: str, run: DagRun) -> list[Look]:
    """Of each of the DAG's tasks. Raises AirflowRefuses for what is no look."""
    keys = airflow.xcom_keys(dag_id, run.run_id)
    looks = []
    for unit, _, key in keys:
        if key != "return_value":
            continue
        try:
            looks.append(Look.parse(airflow.xcom(unit, run.run_id, key), unit.task_id))
        except ValueError as error:
            raise AirflowRefuses(airflow.address.url, f"the XCom of {unit} is no look: {error}") from error
    return looks
