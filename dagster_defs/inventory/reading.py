"""One task as a unit: its dbt calls, what is known about them, and the window that they carry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from dagster_defs.errors import ParityError
from dagster_defs.inventory import traps
from dagster_defs.inventory.arguments import (
    SELECTING,
    DbtArguments,
    Kind,
    Selection,
    compared_variables,
    place_variables,
)
from dagster_defs.inventory.convention import (
    Candidate,
    Carrier,
    Convention,
    Interval,
    looks_like_bound,
    name_window,
)
from dagster_defs.inventory.document import Dag, Sample, Task
from dagster_defs.inventory.holes import HoleKind, Holes
from dagster_defs.inventory.labels import LABELS, window_names_in
from dagster_defs.inventory.pairing import (
    ReadCall,
    Reading,
    decided_by,
    holes_in,
    needs_of,
    read_calls,
    why_unknown,
)
from dagster_defs.inventory.records import Invocation, RenderedCall, UnitReading
from dagster_defs.inventory.schedules import Refused, rendering_schedule
from dagster_defs.windows import TemplateContext
from dagster_defs.windows.values import Source

# Whether the dbt project may read an environment variable of this name.
ReadsVariable = Callable[[str], bool]


def read_task(task: Task, dag: Dag, reads: ReadsVariable) -> UnitReading:
    """The unit without its models; the project decides which nodes a selection means."""
    reading = read_calls(task, template_context(task, dag))
    reasons: list[str] = []
    kinds: list[Kind] = []
    invocations: list[Invocation] = []
    selected = windowed = True
    candidates: list[Candidate] = []
    if why := _unsure(task, reading):
        reasons.append(why)
        selected = windowed = False
    for number, read in enumerate(reading.base):
        hidden = _hidden(reading, number)
        if hidden or read.arguments is None:
            kinds.append(Kind.OPAQUE)
            reasons.append(hidden or f"dbt would refuse the command: {read.refused}")
            selected = windowed = False
            continue
        kinds.append(read.arguments.kind)
        invocation, unknown = _invocation(reading, number, reads)
        invocations.append(invocation)
        selected = selected and invocation.selection_determined
        reasons += unknown
        if read.arguments.kind is Kind.OPAQUE:
            reasons.append(f"dbt {read.arguments.command} takes over what another invocation left behind")
            selected = windowed = False
        if undecided := _undecided(reading, number):
            reasons.append(undecided)
            selected = windowed = False
        if (vars_unknown := _vars_unknown(reading, number)) and invocation.selection.command in SELECTING:
            reasons.append(vars_unknown)
            windowed = False
        candidates += _candidates(reading, number, invocation)
    window = name_window(_of_main(candidates), dag.timezone)
    if window.reason == NOT_RENDERED and (why := dag.why_no_window(task)):
        window = replace(window, reason=why)
    if window.convention is Convention.UNDETERMINED:
        windowed = False
        reasons += [] if any(window.reason in reason for reason in reasons) else [window.reason]
    distinct = dict.fromkeys(reason for reason in reasons if reason)
    unit = UnitReading(
        task.dag_id,
        task.task_id,
        _named(kinds),
        not distinct and selected and windowed,
        selected,
        windowed,
        "; ".join(distinct),
        window if windowed else replace(window, convention=Convention.UNDETERMINED),
        any(read.call.masked for read in reading.base),
        (),
        tuple(invocations),
        reading.beside,
        sides=reading.sides,
    )
    return unit.warned(*traps.of_task(task, dag, reading, unit))


def _named(kinds: Sequence[Kind]) -> tuple[Kind, ...]:
    """`dbt docs generate` and similar count only if a unit does nothing else."""
    building = [kind for kind in dict.fromkeys(kinds) if kind is not Kind.NON_DBT]
    return tuple(building) or (Kind.NON_DBT,)


def _unsure(task: Task, reading: Reading) -> str:
    """Why what was rendered for some windows does not show what runs in another."""
    if not reading.base and not reading.raw:
        return ""
    for sample, _ in reading.samples:
        for name, need in sample.needs.items():
            if name not in sample.fields and need.startswith(_UNRENDERABLE):
                return f"Airflow cannot render {name}: {need.partition(': ')[2]}"
    if not reading.agree:
        return "the commands differ from window to window"
    if _alike(reading):
        return ""
    for text in filter(None, map(_text_of, task.templated.values())):
        if decision := decided_by(text):
            block, needs = decision
            decides = "the window decides it" if needs.window else "who triggers a run decides it"
            return f"{{% {block} %}}: {needs.outside or decides}"
    seen = {_words(read, reading) for read in reading.base}
    others = [read for read in reading.raw if read.call.conditional and _words(read, reading) not in seen]
    if any(reading.holes.in_text(" ".join(read.call.words)) == () for read in others):
        return "a branch that no sampled window takes runs something else"
    return ""


NOT_RENDERED = "Airflow has rendered it for no window"
_UNRENDERABLE = ("a valid template", "a template that renders", "the template file")


def _alike(reading: Reading) -> bool:
    """Whether the calls as written are those that were rendered, apart from a full refresh."""
    pairs = list(zip(reading.raw, reading.base, strict=False))
    return len(reading.raw) == len(reading.base) and all(
        mine.arguments is not None
        and other.arguments is not None
        and mine.shape == other.shape
        and len(mine.arguments.selection.arguments) == len(other.arguments.selection.arguments)
        for mine, other in pairs
    )


def _words(read: ReadCall, reading: Reading) -> str:
    selection = read.arguments.selection.arguments if read.arguments else list(read.call.words)
    return reading.holes.restore(" ".join(selection))


def _text_of(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "\n".join(map(_text_of, value))
    return value if isinstance(value, str) else ""


def _undecided(reading: Reading, number: int) -> str:
    """Why it is not known whether the call runs, if so. Of two that differ in their full refresh alone, one does: that
    is a trap of its own."""
    read = reading.base[number]
    arguments = _known(read)
    if not read.call.conditional or arguments.command not in SELECTING | {"run-operation"}:
        return ""
    others = [each for place, each in enumerate(reading.base) if place != number]
    if any(_refreshed(each) == _refreshed(read) for each in others):
        return ""
    shown = reading.holes.restore(" ".join(read.call.words))
    return f"`dbt {shown}` runs only under a condition, which is decided where the task runs"


def _refreshed(read: ReadCall) -> list[str]:
    return [word for word in read.call.words if word not in ("--full-refresh", "-f")]


def _vars_unknown(reading: Reading, number: int) -> str:
    """Why nothing in `--vars` is known, if so."""
    arguments, raw = _known(reading.base[number]), reading.raw_of(number)
    sample = reading.samples[0][0] if reading.samples else None
    if arguments.vars is None:
        return _unknown_vars(arguments, reading.holes, sample)
    written = raw.arguments.vars_text if raw and raw.arguments and raw.arguments.vars is None else ""
    for hole in reading.holes.in_text(written):
        needs = needs_of(hole.text) if hole.kind is HoleKind.TEMPLATE else None
        if needs and (needs.params or needs.outside):
            return f"vars: {needs.outside or f'{hole.text}: who triggers a run decides it'}"
    return ""


def _unknown_vars(arguments: DbtArguments, holes: Holes, sample: Sample | None) -> str:
    if arguments.vars is not None and not _unknown(arguments.vars_text, holes, sample):
        return ""
    return f"vars: {_unknown(arguments.vars_text, holes, sample) or 'they are no mapping that can be read'}"


def template_context(task: Task, dag: Dag) -> TemplateContext | None:
    try:
        schedule = rendering_schedule(dag)
    except (ParityError, Refused):
        return None
    return TemplateContext(schedule, task.dag_id, task.task_id, {}, dag.timezone)


def _hidden(reading: Reading, number: int) -> str:
    """Why it is not known what runs, although Airflow may have rendered something: params have defaults."""
    read = reading.base[number]
    if read.call.hidden:
        return read.call.hidden
    if len(reading.raw) == len(reading.base):
        mine = reading.raw[number]
        if mine.arguments is not None:
            return ""
        texts = [mine.call.hidden, mine.refused, *map(reading.holes.restore, mine.call.words)]
        holes = [hole for word in mine.call.words for hole in reading.holes.in_text(word)]
        if mine.call.hidden and any("params" in text for text in texts[:1]):
            return mine.call.hidden
    else:
        holes = [
            hole for read in reading.raw for word in read.call.words for hole in reading.holes.in_text(word)
        ]
        holes += [hole for r in reading.raw for hole in reading.holes.in_text(r.call.hidden)]
    for hole in holes:
        needs = needs_of(hole.text)
        if hole.kind is HoleKind.TEMPLATE and (needs.params or needs.outside):
            return f"the command comes from {hole.text}"
    if any("params" in r.call.hidden or "conf" in r.call.hidden for r in reading.raw):
        return next(r.call.hidden for r in reading.raw if r.call.hidden)
    return ""


def _invocation(reading: Reading, number: int, reads: ReadsVariable) -> tuple[Invocation, list[str]]:
    """The call, and why parts of it are undetermined."""
    holes, read = reading.holes, reading.base[number]
    arguments = _known(read)
    raw = reading.raw_of(number)
    written = raw.arguments if raw and raw.arguments else arguments
    seen = [(sample, _known(calls[number])) for sample, calls in reading.samples]
    first = reading.samples[0][0] if reading.samples else None

    why = _selection_unknown(written, [a for _, a in seen] or [arguments], holes, first)
    selection = written.selection if why else arguments.selection
    reasons = [f"the selection: {why}"] if why else []
    if vars_unknown := _unknown_vars(arguments, holes, first):
        reasons.append(vars_unknown)
    unsure = []
    for given in [given for _, given in seen] or [arguments]:
        if flag_unknown := _unknown(list(given.unsure_flags), holes, first):
            unsure.append(f"a flag of dbt from the environment: {flag_unknown}")
    if target_unknown := _decided_elsewhere(written.target, arguments.target, holes, first):
        unsure.append(f"target: {target_unknown}")
    reasons += unsure
    if not reading.samples and read.call.words and not reasons:
        outside = [needs_of(h.text).outside for w in read.call.words for h in holes.in_text(w)]
        reasons += [why for why in outside if why][:1]
    env = raw.call.env if raw else read.call.env
    rendered_names = {name for _, calls in reading.samples for name in calls[number].call.env}
    asked = env.keys() | rendered_names - place_variables()
    return (
        Invocation(
            Selection(
                selection.command,
                tuple(map(holes.restore, selection.select)),
                tuple(map(holes.restore, selection.exclude)),
                selection.selector and holes.restore(selection.selector),
                tuple(map(holes.restore, selection.options)),
            ),
            arguments.full_refresh,
            written.target and holes.restore(written.target),
            holes.restore_all(dict(written.vars if written.vars is not None else arguments.vars or {})),
            {name: holes.restore(value) for name, value in env.items()},
            _event_time(written, holes),
            tuple(
                RenderedCall(
                    sample.start,
                    sample.end,
                    holes.restore_all(dict(given.vars or {})),
                    {name: holes.restore(value) for name, value in calls[number].call.env.items()},
                    _event_time(given, holes),
                )
                for (sample, given), (_, calls) in zip(seen, reading.samples, strict=True)
            ),
            not why,
            fewer_rows=tuple(map(holes.restore, written.fewer_rows or arguments.fewer_rows)),
            vars_sources=_sources(written, holes),
            vars_as_a_whole="" if written.vars is not None else holes.restore(written.vars_text),
            unsure="; ".join(dict.fromkeys(unsure)),
            unread_env=tuple(sorted(name for name in asked if not reads(name))),
            folder=holes.restore(_folder_of(read, arguments)),
        ),
        reasons,
    )


def _folder_of(read: ReadCall, arguments: DbtArguments) -> str:
    """The project's folder, as dbt looks for it: the option, its variable, or else the folder that it starts in."""
    named = arguments.project_dir or read.call.env.get("DBT_PROJECT_DIR") or ""
    return str(PurePosixPath(read.call.cwd, named)) if read.call.cwd or named else ""


