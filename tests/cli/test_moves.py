"""The moves as a person makes them: plan first, nothing without --apply, and the truth after a crash."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from dagster_defs.adapters.store.ledger import Ledger
from dagster_defs.adapters.store.proxied_state import write_mark
from dagster_defs.errors import MirrorsUnreadable
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.mirrors import Mirror
from tests.support.estate import ROOT
from tests.support.night import DAILY, FORCED, ZONES, Night, wait_for


def test_without_apply_nothing_happens(night: Night) -> None:
    """A move shows its plan, step by step, and what stands against it, exits 3 for a closed gate, and changes
    nothing."""
    done = night.parity("cutover", ZONES)

    assert done.returncode == 3
    assert "cutover taxi_daily.dbt_zones: shadowed → cut_over" in done.stdout
    assert "4. taxi_daily.yaml marks dbt_zones as proxied" in done.stdout
    assert "blocked (rehearsed): its rollback has never been rehearsed" in done.stdout
    assert "Nothing was done. To do it, add --apply" in done.stderr
    assert not list(night.folder.glob("*.yaml"))
    assert night.entries() == []


def test_a_unit_goes_over_and_back(night: Night) -> None:
    """Cut over, said again, rolled back, said again: each ends with the stage and the mark that it says."""
    over = night.parity("cutover", ZONES, *FORCED)
    assert over.returncode == 0, over.stderr
    assert "taxi_daily.dbt_zones is cut_over. To undo it: parity rollback taxi_daily.dbt_zones" in over.stdout
    assert night.marked()
    state = night.stage()
    assert (state["stage"], state["owner"], state["condition"]) == ("cut_over", "dagster", "soaking")

    again = night.parity("cutover", ZONES, "--apply")
    assert (again.returncode, again.stdout) == (0, "taxi_daily.dbt_zones: already cut_over\n")

    back = night.parity("rollback", ZONES, "--apply")
    assert back.returncode == 0, back.stderr
    assert not night.marked()
    state = night.stage()
    assert (state["stage"], state["owner"]) == ("shadowed", "airflow")
    assert night.parity("rollback", ZONES, "--apply").stdout == "taxi_daily.dbt_zones: already shadowed\n"
    kinds = [(entry.move.value, entry.kind.value) for entry in night.entries()]
    assert kinds == [(move, kind) for move in ("cutover", "rollback") for kind in ("intended", "done")]


def test_a_closed_gate_exits_3(night: Night) -> None:
    """A unit whose gates are closed stays where it is; each blocker has its reason and its remedy, and one of
    several units is enough to move none."""
    done = night.parity("cutover", "taxi_daily.dbt_*", "--apply")

    assert done.returncode == 3, done.stderr
    assert "cannot cut over taxi_daily.dbt_daily, taxi_daily.dbt_zones:" in done.stderr
    assert "dbt_zones: no inventory to verify it against. Export one" in done.stderr
    assert "blocked (windows): no evidence is available" in done.stdout
    assert not night.marked(ZONES)
    assert night.entries() == []


def test_force_needs_a_reason_and_is_never_forgotten(night: Night) -> None:
    """A forced move says why; status shows it, also after the unit was rolled back."""
    refused = night.parity("cutover", DAILY, "--apply", "--force")
    assert refused.returncode == 2
    assert "--force needs a reason" in refused.stderr

    forced = night.parity("cutover", DAILY, "--apply", "--force", "--reason", "the month end cannot wait")
    assert forced.returncode == 0, forced.stderr
    night.parity("rollback", DAILY, "--apply")

    status = night.parity("status")
    assert "warning: ada@ops forced cutover of taxi_daily.dbt_daily on" in status.stderr
    assert "against facets, windows, rehearsed, runtime: the month end cannot wait" in status.stderr
    [entry] = json.loads(night.parity("status", "--json").stdout)["forced"]
    assert entry["forced"] == ["facets", "windows", "rehearsed", "runtime"]


def test_a_hold_stops_the_way_in_only(night: Night) -> None:
    """A unit that is held is not cut over, tells who holds it and why, and can be rolled back; released it goes."""
    assert night.parity("hold", ZONES, "--apply").returncode == 2
    night.parity("cutover", ZONES, *FORCED)
    assert night.parity("hold", ZONES, "--apply", "--reason", "an audit").returncode == 0
    assert night.stage()["why"] == "an audit (ada@ops)"
    assert night.parity("rollback", ZONES, "--apply").returncode == 0

    refused = night.parity("cutover", ZONES, "--apply")
    assert refused.returncode == 3
    assert "held by ada@ops: an audit. Release it: parity release taxi_daily.dbt_zones" in refused.stderr
    assert night.parity("release", ZONES, "--apply").returncode == 0
    assert "held by" not in night.parity("cutover", ZONES).stdout


def test_killed_in_the_middle(night: Night) -> None:
    """After kill -9 status shows the half-done move and the next command; a second cutover is refused with who and
    what, and `resume` finishes."""
    night.lags = True
    victim = night.begin("cutover", ZONES, *FORCED)
    wait_for(night.marked)
    other = night.parity("cutover", ZONES, "--apply", operator="bob@ops")
    victim.send_signal(signal.SIGKILL)
    victim.communicate(timeout=300)

    assert other.returncode == 1
    assert "taxi_daily.dbt_zones is in the middle of cutover, begun by ada@ops at 20" in other.stderr
    status = night.parity("status")
    assert "half-done: cutover, begun by ada@ops" in status.stdout
    assert "Next: parity resume taxi_daily.dbt_zones" in status.stdout
    assert night.stage()["owner"] == "dagster"

    night.lags = False
    resumed = night.parity("resume", "--apply")
    assert resumed.returncode == 0, resumed.stderr
    assert night.stage()["stage"] == "cut_over"
    assert night.parity("resume").stdout == "nothing is half-done\n"


def test_a_move_under_way_is_left_alone(night: Night) -> None:
    """While a command is at it, `resume` and `rollback` of the unit are refused with who and what."""
    night.lags = True
    mover = night.begin("cutover", ZONES, *FORCED)
    try:
        wait_for(night.marked)
        for command in ("resume", "rollback"):
            refused = night.parity(command, ZONES, "--apply", operator="bob@ops")
            assert refused.returncode == 1
            assert "begun by ada@ops" in refused.stderr
            assert "still running" in refused.stderr
        night.lags = False
        out, err = mover.communicate(timeout=300)
    finally:
        mover.kill()
    assert mover.returncode == 0, err
    assert "is cut_over" in out


def test_killed_and_rolled_back(night: Night) -> None:
    """A half-done cutover is undone by `rollback`: the unit is where it was, in the ledger and for Airflow."""
    night.lags = True
    victim = night.begin("cutover", ZONES, *FORCED)
    wait_for(night.marked)
    victim.send_signal(signal.SIGKILL)
    victim.communicate(timeout=300)
    night.lags = False

    undone = night.parity("rollback", ZONES, "--apply")

    assert undone.returncode == 0, undone.stderr
    assert not night.marked()
    state = night.stage()
    assert (state["stage"], state["owner"]) == ("shadowed", "airflow")


def test_a_mark_that_has_drifted_is_shown_and_put_right(night: Night) -> None:
    """A mark that somebody has changed by hand is a warning, closes the gates, and is put back by `resume`."""
    night.parity("cutover", ZONES, *FORCED)
    write_mark(night.folder, Unit.parse(ZONES), proxied=False)

    status = night.parity("status")
    assert f"warning: {ZONES}: the mark in proxied_state/ contradicts the ledger" in status.stderr
    assert night.stage()["owner"] == "airflow"
    assert (
        f"already cut_over, but its mark is not: parity resume {ZONES}"
        in night.parity("cutover", ZONES).stdout
    )
    assert night.parity("resume", ZONES, "--apply").returncode == 0
    assert night.marked()
    assert night.stage()["owner"] == "dagster"


def test_a_rehearsal_is_noted(night: Night) -> None:
    """That a rollback was rehearsed elsewhere is an entry with its reason, and opens that gate."""
    assert night.parity("rollback", DAILY, "--rehearsed", "--apply").returncode == 2
    noted = night.parity("rollback", DAILY, "--rehearsed", "--reason", "staging, 9 March", "--apply")

    assert noted.returncode == 0, noted.stderr
    [entry] = night.entries()
    assert (entry.kind, entry.reason) == ("rehearsed", "staging, 9 March")
    assert "never rehearsed" not in night.parity("cutover", DAILY).stdout


def test_the_way_back_needs_no_mirror(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit is rolled back although the YAML of the mirrors cannot be loaded."""
    night.parity("cutover", ZONES, *FORCED)

    def broken(_root: Path) -> list[Mirror]:
        raise MirrorsUnreadable(ROOT, "type: [")

    monkeypatch.setattr("dagster_defs.usecases.move.facts.load_mirrors", broken)
    assert night.parity("cutover", ZONES).returncode == 1
    done = night.parity("rollback", ZONES, "--apply")

    assert done.returncode == 0, done.stderr
    assert not night.marked()


def test_a_torn_ledger_is_shown(night: Night) -> None:
    """A last line that was cut off is a warning of status, and counts for nothing."""
    night.parity("cutover", ZONES, *FORCED)
    with Ledger(night.folder).path.open("a") as file:
        file.write('{"schema": "parity/led')

    status = night.parity("status")

    assert status.returncode == 0, status.stderr
    assert "the ledger's last line is truncated" in status.stderr
    assert night.stage()["stage"] == "cut_over"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("cutover", "taxi_nightly.*"), 2, "no mirror for unit 'taxi_nightly.*'"),
        (("cutover",), 2, "Missing argument"),
        (("rollback", ZONES, "--force"), 2, "--force"),
        (("shadow", ZONES, "--apply"), 0, ""),
    ],
    ids=["no-unit", "no-name", "no-force", "already"],
)
def test_a_wrong_request(night: Night, arguments: tuple[str, ...], code: int, message: str) -> None:
    """What cannot be asked exits 2 with a message, and what is done already exits 0."""
    done = night.parity(*arguments)

    assert done.returncode == code, done.stdout + done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
