"""Gates: what must hold before a move, and each reason why it does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from typing_extensions import assert_never

from dagster_defs.inventory.unsaid import NOBODY_HAS_SAID
from dagster_defs.lifecycle.compared import WindowFact
from dagster_defs.lifecycle.facts import Facts, Live
from dagster_defs.lifecycle.histories import UnitHistory, cutover_of, hold_of
from dagster_defs.lifecycle.moves import Done, Planned
from dagster_defs.lifecycle.not_read import NOT_READ
from dagster_defs.lifecycle.programs_beside import ProgramBeside
from dagster_defs.lifecycle.settings import Gate, GateSettings
from dagster_defs.lifecycle.stages import Move
from dagster_defs.lifecycle.units import Unit
from dagster_defs.lifecycle.verdicts import TESTS_DIFFER, Evidence
from dagster_defs.parity import Verdict
from dagster_defs.windows import instant_text

# A rollback has no gates: the way back is always open.
GATES: Mapping[Move, tuple[Gate, ...]] = {
    Move.SHADOW: (Gate.MIRROR, Gate.HELD, Gate.MARKS, Gate.DAGSTER),
    Move.CUTOVER: (
        Gate.MIRROR,
        Gate.HELD,
        Gate.MARKS,
        Gate.FACETS,
        Gate.WINDOWS,
        Gate.TESTS,
        Gate.TOLERANCES,
        Gate.REHEARSED,
        Gate.AIRFLOW,
        Gate.DAGSTER,
        Gate.LIVE_RUN,
        Gate.RUNTIME,
    ),
    Move.ROLLBACK: (),
    Move.HOLD: (),
    Move.RELEASE: (),
    Move.RETIRE: (
        Gate.MIRROR,
        Gate.HELD,
        Gate.MARKS,
        Gate.FACETS,
        Gate.SOAK,
        Gate.WHOLE_DAG,
        Gate.WAITED_FOR,
        Gate.CONTINUITY,
        Gate.AIRFLOW,
        Gate.DAGSTER,
    ),
    Move.BACKFILL: (Gate.MIRROR, Gate.MARKS, Gate.DAGSTER, Gate.LIVE_RUN),
    Move.MEND: (),
}


# These need an answer from Airflow and Dagster, and stay closed until both have been asked.
ASK_SERVERS = frozenset(
    {Gate.WHOLE_DAG, Gate.WAITED_FOR, Gate.AIRFLOW, Gate.DAGSTER, Gate.LIVE_RUN, Gate.RUNTIME}
)


_NO_EVIDENCE = "no evidence is available", "Name the folder of Dagster's event log: DAGSTER_HOME"


@dataclass(frozen=True, slots=True)
class Blocker:
    gate: Gate
    why: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.why}. {self.remedy}"

    def as_json(self) -> Mapping[str, Any]:
        return {"gate": self.gate.value, "why": self.why, "remedy": self.remedy}


@dataclass(frozen=True, slots=True)
class Proposal:
    """A plan, and why it cannot be carried out now. `accepted`: the reason that its gates accept for evidence.
    `beside`: what Dagster will run beside dbt from then on."""

    plan: Planned
    blockers: tuple[Blocker, ...] = ()
    accepted: str = ""
    beside: tuple[ProgramBeside, ...] = ()

    def as_json(self) -> Mapping[str, Any]:
        document = {**self.plan.as_json(), "blockers": [blocker.as_json() for blocker in self.blockers]}
        document |= {"accepted": self.accepted} if self.accepted else {}
        return document | ({"beside": [each.as_json() for each in self.beside]} if self.beside else {})


Proposed = Done | Proposal  # what asking for a move comes to


def blockers(
    move: Move, facts: Facts, settings: GateSettings, now: datetime, *, on_record: bool = False
) -> list[Blocker]:
    """Why the move cannot be made now, gate by gate.

    `on_record`: only what can be determined without asking a server; the move itself will ask.
    """
    blockers: list[Blocker] = []
    for gate in GATES[move]:
        if gate in settings.without:
            continue
        if gate in ASK_SERVERS and facts.live is not NOT_READ:
            blockers += _asked(gate, move, facts.unit, facts.live, settings)
        if gate is Gate.MIRROR and move is Move.RETIRE:
            blockers += _not_started(settings)
        blockers += _on_record(gate, facts, settings, now)
        if gate in ASK_SERVERS and facts.live is NOT_READ and not on_record:
            blockers.append(_not_asked(gate, move, facts))
    return blockers


def _not_started(settings: GateSettings) -> Iterator[Blocker]:
    """Why nothing would start the runs of a retired DAG that has no clock."""
    stay = "Leave the DAG in Airflow, whose tasks Dagster may run"
    if settings.event == "datasets" and not settings.started:
        why = "datasets or assets start its DAG, and its YAML does not say which (`triggered_by`)"
        yield Blocker(Gate.MIRROR, why, "Export the inventory again and run parity scaffold")
    if settings.event == "continuous":
        why = "its DAG starts again as soon as it has ended, and nothing in Dagster does that yet"
        yield Blocker(Gate.MIRROR, why, stay)
    for reason in settings.not_started:
        yield Blocker(Gate.MIRROR, f"what starts its DAG would not start it in Dagster: {reason}", stay)


def _not_asked(gate: Gate, move: Move, facts: Facts) -> Blocker:
    return Blocker(gate, "neither Airflow nor Dagster was asked", f"Ask them: parity {move} {facts.unit}")


def is_said(settings: GateSettings) -> bool:
    """Whether the unit states why no candidate may run: gates that ask for evidence accept that reason."""
    return settings.never_compared not in ("", NOBODY_HAS_SAID)


def accepted_reason(move: Move, settings: GateSettings) -> str:
    """`not compared: …`, if a gate of the move would ask for evidence and accepts the unit's reason instead."""
    asks = {Gate.WINDOWS, Gate.SOAK} & set(GATES[move])
    return f"not compared: {settings.never_compared}" if asks and is_said(settings) else ""


