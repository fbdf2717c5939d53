"""A function of a DAG file with what it uses of that file, and without the DAG, so that Airflow need not be there."""

from __future__ import annotations

import ast
import builtins
import symtable
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

LOCALS = "<locals>"
_GIVEN = frozenset({*dir(builtins), "__name__", "__file__", "__doc__"})
_ANYTHING = (
    "globals",
    "locals",
    "vars",
    "exec",
    "eval",
)  # by which code reaches names that it does not write


class NoSlice(Exception):
    """Why a function cannot be taken out of its file."""


@dataclass(frozen=True, slots=True)
class Slice:
    """The statements of a file that `name` needs, in their order."""

    name: str
    statements: Sequence[ast.stmt]

    def load(self, module: str, file: str) -> Callable[..., Any]:
        """Raises what the statements raise."""
        code = compile(ast.Module(list(self.statements), []), file, "exec", dont_inherit=True)
        names: dict[str, Any] = {"__name__": module, "__file__": file}
        exec(code, names)  # noqa: S102 - it is the team's own file, as an import would run it
        function: Callable[..., Any] = names[self.name]
        return function


def slice_of(text: ast.Module, name: str, is_there: Callable[[str], bool]) -> Slice:
    """`name`: a function of the file, or `maker.<locals>.function` for one inside of a function. `is_there`: whether a
    package can be imported. Raises NoSlice."""
    maker, _, inner = name.rpartition(f".{LOCALS}.")
    airflows = {name for node in ast.walk(text) if _of_airflow(node) for name in _bound(node)}
    scope = list(_of_file(text.body, airflows))
    around = _inside(scope, maker, airflows) if maker else []
    return _Slicing([*scope, *around], is_there, around).of(inner)


def _of_airflow(node: ast.AST) -> TypeGuard[ast.Import | ast.ImportFrom]:
    return any(package.partition(".")[0] == "airflow" for package in _packages(node))


def _of_file(body: Sequence[ast.stmt], airflows: Collection[str]) -> Iterator[ast.stmt]:
    """The statements of a scope; what a `with` block of a DAG or a task group makes belongs to it. Another block is one
    statement: what it makes, it makes in a context. `airflows`: the names that are imported from there."""
    for statement in body:
        if isinstance(statement, ast.With) and all(
            _first_name(item.context_expr) in airflows for item in statement.items
        ):
            yield from _of_file(statement.body, airflows)
        else:
            yield statement


def _first_name(node: ast.expr) -> str:
    return next((each.id for each in ast.walk(node) if isinstance(each, ast.Name)), "")


def _inside(scope: Sequence[ast.stmt], maker: str, airflows: Collection[str]) -> list[ast.stmt]:
    found = [node for node in scope if isinstance(node, ast.FunctionDef) and node.name == maker]
    if len(found) != 1 or LOCALS in maker:
        raise NoSlice(f"there is no one function {maker} that makes it")
    takes = found[0].args
    rest = filter(None, (takes.vararg, takes.kwarg))
    own = {each.arg for each in (*takes.posonlyargs, *takes.args, *takes.kwonlyargs, *rest)}
    return [ast.copy_location(_Argument(name), found[0]) for name in sorted(own)] + list(
        _of_file(found[0].body, airflows)
    )


