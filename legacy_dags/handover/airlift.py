"""What proxies are made of: Airlift's operator, or what they need of it where Python is too old for Airlift (3.10)."""

from __future__ import annotations

import sys
from typing import Any

from airflow.models import BaseOperator

from handover.names import DAG_RUN_TAG, DAG_TAG, TASK_TAG

__all__ = ["ProxyOperator"]

if sys.version_info >= (3, 10):  # noqa: UP036 - Airflow's half runs on 3.8
    from dagster_airlift.in_airflow import BaseProxyTaskToDagsterOperator as ProxyOperator
else:

    class ProxyOperator(BaseOperator):
        def default_dagster_run_tags(self, context: Any) -> dict[str, str]:
            """The tags by which Airlift's sensor and Dagster's UI know the task that a run is for."""
            return {
                DAG_TAG: self.dag_id,
                DAG_RUN_TAG: context["dag_run"].run_id,
                TASK_TAG: self.task_id,
            }