def soak_end(history: UnitHistory, settings: GateSettings) -> datetime | None:
    """When the soak time is over; None if the ledger has no cutover."""
    cutover = cutover_of(history)
    return None if cutover is None else cutover.at + timedelta(days=settings.soak_days)


def soaked_windows(facts: Facts, settings: GateSettings) -> int:
    """How many windows were compared since the cutover, not counting inconclusive ones. For tables without a time
    column only the last comparison is known: one since the cutover is enough."""
    cutover, compared = cutover_of(facts.history), facts.compared
    if cutover is None or compared is NOT_READ:
        return 0
    if compared.nothing_to_compare or is_said(settings):
        return settings.soak_windows
    unknown = (None, Verdict.INCONCLUSIVE)
    if not compared.windows and any(
        one.at > cutover.at and one.checked.verdict not in unknown for one in compared.whole
    ):
        return settings.soak_windows
    return sum(
        fact.verdict not in unknown and any(one.at > cutover.at for one in fact.evidence)
        for fact in compared.windows
    )


def _on_record(gate: Gate, facts: Facts, settings: GateSettings, now: datetime) -> Iterator[Blocker]:
    """Why a gate is closed, as far as files and the event log tell."""
    unit = facts.unit
    match gate:
        case Gate.MIRROR:
            if facts.broken:
                yield Blocker(
                    gate, f"its mirror is broken: {facts.broken.rstrip('.')}", "Fix the mirror first"
                )
        case Gate.HELD:
            if held := hold_of(facts.history):
                yield Blocker(
                    gate,
                    f"held by {held.operator}: {held.reason}",
                    f"Release it: parity release {unit} --apply",
                )
        case Gate.MARKS:
            mend = f"Correct the mark: parity resume {unit} --apply"
            if facts.doubt:
                by_hand = f"Correct the file in proxied_state/ by hand, as no move of {unit} is on record"
                yield Blocker(
                    gate,
                    f"its mark is in doubt: {facts.doubt}",
                    mend if facts.drifted else by_hand,
                )
            elif facts.drifted:
                mark = "proxied" if facts.marked else "not proxied"
                yield Blocker(gate, f"the ledger says {facts.history.stage}, the mark says {mark}", mend)
        case Gate.FACETS:
            yield from _facets(facts, settings)
        case Gate.WINDOWS:
            yield from _windows(facts, settings)
        case Gate.TESTS:
            yield from _without_evidence(gate, facts, settings)
            last = _last(facts, settings)
            if any(TESTS_DIFFER in one.checked.check.reason for one in last):
                yield Blocker(
                    gate, "dbt tests give different results in legacy and in the candidate", _look(unit)
                )
        case Gate.TOLERANCES:
            yield from _without_evidence(gate, facts, settings)
            if expired := sorted(
                {
                    tolerance.column
                    for one in _last(facts, settings)
                    for tolerance in one.checked.check.expired_tolerances
                }
            ):
                yield Blocker(
                    gate,
                    f"the tolerance of {', '.join(expired)} has expired",
                    "Fix the difference, or give the tolerance a new reason and date in the unit's YAML",
                )
        case Gate.REHEARSED:
            if not facts.history.rolled_back:
                yield Blocker(
                    gate,
                    "its rollback has never been rehearsed",
                    f'Rehearse it elsewhere and record it: parity rollback {unit} --rehearsed --reason "where" --apply',
                )
        case Gate.SOAK:
            yield from _soak(facts, settings, now)
        case Gate.WHOLE_DAG:
            if facts.decided_by:
                decide = "decides" if len(facts.decided_by) == 1 else "decide"
                yield Blocker(
                    gate,
                    f"{', '.join(facts.decided_by)} {decide} in Airflow whether {unit.task_id} runs, but Dagster would "
                    f"always run {unit.task_id}",
                    f"Mirror {' and '.join(facts.decided_by)} with a LegacyTask, and give {unit} "
                    "`trigger_rules: {dag_file: …}`; or accept in its YAML that it always runs: "
                    "gates: {without: [whole_dag]}",
                )
            if facts.other_schedules:
                yield Blocker(
                    gate,
                    f"its schedule differs from that of {', '.join(map(str, facts.other_schedules))} in the same DAG",
                    f"Write the schedule of {unit.dag_id} the same way in the YAML of all its units",
                )
        case Gate.CONTINUITY:
            yield from _continuity(facts)
        case Gate.WAITED_FOR | Gate.AIRFLOW | Gate.DAGSTER | Gate.LIVE_RUN | Gate.RUNTIME:
            return  # nothing is on record: see `_asked`
        case _:
            assert_never(gate)


