"""Calls in the code of a team's own operator: what is followed, what starts something, and what is doubted."""

from __future__ import annotations

import ast
import builtins
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dagster_defs.inventory.callables import STARTING, Context, PythonCall, Unknown
from dagster_defs.inventory.knowledge import HARMLESS_METHODS, is_harmless
from dagster_defs.inventory.own_code import (
    OBJECTS,
    CodePath,
    Delegated,
    Instance,
    Method,
    Partial,
    World,
    lookup,
    tree_of,
)
from dagster_defs.inventory.own_values import ShownValues

MUTATING = frozenset(
    {"append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse", "update", "setdefault"}
)
_DEEPEST = 12  # calls inside calls
_STARTERS = frozenset({*(f"subprocess.{name}" for name in STARTING), "os.system", "os.popen", "posix.system"})
_ENVIRONMENT = frozenset(
    {*(f"os.environ.{name}" for name in MUTATING), "os.putenv", "os.unsetenv", "os.chdir", "os.fchdir"}
)
_REACHING = frozenset({"exec", "eval", "compile", "setattr", "delattr", "vars", "__import__"})
_KEPT_DECORATORS = frozenset(
    {"property", "cached_property", "functools.cached_property", "override", "apply_defaults", "staticmethod"}
)


class MethodCalls(ShownValues):
    """`given`: all arguments of the function or method. `stack`: the functions that called it."""

    def __init__(
        self,
        world: World,
        node: ast.FunctionDef,
        owner: str,
        given: Mapping[str, Any],
        stack: tuple[ast.AST, ...],
        instance: Instance | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self._node = node
        self._stack = (*stack, node)
        self._made_from: dict[int, tuple[ast.Call, ast.Call]] = {}  # calls with what a partial adds
        self._looked_at = False  # whether the caller looks at what this returns, and may raise then
        self._is_branch = False  # whether what is walked now stands in a branch that may not be taken
        super().__init__(world, owner, node, given, instance)
        world.frames.append(self._names)
        if not stack and len(node.args.args) > 1:
            self._names[node.args.args[1].arg] = Context({})
        if extra is not None and node.args.kwarg:
            self._names[node.args.kwarg.arg] = dict(extra)

    @property
    def result(self) -> Any:
        """What the call of this function returns."""
        raise NotImplementedError

    @contextlib.contextmanager
    def _uncertain(self, *, own_lists: bool = False) -> Iterator[None]:
        """What changes inside is not known afterwards. `own_lists`: but for lists of the function itself, of which the
        caller knows what may have been added."""
        places = (*self._world.frames, *(instance.fields for instance in self._world.instances))
        before = [dict(place) for place in places]
        yield
        for place, was in zip(places, before, strict=True):
            for name, value in place.items():
                lists = isinstance(value, list) and isinstance(was.get(name), list)
                is_known = own_lists and lists and place is self._names
                if value is not was.get(name, Unknown) and not is_known:
                    place[name] = self._hole(name)

    def _calls(self, node: ast.AST, conditional: bool) -> None:
        """The calls of an expression as Python makes them: what a call is given comes before it."""
        match node:
            case ast.BoolOp(op=op, values=parts):
                for part in parts:
                    self._calls(part, conditional)
                    known = self._truth(part)
                    if known is isinstance(op, ast.Or):
                        return
                    conditional = conditional or known is None
            case ast.IfExp(test=test, body=body, orelse=other):
                self._calls(test, conditional)
                known = self._truth(test)
                if known is not False:
                    self._calls(body, conditional or known is None)
                if known is not True:
                    self._calls(other, conditional or known is None)
            case ast.NamedExpr(target=ast.Name(id=name), value=value):
                self._calls(value, conditional)
                self._names[name] = self._hole(name) if conditional else self._value(value)
            case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                for call in (inner for inner in ast.walk(node) if isinstance(inner, ast.Call)):
                    if self._may_start(self._value(call.func), call):
                        self._doubt(f"`{ast.unparse(call)}` inside an expression is not followed")
            case _:
                for child in ast.iter_child_nodes(node):
                    self._calls(child, conditional)
                if isinstance(node, ast.Call):
                    self._memo.pop(id(node), None)
                    self._call(node, self._value(node.func), conditional)

    def _may_start(self, target: Any, call: ast.Call) -> bool:
        name = ast.unparse(call.func).rpartition(".")[2]
        if isinstance(target, str) and hasattr(builtins, name) and isinstance(call.func, ast.Name):
            return name in _REACHING
        if isinstance(target, CodePath):
            if target.text in _ENVIRONMENT:
                return True
            is_method = "()." in target.text or self._is_of_operator(target)
            return name not in HARMLESS_METHODS if is_method else not is_harmless(target.text)
        return isinstance(target, OBJECTS) or name not in HARMLESS_METHODS

    def _is_of_operator(self, path: CodePath) -> bool:
        """Whether it is a method that a library's class gives to an object of the team's."""
        owner = path.text.rpartition(".")[0]
        return any(owner in instance.mro for instance in self._world.instances)

    def _call(self, call: ast.Call, target: Any, conditional: bool) -> None:
        match target:
            case Partial(function=function, placed=placed, named=named):
                spread = self._spread(call, placed, named)
                self._memo.pop(id(spread), None)
                self._call(spread, function, conditional)
                self._memo[id(call)] = self._memo.get(id(spread), self._hole(call))
            case Method(instance=instance, owner=owner, node=node):
                self._memo[id(call)] = self._follow(call, node, owner, instance, conditional)
            case CodePath(text=path) if path in _STARTERS or path.endswith(".run_command"):
                self._start(call, path, conditional)
            case CodePath(text=path) if path.endswith("dbtRunner().invoke"):
                before = len(self.calls)
                self._invoked(call, conditional)
                if len(self.calls) == before:
                    self._doubt(f"what `{ast.unparse(call)}` runs is not shown")
            case CodePath(text=path) if path.endswith((".dbtRunner", ".SubprocessHook")):
                pass
            case CodePath(text=path) if path in self._world.code.definitions:
                self._memo[id(call)] = self._of_definition(call, path, conditional)
            case CodePath(text=path) if path.endswith(".execute") and self._is_super(call.func):
                self._world.calls.append(Delegated(self._set_fields(), not self._caught, conditional))
            case _ if self._may_start(target, call):
                self._doubt(f"`{ast.unparse(call.func)}` is called, which is not seen through")

    def _is_super(self, node: ast.expr) -> bool:
        is_operator = self._instance is self._world.instances[0]
        return is_operator and isinstance(node, ast.Attribute) and ast.unparse(node.value) == "super()"

    def _set_fields(self) -> dict[str, Any]:
        """The task's values that its code has changed."""
        now, was = self._world.instances[0].fields, self._world.fields
        return {name: self._shown(value, name) for name, value in now.items() if value is not was.get(name)}

    def _shown(self, value: Any, name: str) -> Any:
        if isinstance(value, list):
            return [self._shown(item, name) for item in value]
        if isinstance(value, dict):
            return {key: self._shown(item, name) for key, item in value.items()}
        return (
            value
            if value is None or isinstance(value, bool | int | float)
            else self._text(value, ast.Name(name))
        )

    def _start(self, call: ast.Call, path: str, conditional: bool) -> None:
        method = path.rpartition(".")[2]
        if method in ("system", "popen"):
            script = self._text(self._value(call.args[0]), call.args[0]) if call.args else self._hole(call)
            self.calls.append(PythonCall((), script, False, conditional))
            return
        if any(isinstance(each, ast.Starred) for each in call.args) or any(
            k.arg is None for k in call.keywords
        ):
            self._doubt(f"what `{ast.unparse(call)}` starts is not shown")
            return
        given = {keyword.arg: self._value(keyword.value) for keyword in call.keywords}
        if not isinstance(given.get("env") or {}, dict):
            self._doubt(f"the environment of `{ast.unparse(call)}` is not shown")
        before = len(self.calls)
        self._started(call, method, conditional)
        if len(self.calls) == before:
            self._doubt(f"what `{ast.unparse(call)}` starts is not shown")

    def _spread(self, call: ast.Call, placed: Sequence[Any], named: Mapping[str, Any]) -> ast.Call:
        """The call with what a partial adds, under names that the source cannot have."""

        def bound(value: Any) -> ast.Name:
            name = f"partial {len(self._names)}"
            self._names[name] = value
            return ast.Name(name, ast.Load())

        own = {keyword.arg for keyword in call.keywords}
        keywords = [ast.keyword(key, bound(value)) for key, value in named.items() if key not in own]
        spread = ast.Call(call.func, [*map(bound, placed), *call.args], [*call.keywords, *keywords])
        self._made_from[id(spread)] = spread, call
        return spread

    def _may_fail(self, call: ast.Call) -> bool:
        _, call = self._made_from.get(id(call), (call, call))
        return self._outcomes.fail(call) or (self._looked_at and self._outcomes.return_it(call))

    def _of_definition(self, call: ast.Call, path: str, conditional: bool) -> Any:
        tree = tree_of(self._world.code.definitions[path].source)
        if isinstance(tree, ast.FunctionDef):
            return self._follow(call, tree, path, None, conditional)
        made = Instance(self._world.code.definitions[path].mro)
        self._world.instances.append(made)
        begin = lookup(self._world, made, "__init__")
        if isinstance(begin, Method):
            self._follow(call, begin.node, begin.owner, made, conditional)
        elif begin is None or not isinstance(tree, ast.ClassDef):
            made.mro = ()
        return made

    def _follow(
        self, call: ast.Call, node: ast.FunctionDef, owner: str, instance: Instance | None, conditional: bool
    ) -> Any:
        given, extra, why = self._bound(call, node, owner, instance)
        if not why and (node in self._stack or len(self._stack) > _DEEPEST):
            why = "calls itself, or too much"
        if why:
            if any(isinstance(inner, ast.Call) for inner in ast.walk(node)):
                self._doubt(f"{node.name} {why}, and is not followed")
            return self._hole(call)
        walk = type(self)(self._world, node, owner, given, self._stack, instance, extra)
        walk._caught, walk._looked_at = self._caught, self._may_fail(call)
        before = len(self.calls)
        # In a branch that may not be taken, the branch itself takes care of what changes.
        with self._uncertain() if conditional and not self._is_branch else contextlib.nullcontext():
            walk.statements(node.body, conditional=False)
        if conditional:
            self._world.calls[before:] = [
                replace(each, conditional=True) for each in self._world.calls[before:]
            ]
        return walk.result

    def _bound(
        self, call: ast.Call, node: ast.FunctionDef, owner: str, instance: Instance | None
    ) -> tuple[dict[str, Any], dict[str, Any], str]:
        """The arguments by name, those that only `**kwargs` takes, and why it cannot be followed; empty if it can."""
        decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
        if decorators - _KEPT_DECORATORS:
            return {}, {}, f"is decorated by {', '.join(sorted(decorators))}"
        if any(isinstance(inner, ast.Yield | ast.YieldFrom | ast.Await) for inner in ast.walk(node)):
            return {}, {}, "is a generator"
        if any(isinstance(each, ast.Starred) for each in call.args) or any(
            k.arg is None for k in call.keywords
        ):
            return {}, {}, "is given arguments that the source does not show"
        arguments = [*node.args.posonlyargs, *node.args.args]
        placed = [self._value(each) for each in call.args]
        if instance is not None and "staticmethod" not in decorators:
            placed = [instance, *placed]
        given: dict[str, Any] = dict(zip((each.arg for each in arguments), placed, strict=False))
        named = {keyword.arg: self._value(keyword.value) for keyword in call.keywords if keyword.arg}
        names = {each.arg for each in (*arguments, *node.args.kwonlyargs)}
        given |= {name: value for name, value in named.items() if name in names}
        begin = len(arguments) - len(node.args.defaults)
        defaults = {
            each.arg: value for each, value in zip(arguments[begin:], node.args.defaults, strict=True)
        }
        keyed = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        defaults |= {each.arg: value for each, value in keyed if value is not None}
        for name in names - given.keys():
            given[name] = self._global(owner, defaults[name]) if name in defaults else self._hole(name)
        return given, {name: value for name, value in named.items() if name not in names}, ""

    def _property(self, method: Method, node: ast.expr) -> Any:
        before = len(self.calls)
        value = self._follow(
            ast.Call(node, [], []), method.node, method.owner, method.instance, conditional=True
        )
        if len(self.calls) > before:
            del self.calls[before:]
            self._doubt(f"its property {method.node.name} starts something")
        return value

    def _global(self, owner: str, node: ast.expr) -> Any:
        empty = ast.FunctionDef("?", ast.arguments([], [], None, [], [], None, []), [], [])
        return type(self)(self._world, empty, owner, {}, (*self._stack, empty))._value(node)
