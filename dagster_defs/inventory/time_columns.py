"""The column that places a model's rows in a window, according to the model itself.

For a microbatch model that is its `event_time`. For another incremental model it is the column that its own code
compares with the variables of the window, `day >= '{{ var("from") }}' and day < '{{ var("to") }}'`, if its rows contain
that column unchanged: it is followed through subqueries. Anything less clear is reported but not accepted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, TemplateSyntaxError, nodes
from sqlglot import exp, parse_one
from sqlglot.optimizer.scope import Scope, traverse_scope

from dagster_defs.older_python import StrEnum
from dagster_defs.windows.budget import parse

_JINJA = Environment(autoescape=False, extensions=["jinja2.ext.do"])  # noqa: S701 - it never renders


class TimeSource(StrEnum):
    """Where the column comes from."""

    EVENT_TIME = "event_time"
    FILTER = "filter"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class TimeColumn:
    """Without a `column`, `reason` says why there is none. `open`: a person must name one, because a run builds only
    part of the table and it is not known which."""

    column: str | None
    source: TimeSource
    reason: str
    open: bool = False

    def as_json(self) -> dict[str, Any]:
        return {"column": self.column, "source": self.source.value, "reason": self.reason}


NO_WINDOWS = TimeColumn(
    None, TimeSource.NONE, "its DAG has no clock, so each run is compared with the whole table"
)


@dataclass(frozen=True, slots=True)
class WindowNames:
    """A unit's bound variables, by the end that they are, and whether it gives event times."""

    lower: frozenset[str] = frozenset()
    upper: frozenset[str] = frozenset()
    event_times: bool = False


def time_column(node: Mapping[str, Any], window: WindowNames, dialect: str) -> TimeColumn:
    """`node` of dbt's manifest; `dialect`: dbt's type of its warehouse."""
    config = node.get("config") or {}
    kind = config.get("materialized")
    if kind != "incremental":
        return TimeColumn(None, TimeSource.NONE, f"every run builds the whole {kind or 'table'}")
    event_time = config.get("event_time")
    if config.get("incremental_strategy") == "microbatch":
        if event_time is None or not window.event_times:
            return _unknown(
                "a microbatch model, and the unit says no event times"
                if event_time
                else "a microbatch model without event_time"
            )
        return TimeColumn(str(event_time), TimeSource.EVENT_TIME, "event_time of a microbatch model")
    if not (window.lower and window.upper):
        return _unknown("the unit has no variables for both ends of its window")
    try:
        column = _filtered(str(node.get("raw_code") or ""), window, dialect)
    except _Unclear as error:
        return _unknown(str(error) + (f"; its event_time is {event_time}" if event_time else ""))
    lower, upper = sorted(window.lower)[0], sorted(window.upper)[0]
    if event_time and str(event_time).lower() != column.lower():
        return _unknown(
            f"its filter compares {column} with {lower} and {upper}, and its event_time is {event_time}"
        )
    return TimeColumn(column, TimeSource.FILTER, f"its filter: {lower} <= {column} < {upper}")


def _unknown(reason: str) -> TimeColumn:
    return TimeColumn(None, TimeSource.NONE, reason, open=True)


class _Unclear(Exception):
    """Why no column is known."""


def _filtered(raw_code: str, window: WindowNames, dialect: str) -> str:
    """Raises _Unclear."""
    template = _Template(window.lower | window.upper)
    try:
        sql = template.text(parse(_JINJA, raw_code).body)
        tree = parse_one(sql, dialect=dialect or None)
        scopes = list(traverse_scope(tree))
    except TemplateSyntaxError as error:
        raise _Unclear("its template cannot be read") from error
    except _Unclear:
        raise
    except Exception as error:  # a model on which our parsing, or sqlglot's, fails must not stop the others
        raise _Unclear("its SQL cannot be read without running its templates") from error
    if not isinstance(tree, exp.Select) or not scopes:
        raise _Unclear("its SQL is not one select")
    ends = list(_ends(scopes, template, window))
    if len({end.origin for end in ends}) > 1:
        listed = ", ".join(dict.fromkeys(end.shown for end in ends))
        raise _Unclear(f"its code compares more than one column with the window ({listed})")
    if {end.is_lower for end in ends} != {True, False}:
        raise _Unclear("its code compares no column with both ends of the window")
    origin, names = ends[0].origin, _names(scopes[-1], ends[0].name)
    handed_on = [name for name in names if _origin(scopes[-1], name) == origin]
    if len(handed_on) != 1:
        nullable = [name for name in names if _origin(scopes[-1], name, outer=True) == origin]
        how = f"as {' and '.join(handed_on)}" if handed_on else "as no column of its own"
        if nullable and not handed_on:
            how = f"as {' and '.join(nullable)}, and an outer join may leave that NULL"
        raise _Unclear(f"its filter is on {ends[0].shown}, which it hands on {how}")
    return handed_on[0]


