"""Operators with the names, the modules and the fields of the providers' own, which are not installed here."""

from __future__ import annotations

from typing import Any

import pendulum
from airflow import DAG
from airflow.models import Variable
from airflow.models.baseoperator import BaseOperator
from airflow.timetables.interval import CronDataIntervalTimetable


class EnvVar:
    """Like `kubernetes.client.V1EnvVar`."""

    def __init__(self, name: str, value: str) -> None:
        self.name, self.value = name, value

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "value": self.value, "value_from": None}


class KubernetesPodOperator(BaseOperator):  # type: ignore[misc]  # Airflow is not installed here
    template_fields = ("image", "cmds", "arguments", "env_vars")

    def __init__(
        self, *, arguments: list[str], env_vars: Any, full_pod_spec: Any = None, **more: Any
    ) -> None:
        super().__init__(**more)
        self.image, self.cmds, self.arguments = "team/dbt:1", ["dbt"], arguments
        self.env_vars, self.full_pod_spec = env_vars, full_pod_spec

    def execute(self, context: Any) -> None:
        """Never called."""


class DockerOperator(BaseOperator):  # type: ignore[misc]  # Airflow is not installed here
    template_fields = ("image", "command", "environment")

    def __init__(
        self,
        *,
        entrypoint: str,
        command: list[str],
        network_mode: str | None = None,
        mounts: list[Any] | None = None,
        mount_tmp_dir: bool = True,
        privileged: bool = False,
        **more: Any,
    ) -> None:
        super().__init__(**more)
        self.network_mode, self.mounts = network_mode, mounts or []
        self.mount_tmp_dir, self.privileged = mount_tmp_dir, privileged
        self.image, self.entrypoint, self.command = "team/dbt:1", entrypoint, command
        self.environment = [{"name": "API_KEY", "value": "hush-key"}, {"name": "DAY", "value": "{{ ds }}"}]

    def execute(self, context: Any) -> None:
        """Never called."""


KubernetesPodOperator.__module__ = "airflow.providers.cncf.kubernetes.operators.pod"
DockerOperator.__module__ = "airflow.providers.docker.operators.docker"

schedule = CronDataIntervalTimetable("0 0 * * *", timezone="UTC")
with DAG("containers", schedule=schedule, start_date=pendulum.datetime(2024, 1, 1), catchup=True):
    variables = [EnvVar("DB_PASSWORD", "hush-pod"), EnvVar("DAY", "{{ ds }}")]
    specification = {"spec": {"containers": [{"command": ["dbt"], "env": variables}]}}
    KubernetesPodOperator(
        task_id="pod",
        arguments=["run", "--target", Variable.get("target")],
        env_vars=variables,
        full_pod_spec=specification,
    )
    DockerOperator(
        task_id="docker",
        entrypoint="dbt",
        command=["run", "-s", "a"],
        retries=2,
        mount_tmp_dir=False,
        privileged=False,
        default_args={"network_mode": "host"},
    )
