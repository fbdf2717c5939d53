"""Gates: each is closed by its own fact, says why, and what to do; and the condition that follows from them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from dagster_defs.inventory.unsaid import NOBODY_HAS_SAID
from dagster_defs.lifecycle import Owner, Stage, Unit
from dagster_defs.lifecycle.compared import Compared, WindowFact, lined_up, newest_partitions
from dagster_defs.lifecycle.conditions import condition
from dagster_defs.lifecycle.facets import Agreement, Facet, UnitFacets
from dagster_defs.lifecycle.facts import Facts, Live
from dagster_defs.lifecycle.gates import ASK_SERVERS, GATES, accepted_reason, blockers
from dagster_defs.lifecycle.histories import CutOver, Shadowed, Unmoved
from dagster_defs.lifecycle.ledger import Entry, Kind, OpenMove
from dagster_defs.lifecycle.not_read import NOT_READ
from dagster_defs.lifecycle.report import reported_windows
from dagster_defs.lifecycle.settings import FACETS, Gate, GateSettings
from dagster_defs.lifecycle.stages import Move
from dagster_defs.lifecycle.verdicts import TESTS_DIFFER, Evidence, WindowCheck
from dagster_defs.lifecycle.written import Continuity
from dagster_defs.parity import Check, Tolerance, ToleranceKind, Verdict
from tests.support.histories import history_at

UNIT = Unit("taxi_daily", "dbt_daily")
NIGHT = datetime(2024, 3, 20, 22, tzinfo=timezone.utc)
USUAL = GateSettings()
DAYS = [f"2024-03-{day:02}" for day in range(10, 17)]
REHEARSED = Entry("r", NIGHT, "ada@ops", UNIT, Move.ROLLBACK, Kind.REHEARSED, Stage.SHADOWED, "staging")
CUTOVER = Entry("c", NIGHT, "ada@ops", UNIT, Move.CUTOVER, Kind.DONE, Stage.SHADOWED)
LEDGER = Unmoved(UNIT, (REHEARSED,))
IN_SHADOW = Shadowed(UNIT, (REHEARSED,))
IN_SOAK = CutOver(UNIT, (REHEARSED,))


def evidence(day: str | None, name: str = "daily_metrics", **check: object) -> Evidence:
    found = Check(name, **{"verdict": Verdict.MATCH, "reason": "7 rows equal", **check})  # type: ignore[arg-type]  # by name
    start = datetime.fromisoformat(f"{day or '2024-03-16'}T10:00:00+00:00")
    return Evidence(WindowCheck(UNIT, day, found), day or "2024-03-16", start, start + timedelta(hours=25))


def facets(**agrees: Agreement) -> UnitFacets:
    return UnitFacets(UNIT, tuple(Facet(name, agrees.get(name, Agreement.AGREES), "", "") for name in FACETS))


def lined(*kept: Evidence) -> Compared:
    return lined_up(kept, DAYS)


GOOD = [evidence(day) for day in DAYS]
WELL = Live("", "", (), (), (10.0,), (20.0,), (), ())
READY = Facts(
    UNIT,
    Stage.SHADOWED,
    False,
    LEDGER,
    facets(),
    lined(*GOOD),
    WELL,
    Continuity(UNIT, Owner.DAGSTER, NIGHT, nothing_to_write=True),
)


def closed(facts: Facts, settings: GateSettings = USUAL, move: Move = Move.CUTOVER) -> list[tuple[Gate, str]]:
    return [(blocker.gate, blocker.why) for blocker in blockers(move, facts, settings, NIGHT)]


def compared(*kept: Evidence) -> Facts:
    return replace(READY, compared=lined(*kept))


def live(**facts: object) -> Facts:
    return replace(READY, live=replace(WELL, **facts))  # type: ignore[arg-type]  # by name


def test_a_unit_with_everything_in_order_may_be_cut_over() -> None:
    """With all facts good no gate is closed, and the condition is ready."""
    assert closed(READY) == []
    assert str(condition(READY, USUAL, NIGHT)) == "ready"
    assert condition(READY, USUAL, NIGHT).next == "parity cutover taxi_daily.dbt_daily"


def test_an_unknown_dbt_closes_no_gate() -> None:
    """No inventory says which dbt Airflow runs; but a difference that is known has to be accepted."""

    def runtime(compared: int) -> Facts:
        facet = Facet("runtime", Agreement.UNDETERMINED, "", "", compared=compared)
        return replace(READY, facets=UnitFacets(UNIT, (facet,)))

    assert closed(runtime(0)) == []
    [(gate, why)] = closed(runtime(1))
    assert (gate, why) == (Gate.FACETS, "undetermined: runtime")


@pytest.mark.parametrize(
    ("facts", "gate", "why"),
    [
        (replace(READY, facets=NOT_READ), Gate.FACETS, "no inventory to verify it against"),
        (
            replace(READY, facets=facets(windows=Agreement.DIFFERS, pool=Agreement.DIFFERS)),
            Gate.FACETS,
            "the mirror differs from Airflow's task in windows, pool",
        ),
        (
            replace(READY, facets=facets(ordering=Agreement.UNDETERMINED)),
            Gate.FACETS,
            "undetermined: ordering",
        ),
        (replace(READY, compared=NOT_READ), Gate.WINDOWS, "no evidence is available"),
        (compared(), Gate.WINDOWS, "7 of 7 windows not compared"),
        (compared(*GOOD[1:]), Gate.WINDOWS, "1 of 7 windows not compared"),
        (replace(READY, compared=Compared()), Gate.WINDOWS, "no output was compared"),
        (replace(READY, compared=lined_up(GOOD[:3], DAYS[:3])), Gate.WINDOWS, "3 of 7 windows are compared"),
        (
            replace(READY, compared=lined_up(GOOD, DAYS, ["daily_metrics", "orders.v1", "orders.v2"])),
            Gate.WINDOWS,
            "never compared: orders.v1, orders.v2",
        ),
        (
            compared(
                *GOOD[:5],
                *(
                    evidence(day, verdict=Verdict.MISMATCH, differing_columns=("total_amount",))
                    for day in DAYS[5:]
                ),
            ),
            Gate.WINDOWS,
            "2 of 7 windows mismatch (column total_amount)",
        ),
        (
            compared(*GOOD[1:], evidence(DAYS[0], verdict=Verdict.INCONCLUSIVE)),
            Gate.WINDOWS,
            "1 of 7 windows inconclusive",
        ),
        (
            compared(*GOOD, evidence(None, "zones", verdict=Verdict.MISMATCH, reason="1 row only in legacy")),
            Gate.WINDOWS,
            "zones is mismatch: 1 row only in legacy",
        ),
        (
            compared(*GOOD[1:], evidence(DAYS[0], reason=f"{TESTS_DIFFER} not_null", verdict=Verdict.MATCH)),
            Gate.TESTS,
            "dbt tests give different results in legacy and in the candidate",
        ),
        (
            compared(
                *GOOD[1:], evidence(DAYS[0], expired_tolerances=(Tolerance("fare", ToleranceKind.IGNORED),))
            ),
            Gate.TOLERANCES,
            "the tolerance of fare has expired",
        ),
        (replace(READY, history=Unmoved(UNIT)), Gate.REHEARSED, "its rollback has never been rehearsed"),
        (live(airflow="Airflow is silent"), Gate.AIRFLOW, "Airflow is silent"),
        (live(dagster="no daemon"), Gate.DAGSTER, "no daemon"),
        (live(airflow_runs=("a",), dagster_runs=("b",)), Gate.LIVE_RUN, "still running: a, b"),
        (
            live(candidate_seconds=(70.0, 90.0, 80.0)),
            Gate.RUNTIME,
            "a candidate run takes 80 s and legacy's 10 s; the limit is 75 s",
        ),
        (live(legacy_seconds=()), Gate.RUNTIME, "Airflow's runs have no times to compare"),
        (
            replace(READY, marked=True, history=IN_SHADOW),
            Gate.MARKS,
            "the ledger says shadowed, the mark says proxied",
        ),
        (
            replace(READY, history=replace(LEDGER, held=replace(CUTOVER, reason="an audit"))),
            Gate.HELD,
            "held by ada@ops: an audit",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_gate_is_closed_by_its_own_fact(facts: Facts, gate: Gate, why: str) -> None:
    """One fact that is not good closes one gate, with the reason; a unit can do without that gate in its YAML."""
    assert closed(facts) == [(gate, why)]
    [blocker] = blockers(Move.CUTOVER, facts, USUAL, NIGHT)
    assert len(blocker.remedy) > 3
    assert str(blocker) == f"{why}. {blocker.remedy}"
    need_evidence = (Gate.TESTS, Gate.TOLERANCES) if facts.compared is NOT_READ else ()
    assert closed(facts, replace(USUAL, without=(gate, *need_evidence))) == []


def test_bounds_can_be_others() -> None:
    """A unit's own numbers count: fewer windows, a facet that may be undetermined, a slower candidate."""
    facts = replace(
        live(candidate_seconds=(80.0,)),
        compared=lined_up(GOOD[:2], DAYS[:2]),
        facets=facets(ordering=Agreement.UNDETERMINED),
    )

    assert len(closed(facts)) == 3
    assert closed(facts, GateSettings(windows=2, undetermined=("ordering",), slack=100)) == []


