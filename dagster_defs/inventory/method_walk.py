"""One call of a function or method in the code of a team's own operator: what it starts, and what it returns."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from dagster_defs.inventory.callables import Unknown
from dagster_defs.inventory.method_calls import MUTATING, MethodCalls
from dagster_defs.inventory.own_code import OBJECTS, CodePath, Instance, Method, lookup

_MOST_TURNS = 200  # of a loop over a list that is known


class _Course(IntEnum):
    """Whether a function still runs at this point of its text."""

    RUNS = 0
    MAY_HAVE_ENDED = 1
    NEXT_TURN = 2  # `continue`
    LEFT_LOOP = 3  # `break`
    ENDED = 4


class MethodWalk(MethodCalls):
    """One call of a function or a method, statement by statement."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._course = _Course.RUNS
        self._results: list[Any] = []
        super().__init__(*arguments, **named)

    @property
    def result(self) -> Any:
        """What the call returns, if one `return` certainly ends it, or none may."""
        if self._course is _Course.RUNS:
            return None
        if self._course is _Course.ENDED and len(self._results) == 1:
            return self._results[0]
        return self._hole(self._node.name)

    # Statements

    def statements(self, nodes: Sequence[ast.stmt], *, conditional: bool) -> None:
        for place, node in enumerate(nodes):
            if self._course > _Course.MAY_HAVE_ENDED:
                return
            if self._course is _Course.MAY_HAVE_ENDED and not conditional:
                self._branch(nodes[place:], True)  # what it changes is as uncertain as what it starts
                return
            self._statement(node, conditional)

    def _statement(self, node: ast.stmt, conditional: bool) -> None:
        match node:
            case ast.Return(value=value):
                if value is not None:
                    self._calls(value, conditional)
                self._results.append(None if value is None else self._value(value))
                self._course = _Course.ENDED
            case ast.Raise():
                super()._statement(node, conditional)
                self._course = _Course.ENDED
            case ast.Expr(value=value):
                self._calls(value, conditional)
                self._grow(value)
            case ast.With(items=items):
                self._with(node, items, conditional)
            case ast.Continue():
                self._course = _Course.NEXT_TURN
            case ast.Break():
                self._course = _Course.LEFT_LOOP
            case ast.For() | ast.While():
                self._loop(node, conditional)
            case ast.Try():
                self._try(node, conditional)
            case ast.Assign(targets=[ast.Name()]) | ast.AnnAssign(target=ast.Name()):
                super()._statement(node, conditional)
            case ast.Assign(targets=targets, value=value):
                self._calls(value, conditional)
                known = self._value(value)
                for target in targets:
                    self._assign(target, known)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._calls(value, conditional)
                self._assign(target, self._value(value))
            case ast.AugAssign(target=target, op=op, value=value):
                self._calls(value, conditional)
                held, more = self._value(target), self._value(value)
                new = self._sum(held, more, target, value) if isinstance(op, ast.Add) else self._hole(target)
                if isinstance(held, list | dict):
                    self._instead(held, new)  # in place
                else:
                    self._assign(target, new)
            case ast.Import(names=names):
                for each in names:
                    self._names[each.asname or each.name.partition(".")[0]] = CodePath(
                        each.name if each.asname else each.name.partition(".")[0]
                    )
            case ast.ImportFrom(module=module, names=names):
                for each in names:
                    self._names[each.asname or each.name] = CodePath(f"{module or '?'}.{each.name}")
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.Match() | ast.Delete():
                self._unbind(node)
                if any(isinstance(inner, ast.Call | ast.Delete) for inner in ast.walk(node)):
                    self._doubt(f"line {node.lineno} of {self._node.name} is not followed")
            case ast.Global() | ast.Nonlocal():
                self._doubt(f"{self._node.name} sets what is not its own")
            case _:
                super()._statement(node, conditional)

    def _loop(self, node: ast.For | ast.While, conditional: bool) -> None:
        """Turn by turn over a list that is known; else its body may run any number of times. `break` ends no more than
        the loop."""
        course, results = self._course, len(self._results)
        self._calls(node.iter if isinstance(node, ast.For) else node.test, conditional)
        match node:
            case ast.For(target=ast.Name(id=name), iter=over, body=body) if (
                isinstance(items := self._value(over), list) and len(items) <= _MOST_TURNS
            ):
                for item in items:
                    self._names[name] = item
                    self.statements(body, conditional=conditional)
                    if self._course is _Course.NEXT_TURN:
                        self._course = course
                    elif self._course > _Course.MAY_HAVE_ENDED:
                        break
            case _:
                self._unbind(node)
                self._branch(node.body, conditional=True)
        if len(self._results) == results and self._course is not _Course.ENDED:
            self._course = course
        if node.orelse:
            self._branch(node.orelse, conditional=True)

    def _try(self, node: ast.Try, conditional: bool) -> None:
        """Whether a handler runs is not known. Where no handler raises, a failure fails nothing, and how far the body
        came is not known."""
        forgives = any(not any(isinstance(n, ast.Raise) for n in ast.walk(each)) for each in node.handlers)
        self._caught += forgives
        if forgives:
            with self._uncertain():
                self.statements(node.body, conditional=conditional)
                self.statements(node.orelse, conditional=conditional)
        else:
            self.statements([*node.body, *node.orelse], conditional=conditional)
        self._caught -= forgives
        after = self._course
        for handler in node.handlers:
            self._course = _Course.RUNS
            self._branch(handler.body, conditional=True)
            if self._course is not _Course.RUNS:
                after = max(after, _Course.MAY_HAVE_ENDED)
            elif after > _Course.MAY_HAVE_ENDED and not isinstance(handler.body[-1], ast.Raise):
                after = _Course.MAY_HAVE_ENDED
        self._course = _Course.RUNS
        self.statements(node.finalbody, conditional=conditional)
        self._course = max(after, self._course)

    def _with(self, node: ast.With, items: Sequence[ast.withitem], conditional: bool) -> None:
        """A `suppress` forgives as a handler does; what a class of the team's does around the body is not followed."""
        forgives = False
        for item in items:
            self._calls(item.context_expr, conditional)
            held = self._value(item.context_expr)
            forgives = forgives or "suppress" in ast.unparse(item.context_expr)
            if isinstance(held, Instance) or not isinstance(held, CodePath):
                self._doubt(f"what `with {ast.unparse(item.context_expr)}` does around its body is not shown")
            if item.optional_vars is not None:
                self._unbind(item.optional_vars)
        self._caught += forgives
        if forgives:
            with self._uncertain():
                self.statements(node.body, conditional=conditional)
            self._course = min(self._course, _Course.MAY_HAVE_ENDED)
        else:
            self.statements(node.body, conditional=conditional)
        self._caught -= forgives

    def _unbind(self, node: ast.AST) -> None:
        """Names that the statement may bind in a way that is not followed."""
        for inner in ast.walk(node):
            match inner:
                case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                    self._names[name] = self._hole(name)
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    self._names[name] = self._hole(name)

    def _assign(self, target: ast.expr, value: Any) -> None:
        match target:
            case ast.Name(id=name):
                self._names[name] = value
            case ast.Attribute(value=owner, attr=name):
                held = self._value(owner)
                if isinstance(held, Instance) and not isinstance(lookup(self._world, held, name), Method):
                    held.fields[name] = value
                else:
                    self._doubt(f"`{ast.unparse(target)}` is set, which may change what is called")
            case ast.Subscript(value=owner, slice=key):
                held = self._value(owner)
                if isinstance(held, dict):
                    self._instead(held, {**held, self._text(self._value(key), key): value})
                elif isinstance(held, list):
                    self._instead(held, self._hole(owner))
                elif isinstance(held, OBJECTS):
                    self._doubt(f"`{ast.unparse(target)}` is set")
            case ast.Tuple(elts=parts) | ast.List(elts=parts) if (
                isinstance(value, list)
                and len(value) == len(parts)
                and not any(isinstance(part, ast.Starred) for part in parts)
            ):
                for part, item in zip(parts, value, strict=True):
                    self._assign(part, item)
            case _:
                self._unbind(target)

    def _instead(self, old: Any, new: Any) -> None:
        """A list or mapping has changed: wherever it is held, it has. What holds it further inside is not followed."""
        found = False
        for place in (*self._world.frames, *(instance.fields for instance in self._world.instances)):
            for name, value in place.items():
                if value is old:
                    place[name], found = new, True
                elif _holds(value, old):
                    self._doubt(f"what {name} holds is changed")
        if not found:
            self._doubt(f"{self._node.name} changes what is held elsewhere")

    def _branch(self, nodes: Sequence[ast.stmt], conditional: bool) -> None:
        """What a branch changes that may not be taken is not known afterwards."""
        if not conditional:
            self.statements(nodes, conditional=False)
            return
        course, results, was_branch = self._course, len(self._results), self._is_branch
        if course is _Course.MAY_HAVE_ENDED:
            self._course = _Course.RUNS
        self._is_branch = True
        with self._uncertain(own_lists=True):
            super()._branch(nodes, conditional)
        self._is_branch = was_branch
        # A branch that raises is no other way to succeed: what follows it is not conditional.
        raised = self._course is _Course.ENDED and len(self._results) == results
        ended = self._course is not _Course.RUNS and not raised
        self._course = max(course, _Course.MAY_HAVE_ENDED) if ended else course

    def _grow(self, node: ast.expr) -> None:
        """`arguments.append(x)` and the like; any other change of a list or mapping makes it unknown."""
        match node:
            case ast.Call(func=ast.Attribute(value=owner, attr=method), args=given, keywords=named):
                held = self._value(owner)
                if method not in MUTATING or not isinstance(held, list | dict):
                    return
                new: Any = self._hole(owner)
                if len(given) == 1 and not named:
                    more = self._value(given[0])
                    if method == "append" and isinstance(held, list):
                        new = [*held, more]
                    elif method == "extend" and isinstance(held, list):
                        new = [*held, *(more if isinstance(more, list) else [Unknown()])]
                    elif method == "update" and isinstance(held, dict) and isinstance(more, dict):
                        new = {**held, **more}
                self._instead(held, new)


def _holds(value: Any, item: Any) -> bool:
    """Whether a list or mapping has this very item somewhere inside."""
    inner = value if isinstance(value, list) else [*value.values()] if isinstance(value, dict) else []
    return any(each is item or _holds(each, item) for each in inner)
