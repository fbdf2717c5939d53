"""A task's dbt calls, both as the DAG writes them and as Airflow rendered them for each sampled window."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from dagster_defs.errors import ParityError, TemplateBroken, TemplateRefused
from dagster_defs.inventory.arguments import ArgumentsUnreadable, DbtArguments, read_arguments
from dagster_defs.inventory.calls import SideCommand
from dagster_defs.inventory.document import Sample, Task
from dagster_defs.inventory.holes import Hole, HoleKind, Holes, blocks
from dagster_defs.inventory.operators import Call, find_calls, prepared
from dagster_defs.windows import OccasionKind, TemplateContext, Tick, compile_template
from dagster_defs.windows.vocabulary import REASONS, WINDOW_NAMES


@dataclass(frozen=True, slots=True)
class ReadCall:
    """A call with parsed arguments; `refused` is dbt's message if it would not accept them."""

    call: Call
    arguments: DbtArguments | None
    refused: str = ""
    optional_refresh: bool = False

    @property
    def shape(self) -> str:
        return self.arguments.command if self.arguments else "?"


@dataclass(frozen=True, slots=True)
class Reading:
    """`samples` is empty if Airflow rendered nothing; each sample has the calls in the order of `raw`. `beside` are the
    command lines of programs, beside dbt, that are not seen through."""

    raw: tuple[ReadCall, ...]
    samples: tuple[tuple[Sample, tuple[ReadCall, ...]], ...]
    holes: Holes
    agree: bool
    beside: tuple[str, ...] = ()
    sides: tuple[SideCommand, ...] = ()

    @property
    def base(self) -> tuple[ReadCall, ...]:
        return self.samples[0][1] if self.samples else self.raw

    def raw_of(self, number: int) -> ReadCall | None:
        """The call as written; None if templates make up the command, so that the two do not correspond."""
        if len(self.raw) != len(self.base):
            return None
        mine, other = self.raw[number], self.base[number]
        return mine if mine.shape == other.shape or mine.arguments is None else None


def read_calls(task: Task, context: TemplateContext | None) -> Reading:
    """`context` is used to render the context values of a Python callable; None if the schedule has none."""
    holes = Holes()
    raw_fields = prepared(dict(task.templated), holes, rendered=False)
    written = find_calls(task, raw_fields, holes)
    beside = [call.beside for call in written]
    raw = tuple(_read(call, holes) for call in written if call.is_dbt)
    sides = tuple(_restored(call.side, holes) for call in written if call.side)
    samples = []
    for sample in task.samples:
        rendered = prepared(dict(sample.fields), holes, rendered=True)
        fields = {**raw_fields, **rendered}
        sample_calls = find_calls(task, fields, holes)
        beside += [] if any(beside) else [call.beside for call in sample_calls]
        calls = [_read(_filled(call, holes, sample, context), holes) for call in sample_calls if call.is_dbt]
        samples.append((sample, tuple(calls)))
    shapes = {tuple(call.shape for call in calls) for _, calls in samples}
    named = tuple(dict.fromkeys(filter(None, beside)))
    return Reading(raw, tuple(samples), holes, len(shapes) <= 1, named, sides)


def _restored(side: SideCommand, holes: Holes) -> SideCommand:
    return replace(
        side,
        words=tuple(map(holes.restore, side.words)),
        env={name: holes.restore(value) for name, value in side.env.items()},
    )


def _read(call: Call, holes: Holes) -> ReadCall:
    if call.hidden:
        return ReadCall(call, None)
    # `{{ '--full-refresh' if … }}` is an optional option, not the value of another option.
    words = [word for word in call.words if not _may_refresh(word, holes)]
    try:
        arguments = read_arguments(words, holes, call.env)
    except ArgumentsUnreadable as error:
        return ReadCall(call, None, str(error))
    return ReadCall(call, arguments, "", len(words) < len(call.words))


def _may_refresh(word: str, holes: Holes) -> bool:
    inside = holes.in_text(word)
    return len(inside) == 1 and holes.restore(word) == inside[0].text and "full-refresh" in inside[0].text


def _filled(call: Call, holes: Holes, sample: Sample, context: TemplateContext | None) -> Call:
    """Renders templates in Python code here, because Airflow only passes such values at run time."""

    def fill(text: str) -> str:
        for hole in holes.in_text(text):
            if hole.kind is HoleKind.TEMPLATE and (value := _render(hole.text, sample, context)) is not None:
                text = text.replace(holes.dig(hole.text, hole.kind), value)
        return text

    return Call(
        tuple(fill(word) for word in call.words),
        {name: fill(value) for name, value in call.env.items()},
        call.masked,
        call.skips,
        call.conditional,
        call.hidden,
        cwd=fill(call.cwd),
    )


def _render(text: str, sample: Sample, context: TemplateContext | None) -> str | None:
    window = sample.window
    if context is None or window is None:
        return None
    try:
        of = OccasionKind.TICK if isinstance(window, Tick) else OccasionKind.WINDOW
        return compile_template(text, context.params, about=of).render(window, context)
    except ParityError:
        return None


@dataclass(frozen=True, slots=True)
class Needs:
    """What a template reads: from the window, from params, or from `outside` what the schedule determines."""

    window: bool
    params: bool
    outside: str


@cache
def needs_of(text: str) -> Needs:
    try:
        names = compile_template(text).names
    except TemplateRefused as refused:
        root = refused.needs.partition(".")[0]
        known = root in REASONS or refused.needs in REASONS
        # A name that is not one of Airflow's is a macro of the DAG's own, which Airflow has rendered.
        mentions = any(name in text for name in WINDOW_NAMES)
        return Needs(mentions, "params" in text, f"{refused.needs}: {refused.reason}" if known else "")
    except TemplateBroken:
        return Needs(False, False, "")
    roots = {name.partition(".")[0] for name in names}
    return Needs(
        not roots.isdisjoint({*WINDOW_NAMES, "dag_run", "ti", "task_instance"}), "params" in roots, ""
    )


def why_unknown(hole: Hole, sample: Sample | None) -> str:
    """Why a hole cannot be filled; empty for a template that the schedule, or Airflow, can fill."""
    if hole.kind is HoleKind.TEMPLATE:
        return needs_of(hole.text).outside or _asked_by(hole.text, sample)
    if hole.kind is HoleKind.MARK:
        listed = "; ".join(dict.fromkeys(sample.needs.values())) if sample else ""
        return listed or "Airflow masks it, or knows it only while the task runs"
    return f"{hole.text} is known only where the task runs"


def _asked_by(text: str, sample: Sample | None) -> str:
    """What a template needs from outside the schedule, according to Airflow's side."""
    for name, reason in sample.asked.items() if sample else ():
        if re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", text):
            return f"{name}: {reason}"
    return ""


def decided_by(text: str) -> tuple[str, Needs] | None:
    """The first `{% … %}` of a text that the window, params or something outside decides, and what it needs."""
    for block in blocks(text):
        needs = needs_of(f"{{{{ {block} }}}}")
        if needs.window or needs.params or needs.outside:
            return block, needs
    return None


def holes_in(value: Any, holes: Holes) -> tuple[Hole, ...]:
    if isinstance(value, str):
        return holes.in_text(value)
    if isinstance(value, Mapping):
        return tuple(hole for item in value.values() for hole in holes_in(item, holes))
    if isinstance(value, list | tuple):
        return tuple(hole for item in value for hole in holes_in(item, holes))
    return ()
