"""Servers that let somebody in by a token, an endpoint for tokens, headers, a function, or a certificate."""

from __future__ import annotations

import datetime
import ipaddress
import json
import ssl
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pytest_mock import MockerFixture

from dagster_defs.adapters.airflow.address import AirflowAddress
from dagster_defs.adapters.airflow.client import AirflowReader
from dagster_defs.adapters.dagster.api import DagsterReader
from dagster_defs.errors import AirflowRefuses, AirflowUnclear, AirflowUnreachable, BadLogin
from dagster_defs.settings import Settings
from tests.support.fakes import LoopbackServer

ADA = {"USER": "ada", "PASSWORD": "secret"}


class Guarded(LoopbackServer):
    """Lets in who sends `wanted`, and gives a token to ada. `asked`: the headers of the last request."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted: dict[str, str] = {}
        self.given = 0  # tokens
        self.answers_without = False
        self.asked: dict[str, str] = {}

    def answer(self, method: str, path: str, body: bytes, headers: Any) -> tuple[int, Any]:
        if path == "/auth/token":
            if json.loads(body) != {"username": "ada", "password": "secret"}:
                return 401, {"detail": "Invalid credentials"}
            self.given += 1
            return 201, {} if self.answers_without else {"access_token": f"token-{self.given}"}
        self.asked = dict(headers)
        if any(headers.get(name) != value for name, value in self.wanted.items()):
            return 401, {"title": "Unauthorized"}
        if path == "/api/v2/version":
            return 404, {}
        if path == "/graphql":
            return 200, {"data": {"instance": {"daemonHealth": {"allDaemonStatuses": []}}}}
        return 200, {"dags": [{"dag_id": "d"}], "total_entries": 1, "version": "2.11.2"}


@pytest.fixture
def server() -> Iterator[Guarded]:
    with Guarded() as guarded:
        yield guarded


def airflow(server: Guarded, **variables: str) -> AirflowReader:
    named = {f"AIRFLOW_{name}": value for name, value in variables.items()}
    return AirflowReader(AirflowAddress.of(Settings({"AIRFLOW_URL": server.url, **named})), patience=0.1)


def dags(reader: AirflowReader) -> list[str]:
    return [dag["dag_id"] for dag in reader.dags()]


def test_a_bearer_token(server: Guarded) -> None:
    """It goes with each request, and a user and a password beside it do not."""
    server.wanted = {"Authorization": "Bearer abc"}

    assert dags(airflow(server, **{**ADA, "TOKEN": "abc"})) == ["d"]


def test_headers(server: Guarded) -> None:
    """Beside a user and a password."""
    server.wanted = {"X-Api-Key": "k", "Authorization": "Basic YWRhOnNlY3JldA=="}

    assert dags(airflow(server, HEADERS='{"X-Api-Key": "k"}', **ADA)) == ["d"]


def test_a_token_is_exchanged_once_and_renewed(server: Guarded) -> None:
    """Several clients of a process share it; one that has expired is renewed without an error."""
    variables = {**ADA, "TOKEN_URL": f"{server.url}/auth/token"}
    server.wanted = {"Authorization": "Bearer token-1"}
    assert dags(airflow(server, **variables)) == dags(airflow(server, **variables)) == ["d"]
    assert server.given == 1

    server.wanted = {"Authorization": "Bearer token-2"}

    assert dags(airflow(server, **variables)) == ["d"]
    assert server.given == 2


def test_an_endpoint_that_gives_no_token(server: Guarded) -> None:
    """A wrong password, an answer without a token, and an endpoint that is not there, each with its reason."""
    endpoint = f"{server.url}/auth/token"
    with pytest.raises(AirflowRefuses, match="/auth/token answered 401"):
        dags(airflow(server, TOKEN_URL=endpoint, **{**ADA, "PASSWORD": "wrong"}))
    server.answers_without = True
    with pytest.raises(AirflowUnclear, match="without an `access_token`"):
        dags(airflow(server, TOKEN_URL=endpoint, **ADA))
    with pytest.raises(AirflowUnreachable):
        dags(airflow(server, **{**ADA, "TOKEN_URL": "http://127.0.0.1:9/token"}))


TEAM = """
calls = []

def enter(server):
    calls.append(server)
    return {"Cookie": f"session={len(calls)}"}

def wrong(server):
    return ["Cookie"]

def broken(server):
    raise RuntimeError("no role")
"""


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the team's."""
    (tmp_path / "our_login.py").write_text(TEAM)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "our_login", raising=False)
    return "our_login"


