"""Airlift asks Airflow with `requests`, and logs in as this project's own client does."""

from __future__ import annotations

import requests
from dagster_airlift.core.airflow_instance import AirflowAuthBackend

from dagster_defs.adapters.airflow.client import AirflowReader


class Backend(AirflowAuthBackend):  # type: ignore[misc]  # it has no types
    def __init__(self, airflow: AirflowReader) -> None:
        self.airflow = airflow

    def get_webserver_url(self) -> str:
        return self.airflow.address.url

    def get_session(self) -> requests.Session:
        """Raises what the client raises if it cannot log in."""
        login = self.airflow.address.login
        session = requests.Session()
        session.trust_env = False
        session.auth = login.basic
        session.headers.update(self.airflow.headers())
        session.verify = login.ca or True
        certificate, comma, key = login.cert.partition(",")
        session.cert = (certificate, key) if comma else certificate or None
        return session
