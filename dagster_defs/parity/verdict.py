"""From counts to a verdict and the sentence that says why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from dagster_defs.parity.records import Check, SchemaChange, SchemaDifference, Verdict


def judge(check: Check, left_out: Sequence[str] = ()) -> Check:
    """The first that applies: mismatch, inconclusive, match.

    `left_out`: the ignored columns, if no column outside the key was left to compare.
    """
    differences = list(_differences(check))
    if differences:
        reason = [*differences, *_violations(check), *_null_times(check), *_excuses(check)]
        return replace(check, verdict=Verdict.MISMATCH, reason="; ".join(reason))
    if not check.rows.total:
        reason = ["neither side has a row to compare", *_null_times(check), *_excuses(check)]
        return replace(check, verdict=Verdict.INCONCLUSIVE, reason="; ".join(reason))
    if left_out:
        reason = [_nothing_left(left_out), *_violations(check), *_null_times(check), *_expired(check)]
        return replace(check, verdict=Verdict.INCONCLUSIVE, reason="; ".join(reason))
    if check.null_time_rows.total:
        reason = [_equal(check), *_violations(check), *_null_times(check), *_expired(check)]
        return replace(check, verdict=Verdict.INCONCLUSIVE, reason="; ".join(reason))
    reason = [_equal(check), *_notes(check), *_expired(check)]
    return replace(check, verdict=Verdict.MATCH, reason="; ".join(reason))


def _equal(check: Check) -> str:
    rows = _rows(check.rows.legacy)
    return f"match, {_tolerated(check)}, of {rows}" if check.tolerated else f"{rows} equal"


def _nothing_left(left_out: Sequence[str]) -> str:
    verb = "is" if len(left_out) == 1 else "are"
    return f"no column outside the key was compared: {', '.join(left_out)} {verb} ignored"


def _differences(check: Check) -> Iterator[str]:
    yield from _schema_differences(check)
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
        if check.differing_columns and not check.modified:
            yield f"their values differ in {', '.join(check.differing_columns)}"


def _schema_differences(check: Check) -> Iterator[str]:
    for kind, where in ((SchemaChange.MISSING, "legacy"), (SchemaChange.EXTRA, "candidate")):
        names = [each.column for each in _untolerated(check) if each.kind is kind]
        if names:
            yield f"{'columns' if len(names) > 1 else 'column'} {', '.join(names)} only in {where}"
    for each in _untolerated(check):
        if each.kind is SchemaChange.RENAMED:
            yield f"column {each.column} is called {each.candidate_column} in candidate"


def _untolerated(check: Check) -> Iterator[SchemaDifference]:
    return (each for each in check.schema_differences if each.column not in check.tolerated)


def _notes(check: Check) -> Iterator[str]:
    typed = [
        f"{change.column} is {change.legacy_type} in legacy and {change.candidate_type} in candidate"
        for change in check.schema_differences
        if change.legacy_type is not None and change.candidate_type is not None
    ]
    if typed:
        yield ", ".join(typed)
    yield from _violations(check)


def _violations(check: Check) -> Iterator[str]:
    if check.key_violations.total:
        yield (
            f"the key is violated by {_rows(check.key_violations.legacy)} of legacy"
            f" and {check.key_violations.candidate} of candidate"
        )


def _excuses(check: Check) -> Iterator[str]:
    if check.tolerated:
        yield _tolerated(check)
    yield from _expired(check)


def _tolerated(check: Check) -> str:
    columns = ", ".join(f"{name} {count:,}" for name, count in check.tolerated.items())
    return f"{sum(check.tolerated.values()):,} tolerated ({columns})"


def _expired(check: Check) -> Iterator[str]:
    for tolerance in check.expired_tolerances:
        yield f"the tolerance {tolerance.kind} of {tolerance.column} expired after {tolerance.expires}"


def _null_times(check: Check) -> Iterator[str]:
    if check.null_time_rows.total:
        yield (
            f"{_rows(check.null_time_rows.legacy)} of legacy and {check.null_time_rows.candidate}"
            " of candidate have no time and so belong to no window"
        )


def _rows(count: int) -> str:
    return f"{count:,} row" if count == 1 else f"{count:,} rows"