def _sources(written: DbtArguments, holes: Holes) -> dict[str, Source]:
    """How each variable is written; of the unquoted texts, only those that a template produces."""
    return {
        holes.restore(name): Source(
            holes.restore(source.text),
            tuple(holes.restore(text) for text in source.unquoted if holes.in_text(text)),
        )
        for name, source in written.vars_sources.items()
    }


def _known(read: ReadCall) -> DbtArguments:
    assert read.arguments is not None  # noqa: S101 - samples of another shape have been set aside
    return read.arguments


def _event_time(arguments: DbtArguments, holes: Holes) -> Mapping[str, str | None] | None:
    if arguments.event_start is None and arguments.event_end is None:
        return None
    return {
        "start": arguments.event_start and holes.restore(arguments.event_start),
        "end": arguments.event_end and holes.restore(arguments.event_end),
    }


def _selection_unknown(
    written: DbtArguments, seen: Sequence[DbtArguments], holes: Holes, sample: Sample | None
) -> str:
    if written.command not in SELECTING:
        return ""
    for arguments in seen:
        if why := _unknown([*_selecting(arguments.selection)], holes, sample):
            return why
    for hole in holes_in(list(_selecting(written.selection)), holes):
        needs = needs_of(hole.text) if hole.kind is HoleKind.TEMPLATE else None
        if needs and (needs.params or needs.outside):
            return needs.outside or f"{hole.text}: who triggers a run decides it"
    if len({arguments.selection for arguments in seen}) > 1:
        return "it differs from window to window"
    return ""