def test_older_windows_do_not_count() -> None:
    """Only the last windows in a row count: a mismatch before them closes nothing, a gap between them does."""
    early = [
        evidence("2024-03-08", verdict=Verdict.MISMATCH),
        evidence("2024-03-09", verdict=Verdict.MISMATCH),
    ]
    partitions = ["2024-03-08", "2024-03-09", *DAYS]

    assert closed(replace(READY, compared=lined_up([*early, *GOOD], partitions))) == []
    assert closed(replace(READY, compared=lined_up([*early, *GOOD[:3], *GOOD[4:]], partitions))) == [
        (Gate.WINDOWS, "1 of 7 windows not compared")
    ]


def test_a_window_with_half_of_its_outputs_is_inconclusive() -> None:
    """Where one of two outputs has no verdict the window is inconclusive, and the output is named."""
    other = [evidence(day, "location_metrics") for day in DAYS[1:]]

    assert closed(compared(*GOOD, *other)) == [
        (Gate.WINDOWS, "1 of 7 windows inconclusive (not compared: location_metrics)")
    ]


@pytest.mark.parametrize(
    ("half", "verdict"),
    [
        ((), None),
        ((Verdict.MATCH,), Verdict.INCONCLUSIVE),
        ((Verdict.INCONCLUSIVE,), Verdict.INCONCLUSIVE),
        ((Verdict.MISMATCH,), Verdict.MISMATCH),
        ((Verdict.MATCH, Verdict.MATCH), Verdict.MATCH),
        ((Verdict.MATCH, Verdict.INCONCLUSIVE), Verdict.INCONCLUSIVE),
        ((Verdict.INCONCLUSIVE, Verdict.MISMATCH), Verdict.MISMATCH),
        ((Verdict.MATCH, Verdict.MISMATCH), Verdict.MISMATCH),
    ],
)
def test_gate_and_report_give_a_window_one_verdict(
    half: tuple[Verdict, ...], verdict: Verdict | None
) -> None:
    """Whatever a window's outputs say, or do not say, the gate and the report have the same verdict on it."""
    names = ("daily_metrics", "location_metrics")
    first = [evidence(DAYS[0], name, verdict=each) for name, each in zip(names, half, strict=False)]
    kept = [*first, *(evidence(day, name) for day in DAYS[1:] for name in names)]

    [fact, *_] = lined_up(kept, DAYS).windows
    [window, *_] = reported_windows(DAYS, kept, {}, {})
    assert (fact.verdict, window.verdict) == (verdict, verdict)
    assert bool(closed(compared(*kept))) is (verdict is not Verdict.MATCH)


