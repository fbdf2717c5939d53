"""Reports as text or JSON: the only place that knows about colour and tables."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RunningBar
from rich.table import Table
from rich.text import Text

from dagster_defs.inventory import Kind, Report
from dagster_defs.inventory.scaffold import Written
from dagster_defs.lifecycle import Stage, Status, UnitState
from dagster_defs.lifecycle.facets import Agreement, UnitFacets
from dagster_defs.lifecycle.gates import Proposal
from dagster_defs.lifecycle.looking import Explanation
from dagster_defs.lifecycle.moves import Plan, explained
from dagster_defs.lifecycle.noise import Noise
from dagster_defs.lifecycle.stages import Move
from dagster_defs.lifecycle.verdicts import WindowCheck, summary
from dagster_defs.parity import Check, Sample, Verdict

VERDICT_STYLE = {Verdict.MATCH: "green", Verdict.MISMATCH: "bold red", Verdict.INCONCLUSIVE: "yellow"}

AGREEMENT_STYLE = {Agreement.AGREES: "green", Agreement.DIFFERS: "bold red", Agreement.UNDETERMINED: "yellow"}

T = TypeVar("T")

WIDE = 200  # where nobody looks at a terminal, no line is cut

out = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
err = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else WIDE)


def print_json(document: Any) -> None:
    """Data goes to stdout, and nothing else does."""
    out.print_json(json.dumps(document), ensure_ascii=False) if out.is_terminal else print_plain(
        json.dumps(document)
    )


def print_plain(text: str) -> None:
    out.out(text, highlight=False)


def print_status(status: Status) -> None:
    states = status.states
    out.print(
        f"{len(states)} units: {_counts(states)}"
        if states
        else "no units: nothing is mirrored below dagster_defs/defs/"
    )
    if states:
        more = {"EVIDENCE": status.evidence, "FACETS": status.facets, "CONDITION": status.conditions}
        shown = {header: by_unit for header, by_unit in more.items() if by_unit is not None}
        table = _table("UNIT", "STAGE", "OWNER", *shown)
        for state in states:
            said = [str(by_unit.get(state.unit, "–")) for by_unit in shown.values()]
            table.add_row(str(state.unit), state.stage.value, state.owner.value, *said)
        out.print()
        out.print(table)
    if status.next_command:
        out.print()
        print_plain(f"Next: {status.next_command}")
    for entry in status.forced:
        forced = f"{entry.operator} forced {entry.move} of {entry.unit} on {entry.at:%Y-%m-%d} against "
        warn(f"{forced}{', '.join(entry.forced)}: {entry.reason}")
    for unit in status.drifted:
        warn(
            f"{unit}: the mark in proxied_state/ is not what the ledger says. Put it right: parity resume {unit}"
        )
    if status.ledger_cut_off:
        warn("the ledger's last line is cut off, and counts for nothing; the next move takes its place")
    if status.evidence_problem:
        warn(status.evidence_problem)
    for unit in status.marks_without_unit:
        warn(
            f"{unit} is marked as proxied, but nothing mirrors it: it will fail. Mirror it, or remove the mark"
        )
    for unit in status.not_in_airflow:
        print_error(
            f"unit {unit}: Airflow was last seen without such a task. Mend `unit` in its YAML, or look again: "
            "dg utils refresh-defs-state"
        )


def status_json(status: Status) -> dict[str, Any]:
    """`{schema, units: [{unit, stage, owner}], marks_without_unit, not_in_airflow}`; see docs/reference.md.

    With an inventory, each unit has `facets` too; with an event log at hand, each unit that has some, `evidence`."""
    facets, evidence, conditions = status.facets or {}, status.evidence or {}, status.conditions or {}
    return {
        "schema": "parity/status/1",
        "units": [
            {
                "unit": str(state.unit),
                "stage": state.stage.value,
                "owner": state.owner.value,
                **({"facets": facets[state.unit]} if state.unit in facets else {}),
                **({"evidence": evidence[state.unit]} if state.unit in evidence else {}),
                **(conditions[state.unit].as_json() if state.unit in conditions else {}),
            }
            for state in status.states
        ],
        "next": status.next_command,
        "forced": [entry.as_json() for entry in status.forced],
        "drifted": [str(unit) for unit in status.drifted],
        "marks_without_unit": [str(unit) for unit in status.marks_without_unit],
        "not_in_airflow": [str(unit) for unit in status.not_in_airflow],
    }


def plan_block(status: Status) -> str:
    """The status block of migration_plan.md. Markdown, and without a date: it only changes when a unit moves."""
    states = status.states
    said = f"{len(states)} units: {_counts(states)}." if states else "No unit is mirrored."
    lines = [said, "", "| unit | stage | owner |", "|---|---|---|"]
    lines += [f"| `{state.unit}` | {state.stage.value} | {state.owner.value} |" for state in states]
    strays = ", ".join(f"`{unit}`" for unit in status.marks_without_unit)
    return "\n".join([*lines, *(["", f"Marked as proxied without a mirror: {strays}."] if strays else [])])


def plan_json(block: str, current: bool) -> dict[str, Any]:
    """`{schema, current, block}`; documented in docs/reference.md."""
    return {"schema": "parity/migration-plan/1", "current": current, "block": block}


def print_proposals(proposals: Sequence[Proposal]) -> None:
    """The plan of each unit, step by step, and what stands against it."""
    for proposal in proposals:
        plan = proposal.plan
        if plan.already:
            out.print(Text(f"{plan.unit}: {plan.already}"), soft_wrap=True)
            continue
        change = f"{plan.from_} → {plan.to}" if plan.from_ is not plan.to else f"stays {plan.to}"
        out.print(Text(f"{plan.move} {plan.unit}: {change}", style="bold"), soft_wrap=True)
        for number, said in enumerate(explained(plan), start=1):
            out.print(Text(f"  {number}. {said}"), soft_wrap=True)
        for blocker in proposal.blockers:
            out.print(
                Text("  blocked", style="bold red").append(f" ({blocker.gate}): {blocker}", "default"),
                soft_wrap=True,
            )


def proposals_json(proposals: Sequence[Proposal], *, applied: bool) -> dict[str, Any]:
    """`{schema, applied, units: [{unit, move, from, to, already, steps, blockers}]}`; see docs/reference.md."""
    return {
        "schema": "parity/move/1",
        "applied": applied,
        "units": [proposal.as_json() for proposal in proposals],
    }


def print_moved(plan: Plan) -> None:
    """The new stage, and how to undo it."""
    undo = {Move.CUTOVER: "rollback", Move.ROLLBACK: "cutover", Move.HOLD: "release", Move.RELEASE: "hold"}
    holding = {Move.HOLD: "held, still ", Move.RELEASE: "released, still "}
    moved = plan.from_ is not plan.to or plan.move in holding
    way = f" To undo it: parity {undo[plan.move]} {plan.unit}" if moved and plan.move in undo else ""
    out.print(Text(f"{plan.unit} is {holding.get(plan.move, '')}{plan.to}.{way}"), soft_wrap=True)


def print_verdicts(checks: Sequence[WindowCheck], sides: Sequence[str] = ("LEGACY", "CANDIDATE")) -> None:
    """The table, then a line for each reason of a verdict that is not a plain match."""
    table = _table("UNIT", "OUTPUT", "WINDOW", *(f"{side} ROWS" for side in sides), "VERDICT")
    for checked in checks:
        rows = checked.check.rows
        verdict = _verdict(checked.check)
        table.add_row(
            str(checked.unit),
            checked.check.name,
            checked.window,
            f"{rows.legacy:,}",
            f"{rows.candidate:,}",
            verdict,
        )
    out.print(table)
    out.print()
    for checked in checks:
        check = checked.check
        noted = check.tolerated or check.expired_tolerances or check.schema_differences
        if check.verdict is not Verdict.MATCH or noted or check.key_violations.total:
            where = f" {checked.unit}, {check.name}, {checked.window}: "
            said = Text("error" if check.error else check.verdict.value, style=VERDICT_STYLE[check.verdict])
            out.print(said.append(where + _why(checked), "default"), soft_wrap=True)
    out.print(summary(checks))


def print_noise(found: Noise) -> None:
    """One legacy run beside another, then the tolerances to declare for what is not deterministic."""
    print_verdicts(found.checks, ("FIRST", "SECOND"))
    noisy = any(checked.verdict is Verdict.MISMATCH for checked in found.checks)
    out.print("noisy" if noisy else "quiet" if found.quiet else "not known: see what is inconclusive")
    if found.tolerances:
        print_plain(f"\nMake it deterministic, or declare it where the output is compared:\n\n{found.yaml}")


def print_comparisons(checks: Sequence[Check]) -> None:
    """The table, then for each that is no plain match why, and a few of the rows that differ."""
    table = _table("COMPARISON", "LEGACY ROWS", "CANDIDATE ROWS", "VERDICT", "WHY")
    for check in checks:
        verdict = _verdict(check)
        rows = [f"{count:,}" for count in (check.rows.legacy, check.rows.candidate)]
        table.add_row(check.name, *(["", ""] if check.error else rows), verdict, check.reason)
    out.print(table)
    for check in checks:
        for sample in check.samples:
            out.print(Text(f"{check.name}: {_sampled(sample)}"), soft_wrap=True)


def _verdict(check: Check) -> Text:
    return Text("error" if check.error else check.verdict_said, style=VERDICT_STYLE[check.verdict])


def _sampled(sample: Mapping[str, Any]) -> str:
    """`modified, key id=7: fare 3.50 → 3.75` or `only in legacy: id=7, fare=3.50`, with the number of copies."""

    def listed(values: Mapping[str, Any]) -> str:
        return ", ".join(f"{name}={'NULL' if value is None else value}" for name, value in values.items())

    copies = f" ({sample['copies']} copies)" if sample["copies"] > 1 else ""
    if sample["kind"] != "modified":
        return f"{sample['kind'].replace('_', ' ')}: {listed(sample['row'])}{copies}"
    changes = ", ".join(
        f"{name} {_null(both['legacy'])} → {_null(both['candidate'])}"
        for name, both in sample["columns"].items()
    )
    return f"modified, key {listed(sample['key'])}: {changes}{copies}"


def _null(value: Any) -> Any:
    return "NULL" if value is None else value


def print_explanations(found: Sequence[Explanation]) -> None:
    """For each verdict why, where, one row of each kind of difference, and the SQL to look further."""
    for one in found:
        check = one.checked.check
        verdict = Text(check.verdict.value, style=VERDICT_STYLE[check.verdict])
        where = f" {one.checked.unit}, {check.name}, {one.partition}: {check.reason}"
        out.print(verdict.append(where, "default"), soft_wrap=True)
        if one.kept:
            when = f"{one.kept.at:%Y-%m-%d %H:%M:%S} UTC, Dagster run {one.kept.run or '–'}"
            out.print(Text(f"  compared {when}"), soft_wrap=True)
            if one.kept.airflow_run:
                out.print(Text(f"  Airflow's run: {one.kept.airflow_run}"), soft_wrap=True)
        if check.verdict is Verdict.MATCH:
            continue
        for line in _examples(check.samples):
            out.print(Text(f"  {line}"), soft_wrap=True)
        if one.sql:
            print_plain("\n" + one.sql + "\n")
    out.print(summary([one.checked for one in found]))


def _examples(samples: Sequence[Sample]) -> Iterator[str]:
    """The first sample of each kind, in words."""
    for kind in dict.fromkeys(sample["kind"] for sample in samples):
        sample = next(sample for sample in samples if sample["kind"] == kind)
        row = sample.get("row") or sample.get("key") or {}
        yield f"{kind.replace('_', ' ')}: {', '.join(f'{name}={value}' for name, value in row.items())}"
        for column, values in sample.get("columns", {}).items():
            yield f"  {column}: {values['legacy']} in legacy, {values['candidate']} in candidate"


def say(message: str) -> None:
    """What was done, on stderr: stdout is for data."""
    err.print(Text(message), soft_wrap=True)


def print_inventory(report: Report) -> None:
    """The table of units that run dbt, then a line for each trap, each gap and each DAG that does not import."""
    table = _table("UNIT", "KIND", "MODELS", "WINDOW", "START", "END", "DETERMINED")
    shown = [unit for unit in report.units if unit.kind is not Kind.NON_DBT]
    for unit in shown:
        models = sum(node.startswith("model.") for node in unit.models)
        known = "yes" if unit.determined else "no"
        bounds = (unit.window.start or "–", unit.window.end or "–")
        cells = (unit.name, unit.kind.value, str(models), unit.window.convention.value, *bounds, known)
        table.add_row(*map(Text, cells))
    out.print(f"{len(shown)} of {len(report.units)} tasks run dbt (Airflow {report.airflow_version})")
    out.print()
    if shown:
        out.print(table)
        out.print()
    for unit in report.units:
        for trap in unit.warnings:
            out.print(
                Text(trap.code.value, style="yellow").append(f" {unit.name}: {trap.message}", "default")
            )
        if not unit.determined:
            out.print(Text("undetermined", style="yellow").append(f" {unit.name}: {unit.reason}", "default"))
    for error in report.import_errors:
        out.print(
            Text("does not import", style="bold red").append(f" {error['file']}: {error['error']}", "default")
        )


def print_facets(found: Sequence[UnitFacets]) -> None:
    """One line for each facet, then a line for each detail of one that does not agree."""
    table = _table("UNIT", "FACET", "AGREES", "LEGACY", "MIRROR")
    for unit in found:
        for facet in unit.facets:
            verdict = Text(facet.agrees.value, style=AGREEMENT_STYLE[facet.agrees])
            table.add_row(str(unit.unit), facet.name, verdict, Text(facet.legacy), Text(facet.mirror))
    out.print(table)
    out.print()
    for unit in found:
        for facet in unit.facets:
            if facet.agrees is not Agreement.AGREES:
                said = Text(facet.agrees.value, style=AGREEMENT_STYLE[facet.agrees])
                detail = facet.detail or f"{facet.legacy} in Airflow, {facet.mirror} in the mirror"
                out.print(said.append(f" {unit.unit}, {facet.name}: {detail}", "default"), soft_wrap=True)
    facets = [facet for unit in found for facet in unit.facets]
    counts = [f"{sum(facet.agrees is one for facet in facets)} {one.value}" for one in Agreement]
    windows = sum(facet.compared for facet in facets if facet.name == "windows")
    out.print(f"{len(found)} units, {len(facets)} facets: {', '.join(counts)}; {windows:,} windows compared")


def facets_json(found: Sequence[UnitFacets]) -> dict[str, Any]:
    """`{schema, units: [{unit, facets: [{facet, agrees, legacy, mirror, detail, compared}]}]}`."""
    return {"schema": "parity/verify/1", "units": [unit.as_json() for unit in found]}


def print_scaffold(written: Sequence[Written]) -> None:
    """A line for each file, then one for each gap that somebody has to fill."""
    for file in written:
        out.print(Text(f"{file.outcome.value:<10} {file.path}"), soft_wrap=True)
    for file in written:
        for gap in file.gaps:
            out.print(Text("gap", style="yellow").append(f" {gap}", "default"), soft_wrap=True)


def scaffold_json(written: Sequence[Written]) -> dict[str, Any]:
    """`{schema, files: [{path, outcome, units, gaps}]}`."""
    return {"schema": "parity/scaffold/1", "files": [file.as_json() for file in written]}


def warn(message: str) -> None:
    err.print(Text("warning: ", style="yellow").append(message, style="default"), soft_wrap=True)


def print_error(message: str) -> None:
    err.print(Text("error: ", style="bold red").append(message, style="default"), soft_wrap=True)


def _counts(states: Sequence[UnitState]) -> str:
    """`1 cut over, 3 shadowed`: the stages that there are, the furthest first."""
    counts = [(stage, sum(state.stage is stage for state in states)) for stage in reversed(Stage)]
    return ", ".join(f"{count} {stage.value.replace('_', ' ')}" for stage, count in counts if count)


def _why(checked: WindowCheck) -> str:
    columns = checked.check.differing_columns
    named = f" (column {', '.join(columns)})" if columns and columns[0] not in checked.check.reason else ""
    return f"{checked.check.reason}{named}"


def _table(*headers: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, show_edge=False)
    for header in headers:
        table.add_column(header, justify="right" if header.endswith("ROWS") else "left", overflow="fold")
    return table


class Steps:
    """Progress of long work, on stderr: a spinner with the time on a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """A step that runs alone; a tick and its seconds when it is over."""
        began = time.monotonic()
        if err.is_terminal:
            with err.status(f"{title} …"):
                yield
        else:
            yield
        self.say(f"{title} ({time.monotonic() - began:.0f} s)")

    def each(self, windows: Sequence[T]) -> Iterator[T]:
        """The windows one by one; on a terminal a bar, elsewhere a line for each, both with an estimate."""
        began = time.monotonic()
        with RunningBar(
            TextColumn("Windows"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            console=err, transient=True, disable=not err.is_terminal,
        ) as bar:  # fmt: skip
            task = bar.add_task("windows", total=len(windows))
            for number, window in enumerate(windows, start=1):
                yield window
                bar.advance(task)
                left = (time.monotonic() - began) / number * (len(windows) - number)
                if not err.is_terminal:
                    self.say(f"{number} of {len(windows)} windows" + (f", {left:.0f} s left" if left else ""))
        self.say(f"{len(windows)} windows ({time.monotonic() - began:.0f} s)")

    def say(self, line: str) -> None:
        elapsed = time.monotonic() - self._started
        err.print(Text(f"{elapsed:5.0f} s  ", style="dim").append(line, style="default"), soft_wrap=True)
