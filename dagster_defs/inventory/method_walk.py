"""One call of a function or method in the code of a team's own operator: what it starts, and what it returns."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from dagster_defs.inventory.callables import skips
from dagster_defs.inventory.guards import Guard, Handler, forgives
from dagster_defs.inventory.method_calls import MethodCalls
from dagster_defs.inventory.own_code import OBJECTS, CodePath, Instance, Method, lookup
from dagster_defs.inventory.python_values import Unknown

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
        return self._either(self._node.name, *self._results)

    def statements(self, nodes: Sequence[ast.stmt], *, conditional: bool) -> None:
        for place, node in enumerate(nodes):
            if self._course > _Course.MAY_HAVE_ENDED:
                return
            if self._course is _Course.MAY_HAVE_ENDED and not conditional:
                self._branch(nodes[place:], True)  # what it changes is as uncertain as what it starts
                return
            self._statement(node, conditional)

    def _statement(self, node: ast.stmt, conditional: bool) -> None:
        self._whole = getattr(node, "value", None)
        match node:
            case ast.Return(value=value):
                if value is not None:
                    self._calls(value, conditional)
                self._results.append(None if value is None else self._held(value))
                self._course = _Course.ENDED
            case ast.Assert():
                super()._statement(node, conditional)
                self._world.raised += 1
            case ast.Raise(exc=raised):
                if raised is not None:
                    self._calls(raised, conditional)
                if skips(raised):  # the task succeeds, and nothing that would follow runs
                    self._results.append(None)
                    self._world.skipped += 1
                else:
                    self._world.raised += 1
                self._course = _Course.ENDED
            case ast.Expr(value=value):
                self._calls(value, conditional)
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
            case ast.Assign(targets=targets, value=value):
                self._calls(value, conditional)
                known = self._held(value)
                for target in targets:
                    self._calls(target, conditional)
                    self._assign(target, known)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._calls(value, conditional)
                self._calls(target, conditional)
                self._assign(target, self._held(value))
            case ast.AugAssign(target=target, op=op, value=value):
                self._calls(target, conditional)
                self._calls(value, conditional)
                held, more = self._value(target), self._value(value)
                new = self._sum(held, more, target, value) if isinstance(op, ast.Add) else self._hole(target)
                if isinstance(held, list | dict):  # in place; a tuple, which looks like a list, is not
                    self._instead(held, self._hole(target))
                self._assign(target, new)
            case ast.Import(names=names):
                for each in names:
                    self._names[each.asname or each.name.partition(".")[0]] = CodePath(
                        each.name if each.asname else each.name.partition(".")[0]
                    )
            case ast.ImportFrom(module=module, names=names, level=level):
                for each in names:
                    path = CodePath(f"{'?' * level}{module or ''}.{each.name}")
                    self._names[each.asname or each.name] = path
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.Match() | ast.Delete():
                self._unbind(node)
                if any(isinstance(inner, ast.Call | ast.Delete) for inner in ast.walk(node)):
                    self._doubt(f"line {node.lineno} of {self._node.name} is not followed")
            case ast.Global() | ast.Nonlocal():
                self._doubt(f"{self._node.name} sets what is not its own")
            case _:
                super()._statement(node, conditional)

    def _may_end(self) -> None:
        self._course = max(self._course, _Course.MAY_HAVE_ENDED)

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
                if isinstance(node, ast.For):
                    self._bind_loop(node.target, node.iter)
                self._branch(node.body, conditional=True)
        if len(self._results) == results and self._course is not _Course.ENDED:
            self._course = course
        if isinstance(node, ast.While) and self._truth(node.test) is not None:
            self._course = max(self._course, _Course.MAY_HAVE_ENDED)  # its body may have raised
        if node.orelse:
            self._branch(node.orelse, conditional=True)

    def _try(self, node: ast.Try, conditional: bool) -> None:
        """Whether a handler runs is not known. Where one forgives, how far the body came is not known either."""
        handlers = tuple(Handler(self._types(each.type), forgives(each.body)) for each in node.handlers)
        self._guarded(node.body, handlers, conditional)
        self.statements(node.orelse, conditional=conditional)
        after, raised, started = self._course, self._world.raised, bool(self.calls)
        for each, handler in zip(node.handlers, handlers, strict=True):
            self._course = _Course.RUNS
            if each.name:
                self._names[each.name] = self._hole(each.name)
            self._branch(each.body, conditional=True)
            if self._course is not _Course.RUNS:
                after = max(after, _Course.MAY_HAVE_ENDED)
            elif after > _Course.MAY_HAVE_ENDED and handler.forgives is not False:
                after = _Course.MAY_HAVE_ENDED
            if handler.forgives and self._world.raised > raised and started:
                self._doubt(f"a handler of {self._node.name} calls what may raise")
        self._course = _Course.RUNS
        self.statements(node.finalbody, conditional=conditional)
        if self._course is not _Course.RUNS:
            self._doubt(f"the `finally` of {self._node.name} may end a failure")
        self._course = max(after, self._course)

    def _types(self, node: ast.expr | None) -> tuple[str, ...]:
        """What an `except` catches, by path."""
        parts = node.elts if isinstance(node, ast.Tuple) else [node] if node is not None else []
        values = [(self._value(each), ast.unparse(each)) for each in parts]
        return tuple(
            value.text if isinstance(value, CodePath) else text if self._is_builtin(text) else "?."
            for value, text in values
        )

    def _guarded(self, body: Sequence[ast.stmt], guard: Guard, conditional: bool) -> None:
        """Statements under handlers. What comes after something that may raise runs on some ways only, if one
        forgives."""
        self._world.guards.append(guard)
        if all(handler.forgives is False for handler in guard):
            self.statements(body, conditional=conditional)
        else:
            with self._uncertain():
                for place, statement in enumerate(body):
                    if self._course is _Course.RUNS and self._may_raise(statement):
                        self._branch(body[place:], conditional=True)
                        break
                    self.statements([statement], conditional=conditional)
        self._world.guards.pop()

    def _with(self, node: ast.With, items: Sequence[ast.withitem], conditional: bool) -> None:
        """A `suppress` forgives as a handler does; what a class of the team's does around the body is not followed."""
        guards: list[Handler] = []
        for item in items:
            self._calls(item.context_expr, conditional)
            held = self._value(item.context_expr)
            match held, item.context_expr:
                case CodePath(text="contextlib.suppress()"), ast.Call(args=types):
                    guards.append(Handler(self._types(ast.Tuple([*types])) or ("?.",), True))
                case CodePath(text=path), _ if "suppress" not in path and not self._world.is_teams(path):
                    pass
                case _ if ast.unparse(item.context_expr).startswith("open(") and self._is_builtin("open"):
                    pass
                case _:
                    said = ast.unparse(item.context_expr)
                    self._doubt(f"what `with {said}` does around its body is not shown")
            if item.optional_vars is not None:
                self._bind_loop(item.optional_vars, item.context_expr)
        if guards:
            self._guarded(node.body, tuple(guards), conditional)
            self._course = min(self._course, _Course.MAY_HAVE_ENDED)
        else:
            self.statements(node.body, conditional=conditional)

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
                held, name = self._value(owner), self._mangled(name)
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
        if any(old is each for each in self._world.shared):
            self._doubt(f"{self._node.name} changes what other code has, too")
        for place in self._places():
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

    def _change(self, call: ast.Call) -> None:
        if not isinstance(call.func, ast.Attribute):
            return
        held, method = self._value(call.func.value), call.func.attr
        new: Any = self._hole(call.func.value)
        self._memo[id(call)] = (
            None if method in ("append", "extend", "insert", "update") else self._hole(call)
        )
        if len(call.args) == 1 and not call.keywords:
            more = self._held(call.args[0])
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
