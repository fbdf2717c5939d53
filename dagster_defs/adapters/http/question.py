"""One HTTP request, bounded in time and size, and its answer as a JSON document.

It can fail in three ways: no answer (`NoAnswer`), a status that refuses (`Refusal`), or an answer that makes no sense
(`Unclear`). The caller adds the address.
"""

from __future__ import annotations

import json
import math
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from dagster_defs.adapters.http.login import Login

if TYPE_CHECKING:
    import httpx

MOST_BYTES = 64 << 20  # per answer, unpacked
MOST_SECONDS = 60.0  # for a whole answer, however steadily it trickles in
PASSING = (408, 425, 429)  # and everything from 500: said by servers that will answer later
_EXCERPT = 200
NOBODY = Login()


class NoAnswer(Exception):
    """The connection failed, or the answer did not arrive in time; in that case `late` is true."""

    def __init__(self, reason: str, *, late: bool = False) -> None:
        self.late = late
        super().__init__(reason)


class Refusal(Exception):
    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        super().__init__(reason)

    @property
    def lasting(self) -> bool:
        return self.status < 500 and self.status not in PASSING


class Unclear(Exception):
    """There is an answer, but it is not what was asked for."""


@dataclass(frozen=True, slots=True)
class Reply:
    """`date`: the server's clock when it answered, as its header says; empty without one."""

    status: int
    body: bytes
    what: str
    date: str = ""

    def document(self) -> Any:
        """Raises Unclear for anything but standard JSON."""
        if self.body.lstrip()[:1] == b"<":
            raise Unclear(f"{self.what} answered with a page instead of JSON (a login page?)")
        try:
            document = json.loads(self.body.decode("utf-8-sig"), parse_constant=_refuse, parse_float=_finite)
            if b"\\ud" in self.body.lower():
                json.dumps(
                    document, ensure_ascii=False
                ).encode()  # a lone surrogate cannot be written anywhere
        except (ValueError, RecursionError) as error:
            why = str(error) if isinstance(error, ValueError) else "it is nested too deep"
            raise Unclear(f"{self.what} answered with something that is not JSON: {why}") from error
        return document

    @property
    def excerpt(self) -> str:
        return excerpt(self.body.decode("utf-8", "replace"))


def excerpt(text: str) -> str:
    """The beginning of a foreign text, on one line that a terminal can show."""
    line = " ".join(text.split())[:_EXCERPT]
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)


def segment(identity: str) -> str:
    """An id as one segment of a URL's path, whatever it contains."""
    return "".join("%2E" for _ in identity) if identity in (".", "..") else quote(identity, safe="")


def without_credentials(url: str) -> tuple[str, str, str]:
    """The address in a form that may be shown, and the user and password that it contained."""
    try:
        parts = urlsplit(url)
        user, password = parts.username or "", parts.password or ""
    except ValueError:
        return url.rpartition("@")[2], "", ""
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])).rstrip("/")
    return bare, unquote(user), unquote(password)


