"""Where Dagster is and how to get in: an Airflow Connection, or DAGSTER_URL."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import requests
from airflow.exceptions import AirflowException, AirflowNotFoundException

from handover.facts import facts

DEFAULT_CONNECTION = "dagster_default"
DEFAULT_TIMEOUT, DEFAULT_PATIENCE = 20.0, 600.0
EXTRAS = ("headers", "verify", "cert", "timeout", "patience", "trust_env")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """`verify`: true, false, or a file or folder of CAs. `cert`: a client certificate, or a certificate and its key.

    `timeout`: seconds for one answer. `patience`: seconds that an outage may last. `trust_env`: whether the
    environment's HTTP proxies count, which they do not by default.
    """

    url: str
    auth: tuple[str, str] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    verify: bool | str = True
    cert: str | tuple[str, str] | None = None
    timeout: float = DEFAULT_TIMEOUT
    patience: float = DEFAULT_PATIENCE
    trust_env: bool = False

    def session(self) -> requests.Session:
        session = requests.Session()
        # Airflow forks its workers, and on a Mac a look-up of proxies after a fork ends the process.
        session.trust_env = self.trust_env
        session.auth = self.auth
        session.headers.update(self.headers)
        session.verify = self.verify
        session.cert = self.cert
        return session


def find_place(conn_id: str, patience: float | None = None) -> Place:
    """The place named by the connection, or by DAGSTER_URL if there is no such connection or it has no host.

    `patience` goes before the connection's. Raises AirflowException if neither says where Dagster is.
    """
    fallback = os.environ.get("DAGSTER_URL", "")
    try:
        connection = facts.BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        connection = None
    url = (_url(connection) if connection else "") or fallback
    if not url:
        raise AirflowException(
            f"there is no Airflow connection {conn_id!r} with a host and DAGSTER_URL is not set: "
            "a proxied task must know where Dagster is"
        )
    extras = _extras(conn_id, connection.extra_dejson) if connection else {}
    if patience is not None:
        extras["patience"] = patience
    url, auth = _without_password(url)
    if connection and (connection.login or connection.password):
        auth = (connection.login or "", connection.password or "")
    return Place(url.rstrip("/"), auth, **extras)


def _without_password(url: str) -> tuple[str, tuple[str, str] | None]:
    """The address, which goes into logs and XCom, without the credentials, which must not."""
    parts = urlsplit(url)
    if parts.username is None:
        return url, None
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    return urlunsplit(bare), (unquote(parts.username), unquote(parts.password or ""))


def _url(connection: Any) -> str:
    """As Airflow's own HTTP hook reads a connection: a host may be a whole address; the schema is http or https."""
    host = connection.host or ""
    if not host or "://" in host:
        return host
    port = f":{connection.port}" if connection.port else ""
    scheme = connection.schema or ("https" if connection.conn_type == "https" else "http")
    return f"{scheme}://{host}{port}"


def _extras(conn_id: str, extras: Mapping[str, Any]) -> dict[str, Any]:
    """Raises AirflowException, which names the connection and the field, for a value of the wrong kind."""
    unknown = sorted(set(extras) - set(EXTRAS))
    if unknown:
        logger.warning(
            "connection %s: extra %s is not known and was left; known are %s", conn_id, unknown, EXTRAS
        )
    return {name: _checked(conn_id, name, extras[name]) for name in EXTRAS if extras.get(name) is not None}


def _checked(conn_id: str, name: str, value: Any) -> Any:
    if name == "headers" and isinstance(value, dict):
        return {str(key): str(text) for key, text in value.items()}
    # A connection in URI form has only text values.
    if name in ("verify", "trust_env") and str(value).lower() in ("true", "false"):
        return str(value).lower() == "true"
    if name in ("verify", "cert") and isinstance(value, str):
        return value
    if name == "cert" and isinstance(value, list) and len(value) == 2:
        return (str(value[0]), str(value[1]))
    if name in ("timeout", "patience"):
        try:
            if (seconds := float(value)) >= 0:
                return seconds
        except (TypeError, ValueError):
            pass
    raise AirflowException(f"connection {conn_id}: extra {name!r} cannot be {value!r}; see docs/reference.md")
