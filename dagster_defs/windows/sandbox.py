"""Jinja's sandbox for text from outside: no clock, no randomness, and a budget (see `budget`).

The syntax tree is rewritten before it is compiled, so that loops, macros, `~`, comparisons and look-ups are charged to
the budget too; operators, calls, filters and tests are intercepted anyway.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any

from jinja2 import StrictUndefined, Template, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import SandboxedEnvironment
from jinja2.utils import _PassArg
from jinja2.visitor import NodeTransformer

from dagster_defs.windows.budget import OPERATION, Budget, numbers_in, size_of
from dagster_defs.windows.vocabulary import FILTERS

# Attributes of dates that read the clock or the machine's own zone: the first kind always, the second if called without
# a moment or a zone.
CLOCK = frozenset({"now", "utcnow", "today", "age", "is_past", "is_future", "is_local", "fromtimestamp"})
CLOCK_WITHOUT_ARGUMENT = frozenset(
    {"diff", "diff_for_humans", "is_anniversary", "is_birthday", "astimezone", "in_timezone", "in_tz"}
)
CLOCK_REASON = "it reads the machine's clock or time zone, not the window"

_KEY = "\0budget"  # no template can contain this name
_EPOCH = re.compile(r"(?<!%)(?:%%)*%[-_0^#]*\d*[EO]?s")  # strftime: seconds in the machine's zone
_COMPUTED_WIDTH = re.compile(r"%(?:\([^)]*\))?[-+ #0]*(?:\*|\d*\.\*)|\{[^{}]*\{")
# Filters whose result is as wide as one of their arguments says, or as large as the product of their arguments.
_WIDE = frozenset({"center", "indent", "batch", "slice", "round", "tojson", "wordwrap"})
_PRODUCT = frozenset({"replace", "join", "format", "wordwrap", "xmlattr", "urlize", "striptags"})
_WIDE_METHODS = frozenset({"ljust", "rjust", "center", "zfill"})
_PRODUCT_METHODS = frozenset({"replace", "translate", "join"})
_FORMATTING = frozenset({"format", "format_map"})
_DUMPING = frozenset({"dumps", "safe_dump"})
_SLOW = frozenset({"_parse", "safe_dump"})  # a hundred times as slow per character
_TEXTS = (str, bytes)
_CONTAINERS = (*_TEXTS, list, tuple, dict, set, frozenset, LoopContext)
_MOMENTS = (date, time, timedelta, tzinfo)


class Sandbox(SandboxedEnvironment):
    """Jinja's sandbox as Airflow sets it up, without randomness or the clock, and with a budget."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined,
            extensions=["jinja2.ext.do"],
            cache_size=0,
            autoescape=False,
            optimized=False,  # constant folding would happen at compile time, free of charge
            finalize=_printed,
        )
        self.filters.update(FILTERS)
        del self.filters["random"]
        del self.globals["lipsum"]
        functions: Any
        for functions in (self.filters, self.tests):
            functions.update({name: _bounded(name, function) for name, function in functions.items()})

    def bounded_template(self, tree: nodes.Template) -> Template:
        """Compiles a syntax tree, which is modified in place."""
        _Instruments().visit(tree)
        tree.set_environment(self)
        return self.from_string(tree)

    def render(self, template: Template, values: Mapping[str, Any]) -> str:
        """Raises SecurityError if the template leaves the sandbox or exceeds its budget, and whatever it raises
        itself."""
        context = template.new_context({**values, _KEY: Budget()})
        return "".join(template.root_render_func(context))

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        # Jinja's `attr` filter and indirect names are visible only here, at render time.
        return super().is_safe_attribute(obj, attr, value) and not (_is_moment(obj) and attr in CLOCK)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        _budget(context).spend(_cost_of_binop(operator, left, right))
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 - as in jinja2
        if getattr(__obj, "__func__", None) in _HELPERS:
            return __obj(*args)
        scopes = {
            key: kwargs.pop(key) for key in ("_loop_vars", "_block_vars") if key in kwargs
        }  # jinja2's own
        budget = _budget(__context)
        plain = getattr(__obj, "__wrapped__", __obj)  # str.format comes wrapped
        owner, name = getattr(plain, "__self__", None), getattr(plain, "__name__", "")
        given = [*args, *kwargs.values()]
        _refuse_machine(owner, name, args, kwargs)
        budget.spend(_cost_of_call(owner, name, given))
        endless = _belongs_to(owner, _CONTAINERS) or __obj is dict

        def passed(value: Any) -> Any:
            has_no_size = endless and isinstance(value, Iterable) and not hasattr(value, "__len__")
            return budget.counted(value) if has_no_size else budget.bounded(value)

        named = {key: passed(value) for key, value in kwargs.items()}
        result = super().call(__context, __obj, *map(passed, args), **named, **scopes)
        budget.weigh(result)
        return result

    # Called by the rewritten syntax tree.

    def tick(self, context: Context, cost: int) -> None:
        _budget(context).spend(cost)

    def counted(self, context: Context, values: Iterable[Any]) -> Iterable[Any]:
        budget = _budget(context)
        return budget.counted(values)

    def weighed(self, context: Context, value: Any) -> Any:
        budget = _budget(context)
        budget.weigh(value)
        return budget.bounded(value)

    def joined(self, context: Context, *values: Any) -> str:
        budget = _budget(context)
        for value in values:
            budget.weigh(value)
        return "".join(map(str, values))