def rows_of(document: Any, name: str, what: str) -> list[Mapping[str, Any]]:
    """The list of objects under a key. Raises Unclear."""
    rows = document.get(name) if isinstance(document, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Unclear(f"{what} answered without a list of objects as `{name}`")
    return rows


MISSING: Any = object()


def text(row: Mapping[str, Any], name: str, default: Any = MISSING) -> Any:
    """Raises Unclear for anything but text; if there is a default, null and missing are allowed too."""
    return _value(row, name, default, str, "a text")


def whole(row: Mapping[str, Any], name: str, default: Any = MISSING) -> Any:
    return _value(row, name, default, int, "a whole number")


def seconds(row: Mapping[str, Any], name: str) -> Any:
    return _value(row, name, None, (int, float), "a number")


def _value(row: Mapping[str, Any], name: str, default: Any, kind: Any, words: str) -> Any:
    value = row.get(name)
    if value is None and default is not MISSING:
        return default
    if not isinstance(value, kind) or isinstance(value, bool):
        raise Unclear(f"`{name}` is not {words} but {excerpt(repr(value))}")
    return value


class Web:
    """A server. Redirects are not followed."""

    def __init__(self, base: str, login: Login = NOBODY, seconds: float = MOST_SECONDS) -> None:
        """Raises BadLogin if a certificate cannot be read."""
        import httpx

        from dagster_defs.adapters.http.transport import READ_SECONDS, Transport

        self._base, self._login, self._seconds = base, login, seconds
        self._http = httpx.Client(
            base_url=base,
            auth=login.basic,
            timeout=READ_SECONDS,
            headers={"Accept-Encoding": "gzip, deflate"},
            transport=Transport(secure=base.startswith("https:"), login=login),
            trust_env=False,
        )

    def ask(
        self,
        method: str,
        path: str,
        *,
        seconds: float | None = None,
        headers: Mapping[str, str] | None = None,
        **request: Any,
    ) -> Reply:
        """Raises NoAnswer, Unclear for an answer that is too large or cannot be unpacked, Refusal for a redirect, and
        BadLogin if nothing lets this program in."""

        def once(*, anew: bool = False) -> Reply:
            all_headers = {**self.headers(anew=anew), **(headers or {})}
            return self._once(method, path, seconds=seconds, headers=all_headers, **request)

        reply = once()
        return once(anew=True) if self._login.renews and _is_of_no_use(reply) else reply

    def seconds_ahead(self, method: str, path: str, **request: Any) -> tuple[float, float] | None:
        """How far the server's clock is ahead of this one, and how exact that is; None if its answer has no date.
        Raises as `ask` does."""
        began, asked = time.time(), time.monotonic()
        reply = self.ask(method, path, **request)
        took = time.monotonic() - asked
        try:
            date = parsedate_to_datetime(reply.date).timestamp()
        except (TypeError, ValueError):
            return None
        # A date is the beginning of its second; it was written at some moment between question and answer.
        return date + 0.5 - began - took / 2, 0.5 + took / 2

    def headers(self, *, anew: bool = False) -> Mapping[str, str]:
        """What lets a request in, beside a user and a password. Raises as `ask` does."""
        return self._login.headers_for(self._base, self._token, anew=anew)

    def _token(self) -> str:
        """As Airflow's token endpoint has it: user and password as JSON, an `access_token` back."""
        login = self._login
        who = {"username": login.user, "password": login.password}
        document = checked(self._once("POST", login.token_url, seconds=None, json=who)).document()
        token = document.get("access_token") if isinstance(document, dict) else None
        if not isinstance(token, str) or not token:
            raise Unclear(f"POST {login.token_url} answered without an `access_token`")
        return token

    def _once(self, method: str, path: str, *, seconds: float | None, **request: Any) -> Reply:
        import httpx

        from dagster_defs.adapters.http.transport import DEADLINE

        what = f"{method} {path}"
        limit = seconds or self._seconds
        DEADLINE.at = time.monotonic() + limit
        try:
            with self._http.stream(method, path, **request) as answer:
                body = b"".join(_bounded(_unpacked(answer), what))
                if 300 <= answer.status_code < 400:
                    target = without_credentials(answer.headers.get("Location", "nowhere"))[0].partition("?")[
                        0
                    ]
                    reason = f"{what} answered {answer.status_code} and redirects to {excerpt(target)}"
                    raise Refusal(answer.status_code, f"{reason}: a login, or a wrong address")
                return Reply(answer.status_code, body, what, answer.headers.get("Date", ""))
        except zlib.error as error:
            raise Unclear(f"{what} answered with something that cannot be unpacked: {error}") from error
        except httpx.TimeoutException as error:
            late = isinstance(error, httpx.ReadTimeout)
            raise NoAnswer(f"{what} had no whole answer within {limit:g} s", late=late) from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise NoAnswer(str(error) or type(error).__name__) from error
        finally:
            DEADLINE.at = math.inf


def _is_of_no_use(reply: Reply) -> bool:
    """Whether what let the last request in no longer does: it has expired, or, as Airflow 3 says with a 403, it was
    signed with a key that the server no longer has."""
    return reply.status == 401 or (reply.status == 403 and b"Invalid JWT token" in reply.body)


def checked(reply: Reply, allowed: Iterable[int] = ()) -> Reply:
    """The reply, if its status is a success. Raises Refusal."""
    if reply.status >= 400 and reply.status not in allowed:
        raise Refusal(reply.status, f"{reply.what} answered {reply.status} {reply.excerpt}".rstrip())
    return reply


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is not a number")
    return number


def _bounded(chunks: Iterator[bytes], what: str) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > MOST_BYTES:
            raise Unclear(f"{what} answered with more than {MOST_BYTES >> 20} MB")
        yield chunk


def _unpacked(answer: httpx.Response) -> Iterator[bytes]:
    """Decompress a megabyte at a time: a small answer may unpack to more than the memory holds."""
    packed = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if packed in ("identity", ""):
        yield from answer.iter_raw()
        return
    if packed not in ("gzip", "deflate"):
        raise Unclear(f"the answer is packed as {excerpt(packed)!r}, which was not asked for")
    unpack = zlib.decompressobj(wbits=47)  # gzip or zlib, as its first bytes say
    for chunk in answer.iter_raw():
        left = chunk
        while left:
            yield unpack.decompress(left, 1 << 20)
            left = unpack.unconsumed_tail
    yield unpack.flush()
