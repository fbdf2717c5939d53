"""`parity doctor` against a real Airflow, whose scheduler runs the DAG that looks, and a real Dagster."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dagster_defs.adapters.airflow.client import AirflowClient
from dagster_defs.adapters.processes.supervisor import Supervisor, free_port
from dagster_defs.adapters.store.proxied_state import set_up, write_mark
from dagster_defs.lifecycle import Unit
from dagster_defs.settings import Settings
from demo.local_airflow import LocalAirflow
from demo.postgres import Postgres
from tests.support.dagster_servers import KillableDagster, killable_dagster
from tests.support.documents import document, fenced
from tests.support.estate import BIN, ROOT, foreign_environment

pytestmark = [pytest.mark.journey, pytest.mark.airflow, pytest.mark.timeout(900)]

UNIT = Unit("taxi_daily", "dbt_daily")


class _Sqlite(Postgres):
    """In the place of a PostgreSQL server."""

    def url(self, database: str) -> str:
        return f"sqlite:///{self.folder / database}.db"


@dataclass
class Office:
    """`marks`: the record's folder; `copy`: the one that Airflow's worker reads."""

    airflow: AirflowClient
    dagster: KillableDagster
    marks: Path
    copy: Path

    def doctor(self, *options: str) -> tuple[int, dict[str, tuple[str, str]]]:
        done = subprocess.run(
            [str(BIN / "parity"), "doctor", "--json", *options],
            cwd=ROOT,
            env={
                **foreign_environment(),
                "AIRFLOW_URL": self.airflow.address.url,
                "AIRFLOW_USER": "admin",
                "AIRFLOW_PASSWORD": "admin",
                "DAGSTER_URL": self.dagster.url,
                "PARITY_PROXIED_STATE": str(self.marks),
            },
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.stdout, done.stderr
        rows = json.loads(done.stdout)["findings"]
        return done.returncode, {row["check"]: (row["health"], row["said"]) for row in rows}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    place = tmp_path_factory.mktemp("office")
    dags, marks, copy = (place / name for name in ("dags", "marks", "copy"))
    dags.mkdir()
    [written] = fenced(document("docs/reference.md").section("### `parity doctor`"), "python")
    (dags / "parity_doctor.py").write_text(written)
    for folder in (marks, copy):
        set_up(folder)
        write_mark(folder, UNIT, proxied=True, position=1)
    (place / "dagster").mkdir()
    with killable_dagster(place / "dagster") as dagster, Supervisor(place / "run") as supervisor:
        settings = Settings(
            {
                **foreign_environment(),
                "PYTHONPATH": str(ROOT / "legacy_dags"),
                "PARITY_PROXIED_STATE": str(copy),
                "DAGSTER_URL": dagster.url,
                "NO_PROXY": "*",
            },
            place,
        )
        local = _Sequential(place / "airflow", free_port(), _Sqlite(place, ""), settings, dags)
        local.prepare(supervisor)
        client = local.start(supervisor)
        supervisor.wait_until("the DAG", lambda: client.has_dag("parity_doctor"), seconds=120)
        yield Office(client, dagster, marks, copy)


class _Sequential(LocalAirflow):
    @property
    def env(self) -> dict[str, str]:
        return {**super().env, "AIRFLOW__CORE__EXECUTOR": "SequentialExecutor"}


def test_the_worker_reads_what_is_on_record(office: Office) -> None:
    """The DAG is triggered and runs, and its worker, its clock and its way to Dagster are all right."""
    _, rows = office.doctor("--look")

    for check in ("airflow", "airflow.login", "airflow.scheduler", "airflow.clock", "dagster", "dagster.locations",
                  "store", "store.locks", "channel", "worker.marks", "worker.version", "worker.dagster",
                  "worker.clock"):  # fmt: skip
        assert rows[check][0] == "ok", rows[check]
    # The code location is another project's, and its monitoring has no bound.
    assert rows["dagster.version"][0] == "failed"
    assert rows["dagster.monitoring"][0] == "warning"


def test_the_workers_copy_is_old(office: Office) -> None:
    """After a move that the copy has not seen, the last look counts for nothing, and a new one names the unit."""
    write_mark(office.marks, UNIT, proxied=False, position=2)

    code, rows = office.doctor("--look")

    assert (code, rows["worker.marks"][0]) == (3, "failed")
    assert f"of {UNIT} it is told Dagster, by position 1; on record is Airflow" in rows["worker.marks"][1]
    write_mark(office.copy, UNIT, proxied=False, position=2)
    assert office.doctor("--look")[1]["worker.marks"][0] == "ok"


def test_dagsters_web_server_is_away(office: Office) -> None:
    """Its web server is asked anew each time: away it is a failure, and back again all is well."""
    office.dagster.kill("web")
    assert office.doctor()[1]["dagster"][0] == "failed"
    office.dagster.start("web")
    office.dagster.wait(office.dagster.is_loaded)
    assert office.doctor()[1]["dagster"][0] == "ok"
