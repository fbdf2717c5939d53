"""A report as one HTML page without network access or scripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dagster_defs.lifecycle import Owner
from dagster_defs.lifecycle.facets import Agreement, Facet
from dagster_defs.lifecycle.ledger import Entry, Kind
from dagster_defs.lifecycle.report import Report, ReportedUnit, ReportedWindow, SideRun
from dagster_defs.lifecycle.verdicts import Evidence
from dagster_defs.parity import Verdict
from dagster_defs.windows import instant_text

TEMPLATE = "report.html.jinja"
REASON = 60  # characters of a reason in a tooltip; the tables have the full text
DIFFERING = 3  # how many of a unit's verdicts other than a match are shown in full, newest first
ENTRIES = 200  # how many of the ledger's entries are shown, the newest ones
SHADES = 4
HIGH = 50

# A class for the colour, and a mark that conveys the same without it.
VERDICT_MARKS = {Verdict.MATCH: ("m", "✓"), Verdict.MISMATCH: ("x", "✗"), Verdict.INCONCLUSIVE: ("q", "?")}
TOLERATED = ("t", "≈")
AGREEMENT_MARKS = {
    Agreement.AGREES: ("m", "✓"),
    Agreement.DIFFERS: ("x", "✗"),
    Agreement.UNDETERMINED: ("q", "?"),
}
FAILED = "!"

NOTHING = ("", "", "")  # class, mark and tooltip of an empty cell
Cell = tuple[str, str, str]


def page(report: Report) -> str:
    """Always the same text for the same report, whenever it is rendered."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(instant=instant_text, seconds=_seconds, linked=_linked)
    entries = report.ledger[::-1]
    return templates.get_template(TEMPLATE).render(
        report=report,
        facets=_facet_cells,
        disagreeing=_disagreeing,
        evidence=_evidence_cell,
        heat=_heat,
        lines=_lines,
        outputs=_outputs,
        differing=_differing,
        more_differing=lambda unit: max(0, len(_no_match(unit)) - DIFFERING),
        entries=[(entry, _done(entry)) for entry in entries[:ENTRIES]],
        more_entries=len(entries) - ENTRIES,
        stages=_stages(report),
    )


def _stages(report: Report) -> str:
    """`1 cut over, 3 shadowed`."""
    counts = Counter(unit.state.stage.value.replace("_", " ") for unit in report.units)
    return ", ".join(f"{count} {stage}" for stage, count in sorted(counts.items()))


def _facet_cells(unit: ReportedUnit, names: Sequence[str]) -> Iterator[Cell]:
    cells = {facet.name: _facet_cell(facet) for facet in unit.facets.facets} if unit.facets else {}
    return (cells.get(name, NOTHING) for name in names)


def _disagreeing(unit: ReportedUnit) -> Iterator[tuple[str, Cell]]:
    """Facets that do not agree are also listed as lines, because a phone shows no tooltips."""
    for facet in unit.facets.facets if unit.facets else ():
        if facet.agrees is not Agreement.AGREES:
            yield facet.name, _facet_cell(facet)


def _facet_cell(facet: Facet) -> Cell:
    return (*AGREEMENT_MARKS[facet.agrees], _facet_said(facet))


def _facet_said(facet: Facet) -> str:
    if facet.agrees is Agreement.AGREES:
        return ""
    return (
        f"{facet.agrees.value}: {facet.detail or f'{facet.legacy} in Airflow, {facet.mirror} in the mirror'}"
    )


def _evidence_cell(unit: ReportedUnit) -> Cell:
    """The worst of the unit's verdicts, and all of them in words."""
    verdicts = {item.checked.verdict for item in unit.evidence}
    worst = next(
        (verdict for verdict in (Verdict.MISMATCH, Verdict.INCONCLUSIVE) if verdict in verdicts), None
    )
    if not verdicts:
        return NOTHING
    plain = VERDICT_MARKS[worst or Verdict.MATCH]
    return (*(TOLERATED if worst is None and any(map(_excused, unit.evidence)) else plain), unit.said)


def _heat(unit: ReportedUnit) -> Iterator[tuple[str, str, Sequence[Cell]]]:
    """The name, the class and the cells of each row: the darker a run's cell, the longer it took compared with the
    slowest run on either side."""
    slowest = _slowest(unit)
    legacy = [_run_cell(window.legacy, slowest, Owner.AIRFLOW) for window in unit.windows]
    candidate = [_run_cell(window.candidate, slowest, Owner.DAGSTER) for window in unit.windows]
    for name, cells in (
        ("legacy", legacy),
        ("candidate", candidate),
        ("verdict", [*map(_verdict_cell, unit.windows)]),
    ):
        # The most frequent class is put on the row, because there are thousands of cells.
        usual = Counter(style for style, mark, _ in cells if mark).most_common(1)
        style = usual[0][0] if usual else ""
        yield (
            name,
            f"{name[0]} {style}".strip(),
            [("" if cell[0] == style else cell[0], *cell[1:]) for cell in cells],
        )


