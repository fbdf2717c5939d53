"""Objects, classes and functions in the code of a team's own operator, as the inventory shows them."""

from __future__ import annotations

import ast
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from dagster_defs.inventory.document import OperatorCode
from dagster_defs.inventory.guards import Guard
from dagster_defs.inventory.holes import Holes
from dagster_defs.inventory.knowledge import is_harmless
from dagster_defs.inventory.python_values import Invoked, PythonCall

_LIBRARIES = frozenset({*sys.stdlib_module_names, "airflow", "dbt"})
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


class Opaque:
    """Something of the team's own that is not shown, or what may hold such a thing."""


OBJECTS = (Instance, CodePath, Method, Partial, Super, Opaque)


@dataclass
class World:
    """What the walks of one operator share. `fields`: the task's values before its `execute`;
    `frames`: the names of each function that was walked; `guards`: the handlers around what is walked now; `raised`:
    how many `raise` were walked; `skipped`: those that skip the task; `forgiven`: whether a handler keeps a failure;
    `shared`: what modules, classes and defaults hold."""

    code: OperatorCode
    holes: Holes
    fields: Mapping[str, Any]
    calls: list[Started] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    frames: list[dict[str, Any]] = field(default_factory=list)
    instances: list[Instance] = field(default_factory=list)
    guards: list[Guard] = field(default_factory=list)
    raised: int = 0
    skipped: int = 0
    forgiven: bool = False
    shared: list[Any] = field(default_factory=list)

    def is_teams(self, path: str) -> bool:
        """Whether a path leads to the team's own code; in an older inventory, whether it may."""
        if self.code.unshown is None and path not in self.code.definitions:
            return path.partition(".")[0] not in _LIBRARIES and not is_harmless(path)
        own = (*self.code.definitions, *(self.code.unshown or ()))
        return path in own or path.startswith(tuple(f"{each}{sign}" for each in own for sign in ".("))


@cache
def tree_of(source: str) -> ast.ClassDef | ast.FunctionDef | None:
    """The class or function that a source text defines; None if it is anything else."""
    try:
        body = ast.parse(textwrap.dedent(source)).body
    except (SyntaxError, RecursionError, ValueError):
        return None
    return body[0] if len(body) == 1 and isinstance(body[0], ast.ClassDef | ast.FunctionDef) else None


def lookup(world: World, instance: Instance, name: str, after: str = "") -> Any:
    """What a class attribute is: a method, the node of its value or what the inventory says of it, the path in a
    library, or None if it is not shown."""
    if _is_pythons(name) and name != "__init__":
        return None  # what Python itself gives to each class
    mro = instance.mro[instance.mro.index(after) + 1 :] if after else instance.mro
    for owner in mro:
        definition = world.code.definitions.get(owner)
        if definition is None:
            return None if world.is_teams(owner) else CodePath(f"{owner}.{name}")
        tree = tree_of(definition.source)
        if not isinstance(tree, ast.ClassDef) or not _is_plain_class(tree):
            return None
        found: Any = None
        for statement in tree.body:
            defined, what = _defined(statement)
            if mangled(defined, tree.name) == name:
                if not isinstance(what, ast.FunctionDef | ast.expr):
                    return None
                found = Method(instance, owner, what) if isinstance(what, ast.FunctionDef) else (owner, what)
        known = definition.values
        if isinstance(found, Method) and known and name in known and not found.node.decorator_list:
            return None  # it has been replaced
        if known is not None and not isinstance(found, Method):
            found = known.get(name)
        if found is not None:
            return found
    return None


def _defined(statement: ast.stmt) -> tuple[str, ast.AST | None]:
    """The name that a statement of a class defines, and the function, class or value that it gives to it."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return name, statement
        case (
            ast.Assign(targets=[ast.Name(id=name)], value=value)
            | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
        ):
            return name, value
    return "", None


def mangled(name: str, of_class: str) -> str:
    """A name as Python keeps it if it is private to a class: `__words` of `Op` is `_Op__words`."""
    is_private = name.startswith("__") and not name.endswith("__")
    return f"_{of_class.lstrip('_')}{name}" if is_private else name


def _is_pythons(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


# Python calls these only where a call or a `with` is written, or the object is made.
_USUAL = frozenset({"__init__", "__call__", "__enter__", "__exit__"})
_BENDING = frozenset({"__new__", "__getattr__", "__getattribute__", "__setattr__", "__init_subclass__"})


def unusual(world: World, instance: Instance) -> list[str]:
    """Methods of its classes that Python itself calls, and that start something or change what is read."""
    found = []
    for owner in instance.mro:
        tree = tree_of(world.code.definitions[owner].source) if owner in world.code.definitions else None
        for each in tree.body if isinstance(tree, ast.ClassDef) else ():
            defined, what = _defined(each)
            calls = what is not None and any(isinstance(inner, ast.Call) for inner in ast.walk(what))
            if _is_pythons(defined) and (defined in _BENDING or (calls and defined not in _USUAL)):
                found.append(defined)
    return found


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
    return (
        decorators <= _CLASS_DECORATORS
        and not tree.keywords
        and all(isinstance(each, usual) for each in tree.body)
    )
