"""The same in Airflow's process: what Dagster's address may answer to a proxy."""

from __future__ import annotations

import json
import subprocess
from contextlib import ExitStack

import pytest

from tests.security.test_hostile_answers import (
    GRAPHQL,
    OK,
    drip_body,
    drip_head,
    endless,
    raw_server,
    saying,
    whole,
)
from tests.support.estate import AIRFLOW_PYTHON, ROOT, foreign_environment

ASK = """
import json, sys, time
from handover import client
from handover.place import Place
client.MOST_BYTES = 1 << 20
found = {}
for name, url in json.load(sys.stdin).items():
    asked = client.Client(Place(url, timeout=0.2))
    asked._longest = lambda limit: 1.0
    began = time.monotonic()
    try:
        asked.ask_once("{ version }")
        said = ["", False]
    except client.NoAnswer as error:
        said = [str(error), error.passing]
    found[name] = [*said, time.monotonic() - began]
print(json.dumps(found))
"""
DRIPS = {"drip_body": drip_body, "drip_head": drip_head}
SECRET = b"HTTP/1.1 302 Found\r\nLocation: http://u:hunter2@sso.example/login?token=s3cr3t\r\n"


@pytest.mark.airflow
def test_a_proxy_is_told_in_one_line_and_in_time() -> None:
    """Each wrong answer is one NoAnswer, bounded in length and time; only what drips or is silent may pass."""
    answers = {name: saying(whole(body)) for name, body in GRAPHQL.items()} | DRIPS
    answers |= {
        "endless": endless,
        "redirect": saying(whole(b"", SECRET)),
        "no UTF-8": saying(whole(b"\xff\xfe")),
    }
    answers["bad gzip"] = saying(whole(b"xxxx", OK + b"Content-Encoding: gzip\r\n"))
    with ExitStack() as stack:
        urls = {name: stack.enter_context(raw_server(answer)) for name, answer in answers.items()}
        done = subprocess.run(
            [str(AIRFLOW_PYTHON), "-c", ASK],
            input=json.dumps(urls),
            env={**foreign_environment(), "PYTHONPATH": str(ROOT / "legacy_dags")},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout.splitlines()[-1])

    assert document.keys() == answers.keys()
    for name, (said, passing, seconds) in document.items():
        assert said, name
        assert len(said) < 1500, name
        assert "hunter2" not in said
        assert "s3cr3t" not in said
        assert seconds < 10, name
        assert passing == (name in DRIPS or name == "bad gzip"), (name, said)
