"""Values in the code of a team's own operator, as far as the inventory shows them."""

from __future__ import annotations

import ast
import builtins
import contextlib
from collections.abc import Iterator, Mapping
from types import EllipsisType
from typing import Any

from dagster_defs.inventory.callables import Walk
from dagster_defs.inventory.document import Definition
from dagster_defs.inventory.holes import HoleKind
from dagster_defs.inventory.knowledge import is_harmless
from dagster_defs.inventory.own_code import (
    OBJECTS,
    CodePath,
    Instance,
    Method,
    Opaque,
    Partial,
    Super,
    World,
    lookup,
    mangled,
)
from dagster_defs.inventory.python_values import Maybe, Unknown

# Classes of values that hold others, which may be the team's.
_HOLDING = ("builtins.", "collections.", "functools.", "itertools.", "queue.", "types.", "weakref.")
# Built-in functions that get at anything.
REACHING = frozenset(
    {"exec", "eval", "compile", "setattr", "delattr", "vars", "globals", "locals", "__import__"}
)


class ShownValues(Walk):
    """What the expressions of one function are worth. `owner`: the class or function by its path; `given`: all of its
    arguments."""

    def __init__(
        self,
        world: World,
        owner: str,
        node: ast.FunctionDef,
        given: Mapping[str, Any],
        instance: Instance | None,
    ) -> None:
        self._world, self._owner, self._instance = world, owner, instance
        self._memo: dict[int, Any] = {}
        super().__init__(world.holes, dict(given), node)
        self.calls = world.calls  # type: ignore[assignment]  # it also has what is delegated

    def _property(self, method: Method, node: ast.expr) -> Any:
        """What a property returns."""
        raise NotImplementedError

    def _global(self, owner: str, node: ast.expr) -> Any:
        """A value in the text of a module or class, outside of any function."""
        raise NotImplementedError

    def _held(self, node: ast.expr) -> Any:
        """The value for a name that will hold it: what may be the team's is remembered as such."""
        value = self._value(node)
        clean = self._holds_objects(value) or self._is_certain(value) or not self._is_teams(node)
        return value if clean else Opaque()

    def _is_teams(self, node: ast.expr) -> bool:
        """Whether the expression may give something of the team's own, or a way to start a program."""
        value = self._value(node)
        if self._holds_objects(value) or isinstance(value, CodePath):
            return self._holds_objects(value)
        match node:
            case ast.Name(id=name):
                return name in REACHING and name not in self._names
            case ast.JoinedStr() | ast.Compare():
                return False
            case ast.Call() if id(node) in self._memo:
                return False
            case ast.Attribute(value=owner):
                return not isinstance(self._value(owner), Instance) and self._is_teams(owner)
            case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                with self._bound_inside(node):
                    return any(self._is_teams(each) for each in _own_parts(node))
        return not self._is_certain(value) and any(map(self._is_teams, _own_parts(node)))

    def _holds_objects(self, value: Any) -> bool:
        """Whether a value is, or has inside, something of the team's own or a way to start a program."""
        if isinstance(value, list):
            return any(map(self._holds_objects, value))
        if isinstance(value, dict):
            return any(map(self._holds_objects, value.values()))
        if isinstance(value, CodePath):
            is_object = "()" in value.text
            return self._world.is_teams(value.text) or not (is_object or is_harmless(value.text))
        return isinstance(value, OBJECTS)

    @contextlib.contextmanager
    def _bound_inside(self, node: ast.AST) -> Iterator[None]:
        """The names that comprehensions and lambdas bind inside themselves."""
        before = dict(self._names)
        for inner in ast.walk(node):
            if isinstance(inner, ast.comprehension):
                self._bind_loop(inner.target, inner.iter)
            elif isinstance(inner, ast.arg):
                self._names[inner.arg] = Opaque()
        try:
            yield
        finally:
            self._names.clear()
            self._names.update(before)

    def _bind_loop(self, target: ast.expr, over: ast.expr) -> None:
        """The names of a loop over what is not known: holes, or what may be the team's."""
        is_teams = self._is_teams(over)
        for inner in ast.walk(target):
            if isinstance(inner, ast.Name):
                self._names[inner.id] = Opaque() if is_teams else self._hole(inner.id)

    def _doubt(self, why: str) -> None:
        self._world.reasons.append(why)

    def _hole(self, node: ast.expr | str) -> str:
        said = node if isinstance(node, str) else ast.unparse(node)
        return self._holes.dig(said, HoleKind.PYTHON)

    def _value(self, node: ast.expr) -> Any:
        match node:
            case ast.Name(id=name) if name not in self._names:
                return self._named(name, node)
            case ast.Attribute(value=owner, attr=name):
                held, name = self._value(owner), self._mangled(name)
                if isinstance(held, Instance):
                    return self._attribute(held, name, node)
                if isinstance(held, Super):
                    found = lookup(self._world, held.instance, name, held.owner)
                    return found if isinstance(found, Method | CodePath) else Opaque()
                if isinstance(held, CodePath):
                    return CodePath(f"{held.text}.{name}")
                return super()._value(node) if not isinstance(held, OBJECTS) else self._hole(node)
            case ast.IfExp(test=test, body=body, orelse=other):
                known = self._truth(test)
                return self._hole(node) if known is None else self._value(body if known else other)
            case ast.BoolOp(op=op, values=parts):
                for part in parts:
                    known = self._truth(part)
                    if known is None:
                        return self._hole(node)
                    if known is isinstance(op, ast.Or):
                        return self._value(part)
                return self._value(parts[-1])
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                known = self._truth(operand)
                return self._hole(node) if known is None else not known
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return self._compared(self._value(left), op, self._value(right), node)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self._sum(self._value(left), self._value(right), left, right)
            case ast.Call() if id(node) in self._memo:
                return self._memo[id(node)]
        return super()._value(node)

    def _named(self, name: str, node: ast.expr) -> Any:
        """A name of the module that the code stands in."""
        definition = self._world.code.definitions.get(self._owner, Definition("", (), {}))
        known = definition.names.get(name)
        if known is None:
            return self._hole(node) if hasattr(builtins, name) else Opaque()
        return self._known(known)

    def _known(self, known: Mapping[str, Any]) -> Any:
        """What the inventory says of a name."""
        if "object" in known:
            kind = str(known["object"])
            may_hold = kind.startswith(_HOLDING) or known.get("own", True)
            return Opaque() if may_hold else CodePath(f"{kind}()")
        if "value" in known:
            return self._shared(self._literal(known["value"]))
        path = CodePath(str(known.get("refers")))
        if "placed" in known:
            placed, named = self._literal(known["placed"]), self._literal(known.get("named") or {})
            return Partial(path, tuple(placed), named)
        return path

    def _shared(self, value: Any) -> Any:
        """A value that code elsewhere has too."""
        self._world.shared += [value] if isinstance(value, list | dict) else []
        return value

    def _literal(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._holes.mask_marks(value)
        if isinstance(value, list | tuple):
            return [self._literal(item) for item in value]
        return {k: self._literal(v) for k, v in value.items()} if isinstance(value, dict) else value

    def _attribute(self, instance: Instance, name: str, node: ast.expr) -> Any:
        if name in instance.fields:
            return instance.fields[name]
        if instance is self._world.instances[0] and name in self._world.code.others:
            return self._known(self._world.code.others[name])
        found = lookup(self._world, instance, name)
        match found:
            case Method(node=method):
                decorators = {ast.unparse(each) for each in method.decorator_list}
                if not any(each.endswith("property") for each in decorators):
                    return found
                return self._property(found, node)
            case CodePath():
                return CodePath("logging.Logger") if name == "log" else found
            case (str(owner), ast.expr() as value):
                return self._shared(self._global(owner, value))
            case dict():
                return self._known(found)
        return Opaque()

    def _result(self, call: ast.Call) -> Any:
        target = self._value(call.func)
        text = ast.unparse(call.func)
        if text == "super" and self._instance is not None and not call.args:
            return Super(self._instance, self._owner)
        if isinstance(target, CodePath):
            if target.text == "functools.partial" and call.args:
                return self._partial(call)
            if target.text == "os.environ.copy":
                return {}  # what Airflow's own environment has is nothing that the task sets
            if target.text in ("json.dumps", "shlex.split", "yaml.dump", "yaml.safe_dump"):
                plain = ast.parse(target.text, mode="eval").body
                return super()._result(ast.Call(plain, call.args, call.keywords))
            return CodePath(f"{target.text}()")
        if isinstance(target, OBJECTS):
            return self._hole(call)
        if text in ("list", "tuple", "dict") and len(call.args) == 1 and not call.keywords:
            held = self._value(call.args[0])
            if held == CodePath("os.environ"):
                return {}
            return held.copy() if isinstance(held, list | dict) else self._hole(call)
        if isinstance(call.func, ast.Attribute) and call.func.attr == "copy" and not call.args:
            held = self._value(call.func.value)
            return held.copy() if isinstance(held, list | dict) else self._hole(call)
        if text == "getattr" and len(call.args) >= 2 and isinstance(call.args[1], ast.Constant):
            held = self._value(call.args[0])
            if isinstance(held, Instance):
                return self._attribute(held, str(call.args[1].value), call)
        return super()._result(call)

    def _mangled(self, name: str) -> str:
        """An attribute's name as the code of this class gets at it."""
        owner = self._world.code.definitions.get(self._owner)
        return mangled(name, self._owner.rpartition(".")[2]) if owner and owner.mro else name

    def _partial(self, call: ast.Call) -> Any:
        first, *placed = call.args
        starred = any(isinstance(each, ast.Starred) for each in call.args)
        if starred or any(keyword.arg is None for keyword in call.keywords):
            return Opaque()
        named = {str(keyword.arg): self._value(keyword.value) for keyword in call.keywords}
        return Partial(self._value(first), tuple(map(self._value, placed)), named)

    def _sum(self, one: Any, two: Any, left: ast.expr, right: ast.expr) -> Any:
        if isinstance(one, list) and isinstance(two, list):
            return one + two
        if isinstance(one, list) or isinstance(two, list) or self._is_number(one) or self._is_number(two):
            return self._hole(ast.BinOp(left, ast.Add(), right))
        return self._text(one, left) + self._text(two, right)

    def _is_number(self, value: Any) -> bool:
        return isinstance(value, int | float)

    def _compared(self, one: Any, op: ast.cmpop, two: Any, node: ast.expr) -> Any:
        if not (self._is_certain(one) and self._is_certain(two)):
            return self._hole(node)
        match op:
            case ast.Is() | ast.IsNot() if any(each is None or isinstance(each, bool) for each in (one, two)):
                return (one is two) is isinstance(op, ast.Is)
            # A tuple is shown as a list is, and they are never equal.
            case ast.Eq() | ast.NotEq() if one != two or not isinstance(one, list | dict):
                return (one == two) is isinstance(op, ast.Eq)
            case ast.In() | ast.NotIn() if isinstance(two, list | dict | str) and not isinstance(
                one, list | dict
            ):
                return (one in two) is isinstance(op, ast.In)
        return self._hole(node)

    def _is_certain(self, value: Any) -> bool:
        if isinstance(value, list):
            return all(map(self._is_certain, value))
        if isinstance(value, dict):
            return all(map(self._is_certain, value.values()))
        if isinstance(value, str):
            return not self._holes.in_text(value)
        return value is None or isinstance(value, int | float)

    def _truth(self, test: ast.expr) -> bool | None:
        value = self._value(test)
        if isinstance(value, list):
            certain = [each for each in value if not isinstance(each, Unknown | Maybe)]
            return bool(value) if certain or not value else None
        if isinstance(value, dict):
            return bool(value)
        return bool(value) if self._is_certain(value) else None

    def _text(self, value: Any, node: ast.expr | None) -> str:
        if isinstance(value, (*OBJECTS, list, dict, bytes, complex, EllipsisType)):
            return self._hole(node if node is not None else "?")
        return super()._text(value, node)


def _own_parts(node: ast.AST) -> Iterator[ast.expr]:
    """The nearest expressions inside, also behind parts that are none themselves, such as keywords."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            yield child
        elif isinstance(child, ast.keyword | ast.comprehension):
            yield from _own_parts(child)
