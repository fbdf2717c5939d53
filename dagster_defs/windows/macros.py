"""Airflow's template text, evaluated on a window instead of a run.

A template is compiled once (`compile_template`), which refuses by name everything that the schedule does not determine,
and can then be rendered for any number of windows. It runs in a sandbox with a budget and without a loader, and sees
only the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from jinja2 import Template, TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.exceptions import SecurityError

from dagster_defs.errors import TemplateBroken, TemplateFailed, TemplateRefused
from dagster_defs.windows.budget import TooCostly, parse
from dagster_defs.windows.occasions import (
    EVENT_NAMES,
    EVENT_REASONS,
    EVENT_RECORDS,
    EventContext,
    Occasion,
    OccasionKind,
)
from dagster_defs.windows.sandbox import CLOCK, CLOCK_REASON, CLOCK_WITHOUT_ARGUMENT, Sandbox
from dagster_defs.windows.tick_names import TICK_NAMES, TICK_REASONS, TICK_RECORDS
from dagster_defs.windows.vocabulary import (
    MACROS,
    REASONS,
    RECORDS,
    WINDOW_NAMES,
    WINDOW_RECORDS,
    TemplateContext,
)
from dagster_defs.windows.window import Scheduled, Tick

_PRIVATE_REASON = "private attributes are out of the sandbox's reach"
_FILE_REASON = "a template may not read other files"
_UNKNOWN_REASON = "it is not one of Airflow's template variables (a user-defined macro, or a typo?)"
_RECORD_REASON = "the schedule does not determine it"

_CONSTANTS: Mapping[str, Any] = {"test_mode": False}


@dataclass(frozen=True, slots=True)
class _Vocabulary:
    """The names that depend on what a run is about, records by their attributes, and why other names are missing."""

    names: Mapping[str, Callable[[Any, Any], Any]]
    records: Mapping[str, Mapping[str, Callable[[Any, Any], Any]]]
    reasons: Mapping[str, str]
    of_event: bool = False


_OF_WINDOW = _Vocabulary(WINDOW_NAMES, RECORDS, REASONS)
_OF_TICK = _Vocabulary(TICK_NAMES, TICK_RECORDS, {**REASONS, **TICK_REASONS})
_OF_EVENT = _Vocabulary(EVENT_NAMES, EVENT_RECORDS, {**REASONS, **EVENT_REASONS}, of_event=True)
_VOCABULARIES = {OccasionKind.TICK: _OF_TICK, OccasionKind.EVENT: _OF_EVENT}


_SANDBOX = Sandbox()


@dataclass(frozen=True, slots=True)
class WindowTemplate:
    """A template whose text follows from the schedule alone or, for a DAG without a clock, from the run alone.

    `names` are the dotted names that it reads (`ds`, `macros.ds_add`, `params.days`); `depends_on_window` is
    False if every window, or every run, gives the same text.
    """

    text: str
    names: frozenset[str]
    depends_on_window: bool
    _compiled: Template = field(repr=False, compare=False)
    _vocabulary: _Vocabulary = field(default=_OF_WINDOW, repr=False, compare=False)

    def render(self, window: Scheduled | Occasion, context: TemplateContext | EventContext) -> str:
        """The text that Airflow's own engine gives in a scheduled run of this data interval, or in this run.

        Raises `TemplateFailed` if the expression fails for this window, `TemplateRefused` if it leaves the sandbox."""
        try:
            return _SANDBOX.render(self._compiled, self._values(window, context))
        except TooCostly as error:
            raise self._failed(window, str(error)) from error
        except SecurityError as error:
            raise TemplateRefused(self.text, "something outside the sandbox", str(error)) from error
        except Exception as error:  # a template can call any method of a date or a string
            raise self._failed(window, str(error) or type(error).__name__) from error

    def _failed(self, moment: Scheduled | Occasion, reason: str) -> TemplateFailed:
        if isinstance(moment, Occasion):
            return TemplateFailed(self.text, "run", moment.run_id, reason)
        if isinstance(moment, Tick):
            return TemplateFailed(self.text, "tick", moment.at.isoformat(), reason)
        return TemplateFailed(self.text, "window", str(moment), reason)

    def _values(
        self, window: Scheduled | Occasion, context: TemplateContext | EventContext
    ) -> dict[str, Any]:
        values: dict[str, Any] = {}
        known, records = self._vocabulary.names, self._vocabulary.records
        for root in {name.partition(".")[0] for name in self.names}:
            if root in known:
                values[root] = known[root](window, context)
            elif root in records:
                values[root] = SimpleNamespace(
                    **{name: value(window, context) for name, value in records[root].items()}
                )
            elif root == "params" and isinstance(context, TemplateContext):
                values[root] = deepcopy(dict(context.params))
            elif root == "macros":
                values[root] = SimpleNamespace(**MACROS)
            elif root in _CONSTANTS:
                values[root] = _CONSTANTS[root]
        return values


def compile_template(
    text: str, params: Mapping[str, Any] | None = None, *, about: OccasionKind = OccasionKind.WINDOW
) -> WindowTemplate:
    """Compiles a template as written in the DAG.

    Raises `TemplateBroken` on a syntax error, and `TemplateRefused` with the dotted name of the first thing that it
    needs and the schedule does not determine. `params` are the defaults, if known; a param without a default is then
    refused too. `about`: what the runs of its DAG are about. The template of an event is rendered for an Occasion, and
    all its params are refused.
    """
    return _compile(text, None if params is None else frozenset(params), about)


@lru_cache(maxsize=4096)  # hundreds of units share the same few texts
def _compile(text: str, params: Collection[str] | None, about: OccasionKind) -> WindowTemplate:
    vocabulary = _VOCABULARIES.get(about, _OF_WINDOW)
    try:
        tree = parse(_SANDBOX, text)
        _refuse_constructs(text, tree)
        names = set(_names(tree))
        for name in sorted(names):
            _refuse_name(text, name, params, vocabulary)
        compiled = _SANDBOX.bounded_template(tree)
    except TemplateSyntaxError as error:
        raise TemplateBroken(text, error.lineno, (error.message or "syntax error").rstrip(".")) from error
    except (TemplateError, RecursionError, MemoryError, SyntaxError, ValueError) as error:
        raise TemplateBroken(text, 1, str(error) or type(error).__name__) from error
    roots = {name.partition(".")[0] for name in names}
    depends = not roots.isdisjoint(vocabulary.names) or not roots.isdisjoint(WINDOW_RECORDS)
    return WindowTemplate(text, frozenset(names), depends, compiled, vocabulary)


def _step(node: nodes.Node) -> str | None:
    """The attribute that `x.name` or `x["name"]` accesses; None for any other node."""
    if isinstance(node, nodes.Getattr):
        return node.attr
    if (
        isinstance(node, nodes.Getitem)
        and isinstance(node.arg, nodes.Const)
        and isinstance(node.arg.value, str)
    ):
        return node.arg.value
    return None


def _dotted(node: nodes.Node) -> str | None:
    """`a.b.c` for a chain of attributes that begins with a name."""
    if isinstance(node, nodes.Name):
        return node.name
    attribute = _step(node)
    if attribute is None:
        return None
    assert isinstance(node, nodes.Getattr | nodes.Getitem)  # noqa: S101 - only they have an attribute
    owner = _dotted(node.node)
    return None if owner is None else f"{owner}.{attribute}"


def _names(tree: nodes.Template) -> Iterator[str]:
    """The longest dotted names that are not the template's own variables."""
    free = meta.find_undeclared_variables(tree) - set(_SANDBOX.globals)
    pending: list[nodes.Node] = [tree]
    while pending:
        node = pending.pop()
        dotted = _dotted(node)
        if dotted is None:
            pending.extend(node.iter_child_nodes())
        elif dotted.partition(".")[0] in free:
            yield dotted