class _Argument(ast.Pass):
    """An argument of the function around: what it is given is known in a DAG's run only."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


@dataclass(frozen=True, slots=True)
class _Slicing:
    """`around`: those of the scope that are of the function around it."""

    scope: Sequence[ast.stmt]
    is_there: Callable[[str], bool]
    around: Sequence[ast.stmt] = ()

    def of(self, name: str) -> Slice:
        found = [node for node in self.scope if isinstance(node, ast.FunctionDef) and node.name == name]
        if len(found) != 1:
            raise NoSlice(f"there is no one function {name}")
        needed: dict[int, ast.stmt] = {}
        todo, seen = [name], {name}
        is_task = self._is_task(found[0])
        if is_task and name in _used(found[0]):
            raise NoSlice(f"it uses {name}, which is a task in Airflow")
        for position, statement in enumerate(self.scope):
            if "*" in _bound(statement):  # it may shadow any name, and a builtin, too
                needed[position] = statement
                self._refuse_missing(statement)
        while todo:
            for position, statement in self._making(todo.pop()):
                # `load = load()` makes a task of it, and the task's function stays what it was.
                if is_task and statement is not found[0] and name in _bound(statement):
                    continue
                if position in needed:
                    continue
                if statement is not found[0] and self._is_task(statement):
                    raise NoSlice(f"it uses {', '.join(_bound(statement))}, which is a task in Airflow")
                needed[position] = self._without_airflow(statement)
                self._refuse_missing(needed[position])
                new = [each for each in _used(needed[position]) if each not in seen]
                seen.update(new)
                todo += new
        future = [
            node for node in self.scope if isinstance(node, ast.ImportFrom) and node.module == "__future__"
        ]
        made = [needed[position] for position in sorted(needed)]
        return Slice(name, [*future, *(each for each in made if each not in future)])

    def _making(self, name: str) -> Iterator[tuple[int, ast.stmt]]:
        """The statements that bind a name or change what it stands for. Raises NoSlice for a name of nowhere."""
        binding = [(at, node) for at, node in enumerate(self.scope) if name in _bound(node)]
        if not binding and name not in _GIVEN:
            raise NoSlice(f"it uses {name}, which its file does not have")
        if binding and any(isinstance(node, _Argument) for _, node in binding):
            raise NoSlice(f"it uses {name}, which the function around it is given")
        if name in _ANYTHING and not binding:
            raise NoSlice(f"it uses {name}(), and so perhaps anything of its file")
        self._refuse_unclear(name, [node for _, node in binding])
        yield from binding
        if not any(
            isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom)
            for _, node in binding
        ):
            yield from ((at, node) for at, node in enumerate(self.scope) if name in _changed(node))

    def _refuse_unclear(self, name: str, binding: Sequence[ast.stmt]) -> None:
        """Raises NoSlice for a name that is a task in Airflow, that a function sets, or that means two things."""
        functions = [node for node in self.scope if isinstance(node, ast.FunctionDef)]
        if any(_sets(node, name) for node in functions if node not in binding):
            raise NoSlice(f"it uses {name}, which a function of its file may set")
        if len({node in self.around for node in binding}) > 1:
            raise NoSlice(f"it uses {name}, which the function around it and its file both have")

    def _is_task(self, node: ast.stmt) -> bool:
        return isinstance(node, ast.FunctionDef) and any(map(self._is_airflows, node.decorator_list))

    def _without_airflow(self, statement: ast.stmt) -> ast.stmt:
        """A function without the decorators that make a task of it."""
        if not isinstance(statement, ast.FunctionDef):
            return statement
        kept = [each for each in statement.decorator_list if not self._is_airflows(each)]
        copy = ast.FunctionDef(
            **{field: getattr(statement, field) for field in statement._fields if hasattr(statement, field)}
        )
        copy.decorator_list = kept
        return ast.copy_location(copy, statement)

    def _is_airflows(self, decorator: ast.expr) -> bool:
        root = _first_name(decorator)
        return any(root in _bound(node) and _of_airflow(node) for node in self.scope)

    def _refuse_missing(self, statement: ast.stmt) -> None:
        for node in ast.walk(statement):
            for package in _packages(node):
                if not self.is_there(package):
                    raise NoSlice(f"it needs {package}, which is not there")


def _packages(node: ast.AST) -> list[str]:
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom(module=str(module), level=0):
            return [module]
        case ast.ImportFrom():
            return ["." * node.level + (node.module or "")]
    return []


def _bound(node: ast.stmt) -> set[str]:
    """The names that a statement binds in its own scope."""
    match node:
        case _Argument():
            return {node.name}
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return {node.name}
        case ast.Import() | ast.ImportFrom():
            return {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    table = _table(node)
    return {each.get_name() for each in table.get_symbols() if each.is_assigned() or each.is_imported()}


def _used(node: ast.stmt) -> set[str]:
    """The names of its scope, or of those around it, that a statement or the code in it uses."""
    if isinstance(node, _Argument):
        return set()
    table = _table(node)
    names = {each.get_name() for each in table.get_symbols() if each.is_referenced()}
    todo = list(table.get_children())
    while todo:
        child = todo.pop()
        names |= {each.get_name() for each in child.get_symbols() if _is_from_around(each)}
        todo += child.get_children()
    return names


def _is_from_around(symbol: symtable.Symbol) -> bool:
    # In a function that is called `top`, symtable takes every name for a global one.
    own = symbol.is_parameter() or symbol.is_assigned() or symbol.is_imported()
    return symbol.is_declared_global() or (symbol.is_global() and not own)


def _changed(node: ast.stmt) -> set[str]:
    """The names whose objects a statement may change: `x[…] = …`, `x.y = …`, `x.append(…)`, `x += …`."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom):
        return set()
    roots: set[str] = set()
    for each in ast.walk(node):
        match each:
            case ast.Attribute() | ast.Subscript() if isinstance(each.ctx, ast.Store | ast.Del):
                roots |= _root(each)
            case ast.Call(func=ast.Attribute() as method):
                roots |= _root(method)
    return roots


def _sets(function: ast.FunctionDef, name: str) -> bool:
    return any(isinstance(each, ast.Global) and name in each.names for each in ast.walk(function))


def _root(node: ast.expr) -> set[str]:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return {node.id} if isinstance(node, ast.Name) else set()


def _table(node: ast.stmt) -> symtable.SymbolTable:
    return symtable.symtable(ast.unparse(node), "slice", "exec")