def _asked(gate: Gate, move: Move, unit: Unit, live: Live, settings: GateSettings) -> Iterator[Blocker]:
    """Why a gate is closed, according to the servers."""
    match gate:
        case Gate.WHOLE_DAG:
            if live.unmirrored is NOT_READ:
                yield from _silent(gate, Gate.AIRFLOW, move, live.airflow, settings)
            elif live.unmirrored:
                yield Blocker(
                    gate,
                    f"{', '.join(live.unmirrored)} of {unit.dag_id} would no longer run: no mirror",
                    "Mirror them, or accept in the unit's YAML that they stop running: gates: {without: [whole_dag]}",
                )
        case Gate.WAITED_FOR:
            if live.waiting is NOT_READ:
                yield from _silent(gate, Gate.AIRFLOW, move, live.airflow, settings)
            elif live.waiting:
                yield Blocker(
                    gate,
                    f"{', '.join(live.waiting)} would wait for {unit.dag_id} in Airflow, where it no longer runs",
                    f"Let Dagster tell Airflow from then on: parity echo-test {unit.dag_id}. Or retire what waits "
                    "first, or remove the sensor or the dependency",
                )
        case Gate.AIRFLOW:
            if live.airflow:
                yield Blocker(
                    gate, live.airflow, "Check that Airflow answers and that its scheduler is running"
                )
        case Gate.DAGSTER:
            if live.dagster:
                yield Blocker(
                    gate,
                    live.dagster,
                    "Check that Dagster has loaded the code and that its daemon is running",
                )
        case Gate.LIVE_RUN:
            under_way: list[str] = []
            for runs, server, problem in (
                (live.airflow_runs, Gate.AIRFLOW, live.airflow),
                (live.dagster_runs, Gate.DAGSTER, live.dagster),
            ):
                if runs is NOT_READ:
                    yield from _silent(gate, server, move, problem, settings)
                else:
                    under_way += runs
            if under_way:
                yield Blocker(gate, f"still running: {', '.join(under_way)}", "Wait until they have finished")
        case Gate.RUNTIME:
            # A server that does not answer has its own blocker.
            if not (live.airflow or live.dagster):
                yield from _runtime(unit, live, settings)
        case _:
            return