class _Template:
    """A model's code as SQL, with a word in place of each expression; `is_incremental()` is assumed true."""

    def __init__(self, bounds: frozenset[str]) -> None:
        self._bounds = bounds
        self._aliases: dict[str, nodes.Node] = {}
        self._by_word: dict[str, nodes.Node] = {}

    def text(self, body: Sequence[nodes.Node]) -> str:
        """Raises _Unclear if the text depends on anything else."""
        return "".join(self._piece(node) for node in body)

    def _piece(self, node: nodes.Node) -> str:
        match node:
            case nodes.Output():
                return "".join(
                    part.data if isinstance(part, nodes.TemplateData) else self._word(part)
                    for part in node.nodes
                )
            case nodes.If() if (incremental := _is_incremental(node.test)) is not None and not node.elif_:
                return self.text(node.body if incremental else node.else_)
            case nodes.Assign(target=nodes.Name(name=name)):
                if name in self._aliases:
                    raise _Unclear(f"its template sets {name} more than once")
                self._aliases[name] = node.node
                return ""
            case nodes.ExprStmt():
                return ""
        raise _Unclear("its template decides more than is_incremental() what its SQL is")

    def _word(self, node: nodes.Node) -> str:
        if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name == "config":
            return ""
        word = f"zqh{len(self._by_word)}hqz"
        self._by_word[word] = node
        return word

    def words(self, tree: exp.Expr) -> set[str]:
        """The words in a piece of SQL that involve a bound of the window."""
        texts = [
            node.this for node in tree.find_all(exp.Identifier, exp.Literal) if isinstance(node.this, str)
        ]
        return {
            word
            for word, node in self._by_word.items()
            if self._variables(node) & self._bounds and any(word in text.lower() for text in texts)
        }

    def bare(self, word: str) -> str:
        """The variable whose value the word is, unchanged; empty if anything is done to it."""
        node = self._by_word.get(word.lower())
        if isinstance(node, nodes.Name):
            node = self._aliases.get(node.name, node)
        if (
            not isinstance(node, nodes.Call)
            or not isinstance(node.node, nodes.Name)
            or node.node.name != "var"
        ):
            return ""
        name = node.args[0] if node.args else None
        return str(name.value) if isinstance(name, nodes.Const) else ""

    def _variables(self, node: nodes.Node) -> set[str]:
        names = {
            str(each.value) for each in (node, *node.find_all(nodes.Const)) if isinstance(each, nodes.Const)
        }
        used = {each.name for each in (node, *node.find_all(nodes.Name)) if isinstance(each, nodes.Name)}
        for alias in used & self._aliases.keys():
            names |= {str(each.value) for each in self._aliases[alias].find_all(nodes.Const)}
        return names


def _is_incremental(test: nodes.Node) -> bool | None:
    if isinstance(test, nodes.Not):
        inner = _is_incremental(test.node)
        return None if inner is None else not inner
    is_call = isinstance(test, nodes.Call) and isinstance(test.node, nodes.Name) and not test.args
    return True if is_call and test.node.name == "is_incremental" else None  # type: ignore[attr-defined]  # a Call


_Origin = tuple[int, str]  # the table, union or list of values from which it is read, and the column


@dataclass(frozen=True, slots=True)
class _End:
    """A comparison of a column with one end of the window."""

    name: str
    shown: str
    origin: _Origin
    is_lower: bool


def _ends(scopes: Sequence[Scope], template: _Template, window: WindowNames) -> Iterator[_End]:
    seen: set[str] = set()
    for scope in scopes:
        where = scope.expression.args.get("where")
        for term in _terms(where.this if where else None):
            if words := template.words(term):
                seen |= words
                yield _end(scope, term, template, window)
    tree = scopes[-1].expression
    if left := template.words(tree) - seen:
        names = sorted(template.bare(word) or "the window's variables" for word in left)
        raise _Unclear(f"its code uses {', '.join(dict.fromkeys(names))} in more places than its filter")


def _terms(condition: exp.Expr | None) -> Iterator[exp.Expr]:
    if isinstance(condition, exp.And):
        yield from (*_terms(condition.left), *_terms(condition.right))
    elif isinstance(condition, exp.Paren):
        yield from _terms(condition.this)
    elif condition is not None:
        yield condition


_FLIPPED: Mapping[type[exp.Expr], type[exp.Expr]] = {
    exp.GTE: exp.LTE, exp.LTE: exp.GTE, exp.GT: exp.LT, exp.LT: exp.GT
}  # fmt: skip


def _end(scope: Scope, term: exp.Expr, template: _Template, window: WindowNames) -> _End:
    why = f"its filter is not `column >= start and column < end` ({_shown(term, template)})"
    if not isinstance(term, exp.Binary) or type(term) not in _FLIPPED:
        raise _Unclear(why)
    left, right = term.left, term.right
    how: type[exp.Expr] = type(term)
    if template.words(left):
        left, right, how = right, left, _FLIPPED[how]
    column = _bare(left)
    variable = template.bare(_value(right))
    is_lower = how is exp.GTE and variable in window.lower
    if not isinstance(column, exp.Column) or not (is_lower or (how is exp.LT and variable in window.upper)):
        raise _Unclear(why)
    origin = _column_origin(scope, column)
    if origin is None and _column_origin(scope, column, outer=True):
        raise _Unclear(f"an outer join may leave {column.sql()} of its filter NULL")
    if origin is None:
        raise _Unclear(f"where {column.sql()} of its filter comes from is not clear")
    return _End(column.name, column.sql(), origin, is_lower)