def _decided_elsewhere(written: str | None, seen: str | None, holes: Holes, sample: Sample | None) -> str:
    if why := _unknown(seen, holes, sample):
        return why
    for hole in holes_in(written, holes):
        needs = needs_of(hole.text) if hole.kind is HoleKind.TEMPLATE else None
        if needs and (needs.params or needs.outside):
            return needs.outside or f"{hole.text}: who triggers a run decides it"
    return ""


def _selecting(selection: Selection) -> Iterator[str]:
    yield from selection.select
    yield from selection.exclude
    yield from (selection.selector,) if selection.selector else ()
    yield from selection.options


def _unknown(value: Any, holes: Holes, sample: Sample | None) -> str:
    return next((why for hole in holes_in(value, holes) if (why := why_unknown(hole, sample))), "")


def _candidates(reading: Reading, number: int, invocation: Invocation) -> list[Candidate]:
    """Values in one call that may be bounds of the window."""
    if invocation.selection.command not in SELECTING | {"run-operation"}:
        return []
    candidates = []
    raw = reading.raw_of(number)
    written: dict[tuple[Carrier, str], Any] = dict(_values(raw)) if raw and raw.arguments else {}
    rendered = [(sample, dict(_values(calls[number]))) for sample, calls in reading.samples]
    names = dict.fromkeys([*written, *(name for _, values in rendered for name in values)])
    for carrier, name in names:
        if carrier is Carrier.ENV and not invocation.brings_window(name):
            continue
        key = carrier, name
        text = written.get(key, rendered[0][1].get(key) if rendered else None)
        values = tuple(
            (Interval.of(sample.start, sample.end), each[key]) for sample, each in rendered if key in each
        )
        candidate = _candidate(name, carrier, text, values, reading)
        if candidate is not None:
            candidates.append(candidate)
    return candidates


