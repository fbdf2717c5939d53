"""What proxies are made of: Airlift's operator, or what they need of it where Python is too old for Airlift (3.10), and
in Airflow 3, where no proxy is made."""

from __future__ import annotations

import sys
from typing import Any

from handover.facts import IS_AIRFLOW_3, facts
from handover.names import DAG_RUN_TAG, DAG_TAG, TASK_TAG

__all__ = ["ProxyOperator"]


class _WithoutAirlift(facts.BaseOperator):  # type: ignore[misc]  # Airflow is not installed here
    def default_dagster_run_tags(self, context: Any) -> dict[str, str]:
        """The tags by which Airlift's sensor and Dagster's UI know the task that a run is for."""
        return {
            DAG_TAG: self.dag_id,
            DAG_RUN_TAG: context["dag_run"].run_id,
            TASK_TAG: self.task_id,
        }


ProxyOperator: type[Any]
if sys.version_info < (3, 10) or IS_AIRFLOW_3:
    ProxyOperator = _WithoutAirlift
else:
    from dagster_airlift.in_airflow import BaseProxyTaskToDagsterOperator

    ProxyOperator = BaseProxyTaskToDagsterOperator