_HELPERS = frozenset({Sandbox.tick, Sandbox.counted, Sandbox.weighed, Sandbox.joined})


def _budget(context: Context) -> Budget:
    budget: Budget = context.parent[_KEY]
    return budget


@pass_context
def _printed(context: Context, value: Any) -> Any:
    _budget(context).weigh(value)
    return value


def _bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter or a test that is charged to the budget before it runs."""
    passed = _PassArg.from_obj(function)

    @pass_context
    def bounded(context: Context, value: Any = "", *args: Any, **kwargs: Any) -> Any:
        budget = _budget(context)
        given = [*args, *kwargs.values()]
        budget.spend(_cost_of_filter(name, value, given))
        if isinstance(value, Iterable) and not hasattr(value, "__len__") and name not in ("attr", "string"):
            value = budget.counted(value) if not isinstance(value, StrictUndefined) else value
        first: tuple[Any, ...] = ()
        if passed is not None:
            first = ({_PassArg.context: context, _PassArg.eval_context: context.eval_ctx}.get(
                passed, context.environment),)  # fmt: skip
        result = function(*first, value, *map(budget.bounded, args), **kwargs)
        budget.weigh(result)
        return result

    return bounded


def _cost_of_filter(name: str, value: Any, given: list[Any]) -> int:
    size, more = size_of(value), size_of(given)
    cost = size + more
    if name in _WIDE:
        lines = value.count("\n") + 1 if name == "indent" and isinstance(value, str) else 1
        cost += _numbers(given) * (size if name == "tojson" else lines)
    if name in _PRODUCT:
        cost += (size + 1) * (more + 1)
    if name == "format" and isinstance(value, str):
        cost += _cost_of_formatting(value, given)
    if name in ("striptags", "urlize", "wordwrap") or (name == "sum" and _starts_with_list(given)):
        cost += size * size
    return cost


def _starts_with_list(given: list[Any]) -> bool:
    return any(isinstance(value, list | tuple | dict) for value in given)


def _cost_of_binop(operator: str, left: Any, right: Any) -> int:
    if operator == "%" and isinstance(left, _TEXTS):
        return _cost_of_formatting(left, right)
    if operator == "**" and isinstance(left, int) and isinstance(right, int):
        return left.bit_length() * max(right, 0) // 3
    if operator == "*":
        for sequence, times in ((left, right), (right, left)):
            if isinstance(sequence, str | bytes | list | tuple) and isinstance(times, int):
                return len(sequence) * max(times, 0)
    sizes = (
        len(value) if isinstance(value, str | bytes | list | tuple) else size_of(value)
        for value in (left, right)
    )
    return sum(sizes)


def _cost_of_formatting(layout: str | bytes, given: Any) -> int:
    text = layout.decode("latin-1") if isinstance(layout, bytes) else layout
    if _COMPUTED_WIDTH.search(text):
        raise SecurityError("the format has a computed width")
    return len(text) + numbers_in(text) + (text.count("%") + text.count("{")) * (size_of(given) + 1)


def _cost_of_call(owner: Any, name: str, given: list[Any]) -> int:
    size = size_of(given)
    if isinstance(owner, _TEXTS):
        if name in _WIDE_METHODS:
            return size + _numbers(given)
        if name == "expandtabs":
            tab = b"\t" if isinstance(owner, bytes) else "\t"
            return len(owner) + owner.count(tab) * (_numbers(given) + 8)  # type: ignore[arg-type]  # of its own kind
        if name in _PRODUCT_METHODS:
            return (len(owner) + 1) * (size + 1)
        if name in _FORMATTING:
            return _cost_of_formatting(owner, given)
        return len(owner) + size
    if name == "to_bytes":
        return size + _numbers(given)
    if name in _DUMPING:
        return size * (1 + _numbers(given[1:]) + size_of(given[1:])) * (100 if name in _SLOW else 1)
    if name in _SLOW:
        return size * 100
    # Date formats: a directive writes a few dozen characters, or as many as its width says.
    layouts = [text for text in given if isinstance(text, str) and ("%" in text or _is_moment(owner))]
    return size + sum(len(text) * 40 + numbers_in(text) for text in layouts)


def _numbers(given: Iterable[Any]) -> int:
    return sum(abs(value) for value in given if isinstance(value, int))


def _belongs_to(owner: Any, kinds: tuple[type, ...]) -> bool:
    return isinstance(owner, kinds) or (isinstance(owner, type) and issubclass(owner, kinds))


def _is_moment(owner: Any) -> bool:
    return _belongs_to(owner, _MOMENTS)


def _refuse_machine(owner: Any, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Raises SecurityError for a call on a date or a zone that would read the machine's clock or time zone."""
    if not _is_moment(owner):
        return
    given = [*args, *kwargs.values()]
    moment = args[0] if args else next((kwargs[key] for key in ("dt", "other", "tz") if key in kwargs), None)
    naive = isinstance(owner, datetime) and owner.tzinfo is None
    if (
        "local" in [value for value in given if isinstance(value, str)]
        or (name in CLOCK_WITHOUT_ARGUMENT and moment is None)
        or (naive and name in ("astimezone", "timestamp"))
        or (name in ("strftime", "format") and any(isinstance(v, str) and _EPOCH.search(v) for v in given))
        or (name == "strptime" and any(isinstance(value, str) and "%Z" in value for value in given))
    ):
        raise SecurityError(f"{name}: {CLOCK_REASON}")


