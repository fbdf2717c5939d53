"""Verdicts, and what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dagster_defs.lifecycle.looking import Explanation
from dagster_defs.lifecycle.noise import Noise
from dagster_defs.lifecycle.verdicts import WindowCheck, summary
from dagster_defs.parity import Check, Sample, Verdict
from dagster_defs.render.text.base import PlainText, out, print_plain, table
from dagster_defs.windows import instant_text

VERDICT_STYLE = {Verdict.MATCH: "green", Verdict.MISMATCH: "bold red", Verdict.INCONCLUSIVE: "yellow"}


def print_verdicts(checks: Sequence[WindowCheck], sides: Sequence[str] = ("LEGACY", "CANDIDATE")) -> None:
    """The table, then a line with the reason of every verdict that is not a plain match."""
    lines = table("UNIT", "OUTPUT", "WINDOW", *(f"{side} ROWS" for side in sides), "VERDICT")
    for checked in checks:
        rows = checked.check.rows
        verdict = _verdict(checked.check)
        lines.add_row(
            str(checked.unit),
            checked.check.name,
            checked.window,
            f"{rows.legacy:,}",
            f"{rows.candidate:,}",
            verdict,
        )
    out.print(lines)
    out.print()
    for checked in checks:
        check = checked.check
        noted = check.tolerated or check.expired_tolerances or check.schema_differences
        if check.verdict is not Verdict.MATCH or noted or check.key_violations.total:
            where = f" {checked.unit}, {check.name}, {checked.window}: "
            line = PlainText(
                "error" if check.error else check.verdict.value, style=VERDICT_STYLE[check.verdict]
            )
            out.print(line.append(where + _why(checked), "default"), soft_wrap=True)
    out.print(summary(checks))


def print_noise(noise: Noise) -> None:
    """One legacy run compared with another, then the tolerances to declare for what is not deterministic."""
    print_verdicts(noise.checks, ("FIRST", "SECOND"))
    noisy = any(checked.verdict is Verdict.MISMATCH for checked in noise.checks)
    out.print("noisy" if noisy else "quiet" if noise.quiet else "not known: see the inconclusive checks")
    if noise.tolerances:
        print_plain(f"\nMake it deterministic, or declare it where the output is compared:\n\n{noise.yaml}")


def print_comparisons(checks: Sequence[Check]) -> None:
    """The table, then for each verdict other than a plain match the reason and some of the differing rows."""
    lines = table("COMPARISON", "LEGACY ROWS", "CANDIDATE ROWS", "VERDICT", "WHY")
    for check in checks:
        verdict = _verdict(check)
        rows = [f"{count:,}" for count in (check.rows.legacy, check.rows.candidate)]
        lines.add_row(check.name, *(["", ""] if check.error else rows), verdict, check.reason)
    out.print(lines)
    for check in checks:
        for sample in check.samples:
            out.print(PlainText(f"{check.name}: {_sampled(sample)}"), soft_wrap=True)


def _verdict(check: Check) -> PlainText:
    return PlainText("error" if check.error else check.verdict_said, style=VERDICT_STYLE[check.verdict])


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


def print_explanations(explanations: Sequence[Explanation]) -> None:
    """For each verdict the reason, the place, one row of each kind of difference, and the SQL for looking further."""
    for each in explanations:
        check = each.checked.check
        verdict = PlainText(check.verdict.value, style=VERDICT_STYLE[check.verdict])
        where = f" {each.checked.unit}, {check.name}, {each.partition}: {check.reason}"
        out.print(verdict.append(where, "default"), soft_wrap=True)
        if each.kept:
            when = f"{instant_text(each.kept.at, 'seconds')}, Dagster run {each.kept.run or '–'}"
            out.print(PlainText(f"  compared {when}"), soft_wrap=True)
            if each.kept.airflow_run:
                out.print(PlainText(f"  Airflow's run: {each.kept.airflow_run}"), soft_wrap=True)
        if check.verdict is Verdict.MATCH:
            continue
        for line in _examples(check.samples):
            out.print(PlainText(f"  {line}"), soft_wrap=True)
        if each.sql:
            print_plain("\n" + each.sql + "\n")
    out.print(summary([each.checked for each in explanations]))


def _examples(samples: Sequence[Sample]) -> Iterator[str]:
    """The first sample of each kind, in words."""
    for kind in dict.fromkeys(sample["kind"] for sample in samples):
        sample = next(sample for sample in samples if sample["kind"] == kind)
        row = sample.get("row") or sample.get("key") or {}
        yield f"{kind.replace('_', ' ')}: {', '.join(f'{name}={value}' for name, value in row.items())}"
        for column, values in sample.get("columns", {}).items():
            yield f"  {column}: {values['legacy']} in legacy, {values['candidate']} in candidate"


def _why(checked: WindowCheck) -> str:
    columns = checked.check.differing_columns
    named = f" (column {', '.join(columns)})" if columns and columns[0] not in checked.check.reason else ""
    return f"{checked.check.reason}{named}"
