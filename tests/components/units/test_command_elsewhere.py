"""A command on another host: a real OpenSSH server runs it, and what it started there ends with the try."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_defs.components.units.broken_unit import BROKEN
from tests.components.conftest import Project
from tests.support.estate import Estate
from tests.support.instances import instance_for_test
from tests.support.sshd import sshd
from tests.support.target_project import both_sides, failure, logged, states

DAY = ("2024-03-02", "2024-03-02")
NEVER = {"shadow": "never", "because": "it sends a mail"}
STRANGE = 'it\'s $HOME `id`\nand "more" \\n {{ ds }}'


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    root = tmp_path_factory.mktemp("command_elsewhere")
    settings = {"PARITY_PROXIED_STATE": str(root / "cut"), "FROM_DAGSTER": "here"}
    with instance_for_test() as instance, pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(root)
        yield Project(Estate(root, instance, more_settings=settings))


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with sshd(tmp_path_factory.mktemp("sshd") / "own") as given:
        yield given


def unit(host: dict[str, Any], command: str, **attributes: Any) -> tuple[str, dict[str, Any]]:
    return "CommandUnit", {
        "unit": "own.remote",
        "schedule": {"cron": "@daily", "start": "2024-03-01"},
        "command": command,
        "ssh": host,
        **attributes,
    }


def run(place: Project, host: dict[str, Any], command: str, **attributes: Any) -> dg.ExecuteInProcessResult:
    place.declare("own", unit(host, command, **NEVER, **attributes))
    place.load()
    return place.estate.run("own__remote", DAY, must_succeed=False)


def test_both_sides_run_the_same_command_there(place: Project, host: dict[str, Any]) -> None:
    """Each side has its own variables, and what both have written is compared."""
    write = 'mkdir -p "$OUT" && printf "id\\n7\\n" > "$OUT/orders_{{ ds }}.csv"'
    env = {side: {"OUT": str(place.estate.root / "data" / side)} for side in ("legacy", "candidate")}
    outputs = [{"key": "orders", "file": "orders_{{ ds }}.csv"}]
    place.declare("own", unit(host, write, env=env, outputs=outputs))

    found = both_sides(place.load, place.estate, "own__remote")

    assert found["shadow/orders"][0], found
    assert found["shadow/orders"][1].startswith("1 row equal")


def test_the_command_has_the_operators_environment_and_no_other(place: Project, host: dict[str, Any]) -> None:
    """Values arrive as they are, whatever a shell would make of them, in no list of processes and no file."""
    file = place.estate.root / "value"
    command = f'printf %s "$VALUE" > {file}; echo "[$FROM_DAGSTER]"; ps -eo args | grep -c "an[d] .more."'

    result = run(place, host, f"{command}; cat", command_env={"VALUE": STRANGE})

    assert result.success
    assert file.read_text() == STRANGE.replace("{{ ds }}", "2024-03-02")
    assert "[]\n0" in logged(place.estate, result)


@pytest.mark.parametrize(
    ("command", "more", "said"),
    [
        ("exit 3", {}, "own.remote ended with exit code 3"),
        ("exit 99", {}, "own.remote ended with exit code 99"),
        ("exit 255", {}, "ssh's own code for a connection that failed"),
        ("kill -9 $$", {}, "ended with exit code 137"),
    ],
)
def test_its_exit_code_is_the_runs(
    place: Project, host: dict[str, Any], command: str, more: dict[str, Any], said: str
) -> None:
    """By the operator's own default no code is a skip."""
    assert said in failure(run(place, host, command, **more))


def test_a_declared_code_skips_and_a_failure_is_tried_again(place: Project, host: dict[str, Any]) -> None:
    """`skip_on_exit_code` and `retries` are those of every command."""
    marker = place.estate.root / "tried"
    command = f"test -e {marker} && exit 99; touch {marker}; exit 1"

    result = run(place, host, command, skip_on_exit_code=[99], retries=1, retry_delay=0)

    assert states(result) == ["skipped"]


def test_a_time_out_ends_what_was_started_there(place: Project, host: dict[str, Any]) -> None:
    """The command is asked to end, with what it has started, and has ended before the run fails."""
    pids, said = place.estate.root / "pids", place.estate.root / "said"
    command = f"trap 'echo bye > {said}; exit 0' TERM; sleep 600 & echo $! $$ > {pids}.new; mv {pids}.new {pids}; wait"

    result = run(place, host, command, timeout=5)

    assert "TimedOut" in failure(result)
    assert said.read_text() == "bye\n"
    assert [pid for pid in pids.read_text().split() if is_alive(int(pid))] == []


@pytest.mark.parametrize("output", ["", ">/dev/null 2>&1"], ids=["open", "closed"])
def test_what_a_command_leaves_running_there_ends_with_it(
    place: Project, host: dict[str, Any], output: str
) -> None:
    """As on this machine, and the exit code is still the command's own."""
    pids = place.estate.root / "left"
    left = f"(trap '' TERM HUP; while :; do sleep 1; done) {output} &"

    result = run(place, host, f"{left} echo $! > {pids}; exit 99", skip_on_exit_code=[99], timeout=60)

    assert states(result) == ["skipped"]
    assert not is_alive(int(pids.read_text()))


def is_alive(pid: int) -> bool:
    """Also False for one that has ended and that nobody has asked about."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        status = Path(f"/proc/{pid}/stat")
        try:
            if status.read_text().rpartition(")")[2].split()[0] == "Z":
                return False
            os.kill(pid, 0)
        except OSError:
            return False
        time.sleep(0.05)
    return True


def test_a_host_that_is_not_known_fails_the_try(place: Project, host: dict[str, Any]) -> None:
    """ssh's own reason is in the log, and nothing has run."""
    file = place.estate.root / "ran"
    unknown = {**host, "options": {**host["options"], "UserKnownHostsFile": "/dev/null"}}

    result = run(place, unknown, f"touch {shlex.quote(str(file))}")

    assert "ended with exit code 255" in failure(result)
    assert "Host key verification failed" in logged(place.estate, result)
    assert not file.exists()


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"ssh": {"host": "-oProxyCommand=true"}}, "`ssh.host` is '-oProxyCommand=true'"),
        ({"cwd": "here"}, "`cwd` means nothing beside `ssh`"),
        ({"command_env": {"A B": "x"}}, "'A B' is no name of a variable"),
    ],
)
def test_what_no_shell_would_take_breaks_the_unit(
    place: Project, host: dict[str, Any], attributes: dict[str, Any], said: str
) -> None:
    """At the load, and not in a run at night."""
    place.declare("own", unit(host, "true", **{**NEVER, **attributes}))

    specs = place.load().resolve_all_asset_specs()

    [why] = [str(spec.metadata["why"]) for spec in specs if spec.key.path[0] == BROKEN]
    assert said in why, why