def test_a_teams_own_function(server: Guarded, team: str) -> None:
    """It is given the address, and called again when a session has ended."""
    server.wanted = {"Cookie": "session=1"}
    assert dags(airflow(server, LOGIN=f"{team}:enter")) == ["d"]
    server.wanted = {"Cookie": "session=2"}
    assert dags(airflow(server, LOGIN=f"{team}:enter")) == ["d"]
    assert sys.modules[team].calls == [server.url] * 2


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"TOKEN": "a", "TOKEN_URL": "b"}, "AIRFLOW_TOKEN and AIRFLOW_TOKEN_URL are set"),
        ({"TOKEN_URL": "http://b"}, "Set AIRFLOW_USER"),
        ({"HEADERS": "X-Api-Key: k"}, "AIRFLOW_HEADERS: it is not JSON"),
        ({"HEADERS": '{"n": 3}'}, "AIRFLOW_HEADERS: it is not an object of texts"),
        ({"LOGIN": "our_login"}, "names no function"),
        ({"LOGIN": "no_such_module:enter"}, "No module named"),
        ({"LOGIN": "our_login:gone"}, "has no attribute 'gone'"),
        ({"LOGIN": "our_login:wrong"}, "returned list. Return a mapping"),
        ({"LOGIN": "our_login:broken"}, "raised RuntimeError: no role"),
    ],
)
def test_what_cannot_be_understood(server: Guarded, team: str, variables: dict[str, str], said: str) -> None:
    """The variable, the reason and the remedy; nothing is sent without what was asked for."""
    with pytest.raises(BadLogin) as raised:
        dags(airflow(server, **variables))

    assert said in str(raised.value)
    assert server.asked == {}


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({"DAGSTER_TOKEN": "abc"}, {"Authorization": "Bearer abc"}),
        ({"DAGSTER_HEADERS": '{"X-Team": "data"}'}, {"X-Team": "data"}),
        ({"DAGSTER_USER": "ada", "DAGSTER_PASSWORD": "secret"}, {"Authorization": "Basic YWRhOnNlY3JldA=="}),
    ],
)
def test_ways_into_dagster(server: Guarded, variables: dict[str, str], wanted: dict[str, str]) -> None:
    """Headers, basic authentication, and a token."""
    server.wanted = wanted

    assert DagsterReader.of(Settings({"DAGSTER_URL": server.url, **variables})).sick_daemons() == []


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://acme.dagster.cloud/prod", True),
        ("http://acme.dagster.cloud/prod", False),
        ("https://dagster.example/", False),
        ("https://acme.dagster.cloud.example/", False),
    ],
)
def test_the_token_of_dagster_plus_goes_nowhere_else(url: str, sent: bool, mocker: MockerFixture) -> None:
    """Its command line reads the same variable, whichever Dagster this project has."""
    web = mocker.patch("dagster_defs.adapters.dagster.api.Web")

    DagsterReader.of(Settings({"DAGSTER_URL": url, "DAGSTER_CLOUD_API_TOKEN": "plus"}))

    [(_, login)] = [call.args for call in web.call_args_list]
    assert (("Dagster-Cloud-Api-Token", "plus") in login.headers) is sent


def _made(name: str, folder: Path, issuer: tuple[Any, Any] | None = None) -> tuple[Any, Any]:
    """A key and its certificate, which `issuer` signs, or it itself; also in files."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[1].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(issuer[0] if issuer else key, hashes.SHA256())
    )
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return key, certificate


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[str]:
    """A server with a certificate of a CA of its own, which lets in who has one of that CA, too."""
    authority = _made("ca", tmp_path)
    for name in ("server", "client"):
        _made(name, tmp_path, authority)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'{"dags": [{"dag_id": "d"}], "total_entries": 1, "version": "2.11.2"}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's own name
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    context.load_verify_locations(tmp_path / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{httpd.server_address[1]}"
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def test_a_client_certificate(secure: str, tmp_path: Path) -> None:
    """With the CA and the certificate the server is trusted and lets this program in; without either it is not
    reached, and a file that is not there is named."""
    ca = {"AIRFLOW_URL": secure, "AIRFLOW_CA": str(tmp_path / "ca.pem")}
    own = {**ca, "AIRFLOW_CERT": f"{tmp_path / 'client.pem'},{tmp_path / 'client.key'}"}

    def reader(variables: dict[str, str]) -> AirflowReader:
        return AirflowReader(AirflowAddress.of(Settings(variables)), patience=0.1)

    assert dags(reader(own)) == ["d"]
    for lacking in (ca, {**own, "AIRFLOW_CA": ""}):
        with pytest.raises(AirflowUnreachable):
            dags(reader(lacking))
    with pytest.raises(BadLogin, match="AIRFLOW_CA or AIRFLOW_CERT: No such file"):
        reader({**own, "AIRFLOW_CA": str(tmp_path / "gone.pem")})
