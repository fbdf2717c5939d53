"""One call of a function or method in the code of a team's own operator: what it starts, and what it returns."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import IntEnum
from typing import Any

from dagster_defs.inventory.callables import STARTING, Context, PythonCall, Unknown, runs_dbt
from dagster_defs.inventory.knowledge import is_harmless
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

_DEEPEST = 12  # calls inside calls
_MOST_TURNS = 200  # of a loop over a list that is known
_MUTATING = frozenset(
    {"append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse", "update", "setdefault"}
)
_STARTERS = frozenset({*(f"subprocess.{name}" for name in STARTING), "os.system", "os.popen", "posix.system"})
_REMOTE = frozenset({"invoke", "cli", "run_cli", "exec_command", "exec_run", "call_command", *STARTING})
_REACHING = frozenset({"exec", "eval", "compile", "setattr", "delattr", "vars", "__import__"})
_KEPT_DECORATORS = frozenset(
    {"property", "cached_property", "functools.cached_property", "override", "apply_defaults", "staticmethod"}
)


class _Course(IntEnum):
    """Whether a function still runs at this point of its text."""

    RUNS = 0
    MAY_HAVE_ENDED = 1
    ENDED = 2


class MethodWalk(ShownValues):
    """One call of a function or a method. `given`: all of its arguments. `stack`: the functions that called it."""

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
        self._course = _Course.RUNS
        self._results: list[Any] = []
        super().__init__(world, owner, node, given, instance)
        world.frames.append(self._names)
        if not stack and len(node.args.args) > 1:
            self._names[node.args.args[1].arg] = Context({})
        if extra is not None and node.args.kwarg:
            self._names[node.args.kwarg.arg] = dict(extra)

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
        for node in nodes:
            if self._course is _Course.ENDED:
                return
            self._statement(node, conditional or self._course is _Course.MAY_HAVE_ENDED)

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
                for item in items:
                    if item.optional_vars is not None:
                        self._unbind(item.optional_vars)
                super()._statement(node, conditional)
            case ast.Break() | ast.Continue():
                self._course = max(self._course, _Course.MAY_HAVE_ENDED)
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
            case _:
                self._unbind(node)
                self._branch(node.body, conditional=True)
        if len(self._results) == results and self._course is not _Course.ENDED:
            self._course = course
        self.statements(node.orelse, conditional=True)

    def _try(self, node: ast.Try, conditional: bool) -> None:
        """Whether a handler runs is not known. Where no handler raises, a failure fails nothing."""
        forgives = any(not any(isinstance(n, ast.Raise) for n in ast.walk(each)) for each in node.handlers)
        course = self._course
        self._caught += forgives
        self.statements(node.body, conditional=conditional)
        self._caught -= forgives
        after = self._course
        for handler in node.handlers:
            self._course = course
            self._branch(handler.body, conditional=True)
            if after is _Course.ENDED and not isinstance(handler.body[-1], ast.Return | ast.Raise):
                after = _Course.MAY_HAVE_ENDED
        self._course = after
        self.statements(node.orelse, conditional=conditional)
        after, self._course = self._course, course
        self.statements(node.finalbody, conditional=conditional)
        self._course = max(after, self._course)

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
                if isinstance(held, Instance):
                    held.fields[name] = value
            case ast.Subscript(value=owner, slice=key):
                held = self._value(owner)
                if isinstance(held, dict):
                    self._instead(held, {**held, self._text(self._value(key), key): value})
                elif isinstance(held, list):
                    self._instead(held, self._hole(owner))
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
        places = (*self._world.frames, *(instance.fields for instance in self._world.instances))
        before, course, results = [dict(place) for place in places], self._course, len(self._results)
        super()._branch(nodes, conditional)
        for place, was in zip(places, before, strict=True):
            for name, value in place.items():
                lists = isinstance(value, list) and isinstance(was.get(name), list)
                if value is not was.get(name, Unknown) and not (lists and place is self._names):
                    place[name] = self._hole(name)
        # A branch that raises is no other way to succeed: what follows it is not conditional.
        raised = self._course is _Course.ENDED and len(self._results) == results
        ended = self._course is not course and not raised
        self._course = max(course, _Course.MAY_HAVE_ENDED) if ended else course

    def _grow(self, node: ast.expr) -> None:
        """`arguments.append(x)` and the like; any other change of a list or mapping makes it unknown."""
        match node:
            case ast.Call(func=ast.Attribute(value=owner, attr=method), args=given, keywords=named):
                held = self._value(owner)
                if method not in _MUTATING or not isinstance(held, list | dict):
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

    # Calls

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
        if isinstance(target, CodePath):
            last = target.text.rpartition(".")[2]
            is_method = "()." in target.text or self._is_of_operator(target)
            return last in _REMOTE or runs_dbt(last) if is_method else not is_harmless(target.text)
        if isinstance(target, OBJECTS):
            return True
        name = ast.unparse(call.func).rpartition(".")[2]
        return name in _REMOTE or runs_dbt(name) or name in _REACHING

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
            case _ if self._may_start(target, call) and not _is_builtin(target, call):
                self._doubt(f"`{ast.unparse(call.func)}` is called, which is not seen through")

    def _is_super(self, node: ast.expr) -> bool:
        is_operator = self._instance is self._world.instances[0]
        return (
            is_operator and isinstance(node, ast.Attribute) and ast.unparse(node.value).startswith("super(")
        )

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
        return ast.Call(call.func, [*map(bound, placed), *call.args], [*call.keywords, *keywords])

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
        walk = MethodWalk(self._world, node, owner, given, self._stack, instance, extra)
        walk._raises, walk._caught = walk._raises or self._raises, self._caught
        before = len(self.calls)
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
        return MethodWalk(self._world, empty, owner, {}, (*self._stack, empty))._value(node)


def _holds(value: Any, item: Any) -> bool:
    """Whether a list or mapping has this very item somewhere inside."""
    inner = value if isinstance(value, list) else [*value.values()] if isinstance(value, dict) else []
    return any(each is item or _holds(each, item) for each in inner)


def _is_builtin(target: Any, call: ast.Call) -> bool:
    """A function of Python's own that starts nothing."""
    name = ast.unparse(call.func)
    return isinstance(target, str) and hasattr(builtins, name) and name not in _REACHING
