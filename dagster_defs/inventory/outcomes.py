"""Whether a Python function fails if a program that it has started fails."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from dagster_defs.inventory.guards import exits, surely_raises
from dagster_defs.inventory.knowledge import LOGGING


class Outcomes:
    """What the function does with the results of its calls, by its text. A result is followed from name to name."""

    def __init__(self, function: Any) -> None:
        self._nodes = nodes = [] if function is None else [*ast.walk(function)]
        self._given = list(chain.from_iterable(map(_bindings, nodes)))
        self._looks = list(chain.from_iterable(map(_looks, nodes)))
        self._blocks = [block for node in nodes for block in _blocks_of(node)]
        self._returned = [node.value for node in nodes if isinstance(node, ast.Return) and node.value]

    def surely_read(
        self, call: ast.Call, value: Callable[[ast.expr], Any] = lambda _: None
    ) -> frozenset[str]:
        """The attributes of the call's result of which a bad one certainly fails the function; empty for the result
        itself. The test stands behind the call, in the same block, and nothing between them ends anything."""
        for block in self._blocks:
            for place, statement in enumerate(block):
                if not _runs(statement, call):
                    continue
                name = _name_of(statement, call)
                found: set[str] = set()
                for later in block[place:]:
                    found |= _read_by(later, call, name, value)
                    rebinds = later is not statement and any(each == name for each, _ in _all_bound(later))
                    if rebinds or any(isinstance(inner, _ENDS) for inner in ast.walk(later)):
                        break
                return frozenset(found)
        return frozenset()

    def is_ignored(self, call: ast.Call) -> bool:
        """Whether nothing is done with the call's result, but that a log may have it."""
        for block in self._blocks:
            for statement in block:
                if isinstance(statement, ast.Expr) and statement.value is call:
                    return True
                if name := _name_of(statement, call):
                    logged = {id(inner) for each in self._nodes if _logs(each) for inner in ast.walk(each)}
                    return not any(
                        isinstance(node, ast.Name)
                        and node.id == name
                        and isinstance(node.ctx, ast.Load)
                        and id(node) not in logged
                        for node in self._nodes
                    )
        return False

    def surely_return_it(self, call: ast.Call) -> bool:
        """Whether every call of the function returns just that, if it comes so far."""
        for block in self._blocks:
            for statement, then in zip(block, [*block[1:], None], strict=True):
                match statement, then:
                    case ast.Return(value=value), _ if value is call:
                        return True
                    case ast.Assign(targets=[ast.Name(id=name)], value=value), ast.Return(
                        value=ast.Name(id=returned)
                    ) if value is call and name == returned:
                        return True
        return False

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


_ENDS = ast.Return | ast.Break | ast.Continue | ast.Try | ast.For | ast.While
_BLOCKS = ("body", "orelse", "finalbody")


def _blocks_of(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for name in _BLOCKS:
        block = getattr(node, name, None)
        if isinstance(block, list) and block:
            yield block


def _runs(statement: ast.stmt, call: ast.Call) -> bool:
    """Whether the call stands in the statement itself, not in a block inside it."""
    blocks = [inner for block in _blocks_of(statement) for each in block for inner in ast.walk(each)]
    return call in [*ast.walk(statement)] and call not in blocks


def _logs(node: ast.AST) -> bool:
    """Whether it is a line for a log."""
    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        return False
    return ast.unparse(node.value.func).rpartition(".")[2] in LOGGING | {"print"}


def _name_of(statement: ast.stmt, call: ast.Call) -> str:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value) if value is call:
            return name
        case ast.AnnAssign(target=ast.Name(id=name), value=value) if value is call:
            return name
    return ""


def _all_bound(statement: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    return chain.from_iterable(map(_bindings, ast.walk(statement)))


def _read_by(statement: ast.stmt, call: ast.Call, name: str, value: Callable[[ast.expr], Any]) -> set[str]:
    """What the statement reads of the result, and certainly raises if that is bad."""
    match statement:
        case ast.If(test=test, body=body) if surely_raises(body):
            bad = _bad(test, call, name)
        case ast.If(test=test, orelse=other) if surely_raises(other):
            bad = _good(test, call, name, value)
        case ast.Assert(test=ast.Compare(left=left, ops=[ast.Eq()], comparators=[ast.Constant(value=0)])):
            bad = _attribute_of(left, call, name)
        case ast.Assert(test=ast.Attribute(attr="success") as left):
            bad = _attribute_of(left, call, name)
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=owner, attr="check_returncode"))) if _is_result(
            owner, call, name
        ):
            bad = "returncode"
        case _:
            bad = None
    return set() if bad is None else {bad}


def _bad(test: ast.expr, call: ast.Call, name: str) -> str | None:
    match test:
        case ast.Compare(left=left, ops=[ast.NotEq()], comparators=[ast.Constant(value=0)]):
            return _attribute_of(left, call, name)
        case ast.UnaryOp(op=ast.Not(), operand=ast.Attribute(attr="success") as operand):
            return _attribute_of(operand, call, name)
        case ast.Attribute(attr="success"):
            return None
    return _attribute_of(test, call, name)


def _good(test: ast.expr, call: ast.Call, name: str, value: Callable[[ast.expr], Any]) -> str | None:
    match test:
        case ast.Compare(left=left, ops=[ast.Eq()], comparators=[ast.Constant(value=0)]):
            return _attribute_of(left, call, name)
        case ast.Compare(
            left=left, ops=[ast.In()], comparators=[ast.List(elts=codes) | ast.Tuple(elts=codes)]
        ):
            is_zero = all(each is not None and each == 0 for each in map(value, codes))
            return _attribute_of(left, call, name) if is_zero else None
        case ast.Attribute(attr="success"):
            return _attribute_of(test, call, name)
    return None


def _attribute_of(node: ast.expr, call: ast.Call, name: str) -> str | None:
    if _is_result(node, call, name):
        return ""
    if isinstance(node, ast.Attribute) and _is_result(node.value, call, name):
        return node.attr
    return None


def _is_result(node: ast.expr, call: ast.Call, name: str) -> bool:
    return node is call or (bool(name) and isinstance(node, ast.Name) and node.id == name)


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
        case ast.Call(args=arguments) if exits(node):
            yield from arguments


def _fails(node: ast.AST) -> bool:
    return isinstance(node, ast.Raise) or exits(node)


def _mentions(node: ast.expr, call: ast.Call, names: set[str]) -> bool:
    return any(
        inner is call or (isinstance(inner, ast.Name) and inner.id in names) for inner in ast.walk(node)
    )
