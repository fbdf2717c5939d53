"""Asks Dagster over HTTP, and tells a Dagster that is away from one that says no."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import requests
from airflow.exceptions import AirflowException
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from handover.patience import Patience
from handover.place import Place

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")
# Whoever stands in front of Dagster says these when Dagster itself is away for a while.
PASSING_STATUS = (429, 500, 502, 503, 504)
# Dagster's own errors that a code location raises while it is replaced, and a database while it restarts.
PASSING_ERRORS = ("DagsterUserCodeUnreachableError", "DagsterUserCodeProcessError", "OperationalError")


class NoAnswer(AirflowException):  # type: ignore[misc]  # Airflow is not installed here
    """Dagster gave no answer that means anything.

    `passing`: it may well give one later. `sent`: the question may have reached it all the same.
    """

    def __init__(self, message: str, *, passing: bool, sent: bool = True) -> None:
        self.passing, self.sent = passing, sent
        super().__init__(message)


class Client:
    """One proxy's line to Dagster."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._session = place.session()

    def run_url(self, run_id: str) -> str:
        return f"{self.place.url}/runs/{run_id}"

    def ask(self, query: str, variables: Mapping[str, Any] | None = None, *, stubborn: bool = False) -> Any:
        """The single field of the answer's `data`, asked for until it comes or patience ends."""
        return self.patiently(lambda: self.ask_once(query, variables), stubborn=stubborn)

    def patiently(self, attempt: Callable[[], Answer], *, stubborn: bool = False) -> Answer:
        """Try again after a NoAnswer that is passing.

        `stubborn`: after any, login pages too: a run is under way, and to give up would not end it.
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
        """Raises NoAnswer with what the other side really said."""
        url = self.place.url
        try:
            answer = self._session.post(
                f"{url}/graphql",
                json={"query": query, "variables": dict(variables or {})},
                timeout=(min(5.0, self.place.timeout), timeout or self.place.timeout),
                # A redirect is how a login begins; followed, it would look like a page of Dagster's.
                allow_redirects=False,
            )
        except (requests.exceptions.SSLError, ValueError) as error:
            raise NoAnswer(f"Dagster cannot be asked at {url}: {error}", passing=False) from error
        except requests.RequestException as error:
            raise NoAnswer(
                f"Dagster does not answer at {url}: {error}", passing=True, sent=_was_sent(error)
            ) from error
        except OSError as error:  # a CA or a certificate that is not there
            raise NoAnswer(f"Dagster cannot be asked at {url}: {error}", passing=False) from error
        return _read(url, answer)


def reason(result: Mapping[str, Any]) -> str:
    """What a refusal says, whatever its type."""
    messages = [error["message"] for error in result.get("errors", ())] or [
        result.get("message", "no reason given")
    ]
    return f"{result['__typename']}: {'; '.join(messages)}"


def is_passing(result: Mapping[str, Any]) -> bool:
    """Whether an error of Dagster's own is one that goes away by itself."""
    return result["__typename"] == "PythonError" and result.get("className") in PASSING_ERRORS


def given_up(error: NoAnswer, patience: Patience) -> str:
    if not patience.seconds:
        return str(error)
    return f"{error} (after {patience.passed():.0f} s of asking again; the bound is {patience.seconds:.0f} s)"


def _was_sent(error: requests.RequestException) -> bool:
    """Whether there was a connection at all."""
    cause = getattr(error.args[0], "reason", None) if error.args else None
    return not isinstance(cause, (NewConnectionError, ConnectTimeoutError))


def _read(url: str, answer: requests.Response) -> Any:
    code = answer.status_code
    if 300 <= code < 400:
        target = answer.headers.get("Location", "nowhere")
        raise NoAnswer(
            f"Dagster at {url} answered {code} and redirects to {target}: a login, or a wrong address",
            passing=False,
        )
    body: Any = None
    with contextlib.suppress(ValueError):
        body = answer.json()
    data = body.get("data") if isinstance(body, dict) else None
    if isinstance(data, dict) and len(data) == 1:
        [result] = data.values()
        if isinstance(result, dict):
            # Dagster answers 500 with a PythonError inside: that is an answer.
            return result
    start = " ".join(answer.text[:200].split())
    if code in (401, 403):
        raise NoAnswer(f"Dagster at {url} does not let this proxy in ({code}): {start}", passing=False)
    if body is None:
        what = (
            "nothing that is JSON" if code in PASSING_STATUS else "something that is not JSON (a login page?)"
        )
        raise NoAnswer(
            f"Dagster at {url} answered {code} with {what}: {start}", passing=code in PASSING_STATUS
        )
    said = body.get("errors", body) if isinstance(body, dict) else body
    raise NoAnswer(f"Dagster at {url} answered {code}: {str(said)[:1000]}", passing=code in PASSING_STATUS)
