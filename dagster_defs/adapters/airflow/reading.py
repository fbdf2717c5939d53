"""Asks one Airflow, of whichever version it is, and understands what all its answers have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_attempt, stop_after_delay, wait_exponential

from dagster_defs.adapters.airflow.address import AirflowAddress
from dagster_defs.adapters.airflow.dialect import Dialect
from dagster_defs.adapters.airflow.v1 import V1
from dagster_defs.adapters.airflow.v2 import V2
from dagster_defs.adapters.http.question import (
    NoAnswer,
    Refusal,
    Reply,
    Unclear,
    Web,
    checked,
    excerpt,
    rows_of,
)
from dagster_defs.errors import AirflowRefuses, AirflowUnclear, AirflowUnreachable, AirflowUpgraded
from dagster_defs.lifecycle.diagnosis import Skew

PAGE = 100  # the most rows that Airflow's own default lets a GET have; v2 answers a limit of 0 with no rows
MOST_PAGES = 2_000  # per list; more would be an endless list
MISSING: Final = object()
COUNTED_AGAIN = 6  # times that a page with more rows than were counted is asked for; 3 seconds in all
T = TypeVar("T")


@dataclass(frozen=True)
class Version:
    """What a server has said that it is. `text`: such as 3.3.2; `number`: its first two parts."""

    text: str
    number: tuple[int, int]
    dialect: Dialect


# By address, for the process; a server that has been upgraded is asked again.
_VERSIONS: dict[str, Version] = {}


class Reading:
    """Every call raises AirflowUnreachable if Airflow does not answer, AirflowRefuses if it refuses, AirflowUnclear if
    its answer makes no sense, and AirflowUpgraded once if another version has begun to answer; each with the reason."""

    def __init__(self, address: AirflowAddress, *, patience: float = 10) -> None:
        """`patience`: for how many seconds a call without an answer, or with a 5xx one, is retried."""
        self.address = address
        self._patience = patience
        self._login = address.login
        self._web = self._unversioned = Web(address.url, self._login)

    @property
    def version(self) -> Version:
        return self._question(self._found)

    def skew(self) -> Skew | None:
        """Of the web server's clock; None if its answers have no date."""

        def once() -> tuple[float, float] | None:
            base = self._found().dialect.base
            return self._web.seconds_ahead("GET", f"{base}/version")

        found = self._question(once)
        return None if found is None else Skew(*found)

    @property
    def _api(self) -> Dialect:
        return self.version.dialect

    def _found(self) -> Version:
        """Asked of the server itself, once. Raises NoAnswer, Refusal and Unclear."""
        version = _VERSIONS.get(self.address.url)
        if version is None:
            version = _VERSIONS[self.address.url] = self._asked_version()
        login = version.dialect.login(self.address.login, self.address.url)
        if login != self._login:
            self._login, self._web = login, Web(self.address.url, login)
        return version

    def _asked_version(self) -> Version:
        refusals: list[Refusal | Unclear] = []
        for dialect in (V2, V1):
            try:
                document = checked(self._unversioned.ask("GET", f"{dialect.base}/version")).document()
                return _version(document, dialect)
            except (Refusal, Unclear) as error:
                if isinstance(error, Refusal) and not error.lasting:
                    raise
                refusals.append(error)
        for refusal in refusals:
            if isinstance(refusal, Refusal) and refusal.status != 404:
                raise refusal
        reasons = "; ".join(map(str, refusals))
        raise Unclear(f"it does not say that it is an Airflow 2 or 3: {reasons}")

    def _refuse_upgraded(self, version: Version) -> None:
        """Ask again which version it is. Raises AirflowUpgraded if it is another one by now, NoAnswer if what answers
        is no Airflow."""
        try:
            now = _VERSIONS[self.address.url] = self._asked_version()
        except Unclear as error:
            raise NoAnswer(str(error)) from error
        if now.dialect is not version.dialect:
            raise AirflowUpgraded(self.address.url, f"it was {version.text}, and is {now.text}")

    def _pages(
        self, path: str, name: str, params: Mapping[str, Any] | None = None, **allowed: Any
    ) -> Iterator[Mapping[str, Any]]:
        def page(offset: int) -> Any:
            asked = {**(params or {}), "limit": PAGE, "offset": offset}
            return self._call("GET", path, params=asked, **allowed)

        return self._paged(path, name, page)

    def _paged(self, path: str, name: str, page: Callable[[int], Any]) -> Iterator[Mapping[str, Any]]:
        """Every row, page after page. Raises AirflowUnclear for pages that repeat, do not end, or contradict their
        `total_entries`."""
        offset, before = 0, None
        for _ in range(MOST_PAGES):
            rows, total = self._counted(path, name, partial(page, offset), offset)
            if rows and rows == before:
                raise self._unclear(f"{path} gives the same page again and again")
            if not rows and offset < total:
                raise self._unclear(f"{path} says that it has {total} {name}, and gives {offset}")
            yield from rows
            offset, before = offset + len(rows), rows
            if offset >= total:
                return
        raise self._unclear(f"{path} has more than {MOST_PAGES} pages")

    def _counted(
        self, path: str, name: str, ask: Callable[[], Any], offset: int
    ) -> tuple[list[Mapping[str, Any]], int]:
        """The rows of the page at `offset`, and the total number of rows. Airflow counts before it reads: a row that
        is made in between is given and not counted, and such a page is asked for again."""

        def once() -> tuple[list[Mapping[str, Any]], int]:
            answer = ask()
            rows = self._rows(path, name, answer)
            return rows, self._total(path, answer, offset + len(rows))

        again = Retrying(
            stop=stop_after_attempt(COUNTED_AGAIN),
            wait=wait_exponential(multiplier=0.1, max=1),
            retry=retry_if_exception(lambda error: isinstance(error, AirflowUnclear) and not error.lasting),
            reraise=True,
        )
        return again(once)

    def _total(self, path: str, answer: Any, read: int) -> int:
        total = answer.get("total_entries")
        if not isinstance(total, int) or isinstance(total, bool) or total < 0:
            raise self._unclear(f"{path} answered without a number as `total_entries`")
        if total < read:
            reason = f"{path} says that it has {total} entries, and has given {read}"
            raise AirflowUnclear(self.address.url, reason)
        return total

    def _rows(self, path: str, name: str, answer: Any) -> list[Mapping[str, Any]]:
        return self._one(lambda document: rows_of(document, name, path), answer)

    def _object(self, path: str, answer: Any) -> Mapping[str, Any]:
        if not isinstance(answer, dict):
            raise self._unclear(f"{path} answered with {type(answer).__name__} where an object belongs")
        return answer

    def _parsed(self, parse: Callable[[Mapping[str, Any]], T], rows: Iterable[Mapping[str, Any]]) -> list[T]:
        return [self._one(parse, row) for row in rows]

    def _one(self, parse: Callable[[Mapping[str, Any]], T], row: Any) -> T:
        try:
            return parse(self._object("Airflow", row))
        except Unclear as error:
            raise self._unclear(str(error)) from error

    def _unclear(self, reason: str) -> AirflowUnclear:
        return AirflowUnclear(self.address.url, reason, lasting=True)

    def _call(
        self, method: str, path: str, *, allowed: Sequence[int] = (), gone: Any = MISSING, **request: Any
    ) -> Any:
        """The answer's document, or `gone` if the status is one of those `allowed`."""
        reply = self._asked(method, path, allowed, **request)
        if reply.status >= 400 and gone is not MISSING:
            return gone
        if not reply.body:
            return {}
        try:
            return reply.document()
        except Unclear as error:
            if reply.status >= 400:  # allowed, but sent by something in front of Airflow
                return {}
            raise self._unclear(str(error)) from error

    def _asked(
        self, method: str, path: str, allowed: Sequence[int], *, again: bool = True, **request: Any
    ) -> Reply:
        return self._question(lambda: checked(self._once(method, path, **request), allowed), again=again)

    def _once(self, method: str, path: str, **request: Any) -> Reply:
        """Raises NoAnswer, Refusal and Unclear, and AirflowUpgraded: what another version's API answers to a question
        in these words, or an ingress without its Airflow, would be taken for "there is none"."""
        version = self._found()
        try:
            reply = self._web.ask(method, f"{version.dialect.base}{path}", **request)
        except Refusal as refusal:
            # The endpoint for tokens is this version's too.
            if refusal.status in (404, 405) and self._login != self.address.login:
                self._refuse_upgraded(version)
            raise
        if reply.status == 404 and version.dialect.not_found not in _document(reply):
            self._refuse_upgraded(version)
            reason = f"{reply.what} answered 404 {reply.excerpt}".rstrip()
            raise NoAnswer(f"{reason}, which is not what Airflow says of something that it does not have")
        return reply

    def _question(self, once: Callable[[], T], *, again: bool = True) -> T:
        """`again`: ask once more while the error is temporary, as long as the patience lasts."""
        waiting = Retrying(
            stop=stop_after_delay(self._patience) if again else stop_after_attempt(1),
            wait=wait_exponential(multiplier=0.2, max=2),
            retry=retry_if_exception(_passes),
            reraise=True,
        )
        try:
            return waiting(once)
        except NoAnswer as error:
            raise AirflowUnreachable(self.address.url, str(error)) from error
        except Refusal as error:
            raise AirflowRefuses(self.address.url, str(error), lasting=error.lasting) from error
        except Unclear as error:
            raise self._unclear(str(error)) from error


def _version(document: Any, dialect: Dialect) -> Version:
    text = document.get("version") if isinstance(document, Mapping) else None
    parts = str(text).split(".")[:2]
    if not isinstance(text, str) or len(parts) < 2 or not all(part.isdecimal() for part in parts):
        raise Unclear(f"GET {dialect.base}/version answered without a version")
    major, minor = map(int, parts)
    if major != dialect.major:
        raise Unclear(
            f"GET {dialect.base}/version says that this is Airflow {excerpt(text)}, which is not known here"
        )
    return Version(text, (major, minor), dialect)


def _document(reply: Reply) -> Mapping[str, Any]:
    try:
        document = reply.document()
    except Unclear:
        return {}
    return document if isinstance(document, Mapping) else {}


def _passes(error: BaseException) -> bool:
    """Whether an error is temporary, as a 5xx answer is: Airflow on SQLite gives one now and then."""
    return isinstance(error, NoAnswer) or (isinstance(error, Refusal) and not error.lasting)