def test_a_table_alone_is_enough() -> None:
    """A unit whose tables have no time column has no windows of its own: its last verdict decides."""
    assert closed(replace(READY, compared=lined_up([evidence(None, "zones")], []))) == []


def test_a_reason_stands_in_for_evidence_by_name() -> None:
    """Of a unit of which no candidate may run the gates ask for no evidence; the reason is said, never a match."""
    nothing = replace(READY, compared=NOT_READ, live=replace(WELL, candidate_seconds=()))
    never = GateSettings(never_compared="it sends mails to customers")

    assert closed(nothing, never) == []
    assert accepted_reason(Move.CUTOVER, never) == "not compared: it sends mails to customers"
    assert accepted_reason(Move.SHADOW, never) == ""
    assert accepted_reason(Move.CUTOVER, USUAL) == ""


def test_a_reason_that_nobody_has_given_is_none() -> None:
    """The scaffold's own words open no gate, whatever else is in order, until somebody has replaced them."""
    unsaid = GateSettings(never_compared=NOBODY_HAS_SAID)

    assert closed(READY, unsaid) == [
        (Gate.WINDOWS, "not compared: nobody has said yet where a candidate may write")
    ]
    assert accepted_reason(Move.CUTOVER, unsaid) == ""


def test_a_rollback_has_no_gate() -> None:
    """The way back is open whatever is known, or held."""
    nothing = Facts(UNIT, Stage.CUT_OVER, False, replace(IN_SOAK, held=CUTOVER))

    assert blockers(Move.ROLLBACK, nothing, USUAL, NIGHT) == []
    assert GATES.keys() == set(Move)


