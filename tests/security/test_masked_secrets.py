"""What looks like a secret in a command, an environment or a field does not come into the inventory."""

from __future__ import annotations

import importlib.util
import json
import sys
from types import ModuleType
from typing import Any

import pytest

from tests.support.estate import ROOT


def load() -> ModuleType:
    """The exporter, as a file by itself: it needs no Airflow before it runs."""
    place = ROOT / "legacy_dags" / "handover" / "inventory.py"
    spec = importlib.util.spec_from_file_location("exporter_alone", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


EXPORTER = load()
S = "hunter2-S3cr3t"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"
COMMANDS = [
    f"dbt run --password {S} --select a",
    f"dbt run --password={S}",
    f"dbt run --password '{S}'",
    f'dbt run --db-password "{S}"',
    f"tool --api-key {S}",
    f"tool --apikey={S} run",
    f"tool --client-secret {S}",
    f"tool --access-token {S}",
    f"PGPASSWORD={S} psql -c 'select 1'",
    f"export DBT_ENV_SECRET_TOKEN={S} && dbt run",
    f"export MYSQL_PWD='{S}'; mysql",
    f'SNOWFLAKE_PASSWORD="{S}" dbt run',
    f"aws_secret_access_key = {S}",
    f"psql postgresql://me:{S}@host/db",
    f"curl https://me:{S}@host/x?y=1",
    f"git clone https://{S}{S}@github.com/a/b",
    f"curl -u me:{S} http://host",
    f"curl --user 'me:{S}' http://host",
    f"curl -H 'Authorization: Bearer {S}' http://host",
    f'curl -H "authorization: {S}" http://host',
    f"curl 'http://host/?page=1&token={S}&x=2'",
    f"mysql -h host -p{S} db",
    f"sshpass -p {S} ssh host",
    f"isql 'DRIVER=x;UID=me;PWD={S};'",
    f"""dbt run --vars '{{"api_token": "{S}", "day": "2024-03-01"}}'""",
    f"dbt run --vars '{{api_token: {S}, day: 2024-03-01}}'",
    f'echo \'{{\\"password\\": \\"{S}\\"}}\'',
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_secret_in_a_command(command: str) -> None:
    """The secret is replaced by the mask, and nothing else of the command is."""
    masked = EXPORTER.mask(command, [])

    assert S not in masked
    assert masked.replace("***", S) in (command, command.replace(S + S, S))


SHAPES = [
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "github_pat_11ABCDEFG0abcdefghijklmn",
    "glpat-abcdefghijklmnopqrst",
    "xoxb-1234567890-abcdefghij",
    "sk-abcdefghijklmnopqrstuvwx",
    "sk_live_abcdefghijklmn",
    "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "dapi0123456789abcdef0123456789abcdef",
    "hvs.abcdefghijklmnopqrstuvwx",
    JWT,
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\\nMIIE\\n-----END PRIVATE KEY-----",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl",
]


@pytest.mark.parametrize("secret", SHAPES)
def test_a_secret_known_by_its_shape(secret: str) -> None:
    """Keys and tokens of the usual makes are masked wherever they stand."""
    assert EXPORTER.mask(f"run {secret}", []) == "run ***"
    assert EXPORTER.mask({"anything": [secret]}, []) == {"anything": ["***"]}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("password", S, "***"),
        ("DB_PASSWORD", S, "***"),
        ("client-secret", S, "***"),
        ("api_key", 12345, "***"),
        ("aws.access_key_id", S, "***"),
        ("password", "", ""),
        ("password", None, None),
        ("use_token", True, True),
        ("password", "{{ conn.w.password }}", "{{ conn.w.password }}"),
        ("password", "$DB_PASSWORD", "$DB_PASSWORD"),
        ("token_url", "https://host/token", "https://host/token"),
        ("max_tokens", 100, 100),
        ("unique_key", "id", "id"),
        ("password_file", "/run/secrets/db", "/run/secrets/db"),
    ],
)
def test_a_field_with_the_name_of_a_secret(name: str, value: Any, expected: Any) -> None:
    """A field's name says that its value is one; a reference to a secret, and what is no text, stay."""
    assert EXPORTER.mask({name: value}, []) == {name: expected}


@pytest.mark.parametrize(
    "command",
    [
        'dbt run --select tag:daily --vars \'{"day": "2024-03-01"}\'',
        "dbt run --password $DB_PASSWORD",
        'dbt run --password "${DB_PASSWORD}"',
        "PGPASSWORD={{ conn.warehouse.password }} psql",
        "PGPASSWORD='{{ var.value.pw }}' psql",
        "TOKEN=$(cat /run/token) dbt run",
        "docker login --password-stdin",
        "tool --token-file /run/token",
        "cd /opt/dbt && dbt build --target prod --profiles-dir /opt/dbt",
        "curl https://host.example:8080/path?day={{ ds }}",
        "psql postgresql://host/db",
        "psql postgresql://me@host/db",
        "PWD=/opt/dbt dbt run",
        "dbt run --select sk-model+ token_counts password_resets",
        "mysql -h host --port 3306 -p db",
        "echo user:group",
    ],
)
def test_what_is_no_secret_stays(command: str) -> None:
    """References, ordinary words and paths are left as they are: a mask makes a command undetermined."""
    assert EXPORTER.mask(command, []) == command


def test_masking_twice_changes_nothing() -> None:
    """What is masked stays as it is."""
    for command in COMMANDS:
        once = EXPORTER.mask(command, [])
        assert EXPORTER.mask(once, []) == once


@pytest.mark.timeout(60)
def test_a_long_text_is_masked_in_time() -> None:
    """No text makes the look slow: a hundred thousand characters of the worst kind take less than seconds."""
    words = (
        "a",
        "password",
        "--",
        "://a:",
        "eyJ",
        "mysql -p",
        "-----BEGIN PRIVATE KEY-----",
        "token: ",
        "Basic ",
    )
    for word in words:
        EXPORTER.mask(word * (100_000 // len(word)), [])


def test_json_around_it_stays_json() -> None:
    """A JSON text in a field is JSON after the mask."""
    text = json.dumps({"a": {"token": S, "n": 1}, "b": ["x"]})

    assert json.loads(EXPORTER.mask(text, [])) == {"a": {"token": "***", "n": 1}, "b": ["x"]}
