"""From counts to a verdict and the sentence that says why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dagster_defs.parity.records import Check, SchemaChange, Verdict


def judge(check: Check, *, complete: bool) -> Check:
    """The first that holds: mismatch, inconclusive, match. `complete`: every column has a partner."""
    differences = list(_differences(check))
    if differences or not complete:
        return replace(check, verdict=Verdict.MISMATCH, reason="; ".join(differences))
    if not check.rows.total:
        reason = "; ".join(["neither side has a row to compare", *_null_times(check)])
        return replace(check, verdict=Verdict.INCONCLUSIVE, reason=reason)
    if check.null_time_rows.total:
        reason = "; ".join([f"{_rows(check.rows.legacy)} equal", *_null_times(check)])
        return replace(check, verdict=Verdict.INCONCLUSIVE, reason=reason)
    notes = [f"{_rows(check.rows.legacy)} equal", *_notes(check)]
    return replace(check, verdict=Verdict.MATCH, reason="; ".join(notes))


def _differences(check: Check) -> Iterator[str]:
    for kind, where in ((SchemaChange.MISSING, "legacy"), (SchemaChange.EXTRA, "candidate")):
        names = [difference.column for difference in check.schema_differences if difference.kind is kind]
        if names:
            yield f"{'columns' if len(names) > 1 else 'column'} {', '.join(names)} only in {where}"
    if check.rows.total and not check.rows.candidate:
        yield f"candidate is empty, legacy has {_rows(check.rows.legacy)}"
    elif check.rows.total and not check.rows.legacy:
        yield f"legacy is empty, candidate has {_rows(check.rows.candidate)}"
    else:
        if check.modified:
            yield f"{_rows(check.modified)} modified in {', '.join(check.differing_columns)}"
        if check.only_in_legacy:
            yield f"{_rows(check.only_in_legacy)} only in legacy"
        if check.only_in_candidate:
            yield f"{_rows(check.only_in_candidate)} only in candidate"


def _notes(check: Check) -> Iterator[str]:
    typed = [
        f"{change.column} is {change.legacy_type} in legacy and {change.candidate_type} in candidate"
        for change in check.schema_differences
    ]
    if typed:
        yield ", ".join(typed)
    if check.key_violations.total:
        yield (
            f"the key is violated by {_rows(check.key_violations.legacy)} of legacy"
            f" and {check.key_violations.candidate} of candidate"
        )


def _null_times(check: Check) -> Iterator[str]:
    if check.null_time_rows.total:
        yield (
            f"{_rows(check.null_time_rows.legacy)} of legacy and {check.null_time_rows.candidate}"
            " of candidate have no time and so belong to no window"
        )


def _rows(count: int) -> str:
    return f"{count:,} row" if count == 1 else f"{count:,} rows"
