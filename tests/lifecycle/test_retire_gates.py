"""The gates of a retirement: each is closed by its own fact, with what to do about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from dagster_defs.lifecycle import Owner, Stage, Unit
from dagster_defs.lifecycle.compared import Compared, WindowFact
from dagster_defs.lifecycle.conditions import condition
from dagster_defs.lifecycle.facets import Agreement, Facet, UnitFacets
from dagster_defs.lifecycle.facts import Facts, Live
from dagster_defs.lifecycle.gates import blockers, soaked_windows
from dagster_defs.lifecycle.histories import CutOver
from dagster_defs.lifecycle.ledger import Entry, Kind
from dagster_defs.lifecycle.not_read import NOT_READ
from dagster_defs.lifecycle.settings import FACETS, Gate, GateSettings
from dagster_defs.lifecycle.stages import Move
from dagster_defs.lifecycle.verdicts import Evidence, WindowCheck
from dagster_defs.lifecycle.written import Continuity, Extent, Span, UnwrittenSpan, WindowWrites, Wrote
from dagster_defs.parity import Check, Verdict

UNIT = Unit("taxi_daily", "dbt_daily")
NIGHT = datetime(2024, 3, 20, 22, tzinfo=timezone.utc)
LONG_BEFORE = NIGHT - timedelta(days=30)
USUAL = GateSettings()
DAYS = [f"2024-03-{day:02}" for day in range(10, 17)]
CUTOVER = Entry("c", LONG_BEFORE, "ada@ops", UNIT, Move.CUTOVER, Kind.DONE, Stage.SHADOWED)


def evidence(day: str, *, whole: bool = False) -> Evidence:
    check = Check("daily_metrics", Verdict.MATCH, reason="7 rows equal")
    at = datetime.fromisoformat(f"{day}T10:00:00+00:00")
    return Evidence(WindowCheck(UNIT, None if whole else day, check), day, at, at + timedelta(hours=25))


def wrote(day: str, run: str, owner: Owner = Owner.DAGSTER) -> Wrote:
    at = datetime.fromisoformat(f"{day}T12:00:00+00:00")
    return Wrote(owner, day, at, run, run, at - timedelta(minutes=1), at, frozenset({"daily_metrics"}))


def written(*windows: WindowWrites, **facts: object) -> Continuity:
    return Continuity(UNIT, Owner.DAGSTER, LONG_BEFORE, windows, **facts)  # type: ignore[arg-type]  # by name


WHOLE = [WindowWrites(day, Extent.WRITTEN, (wrote(day, day),)) for day in DAYS]
WELL = Live("", "", (), (), (), (), (), ())
SOAKED = Facts(
    UNIT,
    Stage.CUT_OVER,
    True,
    CutOver(UNIT, cutover=CUTOVER),
    UnitFacets(UNIT, tuple(Facet(name, Agreement.AGREES, "", "") for name in FACETS)),
    Compared(tuple(WindowFact(day, (evidence(day),)) for day in DAYS)),
    WELL,
    written(*WHOLE),
)
SPAN = Span(DAYS[1], DAYS[2], 2)


def closed(facts: Facts, settings: GateSettings = USUAL) -> list[tuple[Gate, str]]:
    return [(blocker.gate, str(blocker)) for blocker in blockers(Move.RETIRE, facts, settings, NIGHT)]


def test_a_unit_that_has_soaked_may_be_retired() -> None:
    """With every fact good no gate is closed; that the DAG can be retired is for a person to see."""
    assert closed(SOAKED) == []
    assert str(condition(SOAKED, USUAL, NIGHT)) == "ready"


@pytest.mark.parametrize(
    ("facts", "gate", "message"),
    [
        (
            replace(SOAKED, live=replace(WELL, unmirrored=("notify", "sweep"))),
            Gate.WHOLE_DAG,
            "notify, sweep of taxi_daily would no longer run: no mirror. Mirror them, or accept",
        ),
        (
            replace(SOAKED, other_schedules=(Unit("taxi_daily", "export"),)),
            Gate.WHOLE_DAG,
            "its schedule differs from that of taxi_daily.export in the same DAG. Write the schedule of taxi_daily",
        ),
        (
            replace(SOAKED, live=replace(WELL, waiting=("weekly.wait", "monthly.wait"))),
            Gate.WAITED_FOR,
            "weekly.wait, monthly.wait would wait for taxi_daily in Airflow, where it no longer runs. Let",
        ),
        (
            replace(SOAKED, continuity=NOT_READ),
            Gate.CONTINUITY,
            "it is not known who wrote its windows. Name Dagster's event log: DAGSTER_HOME",
        ),
        (
            replace(
                SOAKED,
                continuity=written(*WHOLE, lacks=(UnwrittenSpan(SPAN, Extent.GAP, "it failed", "Fill it"),)),
            ),
            Gate.CONTINUITY,
            "written by nobody: 2024-03-11 … 2024-03-12 (2) (it failed). Look: parity windows taxi_daily.dbt_daily",
        ),
        (
            replace(
                SOAKED,
                continuity=written(
                    *WHOLE[1:],
                    WindowWrites(DAYS[0], Extent.WRITTEN, (wrote(DAYS[0], "a", Owner.AIRFLOW), wrote(DAYS[0], "b"))),
                ),
            ),
            Gate.CONTINUITY,
            "both orchestrators wrote it: 2024-03-10. Look: parity windows",
        ),
        (replace(SOAKED, continuity=written()), Gate.CONTINUITY, "no window is known to be written. Look"),
        (
            replace(SOAKED, continuity=Continuity(UNIT, Owner.DAGSTER, problem="it has no schedule.")),
            Gate.CONTINUITY,
            "it has no schedule. Look: parity windows",
        ),
        (replace(SOAKED, compared=Compared()), Gate.SOAK, "0 of 7 windows since the cutover. Wait for more"),
        (replace(SOAKED, compared=NOT_READ), Gate.SOAK, "0 of 7 windows since the cutover"),
        (
            replace(SOAKED, history=CutOver(UNIT, cutover=replace(CUTOVER, at=NIGHT - timedelta(days=8)))),
            Gate.SOAK,
            "5 of 7 windows since the cutover",
        ),
        (replace(SOAKED, live=replace(WELL, airflow="Airflow is silent")), Gate.AIRFLOW, "Airflow is silent"),
        (replace(SOAKED, live=replace(WELL, dagster="no daemon")), Gate.DAGSTER, "no daemon"),
        (replace(SOAKED, facets=NOT_READ), Gate.FACETS, "no inventory to verify it against"),
    ],
    ids=[
        "unmirrored", "other-schedule", "waited-for", "no-log", "gap", "overlap", "unwritten", "no-line", "uncompared",
        "no-evidence", "too-few-windows", "airflow", "dagster", "no-inventory",
    ],
)  # fmt: skip
def test_each_gate_is_closed_by_its_own_fact(facts: Facts, gate: Gate, message: str) -> None:
    """One fact that is not good closes one gate, with why and what to do; a unit can do without the gate in its
    YAML."""
    [(closed_gates, why)] = closed(facts)

    assert closed_gates is gate
    assert why.startswith(message), why
    assert closed(facts, replace(USUAL, without=(gate,))) == []


def test_one_of_many_lacks_is_named() -> None:
    """Of several things against a unit's continuity the first is said, and how many more there are."""
    lacks = tuple(UnwrittenSpan(Span(day, day, 1), Extent.GAP, "", "Fill it") for day in DAYS[:3])

    [(_, why)] = closed(replace(SOAKED, continuity=written(*WHOLE, lacks=lacks)))

    assert why.startswith("written by nobody: 2024-03-10 (2 more). Look")


