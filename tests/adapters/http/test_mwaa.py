"""A session of Amazon MWAA, against servers that answer as AWS documents it."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

import pytest
from typing_extensions import Self

from dagster_defs.adapters.airflow.address import AirflowAddress
from dagster_defs.adapters.airflow.client import AirflowReader
from dagster_defs.errors import BadLogin
from dagster_defs.settings import Settings
from tests.support.fakes import LoopbackServer


class Aws(LoopbackServer):
    """Its endpoint for tokens, with real signatures of boto3's. `tokens`: those it gave; `host`: of the web server."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens: list[str] = []
        self.host = "127.0.0.1"
        self.refuses = False

    def answer(self, method: str, path: str, body: bytes, headers: Any) -> tuple[int, Any]:
        assert (method, path) == ("POST", "/webtoken/nightly")
        assert headers["Authorization"].startswith("AWS4-HMAC-SHA256 ")
        if self.refuses:
            return 403, {"message": "not authorized"}
        self.tokens.append(f"token-{len(self.tokens)}")
        return 200, {"WebToken": self.tokens[-1], "WebServerHostname": self.host}


class WebServer:
    """An Airflow that lets in who has exchanged a token that AWS gave. `sessions`: still good; `version`: 2 or 3."""

    def __init__(self, aws: Aws, version: int) -> None:
        self.sessions: list[str] = []
        web, path = self, {2: "/aws_mwaa/login", 3: "/pluginsv2/aws_mwaa/login"}[version]
        cookie = {2: "session", 3: "_token"}[version]

        class Handler(BaseHTTPRequestHandler):
            def say(self, status: int, text: str = "", **headers: str) -> None:
                self.send_response(status)
                for name, value in {"Content-Length": str(len(text)), **headers}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(text.encode())

            def do_HEAD(self) -> None:
                self.say(405 if self.path == path else 404)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                [token] = parse_qs(body)["token"]
                if self.path != path or token not in aws.tokens:
                    self.say(403)
                    return
                aws.tokens.remove(token)  # good for once
                web.sessions.append(f"session-of-{token}")
                self.say(200, Set_Cookie=f"{cookie}={web.sessions[-1]}; Path=/; HttpOnly")

            def do_GET(self) -> None:
                sent = self.headers.get("Cookie" if version == 2 else "Authorization", "")
                known = [f"session={each}" if version == 2 else f"Bearer {each}" for each in web.sessions]
                base = "/api/v1" if version == 2 else "/api/v2"
                if self.path == f"{base}/version":
                    self.say(200, '{"version": "%s"}' % ("2.11.2" if version == 2 else "3.0.6"))
                elif not self.path.startswith(base):
                    self.say(404)
                elif sent not in known:
                    self.say(401)
                else:
                    self.say(200, '{"dags": [{"dag_id": "d"}], "total_entries": 1}')

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's own name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    with Aws() as aws:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "eu-west-1",
            "AWS_DEFAULT_REGION": "eu-west-1", "AWS_ENDPOINT_URL_MWAA": aws.url, "AWS_MAX_ATTEMPTS": "1",
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        yield aws


@pytest.fixture(params=[2, 3], ids=["Airflow 2", "Airflow 3"])
def web(request: pytest.FixtureRequest, aws: Aws) -> Iterator[WebServer]:
    with WebServer(aws, request.param) as web:
        yield web


def reader(web: WebServer, environment: str = "nightly") -> AirflowReader:
    settings = Settings({"AIRFLOW_URL": web.url, "AIRFLOW_MWAA": environment})
    return AirflowReader(AirflowAddress.of(settings), patience=0.1)


def test_a_session_is_made_kept_and_renewed(web: WebServer, aws: Aws) -> None:
    """One token for many requests, and another one once the web server no longer knows the session."""
    airflow = reader(web)
    for _ in range(2):
        assert [dag["dag_id"] for dag in airflow.dags()] == ["d"]
    assert web.sessions == ["session-of-token-0"]

    web.sessions.clear()

    assert [dag["dag_id"] for dag in airflow.dags()] == ["d"]
    assert len(web.sessions) == 1
    assert aws.tokens == []


def test_the_token_goes_to_no_other_host(web: WebServer, aws: Aws) -> None:
    """AWS names another web server than AIRFLOW_URL: nothing is sent there."""
    aws.host = "elsewhere.example.com"

    with pytest.raises(BadLogin, match=r"AIRFLOW_MWAA.*elsewhere\.example\.com.*Set the address"):
        reader(web).dags()

    assert len(aws.tokens) == 1


def test_aws_refuses(web: WebServer, aws: Aws) -> None:
    """The message names the permission; the environment, the variable."""
    aws.refuses = True

    with pytest.raises(BadLogin, match=r"no token for nightly.*CreateWebLoginToken"):
        reader(web).dags()


def test_the_web_server_refuses(web: WebServer, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that it does not know is no session."""
    monkeypatch.setattr(aws, "tokens", _Forgetting())

    with pytest.raises(BadLogin, match="answered 403 without a cookie"):
        reader(web).dags()


class _Forgetting(list[str]):
    def __contains__(self, _: object) -> bool:
        return False
