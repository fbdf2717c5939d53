"""Whether a Python function fails if a program that it has started fails."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import chain
from typing import Any


class Outcomes:
    """What the function does with the results of its calls, by its text. A result is followed from name to name."""

    def __init__(self, function: Any) -> None:
        nodes = [] if function is None else [*ast.walk(function)]
        self._given = list(chain.from_iterable(map(_bindings, nodes)))
        self._looks = list(chain.from_iterable(map(_looks, nodes)))
        self._returned = [node.value for node in nodes if isinstance(node, ast.Return) and node.value]

    def fail(self, call: ast.Call) -> bool:
        """Whether something that looks at the call's result may raise."""
        names = self._names_of(call)
        return any(_mentions(test, call, names) for test in self._looks)

    def return_it(self, call: ast.Call) -> bool:
        """Whether the caller gets the call's result, to look at it there."""
        names = self._names_of(call)
        return any(_mentions(value, call, names) for value in self._returned)

    def _names_of(self, call: ast.Call) -> set[str]:
        """The names that hold the call's result, or what was made from it."""
        names: set[str] = set()
        known = -1
        while known < len(names):
            known = len(names)
            names |= {name for name, value in self._given if _mentions(value, call, names)}
        return names


def _bindings(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    match node:
        case ast.Assign(targets=targets, value=value):
            bound = targets
        case (
            ast.AnnAssign(target=target, value=ast.expr() as value)
            | ast.NamedExpr(target=target, value=value)
        ):
            bound = [target]
        case ast.AugAssign(target=target, value=value):
            bound = [target]
        case ast.withitem(context_expr=value, optional_vars=ast.expr() as target):
            bound = [target]
        case _:
            return
    for each in chain.from_iterable(map(ast.walk, bound)):
        if isinstance(each, ast.Name):
            yield each.id, value


def _looks(node: ast.AST) -> Iterator[ast.expr]:
    """Expressions that decide whether the function fails."""
    match node:
        case ast.If(test=test) | ast.While(test=test) if any(map(_fails, ast.walk(node))):
            yield test
        case ast.Assert(test=test):
            yield test
        case ast.Call(func=ast.Attribute(value=owner, attr="check_returncode")):
            yield owner
        case ast.Call(func=function, args=arguments) if _exits(function):
            yield from arguments


def _fails(node: ast.AST) -> bool:
    return isinstance(node, ast.Raise) or (isinstance(node, ast.Call) and _exits(node.func))


def _exits(function: ast.expr) -> bool:
    return ast.unparse(function) in ("sys.exit", "exit")


def _mentions(node: ast.expr, call: ast.Call, names: set[str]) -> bool:
    return any(
        inner is call or (isinstance(inner, ast.Name) and inner.id in names) for inner in ast.walk(node)
    )
