"""Two folders compared file by file: data files by their rows, any other file byte by byte."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from filecmp import cmp
from pathlib import Path
from typing import TypeVar

from dagster_defs.adapters.warehouse.registry import FILES
from dagster_defs.lifecycle.mirrors import FileOutput
from dagster_defs.parity import Check, Side, SideCounts, Verdict

T = TypeVar("T")
_SHOWN = 5


def compare_folders(output: FileOutput, compare: Callable[[FileOutput], Check]) -> Check:
    """One check of all files that `output.pattern` names; `compare` compares two data files.

    A file that only one side has is a mismatch. What is hidden, or begins with an underscore as what writers leave
    behind, does not count.
    """
    names = {side: _files(Path(output.path(side)), output.pattern or "") for side in Side}
    for side, files in names.items():
        if files is None:
            reason = f"{side} has no folder {output.path(side)}"
            return Check(output.name, Verdict.INCONCLUSIVE, reason)
    legacy, candidate = (names[side] or () for side in Side)
    if not (legacy or candidate):
        return Check(output.name, Verdict.INCONCLUSIVE, "neither side has a file to compare")
    differences = [
        *_only(Side.LEGACY, [name for name in legacy if name not in candidate]),
        *_only(Side.CANDIDATE, [name for name in candidate if name not in legacy]),
    ]
    checks = {name: _compared(output, name, compare) for name in legacy if name in candidate}
    return _united(output, differences, checks)


def _files(folder: Path, pattern: str) -> list[str] | None:
    if not folder.is_dir():
        return None
    inside = (file.relative_to(folder) for file in folder.glob(pattern or "**/*") if file.is_file())
    return sorted(file.as_posix() for file in inside if not any(part[0] in "._" for part in file.parts))


def _only(side: Side, names: Sequence[str]) -> Iterator[str]:
    if names:
        yield f"only {side} has {_some(names)}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _compared(output: FileOutput, name: str, compare: Callable[[FileOutput], Check]) -> Check:
    paths = {side: Path(output.path(side), name) for side in Side}
    same = cmp(paths[Side.LEGACY], paths[Side.CANDIDATE], shallow=False)
    if paths[Side.LEGACY].suffix.lower() not in FILES.suffixes:
        verdict = Verdict.MATCH if same else Verdict.MISMATCH
        return Check(name, verdict, "equal byte by byte" if same else "its bytes differ")
    legacy, candidate = map(str, paths.values())
    check = compare(replace(output, name=name, legacy=legacy, candidate=candidate, pattern=None, each=False))
    if check.verdict is Verdict.INCONCLUSIVE and same and not check.error and not check.rows.total:
        return replace(check, verdict=Verdict.MATCH, reason="equal byte by byte")
    return check


def _united(output: FileOutput, differences: Sequence[str], checks: Mapping[str, Check]) -> Check:
    """The worst verdict of all files, and what they sum up to."""
    by_verdict = {verdict: [n for n, c in checks.items() if c.verdict is verdict] for verdict in Verdict}
    wrong, unsure = by_verdict[Verdict.MISMATCH], by_verdict[Verdict.INCONCLUSIVE]
    reasons = [*differences, *(f"{name}: {checks[name].reason}" for name in (*wrong, *unsure)[:_SHOWN])]
    if (left := len(wrong) + len(unsure) - _SHOWN) > 0:
        reasons.append(f"and {left} more files")
    all_of_them = list(checks.values())
    rows = _summed(check.rows for check in all_of_them)
    verdict = Verdict.MATCH
    if differences or wrong:
        verdict = Verdict.MISMATCH
    elif unsure:
        verdict = Verdict.INCONCLUSIVE
    else:
        reasons = [f"{len(checks):,} {'file' if len(checks) == 1 else 'files'} equal, {rows.legacy:,} rows"]
    return Check(
        output.name,
        verdict,
        "; ".join(reasons),
        error=verdict is Verdict.INCONCLUSIVE and any(check.error for check in all_of_them),
        rows=rows,
        only_in_legacy=sum(check.only_in_legacy for check in all_of_them),
        only_in_candidate=sum(check.only_in_candidate for check in all_of_them),
        modified=sum(check.modified for check in all_of_them),
        changed_values=_counted(check.changed_values for check in all_of_them),
        differing_columns=_once(check.differing_columns for check in all_of_them),
        tolerated=_counted(check.tolerated for check in all_of_them),
        expired_tolerances=_once(check.expired_tolerances for check in all_of_them),
        schema_differences=_once(check.schema_differences for check in all_of_them),
        key_violations=_summed(check.key_violations for check in all_of_them),
        samples=tuple(sample for check in all_of_them for sample in check.samples)[: output.terms.samples],
    )


def _summed(counts: Iterable[SideCounts]) -> SideCounts:
    each = list(counts)
    return SideCounts(sum(count.legacy for count in each), sum(count.candidate for count in each))


def _counted(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    return dict(sum((Counter(each) for each in counts), Counter()))


def _once(each: Iterable[Sequence[T]]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(item for some in each for item in some))