def _silent(gate: Gate, server: Gate, move: Move, problem: str, settings: GateSettings) -> Iterator[Blocker]:
    """A server's silence closes the gate, unless the server's own gate is already closed because of it. A move without
    such a gate does not need the server: a retired DAG may no longer have an Airflow."""
    if server in GATES[move] and not (problem and server not in settings.without):
        name = server.value.title()
        yield Blocker(
            gate, f"{name} did not answer: {problem or 'it was not asked'}", f"Check that {name} answers"
        )


def _without_evidence(gate: Gate, facts: Facts, settings: GateSettings) -> Iterator[Blocker]:
    """Unread evidence is reported by the gate of the windows, unless the unit does without that gate."""
    if facts.compared is NOT_READ and Gate.WINDOWS in settings.without and not settings.never_compared:
        yield Blocker(gate, *_NO_EVIDENCE)


def _facets(facts: Facts, settings: GateSettings) -> Iterator[Blocker]:
    remedy = f"Look: parity verify {facts.unit}"
    if facts.facets is NOT_READ:
        yield Blocker(
            Gate.FACETS,
            "no inventory to verify it against",
            "Export one and name it: PARITY_INVENTORY",
        )
        return
    if facts.facets.differing:
        yield Blocker(
            Gate.FACETS,
            f"the mirror differs from Airflow's task in {', '.join(facts.facets.differing)}",
            remedy,
        )
    accepted = {*settings.undetermined, *facts.facets.unknown}
    if open_ := [name for name in facts.facets.undetermined if name not in accepted]:
        accept = f"{remedy}, and accept what is fine in the unit's YAML: gates: {{undetermined: [{', '.join(open_)}]}}"
        yield Blocker(Gate.FACETS, f"undetermined: {', '.join(open_)}", accept)


def _windows(facts: Facts, settings: GateSettings) -> Iterator[Blocker]:
    if settings.never_compared == NOBODY_HAS_SAID:
        yield Blocker(
            Gate.WINDOWS,
            f"not compared: {NOBODY_HAS_SAID}",
            "State in its YAML what a candidate connects to instead (env: {candidate: …}, and an output's file), or "
            "why its work must not be done twice (shadow: never, because: …)",
        )
        return
    if is_said(settings):
        return
    if facts.compared is NOT_READ:
        yield Blocker(Gate.WINDOWS, *_NO_EVIDENCE)
        return
    if facts.compared.nothing_to_compare:
        return
    wanted, newest = settings.windows, _newest(facts.compared.windows, settings.windows)
    bad = [
        _counted(newest, f"{wanted} {settings.counted}", verdict, what)
        for verdict, what in (
            (Verdict.MISMATCH, "mismatch"),
            (Verdict.INCONCLUSIVE, "inconclusive"),
            (None, "not compared"),
        )
        if any(fact.verdict is verdict for fact in newest)
    ]
    bad += [
        f"{one.checked.check.name} is {one.checked.verdict}: {one.checked.check.reason}"
        for one in facts.compared.whole
        if one.checked.verdict is not Verdict.MATCH
    ]
    if not bad and not newest and not facts.compared.whole:
        bad = ["no output was compared"]
    else:
        if facts.compared.never:
            bad.append(f"never compared: {', '.join(facts.compared.never)}")
        if len(newest) < wanted and (newest or not facts.compared.whole):
            bad.append(f"{len(newest)} of {wanted} {settings.counted} are compared")
    if bad:
        yield Blocker(Gate.WINDOWS, "; ".join(bad), _look(facts.unit))


