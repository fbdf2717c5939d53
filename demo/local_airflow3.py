"""A real Airflow 3 on loopback: API server, scheduler, DAG processor and local executor."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from dagster_defs.adapters.airflow.client import AirflowClient
from dagster_defs.adapters.files import atomic
from dagster_defs.adapters.processes.supervisor import Supervisor, free_port
from demo.checkout import PROJECT_ROOT
from demo.local_airflow import START_SECONDS, LocalAirflow


@dataclass(frozen=True)
class LocalAirflow3(LocalAirflow):
    """`log_ports`: of the servers of logs, which listen on all interfaces, whatever the API does. `of_ticks`: a bare
    cron is a trigger, as Airflow 3 has it by default, and not the windows of Airflow 2. `whole`: with a triggerer, and
    on PostgreSQL instead of SQLite."""

    programs: Path = PROJECT_ROOT / ".venv-airflow3" / "bin"
    log_ports: tuple[int, int] = field(default_factory=lambda: (free_port(), free_port()))
    of_ticks: bool = False
    whole: bool = False
    made_by: ClassVar[str] = "make demo AIRFLOW=3"

    def prepare(self, supervisor: Supervisor) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        atomic.write_text(self.home / "passwords.json", json.dumps({"admin": "admin"}))
        supervisor.run("airflow-set-up", [self._program, "db", "migrate"], env=self.env)

    def start(self, supervisor: Supervisor) -> AirflowClient:
        more = ("triggerer",) if self.whole else ()
        for program in ("api-server", "scheduler", "dag-processor", *more):
            supervisor.start(f"airflow-{program}", [self._program, program], env=self.env)
        client = AirflowClient(self.address, patience=20)
        supervisor.wait_until("Airflow 3", client.is_healthy, seconds=2 * START_SECONDS)
        return client

    @property
    def env(self) -> dict[str, str]:
        url = f"http://127.0.0.1:{self.port}"
        return {
            **self.common_env,
            "AIRFLOW__CORE__PARALLELISM": "4" if self.whole else "2",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
            "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(self._secret_key[:32].encode()).decode(),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.home / "passwords.json"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": (
                self.postgres.url(self.database) if self.whole else f"sqlite:///{self.home}/airflow.db"
            ),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__BASE_URL": url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": self._secret_key,
            "AIRFLOW__API_AUTH__JWT_SECRET": self._secret_key,
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(self.log_ports[0]),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(self.log_ports[1]),
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": str(self.parse_seconds),
            "AIRFLOW__SCHEDULER__CREATE_CRON_DATA_INTERVALS": str(not self.of_ticks),
            # Its own five seconds lose tries on a busy machine.
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        }
