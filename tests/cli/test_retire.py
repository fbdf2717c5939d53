"""A whole DAG goes to Dagster's own schedule: what it needs, what it leaves behind, and the truth after a crash."""

from __future__ import annotations

import json
import signal
import threading
from datetime import datetime
from pathlib import Path

import pytest

from dagster_defs.lifecycle import Stage
from dagster_defs.lifecycle.ledger import Begin, Kind
from dagster_defs.lifecycle.stages import Move
from tests.support.estate import ROOT, mirrors_of
from tests.support.night import DAILY, EXPORT, FORCED, NEXT_WINDOW, ZONES, Night, wait_for

UNITS = (DAILY, ZONES, EXPORT)


@pytest.fixture
def soaked(night: Night) -> Night:
    """All units of the DAG were cut over long ago."""
    night.cut_over()
    return night


def stages(night: Night) -> dict[str, str]:
    return {unit: night.stage(unit)["stage"] for unit in UNITS}


def test_a_retirement_shows_its_plan(soaked: Night) -> None:
    """Without --apply it says step by step what will hold, what stands against it, and changes nothing."""
    done = soaked.parity("retire", "taxi_daily")

    assert done.returncode == 3, done.stderr
    assert "retire taxi_daily.dbt_zones: cut_over → retired" in done.stdout
    assert "Dagster has loaded the job of taxi_daily and starts it for each window" in done.stdout
    assert "Airflow has paused taxi_daily between two of its runs" in done.stdout
    assert "blocked (soak): 0 of 7 windows since the cutover. Wait for more of its runs" in done.stdout
    assert "blocked (continuity): it is not known who wrote its windows" in done.stdout
    assert "blocked (whole_dag)" not in done.stdout
    assert soaked.airflow.paused == set()
    assert soaked.entries() == []


def test_a_dag_is_retired(soaked: Night) -> None:
    """Airflow's DAG is paused, each unit's end says where Dagster's windows begin, and there is no way back; said
    again it is done already."""
    done = soaked.parity("retire", "taxi_daily", *FORCED, "--json")

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["schema"], told["applied"], told["runs"]) == ("parity/move/1", True, [])
    assert [(each["unit"], each["from"], each["to"]) for each in told["units"]] == [
        (unit, "cut_over", "retired") for unit in UNITS
    ]
    assert soaked.airflow.paused == {"taxi_daily"}
    assert soaked.dagster.reloads == ["parity"]
    ends = [entry for entry in soaked.entries() if entry.kind is Kind.DONE]
    assert [entry.windows for entry in ends] == [Begin(datetime.fromisoformat(NEXT_WINDOW))] * 3
    assert stages(soaked) == dict.fromkeys(UNITS, "retired")
    assert soaked.stage()["owner"] == "dagster"

    assert f"{ZONES}: already retired" in soaked.parity("retire", "taxi_daily", "--apply").stdout
    back = soaked.parity("rollback", ZONES, "--apply")
    assert (back.returncode, "cannot roll back" in back.stderr) == (2, True)


def test_airflow_is_paused_before_a_unit_ends(soaked: Night) -> None:
    """No unit's end is in the ledger before the DAG rests: else two would start the same window."""
    paused: list[bool] = []

    def note(method: str, path: str) -> None:
        if any(entry.kind is Kind.DONE for entry in soaked.entries()):
            paused.append("taxi_daily" in soaked.airflow.paused)

    soaked.airflow.before = note
    assert soaked.parity("retire", "taxi_daily", *FORCED).returncode == 0
    assert paused
    assert all(paused)


def test_a_part_of_a_dag_is_refused(soaked: Night) -> None:
    """Airflow pauses whole DAGs, so one unit alone is a wrong request, with what would be left and what to say."""
    refused = soaked.parity("retire", ZONES, "--apply")

    assert refused.returncode == 2
    assert (
        f"cannot retire only a part of taxi_daily: Airflow would no longer run {DAILY}, {EXPORT}"
        in refused.stderr
    )
    assert "parity retire taxi_daily" in refused.stderr
    assert soaked.airflow.paused == set()


def test_a_dag_that_is_not_cut_over_is_refused(night: Night) -> None:
    """There is no way from shadowed to retired."""
    refused = night.parity("retire", "taxi_daily", "--apply")

    assert refused.returncode == 2
    assert "it is shadowed. Possible moves: cutover" in refused.stderr


def test_a_task_that_nothing_mirrors_blocks(soaked: Night) -> None:
    """A task that would run no more closes the gate by its name, one that does nothing does not; somebody may force
    it, and the ledger keeps that."""
    soaked.airflow.dag_tasks["taxi_daily"] |= {"notify": "BashOperator", "begin": "EmptyOperator"}

    refused = soaked.parity("retire", "taxi_daily", "--apply")
    assert refused.returncode == 3
    assert "notify of taxi_daily would no longer run: no mirror" in refused.stderr
    assert "gates: {without: [whole_dag]}" in refused.stderr
    assert "begin" not in refused.stdout

    assert soaked.parity("retire", "taxi_daily", *FORCED).returncode == 0
    assert all("whole_dag" in entry.forced for entry in soaked.entries() if entry.kind is Kind.INTENDED)