def _refuse_name(text: str, name: str, params: Collection[str] | None, known_names: _Vocabulary) -> None:
    root, *steps = name.split(".")
    records = known_names.records
    if root in known_names.names or root in _CONSTANTS:
        return
    if root in records and steps and steps[0] in records[root]:
        if steps[0] == "params":
            _refuse_param(text, steps[1:], params)
        return
    if root == "macros" and steps and steps[0] in MACROS:
        return
    if root == "params" and not known_names.of_event:
        _refuse_param(text, steps, params)
        return
    # Only as much of the name as says what is missing: dag_run.conf, not dag_run.conf.get; but var.value.bucket.
    name = ".".join([root, *steps[: 2 if root == "var" else 1]])
    parent = ".".join([root, *steps[:1]])
    known, reasons = root in records or root == "macros", known_names.reasons
    reason = reasons.get(parent) or reasons.get(root) or (_RECORD_REASON if known else _UNKNOWN_REASON)
    raise TemplateRefused(text, name, reason, of_event=known_names.of_event)


def _refuse_param(text: str, steps: list[str], params: Collection[str] | None) -> None:
    if params is None or not steps or steps[0] in params or hasattr(dict, steps[0]):
        return
    raise TemplateRefused(text, f"params.{steps[0]}", "the unit declares no default for it")


def _refuse_constructs(text: str, tree: nodes.Template) -> None:
    for include in tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
        source = include.template  # type: ignore[attr-defined]  # all four have it
        file = repr(source.value) if isinstance(source, nodes.Const) else "computed at run time"
        raise TemplateRefused(text, f"the file {file}", _FILE_REASON)
    for kind, known in ((nodes.Filter, _SANDBOX.filters), (nodes.Test, _SANDBOX.tests)):
        for node in tree.find_all(kind):
            if node.name not in known:
                name = f"the {kind.__name__.lower()} {node.name}"
                raise TemplateRefused(text, name, "neither Jinja nor Airflow defines it, or it is random")
    for attribute in tree.find_all((nodes.Getattr, nodes.Getitem)):
        step, dotted = _step(attribute), _dotted(attribute)
        if step is None or (dotted or "").startswith("params."):
            continue
        if step.startswith("_"):
            raise TemplateRefused(text, dotted or step, _PRIVATE_REASON)
        if step in CLOCK:
            raise TemplateRefused(text, dotted or step, CLOCK_REASON)
    for call in tree.find_all(nodes.Call):
        step, dotted = _step(call.node), _dotted(call.node)
        given = len(call.args) + len(call.kwargs)
        if (step in CLOCK_WITHOUT_ARGUMENT and not given) or (
            dotted == "macros.datetime_diff_for_humans" and given < 2
        ):
            raise TemplateRefused(text, f"{dotted or step}() without an argument", CLOCK_REASON)
