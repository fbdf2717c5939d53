"""`parity doctor`: each failure of a deployment, made on purpose, is one line with a remedy."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from dagster_defs.adapters.store import mounts
from dagster_defs.adapters.store.proxied_state import write_mark
from dagster_defs.distribution import own_version
from dagster_defs.lifecycle import Unit
from dagster_defs.settings import Settings
from dagster_defs.usecases.doctor import examine
from dagster_defs.usecases.doctor.project import Project, project_findings
from tests.support.estate import NOBODY, ROOT
from tests.support.night import ZONES, Night
from tests.support.postgres import PostgresServer
from tests.support.records import forget, url_of

UNIT = Unit.parse(ZONES)


@cache
def project() -> Project:
    return project_findings(Settings.from_process(ROOT))


def declared(_: Settings) -> Project:
    """The real project, read once."""
    return project()


def found(night: Night, *options: str) -> dict[str, tuple[str, str, str]]:
    """By check: its state, what was found, and the remedy."""
    answer = night.parity("doctor", "--json", *options)
    document = json.loads(answer.stdout)
    assert document["schema"] == "parity/doctor/1"
    rows = {row["check"]: (row["health"], row["said"], row["remedy"]) for row in document["findings"]}
    assert all(remedy for health, _, remedy in rows.values() if health != "ok")
    failed = any(health == "failed" for health, _, _ in rows.values())
    assert (answer.returncode, document["sound"]) == ((3, False) if failed else (0, True))
    return rows


@pytest.fixture
def deployed(night: Night) -> Night:
    """Everything as it should be, but for the DAG on Airflow's worker, which is not there."""
    night.airflow.only = set()
    for job in night.dagster.jobs:
        job.tags["parity/version"] = own_version() or ""
    night.dagster.jobs[0].name = "taxi_borough_brooklyn__dbt_borough"  # the first that the project has
    night.monkeypatch.setattr(examine, "project_findings", declared)
    return night


def look(night: Night, units: list[list[str]], **changed: Any) -> dict[str, Any]:
    """What a worker tells that reads the night's own folder."""
    from dagster_defs.adapters.store.proxied_state import read_marks

    marks = read_marks(night.folder)
    owners = [
        {
            "dag": dag,
            "task": task,
            "proxied": marks.honoured(Unit(dag, task)),
            "position": str(marks.position(Unit(dag, task)) or ""),
        }
        for dag, task in units
    ]
    return {
        "schema": "parity/doctor-look/1", "version": own_version(), "airflow": "2.11.2", "python": "3.11",
        "host": "w1", "at": datetime.now(timezone.utc).isoformat(), "channel": "file",
        "folder": str(night.folder), "owners": owners,
        "dagster": {"url": night.dagster.url, "problem": "", "ahead": 0.1, "give": 0.6}, **changed,
    }  # fmt: skip


def let_a_worker_look(night: Night, state: str = "success", **changed: Any) -> None:
    """A run of the DAG is answered at once by a worker that tells this."""

    def triggered(dag_id: str, run_id: str, conf: Mapping[str, Any]) -> None:
        night.airflow.dag_runs[dag_id, run_id]["state"] = state
        night.airflow.xcoms[dag_id, run_id, "look"] = {"return_value": look(night, conf["units"], **changed)}

    night.airflow.only = {"parity_doctor"}
    night.airflow.triggered = triggered


def test_a_sound_deployment(deployed: Night) -> None:
    """All is well with exit code 0, and nothing is left behind; what nobody has looked at is not known."""
    before = sorted(path.name for path in deployed.folder.iterdir())

    rows = found(deployed)

    assert {check: state for check, (state, _, _) in rows.items() if state != "ok"} == {
        "dagster.slots": "warning",
        "worker": "not known",
    }
    assert sorted(path.name for path in deployed.folder.iterdir()) == before
    text = deployed.parity("doctor").stdout
    assert "→ Deploy it: docs/reference.md, `parity doctor`" in text
    assert "1 warning, 1 not known" in text