def test_yaml_may_say_that_a_task_is_not_missed(
    soaked: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Units whose gates are without `whole_dag` do not ask what else is in their DAG."""
    defs = tmp_path / "defs" / "taxi_daily"
    defs.mkdir(parents=True)
    text = (ROOT / "dagster_defs" / "defs" / "taxi_daily" / "defs.yaml").read_text()
    (defs / "defs.yaml").write_text(text.replace("  gates:\n", "  gates:\n    without: [whole_dag]\n"))
    mirrors = mirrors_of(tmp_path / "defs", ROOT)
    monkeypatch.setattr("dagster_defs.usecases.move.facts.load_mirrors", lambda _root: mirrors)
    soaked.airflow.dag_tasks["taxi_daily"] |= {"notify": "BashOperator"}

    shown = soaked.parity("retire", "taxi_daily").stdout

    assert "blocked (soak)" in shown
    assert "whole_dag" not in shown


def test_a_hold_stops_a_retirement(soaked: Night) -> None:
    """One held unit is enough to retire none of the DAG."""
    soaked.parity("hold", EXPORT, "--apply", "--reason", "the month end")

    refused = soaked.parity("retire", "taxi_daily", "--apply")

    assert refused.returncode == 3
    assert f"{EXPORT}: held by ada@ops: the month end" in refused.stderr
    assert soaked.airflow.paused == set()


def test_killed_between_the_ends_of_two_units(soaked: Night) -> None:
    """After kill -9 with one unit retired and two on their way: status says so, none can go back, and `resume` ends
    it with the same first window for all."""
    go_on = threading.Event()

    def hold_up(method: str, path: str) -> None:
        if any(entry.kind is Kind.DONE for entry in soaked.entries()):
            go_on.wait(120)

    soaked.airflow.before = hold_up
    victim = soaked.begin("retire", "taxi_daily", *FORCED)
    try:
        wait_for(lambda: any(entry.kind is Kind.DONE for entry in soaked.entries()), 240)
        victim.send_signal(signal.SIGKILL)
        victim.communicate(timeout=300)
    finally:
        victim.kill()
        go_on.set()
        soaked.airflow.before = lambda method, path: None

    assert stages(soaked) == {DAILY: "retired", ZONES: "cut_over", EXPORT: "cut_over"}
    assert "half-done: retire, begun by ada@ops" in soaked.parity("status").stdout
    back = soaked.parity("rollback", ZONES, "--apply")
    assert back.returncode == 1
    assert f"{DAILY} of the same DAG is retired already" in back.stderr
    assert f"parity resume {ZONES} --apply" in back.stderr
    assert soaked.airflow.paused == {"taxi_daily"}

    resumed = soaked.parity("resume", "--apply")
    assert resumed.returncode == 0, resumed.stderr
    assert stages(soaked) == dict.fromkeys(UNITS, "retired")
    ends = [entry for entry in soaked.entries() if (entry.move, entry.kind) == (Move.RETIRE, Kind.DONE)]
    assert {entry.windows for entry in ends} == {Begin(datetime.fromisoformat(NEXT_WINDOW))}


def test_begun_and_rolled_back(soaked: Night) -> None:
    """A retirement that was killed before any unit's end is undone: the DAG runs in Airflow again, cut over."""
    go_on = threading.Event()

    def hold_up(method: str, path: str) -> None:
        if "taxi_daily" in soaked.airflow.paused:
            go_on.wait(120)

    soaked.airflow.before = hold_up
    victim = soaked.begin("retire", "taxi_daily", *FORCED)
    try:
        wait_for(lambda: "taxi_daily" in soaked.airflow.paused, 240)
        victim.send_signal(signal.SIGKILL)
        victim.communicate(timeout=300)
    finally:
        victim.kill()
        go_on.set()
        soaked.airflow.before = lambda method, path: None

    undone = soaked.parity("rollback", "taxi_daily", "--apply")

    assert undone.returncode == 0, undone.stderr
    assert stages(soaked) == dict.fromkeys(UNITS, Stage.CUT_OVER.value)
    assert soaked.airflow.paused == set()
    assert all(soaked.marked(unit) for unit in UNITS)


@pytest.mark.parametrize(("status", "code"), [("SUCCESS", 0), ("FAILURE", 1)])
def test_the_first_run_in_dagster_is_waited_for(soaked: Night, status: str, code: int) -> None:
    """With --wait the command follows the DAG's first run in Dagster to its end, and fails with it."""
    soaked.dagster.list_run("abcdef", status, 9, parity_dag="taxi_daily")
    soaked.dagster.listed[-1]["startTime"] = 4e9

    done = soaked.parity("retire", "taxi_daily", *FORCED, "--wait", "--json")

    assert done.returncode == code, done.stderr
    assert json.loads(done.stdout)["runs"] == [
        {"unit": unit, "run": "abcdef", "state": status.lower()} for unit in UNITS
    ]