class _Instruments(NodeTransformer):
    """Adds charges for everything that the sandbox does not intercept by itself."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - jinja2 finds it by this name
        self.generic_visit(node)
        node.iter = _helper("counted", node.iter)
        node.body.insert(0, _tick(node.body))
        return node

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:  # noqa: N802 - jinja2 finds it by this name
        self.generic_visit(node)
        node.body.insert(0, _tick(node.body))
        return node

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.Node:  # noqa: N802 - jinja2 finds it by this name
        self.generic_visit(node)
        node.body.insert(0, _tick(node.body))
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 - jinja2 finds it by this name
        self.generic_visit(node)
        return _helper("joined", *node.nodes)

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802 - jinja2 finds it by this name
        self.generic_visit(node)
        node.expr = _weighed(node.expr)
        for operand in node.ops:
            operand.expr = _weighed(operand.expr)
        return node

    def visit_Pair(self, node: nodes.Pair) -> nodes.Node:  # noqa: N802 - jinja2 finds it by this name
        self.generic_visit(node)
        node.key = _weighed(node.key)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802 - jinja2 finds it by this name
        self.generic_visit(node)
        if node.ctx != "load":
            return node
        if isinstance(node.arg, nodes.Slice):
            return _helper("weighed", node)
        node.arg = _weighed(node.arg)
        return node

    def visit_Call(self, node: nodes.Call | nodes.Filter | nodes.Test) -> nodes.Node:  # noqa: N802 - jinja2 finds it by this name
        self.generic_visit(node)
        if node.dyn_args is not None:
            node.dyn_args = _helper("counted", node.dyn_args)
        return node

    def visit_Filter(self, node: nodes.Filter) -> nodes.Node:  # noqa: N802 - jinja2 finds it by this name
        return self.visit_Call(node)

    def visit_Test(self, node: nodes.Test) -> nodes.Node:  # noqa: N802 - jinja2 finds it by this name
        return self.visit_Call(node)


def _helper(name: str, *arguments: Any) -> nodes.Expr:
    method = nodes.EnvironmentAttribute(name)
    return nodes.Call(method, [nodes.ContextReference(), *arguments], [], None, None)


def _weighed(node: nodes.Expr) -> nodes.Expr:
    return node if isinstance(node, nodes.Const) else _helper("weighed", node)


def _tick(body: Iterable[nodes.Node]) -> nodes.Node:
    """Charges one pass through a body for the literal text in it."""
    texts = sum(len(data.data) for node in body for data in node.find_all(nodes.TemplateData))
    return nodes.ExprStmt(_helper("tick", nodes.Const(texts + OPERATION)))