def test_status_asks_no_server() -> None:
    """What is told on record leaves out the gates that only a server can open, and no others."""
    assert blockers(Move.CUTOVER, replace(READY, live=NOT_READ), USUAL, NIGHT, on_record=True) == []


@pytest.mark.parametrize("move", [Move.SHADOW, Move.CUTOVER, Move.RETIRE, Move.BACKFILL])
def test_what_nobody_has_asked_opens_no_gate(move: Move) -> None:
    """Without the servers' answers each gate that needs them is closed, and says whom to ask; with them it is open."""
    unasked = [
        each for each in blockers(move, replace(READY, live=NOT_READ), USUAL, NIGHT) if "asked" in each.why
    ]

    assert [each.gate for each in unasked] == [gate for gate in GATES[move] if gate in ASK_SERVERS]
    assert all(each.remedy == f"Ask them: parity {move} {UNIT}" for each in unasked)
    assert not [each for each in blockers(move, READY, USUAL, NIGHT) if "asked" in each.why]


def test_a_server_that_has_not_answered_opens_no_gate() -> None:
    """Runs that Airflow did not list close the gate of live runs where a unit does without Airflow's own gate; a
    backfill, which has no such gate, does without Airflow."""
    silent = replace(READY, live=Live("Airflow is silent", "", dagster_runs=(), candidate_seconds=(20.0,)))
    without = GateSettings(without=(Gate.AIRFLOW,))

    assert closed(silent) == [(Gate.AIRFLOW, "Airflow is silent")]
    assert closed(silent, without) == [(Gate.LIVE_RUN, "Airflow did not answer: Airflow is silent")]
    assert closed(silent, move=Move.BACKFILL) == []


def test_evidence_that_was_not_read_opens_no_gate() -> None:
    """Without the gate of the windows, those of the tests and the tolerances say that there is no evidence."""
    blind = replace(READY, compared=NOT_READ)

    assert closed(blind, GateSettings(without=(Gate.WINDOWS,))) == [
        (Gate.TESTS, "no evidence is available"),
        (Gate.TOLERANCES, "no evidence is available"),
    ]


def test_the_newest_partitions_are_in_order() -> None:
    """The last windows with a verdict, the oldest of them first; whole tables have none."""
    assert newest_partitions([*reversed(GOOD), evidence(None)], 2) == DAYS[-2:]
    assert newest_partitions(GOOD, 0) == []


