"""Asks Dagster over HTTP, and distinguishes a Dagster that is down from one that refuses."""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import requests
from airflow.exceptions import AirflowException
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from handover.patience import Patience
from handover.place import Place

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")
MOST_BYTES = 64 << 20  # per answer, unpacked
# A proxy in front of Dagster answers with these while Dagster itself is down.
PASSING_STATUS = (429, 500, 502, 503, 504)
# Dagster's own errors while a code location is being replaced, or a database is restarting.
PASSING_ERRORS = ("DagsterUserCodeUnreachableError", "DagsterUserCodeProcessError", "OperationalError")


class NoAnswer(AirflowException):  # type: ignore[misc]  # Airflow is not installed here
    """Dagster gave no meaningful answer.

    `passing`: it may well give one later. `sent`: the request may have reached Dagster all the same.
    """

    def __init__(self, message: str, *, passing: bool, sent: bool = True) -> None:
        self.passing, self.sent = passing, sent
        super().__init__(message)


class Client:
    """One proxy's connection to Dagster."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._session = place.session()

    def run_url(self, run_id: str) -> str:
        return f"{self.place.url}/runs/{quote(run_id, safe='')}"

    def ask(self, query: str, variables: Mapping[str, Any] | None = None, *, stubborn: bool = False) -> Any:
        """The single field of the answer's `data`, requested until it arrives or patience runs out."""
        return self.patiently(lambda: self.ask_once(query, variables), stubborn=stubborn)

    def patiently(self, attempt: Callable[[], Answer], *, stubborn: bool = False) -> Answer:
        """Retry after a NoAnswer that is passing.

        `stubborn`: retry after any NoAnswer, even a login page: a run is under way, and giving up would not end it.
        """
        patience = Patience(self.place.patience)
        while True:
            try:
                return attempt()
            except NoAnswer as error:
                if not (error.passing or stubborn):
                    raise
                pause = patience.pause()
                if pause is None:
                    raise NoAnswer(given_up(error, patience), passing=error.passing) from error
                logger.warning("%s; asking again in %.1f s", error, pause)
            time.sleep(pause)

    def ask_once(
        self, query: str, variables: Mapping[str, Any] | None = None, timeout: float | None = None
    ) -> Any:
        """Raises NoAnswer with what the other side actually said."""
        url, limit = self.place.url, timeout or self.place.timeout
        asked = {"query": query, "variables": dict(variables or {})}
        try:
            answer, body = within(self._longest(limit), lambda: self._post(asked, limit))
        except TimeoutError as error:
            self._session = self.place.session()  # the old one is still waiting
            raise NoAnswer(f"Dagster does not answer at {url}: {error}", passing=True) from error
        except (requests.exceptions.SSLError, ValueError) as error:
            raise NoAnswer(f"Dagster cannot be asked at {url}: {error}", passing=False) from error
        except requests.RequestException as error:
            raise NoAnswer(
                f"Dagster does not answer at {url}: {error}", passing=True, sent=_was_sent(error)
            ) from error
        except OSError as error:  # a missing CA or certificate
            raise NoAnswer(f"Dagster cannot be asked at {url}: {error}", passing=False) from error
        return _read(url, answer, body)

    def _longest(self, limit: float) -> float:
        """Seconds for a whole answer: requests times each read separately, so a byte a second could go on forever."""
        return 3 * limit + 5

    def _post(self, asked: Mapping[str, Any], limit: float) -> tuple[requests.Response, bytes]:
        with self._session.post(
            f"{self.place.url}/graphql",
            json=asked,
            timeout=(min(5.0, self.place.timeout), limit),
            # A redirect usually leads to a login; if followed, that would look like a page of Dagster's.
            allow_redirects=False,
            stream=True,
        ) as answer:
            body = bytearray()
            for chunk in answer.iter_content(1 << 16):
                body += chunk
                if len(body) > MOST_BYTES:
                    raise NoAnswer(
                        f"Dagster at {self.place.url} answered with more than {MOST_BYTES >> 20} MB",
                        passing=False,
                    )
            return answer, bytes(body)


def within(seconds: float, call: Callable[[], Answer]) -> Answer:
    """What the call returns or raises. Raises TimeoutError after that many seconds, and then abandons the call."""
    outcome: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue()

    def run() -> None:
        try:
            outcome.put((call(), None))
        except BaseException as error:  # the waiting thread raises it again
            outcome.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        result, error = outcome.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no whole answer within {seconds:.0f} s") from None
    if error is not None:
        raise error
    return result  # type: ignore[no-any-return]  # what the call returned


def reason(result: Mapping[str, Any]) -> str:
    """The message of a refusal of any type."""
    messages = [error["message"] for error in result.get("errors", ())] or [
        result.get("message", "no reason given")
    ]
    return f"{result['__typename']}: {'; '.join(messages)}"


def is_passing(result: Mapping[str, Any]) -> bool:
    """Whether an error of Dagster's is one that goes away by itself."""
    return result["__typename"] == "PythonError" and result.get("className") in PASSING_ERRORS


def given_up(error: NoAnswer, patience: Patience) -> str:
    if not patience.seconds:
        return str(error)
    return f"{error} (after {patience.passed():.0f} s of asking again; the bound is {patience.seconds:.0f} s)"


def _was_sent(error: requests.RequestException) -> bool:
    """Whether a connection was made at all."""
    cause = getattr(error.args[0], "reason", None) if error.args else None
    return not isinstance(cause, (NewConnectionError, ConnectTimeoutError))


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")


def without_credentials(address: str) -> str:
    """An address without user, password and query, so that it may be shown."""
    before, _, _ = address.partition("?")
    scheme, separator, rest = before.partition("://")
    if not separator:
        return before
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def _read(url: str, answer: requests.Response, content: bytes) -> Any:
    code = answer.status_code
    if 300 <= code < 400:
        target = without_credentials(answer.headers.get("Location", "nowhere"))
        raise NoAnswer(
            f"Dagster at {url} answered {code} and redirects to {target}: a login, or a wrong address",
            passing=False,
        )
    body: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        body = json.loads(content.decode("utf-8-sig"), parse_constant=_refuse)
    data = body.get("data") if isinstance(body, dict) else None
    if isinstance(data, dict) and len(data) == 1:
        [result] = data.values()
        if isinstance(result, dict):
            # Dagster answers 500 with a PythonError inside: that is an answer.
            return result
    start = " ".join(content[:200].decode("utf-8", "replace").split())
    if code in (401, 403):
        raise NoAnswer(f"Dagster at {url} does not let this proxy in ({code}): {start}", passing=False)
    if body is None:
        what = (
            "nothing that is JSON" if code in PASSING_STATUS else "something that is not JSON (a login page?)"
        )
        raise NoAnswer(
            f"Dagster at {url} answered {code} with {what}: {start}", passing=code in PASSING_STATUS
        )
    errors = body.get("errors", body) if isinstance(body, dict) else body
    raise NoAnswer(f"Dagster at {url} answered {code}: {str(errors)[:1000]}", passing=code in PASSING_STATUS)
