"""The command as a person or a script meets it: help, exit codes, stdout and stderr."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from dagster_defs.adapters.store.proxied_state import write_mark
from dagster_defs.lifecycle import Unit
from tests.support.estate import Estate, copy_project


@pytest.fixture
def own_estate(estate: Estate, tmp_path: Path) -> Estate:
    """A copy of the project that a test may spoil."""
    return Estate(copy_project(tmp_path / "own"), estate.instance)


def test_help_is_grouped_by_intent(estate: Estate) -> None:
    """Help shows what only looks before what runs things, and the exit codes."""
    done = estate.parity("--help")

    assert done.returncode == 0
    looks, runs = done.stdout.index("Only looks"), done.stdout.index("Runs things")
    assert looks < done.stdout.index(" status ") < done.stdout.index(" check ") < runs
    assert runs < done.stdout.index(" demo ")
    assert "Exit codes: 0 done, 1 error, 2 usage, 3 gate closed or mismatch." in " ".join(done.stdout.split())


@pytest.mark.parametrize("command", ["status", "check", "demo"])
def test_every_command_has_help(estate: Estate, command: str) -> None:
    """Each command explains itself under -h, without doing anything."""
    done = estate.parity(command, "-h")

    assert done.returncode == 0
    assert f"parity {command}" in done.stdout


def test_status_as_json(estate: Estate) -> None:
    """`parity status --json` is one document of the documented shape; nothing else is on stdout or stderr."""
    done = estate.parity("status", "--json")

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "schema": "parity/status/1",
        "of": len(estate.units),
        "units": [
            {
                "unit": unit,
                "stage": "observed",
                "owner": "airflow",
                "condition": "ready",
                "why": "",
                "until": None,
                "owners": ["team:data-platform"],
            }
            for unit in estate.units
        ],
        "next": f"parity shadow {estate.units[0]}",
        "forced": [],
        "broken": [],
        "drifted": [],
        "marks_without_unit": [],
        "not_in_airflow": [],
        "late_echoes": [],
        "evidence_problem": "",
        "ledger_cut_off": "",
        "problems": [],
    }


def test_status_as_a_table(estate: Estate) -> None:
    """The table has a line for each unit, no colour where no terminal is, and the count above it."""
    done = estate.parity("status")

    assert done.returncode == 0
    lines = done.stdout.splitlines()
    count = len(estate.units)
    assert lines[0] == f"{count} units: {count} observed"
    table = lines[3 : 3 + count]
    assert [line.split() for line in table] == [
        [unit, "observed", "airflow", "ready"] for unit in estate.units
    ]
    assert lines[-1] == f"Next: parity shadow {estate.units[0]}"
    assert "\x1b" not in done.stdout


def test_a_mark_makes_dagster_the_owner(own_estate: Estate) -> None:
    """A unit that is marked as proxied is cut over and owned by Dagster; a mark without a mirror is a warning."""
    marks = Path(own_estate.settings["PARITY_PROXIED_STATE"])
    write_mark(marks, Unit("taxi_daily", "dbt_daily"), proxied=True)
    write_mark(marks, Unit("other", "task"), proxied=True)

    document = json.loads(own_estate.parity("status", "--json").stdout)
    shown = own_estate.parity("status")

    [daily] = [each for each in document["units"] if each["unit"] == "taxi_daily.dbt_daily"]
    assert (daily["stage"], daily["owner"]) == ("cut_over", "dagster")
    assert daily["why"] == "no inventory to verify it against (2 more)"
    assert document["marks_without_unit"] == ["other.task"]
    count = len(own_estate.units)
    assert f"{count} units: 1 cut over, {count - 1} observed" in shown.stdout
    assert "warning: other.task is marked as proxied but has no mirror" in shown.stderr
    assert "warning" not in shown.stdout


def test_a_bad_mark_is_one_message(own_estate: Estate) -> None:
    """A file of marks that cannot be read is one error line on stderr that names it; the exit code is 1."""
    marks = Path(own_estate.settings["PARITY_PROXIED_STATE"])
    marks.mkdir()
    (marks / "taxi_daily.yaml").write_text("tasks: nonsense")

    done = own_estate.parity("status")

    assert done.returncode == 1
    assert done.stdout.startswith(f"{len(own_estate.units)} units: {len(own_estate.units)} observed")
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert "taxi_daily: taxi_daily.yaml: `tasks` is not a list" in line
    assert "Traceback" not in done.stderr
    assert json.loads(own_estate.parity("status", "--json").stdout)["problems"] == [
        {"about": "taxi_daily", "why": "taxi_daily.yaml: `tasks` is not a list"}
    ]


def test_a_file_of_a_dag_that_is_not_ours_is_left_alone(own_estate: Estate) -> None:
    """What is wrong with the marks of a DAG that nothing mirrors is no problem of this project."""
    marks = Path(own_estate.settings["PARITY_PROXIED_STATE"])
    marks.mkdir()
    (marks / "elsewhere.yaml").write_bytes(b"\xff\xfe")

    assert own_estate.parity("status").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check"], "no window was named"),
        (
            ["check", "--from", "2024-03-09", "taxi_daily.nothing"],
            "no mirror for unit 'taxi_daily.nothing'",
        ),
        (["check", "--from", "yesterday"], "'yesterday' is not a partition"),
        (["check", "--from", "2024-03-10", "--to", "2024-03-09", "taxi_daily.dbt_daily"], "2024-03-09"),
        (["check", "--since", "2024-03-10"], "--since"),
        (["frobnicate"], "frobnicate"),
    ],
    ids=["no-window", "no-unit", "no-day", "reversed", "no-option", "no-command"],
)
def test_a_wrong_request_exits_2(built_estate: Estate, arguments: list[str], message: str) -> None:
    """What cannot be done as asked exits 2 with a message on stderr that names it, and nothing on stdout."""
    done = built_estate.parity(*arguments)

    assert done.returncode == 2, done.stdout + done.stderr
    assert message in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_exits_2(own_estate: Estate) -> None:
    """The demo refuses a port that is taken before it starts Airflow, names it, and leaves nothing running."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        done = own_estate.parity("demo", "--exit", AIRFLOW_PORT=port)

    assert done.returncode == 2, done.stderr
    assert f"port {port} for Airflow cannot be used" in done.stderr
    assert not list(own_estate.root.glob(".demo/run/logs/*"))
    assert not (own_estate.root / ".demo" / "postgres" / "postmaster.pid").exists()