def test_a_window_is_as_good_as_its_worst_output() -> None:
    """A mismatch is worse than inconclusive, that is worse than a match, and nothing is no match."""
    bad, unknown = (
        evidence(DAYS[0], verdict=verdict) for verdict in (Verdict.MISMATCH, Verdict.INCONCLUSIVE)
    )

    assert WindowFact("x", (GOOD[0], unknown, bad)).verdict is Verdict.MISMATCH
    assert WindowFact("x", (GOOD[0], unknown)).verdict is Verdict.INCONCLUSIVE
    assert WindowFact("x", ()).verdict is None


SOAKING = replace(
    READY,
    stage=Stage.CUT_OVER,
    marked=True,
    history=replace(IN_SOAK, cutover=replace(CUTOVER, at=NIGHT - timedelta(days=3, hours=4))),
)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (
            replace(READY, facets=NOT_READ, compared=NOT_READ),
            "waiting: no inventory to verify it against (1 more)",
        ),
        (SOAKING, "soaking, 3d 20h left"),
        (
            replace(
                SOAKING,
                history=replace(IN_SOAK, cutover=replace(CUTOVER, at=NIGHT - timedelta(days=8))),
            ),
            "soaking, 5 of 7 windows",
        ),
        (
            replace(
                SOAKING,
                history=replace(IN_SOAK, cutover=replace(CUTOVER, at=NIGHT - timedelta(days=12))),
            ),
            "ready",
        ),
        (
            replace(SOAKING, history=replace(IN_SOAK, held=replace(CUTOVER, reason="an audit"))),
            "held: an audit (ada@ops)",
        ),
        (
            replace(SOAKING, marked=False),
            "waiting: the ledger says cut_over, the mark says not proxied (2 more)",
        ),
        (
            replace(READY, history=replace(IN_SHADOW, open=OpenMove(CUTOVER))),
            "half-done: cutover, begun by ada@ops",
        ),
        (
            replace(READY, history=replace(IN_SHADOW, open=OpenMove(CUTOVER, back=True))),
            "half-done: cutover, being undone, begun by ada@ops",
        ),
        (replace(READY, stage=Stage.RETIRED, history=history_at(UNIT, Stage.RETIRED)), "settled"),
        (replace(READY, stage=Stage.CUT_OVER, marked=True), "waiting: the ledger has no cutover of it"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_condition_in_words(facts: Facts, message: str) -> None:
    """Half-done comes before held, held before soaking, soaking before what a next move waits for."""
    assert str(condition(replace(facts, live=NOT_READ), USUAL, NIGHT)) == message


def test_what_has_drifted_or_is_half_done_is_resumed() -> None:
    """The next command for both is resume."""
    half = replace(READY, history=replace(IN_SHADOW, open=OpenMove(CUTOVER)))

    for facts in (half, replace(SOAKING, marked=False)):
        assert condition(facts, USUAL, NIGHT).next == "parity resume taxi_daily.dbt_daily"


def test_the_json_of_a_condition() -> None:
    """Kind, reason and the end of a soak are apart, for programs."""
    assert condition(SOAKING, USUAL, NIGHT).as_json() == {
        "condition": "soaking",
        "why": "3d 20h left",
        "until": "2024-03-24T18:00:00+00:00",
    }


def test_who_decides_whether_a_unit_runs_keeps_its_dag() -> None:
    """Dagster would run a unit that a branch of Airflow may skip: retiring is blocked, and may be accepted by name."""
    decided = replace(READY, decided_by=("choose",))
    why = "choose decides in Airflow whether dbt_daily runs, but Dagster would always run dbt_daily"

    assert (Gate.WHOLE_DAG, why) in closed(decided, move=Move.RETIRE)
    accepted = replace(USUAL, without=(Gate.WHOLE_DAG,))
    assert (Gate.WHOLE_DAG, why) not in closed(decided, accepted, Move.RETIRE)
    assert closed(decided) == []
