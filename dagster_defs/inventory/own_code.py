"""Objects, classes and functions in the code of a team's own operator, as the inventory shows them."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from dagster_defs.inventory.callables import Invoked, PythonCall
from dagster_defs.inventory.document import OperatorCode
from dagster_defs.inventory.holes import Holes

_CLASS_DECORATORS = frozenset({"final", "typing.final"})


@dataclass(frozen=True, slots=True)
class Delegated:
    """`super().execute()` of a library's operator, after these fields have been set."""

    fields: Mapping[str, Any]
    raises: bool
    conditional: bool


Started = PythonCall | Invoked | Delegated


@dataclass(eq=False)
class Instance:
    """An object of a class of the team's own; `mro`: its classes by path, nearest first."""

    mro: tuple[str, ...]
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CodePath:
    """A function, class or module by its dotted path, or what follows from calling one: `a.b().c`."""

    text: str


@dataclass(frozen=True, slots=True)
class Method:
    instance: Instance
    owner: str
    node: ast.FunctionDef


@dataclass(frozen=True, slots=True)
class Partial:
    function: Any
    placed: tuple[Any, ...]
    named: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Super:
    instance: Instance
    owner: str


OBJECTS = (Instance, CodePath, Method, Partial, Super)


@dataclass
class World:
    """What the walks of one operator share. `fields`: the task's values before its `execute`;
    `frames`: the names of each function that was walked."""

    code: OperatorCode
    holes: Holes
    fields: Mapping[str, Any]
    calls: list[Started] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    frames: list[dict[str, Any]] = field(default_factory=list)
    instances: list[Instance] = field(default_factory=list)


@cache
def tree_of(source: str) -> ast.ClassDef | ast.FunctionDef | None:
    """The class or function that a source text defines; None if it is anything else."""
    try:
        body = ast.parse(textwrap.dedent(source)).body
    except (SyntaxError, RecursionError, ValueError):
        return None
    return body[0] if len(body) == 1 and isinstance(body[0], ast.ClassDef | ast.FunctionDef) else None


def lookup(world: World, instance: Instance, name: str, after: str = "") -> Any:
    """What a class attribute is: a method, the node of its value, the path in a library, or None if it is not shown."""
    mro = instance.mro[instance.mro.index(after) + 1 :] if after else instance.mro
    for owner in mro:
        definition = world.code.definitions.get(owner)
        if definition is None:
            return CodePath(f"{owner}.{name}")
        tree = tree_of(definition.source)
        if not isinstance(tree, ast.ClassDef) or not _is_plain_class(tree):
            return None
        found: Any = None
        for statement in tree.body:
            match statement:
                case ast.FunctionDef(name=defined) if defined == name:
                    found = Method(instance, owner, statement)
                case ast.AsyncFunctionDef(name=defined) | ast.ClassDef(name=defined) if defined == name:
                    return None
                case ast.Assign(targets=[ast.Name(id=defined)], value=value) if defined == name:
                    found = (owner, value)
                case ast.AnnAssign(target=ast.Name(id=defined), value=ast.expr() as value) if defined == name:
                    found = (owner, value)
        if found is not None:
            return found
    return None


def _is_plain_class(tree: ast.ClassDef) -> bool:
    """Whether its body alone says what the class has: no decorator and no statement may add to it."""
    usual = (
        ast.FunctionDef
        | ast.AsyncFunctionDef
        | ast.ClassDef
        | ast.Assign
        | ast.AnnAssign
        | ast.Expr
        | ast.Pass
    )
    decorators = {ast.unparse(decorator) for decorator in tree.decorator_list}
    return decorators <= _CLASS_DECORATORS and all(isinstance(each, usual) for each in tree.body)