def _shown(term: exp.Expr, template: _Template) -> str:
    text = term.sql()
    for word in template.words(term):
        text = text.replace(word, f"{{{{ {template.bare(word) or '…'} }}}}")
    return text if len(text) <= 120 else f"{text[:120]}…"


def _bare(expression: exp.Expr) -> exp.Expr:
    while isinstance(expression, exp.Paren):
        expression = expression.this
    return expression


def _value(expression: exp.Expr) -> str:
    """The text or name that a value is, ignoring a cast to a date or a time."""
    expression = _bare(expression)
    while (
        isinstance(expression, exp.Cast | exp.TryCast | exp.Date | exp.Timestamp)
        and expression.this is not None
    ):
        expression = _bare(expression.this)
    if isinstance(expression, exp.Literal):
        return str(expression.this)
    return expression.name if isinstance(expression, exp.Column) and not expression.table else ""


def _column_origin(scope: Scope, column: exp.Column, *, outer: bool = False) -> _Origin | None:
    """None if more than one table may have it and, unless `outer`, if an outer join may leave it NULL."""
    name = column.table
    if not name:
        if len(scope.selected_sources) != 1:
            return None
        [name] = scope.selected_sources
    origin = scope.selected_sources.get(name)
    if origin is None:
        return None
    if not outer and name in _optional(scope.expression):
        return None
    _, source = origin
    if isinstance(source, Scope) and isinstance(source.expression, exp.Select):
        return None if _read_twice(scope, source) else _origin(source, column.name, outer=outer)
    return (id(source), column.name.lower())


def _optional(select: exp.Expr) -> set[str]:
    """The sources of a select for which a row may have only NULLs, because an outer join found no match."""
    begin = select.args.get("from_")
    return _joined(begin.this if begin else None, select.args.get("joins") or [])[1]


def _joined(first: exp.Expr | None, joins: Sequence[exp.Join]) -> tuple[set[str], set[str]]:
    """The names of all sources, and those of the optional ones."""
    names, optional = _sources(first)
    for join in joins:
        theirs, nested = _sources(join.this)
        is_padded = join.method == "POSITIONAL"  # DuckDB's, which pads the shorter side
        optional |= nested
        if is_padded or join.side in ("LEFT", "FULL"):
            optional |= theirs
        if is_padded or join.side in ("RIGHT", "FULL"):
            optional |= names
        names |= theirs
    return names, optional


def _sources(source: exp.Expr | None) -> tuple[set[str], set[str]]:
    """Like `_joined`, for one source: parentheses may contain several."""
    if source is None:
        return set(), set()
    if isinstance(source, exp.Subquery) and not isinstance(source.this, exp.Select | exp.SetOperation):
        names, optional = _joined(source.this, source.this.args.get("joins") or [])
        if optional:
            optional.add(source.alias_or_name)
        return names | {source.alias_or_name}, optional
    return {source.alias_or_name}, set()


def _origin(scope: Scope, name: str, *, outer: bool = False) -> _Origin | None:
    """For an output column of a select, if it is passed on unchanged from a table."""
    if not isinstance(scope.expression, exp.Select):
        return None
    for projection in scope.expression.selects:
        if projection.alias_or_name.lower() == name.lower() and not isinstance(projection, exp.Star):
            inner = projection.unalias()
            return _column_origin(scope, inner, outer=outer) if isinstance(inner, exp.Column) else None
    stars = [projection for projection in scope.expression.selects if isinstance(projection, exp.Star)]
    if stars and not any(star.args.get(word) for star in stars for word in ("except_", "replace", "rename")):
        return _column_origin(scope, exp.column(name), outer=outer)
    return None


def _names(scope: Scope, filtered: str) -> list[str]:
    """The output columns of a select; if it has a star, the filter's column may be among them."""
    selects = scope.expression.selects if isinstance(scope.expression, exp.Select) else []
    named = [each.alias_or_name for each in selects if not isinstance(each, exp.Star)]
    is_there = filtered.lower() in {name.lower() for name in named}
    return named if len(named) == len(selects) or is_there else [*named, filtered]


def _read_twice(scope: Scope, source: Scope) -> bool:
    """Whether a common table expression is read in more than one place: then its rows are not the same ones."""
    name = next((name for name, (_, each) in scope.selected_sources.items() if each is source), "")
    table = scope.selected_sources[name][0] if name else None
    if not isinstance(table, exp.Table):
        return False
    whole = table.root()
    return sum(each.name == table.name and not each.db for each in whole.find_all(exp.Table)) > 1
