"""What a server may answer that is not an answer: each is one clear error, soon, and within bounds."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from dagster_defs.adapters.airflow.address import AirflowAddress
from dagster_defs.adapters.airflow.client import AirflowClient
from dagster_defs.adapters.airflow.v2 import V2
from dagster_defs.adapters.dagster.api import DagsterClient
from dagster_defs.adapters.http import question as web
from dagster_defs.errors import (
    AirflowRefuses,
    AirflowUnclear,
    AirflowUnreachable,
    DagsterRefuses,
    DagsterUnclear,
    DagsterUnreachable,
)
from dagster_defs.lifecycle import Unit
from dagster_defs.settings import Settings
from tests.support.fakes import FakeAirflow

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def whole(body: bytes, head: bytes = OK) -> bytes:
    return head + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body


@contextmanager
def raw_server(answer: Callable[[socket.socket], None], airflow: str = "") -> Iterator[str]:
    """Gives each connection to `answer` when its request's head has come. `airflow`: what it says of its version if it
    is asked for that."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=handle, args=(connection,), daemon=True).start()

    def handle(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(1 << 16)
            is_it = b"/api/v1/version" if airflow[:1] == "2" else b"/api/v2/version"
            if airflow and b"/version" in head.splitlines()[0]:
                status = b"200 OK" if is_it in head else b"404 Not Found"
                saying(whole(b'{"version": "%s"}' % airflow.encode(), b"HTTP/1.1 " + status + b"\r\n"))(
                    connection
                )
            else:
                answer(connection)
            # Closed with a part of the request unread, it would be reset, and the client might not see the answer.
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1 << 16):
                pass

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)  # else a thread in `accept` keeps it open
        listener.close()