Break = Callable[[Night], object]


def _fast_clock(night: Night) -> None:
    """Every answer has a date that is two minutes ahead."""
    send = httpx.Client.send

    def sent(self: httpx.Client, *arguments: Any, **options: Any) -> httpx.Response:
        answer = send(self, *arguments, **options)
        answer.headers["Date"] = format_datetime(datetime.now(timezone.utc) + timedelta(minutes=2))
        return answer

    night.monkeypatch.setattr(httpx.Client, "send", sent)


def _bucket(night: Night) -> None:
    listed = night.folder.parent / "mountinfo"
    listed.write_text(f"30 1 0:30 / {night.folder} rw - fuse.s3fs s3fs rw\n")
    night.monkeypatch.setattr(mounts, "_MOUNTS", listed)


def _no_locks(night: Night) -> None:
    """As on a file system where a lock excludes nobody."""
    night.monkeypatch.setattr("fcntl.flock", lambda *_: None)


def _untold(night: Night) -> None:
    """A mark that was written into the record's own file, and never into Airflow's Variable."""
    night.monkeypatch.setenv("PARITY_CHANNEL", "variable")
    write_mark(night.folder, UNIT, proxied=True)


FAULTS: dict[str, tuple[Break, str, str, str]] = {
    "no Dagster": (
        lambda night: night.monkeypatch.setenv("DAGSTER_URL", NOBODY),
        "dagster", "failed", "does not answer",
    ),
    "Dagster's login page": (
        lambda night: setattr(night.dagster, "login_page", True), "dagster", "failed", "a login page?",
    ),
    "a sick daemon": (
        lambda night: night.dagster.sick_daemons.append("SENSOR"),
        "dagster.daemons", "failed", "no heartbeat: SENSOR",
    ),
    "another version there": (
        lambda night: [job.tags.update({"parity/version": "0.9.0"}) for job in night.dagster.jobs],
        "dagster.version", "failed", "has airflow-parity 0.9.0",
    ),
    "another project there": (
        lambda night: night.dagster.jobs.clear(), "dagster.version", "failed", "no code location has the job",
    ),
    "monitoring is off": (
        lambda night: night.dagster.deployed.update(info="run_monitoring: {}"),
        "dagster.monitoring", "warning", "run monitoring is off",
    ),
    "an instance that hides itself": (
        lambda night: night.dagster.deployed.update(info=None), "dagster.monitoring", "not known", "does not show",
    ),
    "no Airflow": (
        lambda night: night.monkeypatch.setenv("AIRFLOW_URL", NOBODY), "airflow", "failed", "does not answer",
    ),
    "a wrong password": (
        lambda night: night.monkeypatch.setenv("AIRFLOW_PASSWORD", "x"), "airflow.login", "failed", "401",
    ),
    "a clock that is off": (_fast_clock, "airflow.clock", "failed", "s ahead of this host's"),
    "a bucket": (_bucket, "store", "failed", "it is a mount of s3fs"),
    "locks that exclude nobody": (_no_locks, "store.locks", "failed", "two can hold one lock"),
    "a store that is not there": (
        lambda night: night.monkeypatch.setenv("PARITY_STORE", f"file:{night.folder}-gone"),
        "store", "failed", "another folder",
    ),
    "an unknown channel": (
        lambda night: night.monkeypatch.setenv("PARITY_CHANNEL", "pigeon"), "store", "failed", "pigeon",
    ),
    "Variables that are not told": (
        _untold,
        "channel", "failed", "of dbt_zones Airflow has been told Airflow, the record says Dagster",
    ),
    "a mark in doubt": (
        lambda night: (night.folder / "taxi_daily.yaml").write_text("tasks: [x]\n"),
        "store", "failed", "'x' is not an `id`",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_named(deployed: Night, fault: str) -> None:
    """By its own check, with what is wrong; the other checks go on."""
    spoil, check, state, said = FAULTS[fault]
    spoil(deployed)

    rows = found(deployed)

    assert rows[check][0] == state
    assert said in rows[check][1]
    assert len(rows) > 8


def test_dbts_folder_cannot_be_written(deployed: Night, tmp_path: Path) -> None:
    """A file where the folder belongs; a container's read-only file system fails in the same place."""
    (tmp_path / "file").touch()
    deployed.monkeypatch.setenv("PARITY_DBT_TARGET_DIR", str(tmp_path / "file"))
    deployed.monkeypatch.setattr(examine, "project_findings", project_findings)

    state, said, remedy = found(deployed)["dbt.target[dbt]"]

    assert (state, "cannot be written" in said, "PARITY_DBT_TARGET_DIR" in remedy) == ("failed", True, True)


def test_a_worker_looks(deployed: Night) -> None:
    """The DAG is triggered with the marked units, and what its worker reads is held against the record."""
    write_mark(deployed.folder, UNIT, proxied=True, position=3)
    let_a_worker_look(deployed)

    rows = found(deployed, "--look")

    assert {check: state for check, (state, _, _) in rows.items() if check.startswith("worker")} == {
        "worker.marks": "ok", "worker.version": "ok", "worker.dagster": "ok", "worker.clock": "ok",
    }  # fmt: skip
    assert "reads 1 marks as they are on record" in rows["worker.marks"][1]
    # What was seen then is read again, without another run.
    assert found(deployed)["worker.marks"][0] == "ok"
    assert len(deployed.airflow.dag_runs) == 1


def test_a_worker_has_an_old_copy(deployed: Night) -> None:
    """It names another mark than is on record, or none at all."""
    write_mark(deployed.folder, UNIT, proxied=True, position=3)
    old = [{"dag": UNIT.dag_id, "task": UNIT.task_id, "proxied": True, "position": "2"}]
    let_a_worker_look(deployed, owners=old)

    state, said, _ = found(deployed, "--look")["worker.marks"]

    assert state == "failed"
    assert "told Dagster, by position 2; on record is Dagster, by position 3" in said


@pytest.mark.parametrize(
    ("state", "expected", "said"), [("failed", "failed", "is failed"), ("queued", "not known", "is queued")]
)
def test_a_look_that_does_not_come_about(deployed: Night, state: str, expected: str, said: str) -> None:
    """A run that fails, and one that nobody starts in time."""
    let_a_worker_look(deployed, state)
    deployed.airflow.paused = {"parity_doctor"} if state == "queued" else set()

    rows = found(deployed, "--look", "--wait", "1")

    assert rows["worker"][0] == expected
    assert said in rows["worker"][1]
    assert ("Switch the DAG on" in rows["worker"][2]) is (state == "queued")


def test_a_record_in_postgresql(deployed: Night, postgres: PostgresServer) -> None:
    """Its clock and its tables are tried; a role that may only read, a server that is away and a missing store fail."""
    forget(postgres)
    url = url_of(postgres)
    deployed.monkeypatch.setenv("PARITY_STORE", url)
    assert "there is no store at" in found(deployed)["store"][1]
    deployed.parity("store", "init")
    rows = found(deployed)
    assert (rows["store"][0], rows["store.locks"][0], rows["store.clock"][0]) == ("ok", "ok", "ok")

    schema = "airflow_parity"
    postgres.run(
        "drop role if exists onlooker",
        "create role onlooker login",
        f"grant usage on schema {schema} to onlooker",
        f"grant select on all tables in schema {schema} to onlooker",
    )
    deployed.monkeypatch.setenv("PARITY_STORE", url_of(postgres, "onlooker"))
    state, said, _ = found(deployed)["store.locks"]
    assert (state, "may not write the tables entries, head, leases, marks" in said) == ("failed", True)
    deployed.monkeypatch.setenv("PARITY_STORE", "postgresql://nobody@127.0.0.1:9/parity")
    assert found(deployed)["store"][0] == "failed"
    forget(postgres)
    postgres.run("drop role onlooker")