@pytest.mark.parametrize(
    ("wrong", "right", "unit", "message"),
    [
        ('cron: "0 6 * * *"', 'cron: "61 6 * * *"', "taxi_daily.dbt_zones", "schedule '61 6 * * *'"),
        ("America/New_York", "America/Gotham", "taxi_daily.dbt_zones", "America/Gotham"),
        ("{{ data_interval_end | ds }}", "{{ dag_run.conf.day }}", "taxi_daily.dbt_daily", "`vars`: "),
    ],
    ids=["schedule", "zone", "template"],
)
def test_bad_yaml_is_one_message(own_estate: Estate, wrong: str, right: str, unit: str, message: str) -> None:
    """YAML that declares what cannot be is one message about its unit, and the exit code is 2."""
    path = own_estate.root / "dagster_defs" / "defs" / "taxi_daily" / "defs.yaml"
    path.write_text(path.read_text().replace(wrong, right, 1))

    done = own_estate.parity("check", unit, "--from", "2024-03-09")

    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert f"unit {unit}: " in done.stderr
    assert message in done.stderr
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_yaml_that_is_no_yaml_is_one_message(own_estate: Estate) -> None:
    """A file below defs/ that cannot be read is one message that names it; the exit code is 1."""
    path = own_estate.root / "dagster_defs" / "defs" / "taxi_daily" / "defs.yaml"
    path.write_text("type: [")

    done = own_estate.parity("status")

    assert done.returncode == 1, done.stdout
    assert done.stderr.startswith("error: cannot load the mirrors")
    assert "taxi_daily/defs.yaml" in done.stderr
    assert "Traceback" not in done.stderr
