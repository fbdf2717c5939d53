"""What the doctor has found, as a table."""

from __future__ import annotations

from dagster_defs.lifecycle.diagnosis import Diagnosis, Health
from dagster_defs.render.text.base import PlainText, out, print_plain, table

_STYLES = {Health.OK: "green", Health.WARNING: "yellow", Health.FAILED: "bold red", Health.NOT_KNOWN: "dim"}


def print_diagnosis(diagnosis: Diagnosis) -> None:
    rows = table("CHECK", "STATE", "FOUND")
    for finding in diagnosis.findings:
        said = PlainText(finding.said)
        if finding.remedy:
            said.append(f"\n→ {finding.remedy}", style="dim")
        rows.add_row(finding.check, PlainText(finding.health.value, _STYLES[finding.health]), said)
    out.print(rows)
    counts = ", ".join(f"{count} {each.value}" for each in Health if (count := diagnosis.count(each)))
    print_plain(f"\n{counts}")