def _slowest(unit: ReportedUnit) -> float:
    runs = [run for window in unit.windows for run in (window.legacy, window.candidate) if run]
    return max((run.seconds for run in runs), default=0.0)


def _run_cell(run: SideRun | None, slowest: float, usual: Owner) -> Cell:
    """The seconds, because a phone shows no tooltip; and who ran it, unless that is the `usual` orchestrator."""
    if run is None:
        return NOTHING
    if run.failed:
        return "x", FAILED, f"failed after {_seconds(run.seconds)}"
    shade = min(SHADES, 1 + int(SHADES * run.seconds / slowest)) if slowest else 1
    by = "" if run.by is usual else f"{run.by.value[0].upper()} "
    return f"h{shade}", by + _short(run.seconds), ""


def _verdict_cell(window: ReportedWindow) -> Cell:
    if window.verdict is None:
        return NOTHING
    excused = window.verdict is Verdict.MATCH and window.tolerated
    style, mark = TOLERATED if excused else VERDICT_MARKS[window.verdict]
    reason = window.reason
    if window.verdict is Verdict.MATCH:  # all its outputs match, so their reasons are enough
        reason = "; ".join(dict.fromkeys(item.checked.check.reason for item in window.evidence))
    reason = reason if len(reason) <= REASON else reason[: REASON - 1] + "…"
    return style, mark, f"{window.partition} {window.verdict}: {reason}"


def _lines(unit: ReportedUnit) -> Mapping[str, str]:
    """Each side's seconds as a path, one unit wide per window and HIGH units high; a line needs two points."""
    slowest = _slowest(unit)
    sides = {"legacy": [window.legacy for window in unit.windows]}
    sides["candidate"] = [window.candidate for window in unit.windows]
    lines: dict[str, str] = {}
    for side, runs in sides.items():
        points = [
            (place, HIGH - round(HIGH * run.seconds / slowest))
            for place, run in enumerate(runs)
            if slowest and run and not run.failed
        ]
        if len(points) > 1:
            steps = [f"{x - left} {y - above}" for (left, above), (x, y) in pairwise(points)]
            lines[side] = f"M{points[0][0]} {points[0][1]}l{' '.join(steps).replace(' -', '-')}"
    return lines


def _outputs(unit: ReportedUnit) -> Iterator[tuple[str, Sequence[tuple[str, str]], Evidence]]:
    """The name of each output, how often it has each verdict, with its mark, and the last verdict."""
    for name, kept in unit.outputs.items():
        marks = {each: VERDICT_MARKS[each][1] for each in Verdict}
        counts = Counter(each.checked.verdict for each in kept if not _excused(each))
        shown = [(mark, f"{counts[each]} {each.value}") for each, mark in marks.items() if counts[each]]
        excused = sum(map(_excused, kept))
        yield name, [*shown, *([(TOLERATED[1], f"{excused} match, tolerated")] if excused else [])], kept[-1]


def _excused(item: Evidence) -> bool:
    """A match that relies on a tolerance, and so is never shown as a plain one."""
    return item.checked.verdict is Verdict.MATCH and bool(item.checked.check.tolerated)


def _no_match(unit: ReportedUnit) -> list[Evidence]:
    """The newest first."""
    return [item for item in reversed(unit.evidence) if item.checked.verdict is not Verdict.MATCH]


def _differing(unit: ReportedUnit) -> Iterator[tuple[str, str, Evidence, ReportedWindow | None]]:
    """Class and mark of each verdict that is not a match, and the runs of its window, if known."""
    windows = {window.partition: window for window in unit.windows}
    for each in _no_match(unit)[:DIFFERING]:
        yield (*VERDICT_MARKS[each.checked.verdict], each, windows.get(each.partition))


def _done(entry: Entry) -> str:
    """`cutover done`, `rehearsed`."""
    kind = entry.kind.value.replace("_", " ")
    alone = entry.kind in (Kind.HELD, Kind.RELEASED, Kind.REHEARSED)
    return kind if alone else f"{entry.move} {kind}"


def _seconds(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `1 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _short(seconds: float) -> str:
    """`0.4s`, `212s`, `35m`, `1.6h`."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    if seconds < 600:
        return f"{seconds:.0f}s"
    return f"{seconds / 60:.0f}m" if seconds < 5400 else f"{seconds / 3600:.1f}h"


def _linked(address: str) -> str:
    """The address if it is that of a web page: metadata may contain anything, even a script."""
    return address if address.startswith(("http://", "https://")) else ""
