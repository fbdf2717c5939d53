"""Connections with a deadline for the whole answer.

A separate module, because importing httpx takes as long as loading a hundred mirrors, and many commands ask no server.
"""

from __future__ import annotations

import math
import ssl
import threading
import time
from typing import Any

import httpcore
import httpx

from dagster_defs.adapters.http.login import Login
from dagster_defs.errors import BadLogin

READ_SECONDS = 20.0


class _Deadline(threading.local):
    at = math.inf


DEADLINE = _Deadline()


def _left(timeout: float | None, error: type[Exception]) -> float:
    left = DEADLINE.at - time.monotonic()
    if left <= 0:
        raise error("the time for the whole answer is over")
    return min(left, READ_SECONDS if timeout is None else timeout)


class _Stream(httpcore.NetworkStream):
    """A connection on which no read or write outlasts the request's deadline."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(self, ssl_context: Any, server_hostname: Any = None, timeout: float | None = None) -> Any:
        limit = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, limit))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore.SyncBackend):
    def connect_tcp(self, host: str, port: int, timeout: float | None = None, *rest: Any, **more: Any) -> Any:
        limit = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(super().connect_tcp(host, port, limit, *rest, **more))


def _context(login: Login) -> ssl.SSLContext:
    try:
        context = (
            ssl.create_default_context(cafile=login.ca)
            if login.ca
            else httpx.create_ssl_context(trust_env=False)
        )
        if login.cert:
            context.load_cert_chain(*login.cert.split(",", 1))
    except (OSError, ssl.SSLError) as error:
        name, why = f"{login.name}_CA or {login.name}_CERT", error.strerror or str(error)
        raise BadLogin(name, why, "Name files in PEM format that this account may read") from error
    return context


class Transport(httpx.HTTPTransport):
    """httpx's own transport, on connections with a deadline: its time-outs apply to each read, not to the answer."""

    def __init__(self, *, secure: bool, login: Login) -> None:
        """Raises BadLogin if the file of the CAs or of the certificate cannot be read."""
        super().__init__(verify=False, trust_env=False)  # for its pool, which is replaced
        context = _context(login) if secure else None
        self._pool = httpcore.ConnectionPool(ssl_context=context, network_backend=_Backend())
