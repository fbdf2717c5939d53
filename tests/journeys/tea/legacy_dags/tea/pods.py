"""The tea house's own operator for pods: it asks the cluster's API itself, so that no provider is needed."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import requests
from airflow.exceptions import AirflowException
from airflow.models import BaseOperator


class PodOperator(BaseOperator):
    """Runs one container in a pod, whatever its image, and removes the pod."""

    template_fields = ("image", "cmds", "arguments", "env_vars")

    def __init__(
        self,
        *,
        image: str,
        cmds: Sequence[str],
        arguments: Sequence[str],
        env_vars: Mapping[str, str],
        **more: Any,
    ) -> None:
        super().__init__(**more)
        self.image, self.cmds, self.arguments, self.env_vars = image, cmds, arguments, env_vars

    def execute(self, context: Any) -> None:
        pods = f"{os.environ['TEA_CLUSTER']}/api/v1/namespaces/tea/pods"
        name = f"{self.task_id}-{uuid.uuid4().hex[:8]}"
        container = {
            "name": "base",
            "image": self.image,
            "command": list(self.cmds),
            "args": list(self.arguments),
            "env": [{"name": key, "value": value} for key, value in self.env_vars.items()],
        }
        pod = {"metadata": {"name": name, "labels": {}}, "spec": {"containers": [container]}}
        requests.post(pods, json=pod, timeout=30).raise_for_status()
        try:
            while "terminated" not in (state := self._state(f"{pods}/{name}")):
                time.sleep(0.2)
            self.log.info(requests.get(f"{pods}/{name}/log", timeout=30).text)
        finally:
            requests.delete(f"{pods}/{name}", timeout=30)
        if code := state["terminated"]["exitCode"]:
            raise AirflowException(f"the container of {name} has ended with exit code {code}")

    @staticmethod
    def _state(pod: str) -> dict[str, Any]:
        [container] = requests.get(pod, timeout=30).json()["status"]["containerStatuses"]
        state: dict[str, Any] = container["state"]
        return state
