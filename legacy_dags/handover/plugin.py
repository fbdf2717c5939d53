"""A button on each task instance's page in Airflow that leads to its run in Dagster.

It needs this package in the web server's environment, where Airflow finds the plugin by itself; nothing else does. The
button is greyed out where Dagster has not run the task.
"""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from handover.names import RUN_KEY

try:
    from airflow.sdk import BaseOperatorLink
    from airflow.sdk.execution_time.xcom import XCom
except ImportError:  # Airflow 2
    from airflow.models.baseoperatorlink import BaseOperatorLink
    from airflow.models.xcom import XCom


class DagsterRunLink(BaseOperatorLink):  # type: ignore[misc]  # Airflow is not installed here
    name = "Dagster run"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        return str(XCom.get_value(ti_key=ti_key, key=RUN_KEY) or "")


class ParityPlugin(AirflowPlugin):  # type: ignore[misc]  # likewise
    name = "airflow_parity"
    # For all tasks: a link of an operator that the web server does not know would take the operator's own links away.
    global_operator_extra_links = (DagsterRunLink(),)