def saying(data: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(data)


BODIES = {
    "a list": b"[]",
    "null": b"null",
    "a text": b'"dags"',
    "a number": b"1",
    "no rows": b"{}",
    "rows are null": b'{"dags": null, "total_entries": 1}',
    "rows are an object": b'{"dags": {}, "total_entries": 1}',
    "a row is no object": b'{"dags": [1], "total_entries": 1}',
    "no total": b'{"dags": []}',
    "the total is a text": b'{"dags": [], "total_entries": "1"}',
    "the total is null": b'{"dags": [], "total_entries": null}',
    "the total is negative": b'{"dags": [], "total_entries": -1}',
    "the total is true": b'{"dags": [{}], "total_entries": true}',
    "the total is too large": b'{"dags": [], "total_entries": 7}',
    "the same page for ever": b'{"dags": [{"dag_id": "d"}], "total_entries": 900000}',
    "NaN": b'{"dags": [], "total_entries": NaN}',
    "infinity": b'{"dags": [], "total_entries": 1e999}',
    "half": b'{"dags": [',
    "empty": b"",
    "no UTF-8": b'{"dags": ["\xff\xfe"], "total_entries": 1}',
    "half a character": b'{"dags": [{"dag_id": "\\ud800"}], "total_entries": 1}',
    "too deep": b'{"dags": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "a page": b"<!doctype html><title>Sign in</title>",
    "digits without end": b'{"dags": [], "total_entries": ' + b"9" * 100_000 + b"}",
}


AIRFLOWS = ("2.11.2", "3.3.2")


@pytest.mark.parametrize("airflow", [*AIRFLOWS, ""])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_an_airflow_that_says_something_else(body: bytes, airflow: str) -> None:
    """A wrong shape is AirflowUnclear for good, in one line of bounded length, and is not asked for twice; so is one
    that does not even say which version it is."""
    with raw_server(saying(whole(body)), airflow) as url, pytest.raises(AirflowUnclear) as caught:
        AirflowClient(AirflowAddress(url), patience=30).dags()

    assert caught.value.lasting
    assert len(str(caught.value)) < 600
    assert "\n" not in str(caught.value)


GRAPHQL = {
    **{name: BODIES[name] for name in ("a list", "null", "a number", "no rows", "half", "empty", "NaN")},
    **{name: BODIES[name] for name in ("too deep", "a page")},
    "no data": b'{"data": null}',
    "data is a list": b'{"data": [1]}',
    "two fields": b'{"data": {"a": {}, "b": {}}}',
    "the field is null": b'{"data": {"runOrError": null}}',
    "the field is a text": b'{"data": {"runOrError": "SUCCESS"}}',
    "errors": b'{"errors": [{"message": "no such field"}]}',
}  # fmt: skip


@pytest.mark.parametrize("body", GRAPHQL.values(), ids=GRAPHQL.keys())
def test_a_dagster_that_says_something_else(body: bytes) -> None:
    """A wrong shape of Dagster's is DagsterUnclear, and a look at its health says no instead of failing."""
    with raw_server(saying(whole(body))) as url:
        client = DagsterClient(url)
        with pytest.raises(DagsterUnclear):
            client.status("r")
        assert client.is_ready() is False


ROW = {"dag_id": "d", "dag_run_id": "r", "state": "success", "data_interval_start": None}
BAD_ROWS = {
    "no id": {"state": "success"},
    "the id is null": {**ROW, "dag_run_id": None},
    "the id is a number": {**ROW, "dag_run_id": 1},
    "the state is a list": {**ROW, "state": []},
    "an instant is a number": {**ROW, "data_interval_start": 17},
    "an instant is a word": {**ROW, "data_interval_end": "soon"},
    "an instant is a duration": {**ROW, "data_interval_end": "P1D"},
    "an instant is outside of time": {**ROW, "end_date": "9999-12-31T23:59:59-14:00"},
}


@pytest.mark.parametrize("airflow", AIRFLOWS)
@pytest.mark.parametrize("row", BAD_ROWS.values(), ids=BAD_ROWS.keys())
def test_a_run_that_is_not_one(row: dict[str, object], airflow: str) -> None:
    """A row with a field of the wrong kind is an error that names the field."""
    body = json.dumps(row).encode()
    with (
        raw_server(saying(whole(body)), airflow) as url,
        pytest.raises(AirflowUnclear, match="`") as caught,
    ):
        AirflowClient(AirflowAddress(url), patience=1).dag_run("d", "r")

    assert any(name in str(caught.value) for name in row) or "dag_id" in str(caught.value)


def drip_body(connection: socket.socket) -> None:
    connection.sendall(OK + b"Content-Length: 1000000\r\n\r\n")
    drip(connection)


def drip_head(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    drip(connection)


def drip(connection: socket.socket) -> None:
    while True:
        connection.sendall(b" ")
        time.sleep(0.05)


def silence(connection: socket.socket) -> None:
    connection.recv(1)


@pytest.mark.parametrize("answer", [drip_body, drip_head, silence])
def test_an_answer_that_drips(
    answer: Callable[[socket.socket], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound is on the whole answer, head and body: a byte now and then does not keep anybody waiting."""
    with raw_server(answer) as url:
        slow = web.Web(url, seconds=0.6)
        began = time.monotonic()
        with pytest.raises(web.NoAnswer, match=r"within 0.6 s"):
            slow.ask("GET", "/")

    assert time.monotonic() - began < 5


def bomb() -> bytes:
    packed = gzip.compress(b"\0" * (web.MOST_BYTES * 4), 9)
    return whole(packed, OK + b"Content-Encoding: gzip\r\n")


def endless(connection: socket.socket) -> None:
    connection.sendall(OK + b"\r\n")
    while True:
        connection.sendall(b" " * (1 << 20))


LARGE = {
    "a bomb": (lambda: saying(bomb()), "more than"),
    "no end": (lambda: endless, "more than"),
    "broken gzip": (lambda: saying(whole(b"xxxx", OK + b"Content-Encoding: gzip\r\n")), "unpacked"),
    "another packing": (lambda: saying(whole(b"xxxx", OK + b"Content-Encoding: zstd\r\n")), "zstd"),
}


@pytest.mark.parametrize(("make", "message"), LARGE.values(), ids=LARGE.keys())
def test_an_answer_without_bounds(make: Callable[[], Callable[[socket.socket], None]], message: str) -> None:
    """An answer that is too large, packed or not, is cut off; one that cannot be unpacked is said to be so."""
    with raw_server(make()) as url:
        with pytest.raises(AirflowUnclear, match=message):
            AirflowClient(AirflowAddress(url), patience=1).dags()
        with pytest.raises(DagsterUnclear, match=message):
            DagsterClient(url).status("r")


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect(code: int) -> None:
    """A redirect, to itself too, is a refusal for good that hides what is secret in its target, and is not followed."""
    head = b"HTTP/1.1 %d Moved\r\nLocation: http://user:hunter2@sso.example/login?token=s3cr3t\r\n" % code
    with raw_server(saying(whole(b"", head))) as url:
        with pytest.raises(AirflowRefuses, match=r"redirects to http://sso\.example/login") as caught:
            AirflowClient(AirflowAddress(url), patience=30).dags()
        with pytest.raises(DagsterRefuses, match="a login"):
            DagsterClient(url).status("r")

    assert caught.value.lasting
    assert "hunter2" not in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "lasting"),
    [
        (400, True),
        (401, True),
        (403, True),
        (404, True),
        (405, True),
        (429, False),
        (500, False),
        (503, False),
    ],
)
def test_three_kinds_of_faults(code: int, lasting: bool) -> None:
    """A status is a refusal, which lasts or passes; a connection that is not there is neither a refusal nor unclear."""
    head = b"HTTP/1.1 %d No\r\n" % code
    with raw_server(saying(whole(b'{"title": "No"}', head)), "2.11.2") as url:
        with pytest.raises(AirflowRefuses) as caught:
            AirflowClient(AirflowAddress(url), patience=0.3).dags()
        with pytest.raises(DagsterRefuses) as by_dagster:
            DagsterClient(url).status("r")
    with pytest.raises(AirflowUnreachable) as away:
        AirflowClient(AirflowAddress(url), patience=0.1).dags()
    with pytest.raises(DagsterUnreachable) as dagster_away:
        DagsterClient(url).status("r")

    assert (caught.value.lasting, by_dagster.value.lasting) == (lasting, lasting)
    assert [type(error.value) for error in (away, dagster_away)] == [AirflowUnreachable, DagsterUnreachable]


IDS = [
    "scheduled__2024-03-09T11:00:00+00:00",
    "a/b",
    "../../pools",
    "..",
    ".",
    "a?b=c&d",
    "a#b",
    "50%",
    "%2F",
    "naïve ☃",
    "a b",
    "a;b",
    "line\nbreak",
]


@pytest.mark.parametrize("identity", IDS)
def test_any_id_reaches_airflow_as_it_is(identity: str) -> None:
    """Whatever is in an id, Airflow is asked for that id and for nothing else, and a link selects it."""
    with FakeAirflow() as airflow:
        airflow.add_run("d", identity, "2024-03-09T00:00:00Z", "2024-03-10T00:00:00Z")
        address = AirflowAddress(airflow.url, "admin", "admin")
        client = AirflowClient(address, patience=1)
        assert client.dag_run("d", identity).run_id == identity

    link = urlsplit(client.link(Unit("d", identity), identity))
    assert parse_qs(link.query, strict_parsing=True) == {"dag_run_id": [identity], "task_id": [identity]}
    assert link.fragment == ""
    link = urlsplit(V2.page_of_task("d", identity, identity))
    assert [unquote(part) for part in link.path.split("/")[1:]] == [
        "dags",
        "d",
        "runs",
        identity,
        "tasks",
        identity,
    ]
    assert (link.query, link.fragment) == ("", "")
    run = urlsplit(DagsterClient("http://dagster.example").run_address(identity))
    assert unquote(run.path) == f"/runs/{identity}"
    assert (run.query, run.fragment) == ("", "")


PASSWORDS = [
    "http://ada:hunter2@127.0.0.1:9",
    "http://ada:hunter2@127.0.0.1:9/",
    "http://:hunter2@127.0.0.1:9",
]


@pytest.mark.parametrize("url", PASSWORDS)
def test_a_password_in_an_address(url: str) -> None:
    """It opens the door and is in no text: not in a repr, an address that is shown, or an error."""
    address, dagster = AirflowAddress(url), DagsterClient(url)
    with pytest.raises(AirflowUnreachable) as airflow_away:
        AirflowClient(address, patience=0.1).dags()
    with pytest.raises(DagsterUnreachable) as dagster_away:
        dagster.status("r")
    shown = [repr(address), address.url, dagster.url, dagster.run_address("r")]
    shown += [str(airflow_away.value), str(dagster_away.value)]

    assert address.password == "hunter2"  # noqa: S105 - it is the test's own
    assert not any("hunter2" in text for text in shown), shown


def test_nothing_is_sent_that_nobody_has_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without AIRFLOW_USER no user and no password go to whatever AIRFLOW_URL names."""
    seen: list[object] = []
    for name in ("AIRFLOW_USER", "AIRFLOW_PASSWORD"):
        monkeypatch.delenv(name, raising=False)

    class Listening(FakeAirflow):
        def answer(self, method: str, path: str, body: bytes, headers: object) -> tuple[int, object]:
            seen.append(headers.get("Authorization"))  # type: ignore[attr-defined]  # a message of http.server
            if path.endswith("/version"):
                return super().answer(method, path, body, headers)
            return 200, {"dags": [], "total_entries": 0}

    with Listening() as airflow:
        monkeypatch.setenv("AIRFLOW_URL", airflow.url)
        AirflowClient(AirflowAddress.of(Settings.from_process())).dags()

    assert set(seen) == {None}