def _candidate(
    name: str, carrier: Carrier, text: Any, values: tuple[tuple[Interval, Any], ...], reading: Reading
) -> Candidate | None:
    """None for a value that has nothing to do with the window."""
    holes = reading.holes
    templates = [needs_of(hole.text) for hole in holes_in(text, holes) if hole.kind is HoleKind.TEMPLATE]
    sample = reading.samples[0][0] if reading.samples else None
    why = next((w for _, value in values if (w := _unknown(value, holes, sample))), "")
    why = why or next((needs.outside for needs in templates if needs.outside), "")
    why = why or _unknown(text, holes, sample)
    why = why or next((_unfilled(value, holes) for _, value in values if _unfilled(value, holes)), "")
    bound = carrier is Carrier.EVENT_TIME or looks_like_bound(name)
    written = str(holes.restore_all(text))
    if any(needs.params and not needs.window for needs in templates) and bound:
        why = why or f"{written}: who triggers a run decides it"
    windowed = any(needs.window for needs in templates)
    varies = len({str(value) for _, value in values}) > 1
    candidate = Candidate(name, written, carrier, values if not why else (), not why, why)
    if why:
        return candidate if bound or windowed else None
    if not values and templates and (windowed or bound):
        return replace(candidate, determined=False, reason=NOT_RENDERED)
    if not (windowed or varies):
        return candidate if carrier is Carrier.EVENT_TIME else None
    shaped = windowed and (bound or (carrier is Carrier.VARS and not LABELS.issuperset(_names(text, holes))))
    return candidate if candidate.moments or shaped else None


def _unfilled(value: Any, holes: Holes) -> str:
    """Why a value of a window still has a template: it stands in code, and cannot be rendered here."""
    text = next((hole.text for hole in holes_in(value, holes) if hole.kind is HoleKind.TEMPLATE), "")
    return text and f"{text}: its value is known only where the task runs"


def _names(text: Any, holes: Holes) -> set[str]:
    """The words in a value's templates that refer to the window."""
    return {name for hole in holes_in(text, holes) for name in window_names_in(hole.text)}


def _values(read: ReadCall) -> Iterator[tuple[tuple[Carrier, str], Any]]:
    arguments = _known(read)
    for name, value in (("start", arguments.event_start), ("end", arguments.event_end)):
        if value is not None:
            yield (Carrier.EVENT_TIME, name), value
    yield from (((Carrier.VARS, name), value) for name, value in _flat(arguments.vars or {}))
    for name, value in read.call.env.items():
        if name not in compared_variables():
            yield (Carrier.ENV, name), value


def _flat(value: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, item in value.items():
        if isinstance(item, Mapping):
            yield from _flat(item, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", item


def _of_main(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Calls in one chain usually get the same window; if they differ, the first one counts."""
    by_name: dict[tuple[Carrier, str], Candidate] = {}
    for candidate in candidates:
        by_name.setdefault((candidate.carrier, candidate.name), candidate)
    return list(by_name.values())