def _counted(windows: Sequence[WindowFact], wanted: str, verdict: Verdict | None, what: str) -> str:
    """`2 of 7 windows mismatch (column total_amount)`."""
    these = [fact for fact in windows if fact.verdict is verdict]
    columns = sorted(
        {
            column
            for fact in these
            for one in fact.evidence
            if verdict is Verdict.MISMATCH
            for column in one.checked.check.differing_columns
        }
    )
    missing = sorted({name for fact in these if verdict is Verdict.INCONCLUSIVE for name in fact.missing})
    named = f" (column {', '.join(columns)})" if columns else ""
    named += f" (not compared: {', '.join(missing)})" if missing else ""
    return f"{len(these)} of {wanted} {what}{named}"


def _soak(facts: Facts, settings: GateSettings, now: datetime) -> Iterator[Blocker]:
    end = soak_end(facts.history, settings)
    if end is None:
        yield Blocker(
            Gate.SOAK,
            "the ledger has no cutover of it",
            f"Roll it back and cut it over with parity: parity rollback {facts.unit}",
        )
        return
    if now < end:
        yield Blocker(Gate.SOAK, f"it is soaking until {instant_text(end)}", "Wait until then")
    if (windows := soaked_windows(facts, settings)) < settings.soak_windows:
        yield Blocker(
            Gate.SOAK,
            f"{windows} of {settings.soak_windows} {settings.counted} since the cutover",
            "Wait for more of its runs",
        )


def _continuity(facts: Facts) -> Iterator[Blocker]:
    if facts.continuity is NOT_READ:
        yield Blocker(
            Gate.CONTINUITY, "it is not known who wrote its windows", "Name Dagster's event log: DAGSTER_HOME"
        )
    elif against := facts.continuity.against:
        more = f" ({len(against) - 1} more)" if len(against) > 1 else ""
        yield Blocker(Gate.CONTINUITY, against[0].rstrip(".") + more, f"Look: parity windows {facts.unit}")


def _runtime(unit: Unit, live: Live, settings: GateSettings) -> Iterator[Blocker]:
    if settings.never_compared:
        return  # there is no candidate run time, and the operator is the same
    legacy_seconds, candidate_seconds = (
        () if seconds is NOT_READ else seconds for seconds in (live.legacy_seconds, live.candidate_seconds)
    )
    if not legacy_seconds or not candidate_seconds:
        missing = "Airflow's" if not legacy_seconds else "the candidate's"
        yield Blocker(Gate.RUNTIME, f"{missing} runs have no times to compare", "Let both sides run a window")
        return
    legacy, candidate = median(legacy_seconds), median(candidate_seconds)
    bound = settings.slowdown * legacy + settings.slack
    if candidate > bound:
        yield Blocker(
            Gate.RUNTIME,
            f"a candidate run takes {candidate:.0f} s and legacy's {legacy:.0f} s; the limit is {bound:.0f} s",
            f"Make it faster, or raise `slowdown` or `slack` in the YAML of {unit}",
        )


def _newest(windows: Sequence[WindowFact], count: int) -> Sequence[WindowFact]:
    return windows[-count:] if count else ()


def _last(facts: Facts, settings: GateSettings) -> list[Evidence]:
    """The evidence that a cutover would be based on."""
    if facts.compared is NOT_READ:
        return []
    newest = _newest(facts.compared.windows, settings.windows)
    return [*(one for fact in newest for one in fact.evidence), *facts.compared.whole]


def _look(unit: Unit) -> str:
    return f"Look: parity explain {unit}"
