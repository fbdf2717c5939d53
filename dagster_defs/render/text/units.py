"""Units and their stage, facets, inventory and YAML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dagster_defs.inventory import Kind, Report
from dagster_defs.inventory.drafts import Written, may_run_dbt, runs_beside
from dagster_defs.inventory.records import Trap
from dagster_defs.inventory.summary import Summary
from dagster_defs.lifecycle import Stage, Unit, UnitState
from dagster_defs.lifecycle.adoption import AdoptingProject
from dagster_defs.lifecycle.broken import Fault
from dagster_defs.lifecycle.facets import Agreement, UnitFacets
from dagster_defs.lifecycle.programs_beside import once_cut_over
from dagster_defs.lifecycle.status import Status
from dagster_defs.render.text.base import PlainText, out, print_error, print_plain, table, warn
from dagster_defs.windows import instant_text

NO_MIRRORS = (
    "no units: nothing is mirrored below the project's defs/. Write mirrors from an inventory (parity scaffold), and "
    "by hand where a gaps.yaml says what is missing"
)
AGREEMENT_STYLE = {Agreement.AGREES: "green", Agreement.DIFFERS: "bold red", Agreement.UNDETERMINED: "yellow"}


OCCASIONS = {"window": "windows", "tick": "ticks", "partition": "partition keys", "event": "events"}


def print_status(status: Status) -> None:
    states = status.states
    out.print(_heading(status))
    if states:
        more = {"EVIDENCE": status.evidence, "FACETS": status.facets, "CONDITION": status.conditions}
        shown = {header: by_unit for header, by_unit in more.items() if by_unit is not None}
        lines = table("UNIT", "STAGE", "OWNER", *shown)
        for state in states:
            cells = [str(by_unit.get(state.unit, "–")) for by_unit in shown.values()]
            lines.add_row(str(state.unit), state.stage.value, state.owner.value, *cells)
        out.print()
        out.print(lines)
    for state in states:
        if state.stage is Stage.SHADOWED and state.unit in status.beside:
            print_plain(f"{state.unit}, beside dbt: {once_cut_over(status.beside[state.unit])}")
    for fault in status.broken:
        print_error(f"broken: {fault}")
    if status.next_command:
        out.print()
        print_plain(f"Next: {status.next_command}")
    for entry in status.forced:
        forced = f"{entry.operator} forced {entry.move} of {entry.unit} on {instant_text(entry.at)} against "
        warn(f"{forced}{', '.join(entry.forced)}: {entry.reason}")
    for unit in status.drifted:
        warn(f"{unit}: the mark in proxied_state/ contradicts the ledger. Correct it: parity resume {unit}")
    if status.ledger_cut_off:
        warn("the ledger's last line is truncated and is ignored; the next move replaces it")
    for about, why in status.problems.items():
        print_error(f"{about}: {why}")
    for late in status.late_echoes:
        runs = f"{late.runs} run{'s' if late.runs > 1 else ''}"
        warn(
            f"{late.dag_id}: Airflow has not been told of {runs}, the first of {instant_text(late.since)}, so whatever "
            f"waits for it there goes on waiting: {late.why}. Look: parity echoes {late.dag_id}"
        )
    if status.evidence_problem:
        warn(status.evidence_problem)
    for unit in status.marks_without_unit:
        warn(
            f"{unit} is marked as proxied but has no mirror: its task will fail. Mirror it, or remove the mark"
        )
    for unit in status.not_in_airflow:
        print_error(
            f"unit {unit}: Airflow was last seen without such a task. Correct `unit` in its YAML, or refresh what "
            "Dagster knows: dg utils refresh-defs-state"
        )


def _heading(status: Status) -> str:
    count = len(status.states)
    if status.of and status.of != count:
        return f"{count} of {status.of} units{f': {_counts(status.states)}' if count else ''}"
    return f"{count} units: {_counts(status.states)}" if count else NO_MIRRORS


def status_json(status: Status) -> dict[str, Any]:
    """`{schema, of, units: [{unit, stage, owner}], marks_without_unit, not_in_airflow, broken}`; see docs/reference.md.

    With an inventory, each unit also has `facets`; with an event log, each unit that has evidence has `evidence`."""
    facets, evidence, conditions = status.facets or {}, status.evidence or {}, status.conditions or {}
    return {
        "schema": "parity/status/1",
        "of": len(status.states) if status.of is None else status.of,
        "units": [
            {
                "unit": str(state.unit),
                "stage": state.stage.value,
                "owner": state.owner.value,
                **({"facets": facets[state.unit]} if state.unit in facets else {}),
                **({"evidence": evidence[state.unit]} if state.unit in evidence else {}),
                **(conditions[state.unit].as_json() if state.unit in conditions else {}),
                **({"beside": _programs(status, state.unit)} if state.unit in status.beside else {}),
                **({"owners": list(status.owners[state.unit])} if state.unit in status.owners else {}),
            }
            for state in status.states
        ],
        "next": status.next_command,
        "forced": [entry.as_json() for entry in status.forced],
        "drifted": [str(unit) for unit in status.drifted],
        "late_echoes": [each.as_json() for each in status.late_echoes],
        "marks_without_unit": [str(unit) for unit in status.marks_without_unit],
        "not_in_airflow": [str(unit) for unit in status.not_in_airflow],
        "broken": [fault.as_json() for fault in status.broken],
        "evidence_problem": status.evidence_problem,
        "ledger_cut_off": status.ledger_cut_off,
        "problems": [{"about": about, "why": why} for about, why in status.problems.items()],
    }


def _programs(status: Status, unit: Unit) -> list[dict[str, Any]]:
    return [program.as_json() for program in status.beside[unit]]


def plan_block(status: Status) -> str:
    """The status block of migration_plan.md: Markdown without a date, so that it only changes when a unit moves."""
    states = status.states
    heading = f"{len(states)} units: {_counts(states)}." if states else "No unit is mirrored."
    lines = [heading, "", "| unit | stage | owner |", "|---|---|---|"]
    lines += [f"| `{state.unit}` | {state.stage.value} | {state.owner.value} |" for state in states]
    strays = ", ".join(f"`{unit}`" for unit in status.marks_without_unit)
    return "\n".join([*lines, *(["", f"Marked as proxied without a mirror: {strays}."] if strays else [])])


def plan_json(block: str, current: bool) -> dict[str, Any]:
    """`{schema, current, block}`; documented in docs/reference.md."""
    return {"schema": "parity/migration-plan/1", "current": current, "block": block}


def print_inventory(report: Report) -> None:
    """The table of units that run dbt, then a line for each trap, each gap and each DAG that does not import."""
    lines = table("UNIT", "KIND", "MODELS", "WINDOW", "START", "END", "DETERMINED")
    shown = [unit for unit in report.units if unit.kind is not Kind.NON_DBT and not unit.may_run_dbt]
    unseen: dict[str, list[str]] = {}
    beside: dict[str, dict[str, Sequence[str]]] = {}
    for unit in report.units:
        if unit.beside:
            beside.setdefault(unit.dag_id, {})[unit.task_id] = unit.beside
        if unit.may_run_dbt:
            unseen.setdefault(unit.dag_id, []).append(unit.task_id)
    for unit in shown:
        models = sum(node.startswith("model.") for node in unit.models)
        known = "yes" if unit.determined else "no"
        bounds = (unit.window.start or "–", unit.window.end or "–")
        cells = (unit.name, unit.kind.value, str(models), unit.window.convention.value, *bounds, known)
        lines.add_row(*map(PlainText, cells))
    out.print(f"{len(shown)} of {len(report.units)} tasks run dbt (Airflow {report.airflow_version})")
    out.print()
    if shown:
        out.print(lines)
        out.print()
    for unit in report.units:
        for trap in unit.warnings:
            if trap.code is Trap.NOT_SEEN_THROUGH:
                continue  # reported once per DAG
            out.print(
                PlainText(trap.code.value, style="yellow").append(f" {unit.name}: {trap.message}", "default")
            )
        if not unit.determined and not unit.may_run_dbt:
            out.print(
                PlainText("undetermined", style="yellow").append(f" {unit.name}: {unit.reason}", "default")
            )
    for dag_id, programs in beside.items():
        code = PlainText(Trap.NOT_SEEN_THROUGH.value, style="yellow")
        out.print(code.append(f" {dag_id}: {runs_beside(programs)}", "default"))
    for dag_id, tasks in unseen.items():
        out.print(PlainText("not seen", style="yellow").append(f" {dag_id}: {may_run_dbt(tasks)}", "default"))
    for error in report.import_errors:
        out.print(
            PlainText("does not import", style="bold red").append(
                f" {error['file']}: {error['error']}", "default"
            )
        )
    if report.import_errors:
        out.print(
            f"DAG files that do not import, and whose tasks are missing here: {len(report.import_errors)}"
        )


def print_summary(summary: Summary) -> None:
    """Counts of DAGs, tasks and mirrors, then a line for each reason, the most frequent first."""
    broken = f"; DAG files that do not import: {summary.import_errors}" if summary.import_errors else ""
    out.print(f"{summary.dags} DAGs, {summary.tasks} tasks (Airflow {summary.airflow_version}){broken}")
    out.print()
    kinds = table("KIND", "TASKS")
    for kind, tasks in summary.kinds.items():
        kinds.add_row(kind, str(tasks))
    out.print(kinds)
    out.print()
    made = table("", "ALL", "DETERMINED", "MIRROR", "WITH A GAP", "AS IT IS", "NONE NEEDED", "NONE")
    by_mirror = (summary.dbt_mirrored, summary.dbt_with_gap, summary.dbt_as_it_is, 0)
    left = summary.dbt_tasks - sum(by_mirror)
    made.add_row("dbt tasks", *map(str, (summary.dbt_tasks, summary.determined, *by_mirror, left)))
    by_mirror = (summary.mirrored, summary.with_gap, summary.as_it_is, summary.needless)
    left = summary.tasks - sum(by_mirror)
    made.add_row("all tasks", str(summary.tasks), "", *map(str, (*by_mirror, left)))
    out.print(made)
    out.print()
    if summary.types:
        types = table("TYPE OF MIRROR", "TASKS")
        for kind, tasks in summary.types.items():
            types.add_row(kind, str(tasks))
        out.print(types)
        out.print()
    whole, sound, reachable = len(summary.whole_dags), len(summary.sound_dags), len(summary.reachable_dags)
    out.print(
        f"Nothing keeps {reachable} of {summary.dags} DAGs in Airflow: each task has a mirror, or needs none"
    )
    out.print(
        f"Every task has a better mirror than its operator as it is in {whole}, in {sound} without a gap"
    )
    about = ", ".join(f"{count} {OCCASIONS.get(kind, kind)}" for kind, count in summary.occasions.items())
    out.print(f"What the runs of DAGs are about: {about or 'there is no DAG'}")
    for title, reasons in (("NO MIRROR, BECAUSE", summary.reasons), ("GAP", summary.gaps)):
        if reasons:
            lines = table("TASKS", title)
            for reason, tasks in reasons.items():
                lines.add_row(str(tasks), PlainText(reason))
            out.print()
            out.print(lines)


def print_facets(units: Sequence[UnitFacets], broken: Sequence[Fault] = ()) -> None:
    """One line per facet, then one line for each detail of a facet that does not agree, and for each broken mirror."""
    for fault in broken:
        print_error(f"broken: {fault}")
    if not units and not broken:
        out.print(NO_MIRRORS)
    if not units:
        return
    lines = table("UNIT", "FACET", "AGREES", "LEGACY", "MIRROR")
    for unit in units:
        for facet in unit.facets:
            verdict = PlainText(facet.agrees.value, style=AGREEMENT_STYLE[facet.agrees])
            lines.add_row(
                str(unit.unit), facet.name, verdict, PlainText(facet.legacy), PlainText(facet.mirror)
            )
    out.print(lines)
    out.print()
    for unit in units:
        for facet in unit.facets:
            if facet.agrees is not Agreement.AGREES:
                agreement = PlainText(facet.agrees.value, style=AGREEMENT_STYLE[facet.agrees])
                detail = facet.detail or f"{facet.legacy} in Airflow, {facet.mirror} in the mirror"
                out.print(
                    agreement.append(f" {unit.unit}, {facet.name}: {detail}", "default"), soft_wrap=True
                )
    facets = [facet for unit in units for facet in unit.facets]
    counts = [f"{sum(facet.agrees is one for facet in facets)} {one.value}" for one in Agreement]
    windows = sum(facet.compared for facet in facets if facet.name == "windows")
    out.print(f"{len(units)} units, {len(facets)} facets: {', '.join(counts)}; {windows:,} windows compared")


def facets_json(units: Sequence[UnitFacets], broken: Sequence[Fault] = ()) -> dict[str, Any]:
    """`{schema, units: [{unit, facets: [{facet, agrees, legacy, mirror, detail, compared}]}], broken}`."""
    return {
        "schema": "parity/verify/1",
        "units": [unit.as_json() for unit in units],
        "broken": [fault.as_json() for fault in broken],
    }


def print_init(project: AdoptingProject) -> None:
    """A line for each file, then what to do next."""
    for file in project.files:
        out.print(PlainText(f"{file.outcome.value:<10} {file.path}"), soft_wrap=True)
    out.print()
    print_plain("Next, where Airflow runs: airflow-inventory --dags-folder dags --out inventory.json")
    print_plain("and then here:            parity scaffold inventory.json --dbt-project DBT_PROJECT")


def print_scaffold(written: Sequence[Written]) -> None:
    """A line for each file, then one for each gap that a person has to fill."""
    for file in written:
        out.print(PlainText(f"{file.outcome.value:<10} {file.path}"), soft_wrap=True)
    for file in written:
        for gap in file.gaps:
            out.print(PlainText("gap", style="yellow").append(f" {gap}", "default"), soft_wrap=True)


def scaffold_json(written: Sequence[Written]) -> dict[str, Any]:
    """`{schema, files: [{path, outcome, units, gaps}]}`."""
    return {"schema": "parity/scaffold/1", "files": [file.as_json() for file in written]}


def _counts(states: Sequence[UnitState]) -> str:
    """`1 cut over, 3 shadowed`: the stages that there are, the furthest first."""
    counts = [(stage, sum(state.stage is stage for state in states)) for stage in reversed(Stage)]
    return ", ".join(f"{count} {stage.value.replace('_', ' ')}" for stage, count in counts if count)