def test_a_unit_that_writes_nothing_is_continuous() -> None:
    """A unit of tests alone, or of views, has no windows that could be missing, and nothing to soak but the clock."""
    nothing = Continuity(UNIT, Owner.DAGSTER, LONG_BEFORE, nothing_to_write=True)

    assert closed(replace(SOAKED, continuity=nothing, compared=Compared(nothing_to_compare=True))) == []


def test_tables_without_windows_soak_with_one_comparison() -> None:
    """Of a table without a time column only the last comparison is kept: one after the cutover is enough, one from
    before it is none."""
    table = Compared(whole=(evidence(DAYS[-1], whole=True),))
    assert closed(replace(SOAKED, compared=table)) == []

    tonight = CutOver(UNIT, cutover=replace(CUTOVER, at=NIGHT - timedelta(hours=1)))
    assert soaked_windows(replace(SOAKED, compared=table, history=tonight), USUAL) == 0


def test_an_inconclusive_window_does_not_soak() -> None:
    """A window or table whose comparison since the cutover is inconclusive was not compared."""
    unknown = [inconclusive(evidence(day)) for day in DAYS[:2]]
    kept = [*unknown, *(evidence(day) for day in DAYS[2:])]
    windows = tuple(WindowFact(each.partition, (each,)) for each in kept)

    assert soaked_windows(replace(SOAKED, compared=Compared(windows)), USUAL) == len(DAYS) - 2
    table = Compared(whole=(inconclusive(evidence(DAYS[-1], whole=True)),))
    assert soaked_windows(replace(SOAKED, compared=table), USUAL) == 0


def inconclusive(one: Evidence) -> Evidence:
    check = replace(one.checked.check, verdict=Verdict.INCONCLUSIVE)
    return replace(one, checked=replace(one.checked, check=check))
