"""Calls in the code of a team's own operator: what is followed, what starts something, and what is doubted."""

from __future__ import annotations

import ast
import builtins
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dagster_defs.inventory.callables import STARTING
from dagster_defs.inventory.guards import Failure, escapes
from dagster_defs.inventory.knowledge import HARMLESS_METHODS, LOGGING, is_harmless
from dagster_defs.inventory.own_code import (
    OBJECTS,
    CodePath,
    Delegated,
    Instance,
    Method,
    Opaque,
    Partial,
    World,
    lookup,
    tree_of,
    unusual,
)
from dagster_defs.inventory.own_values import REACHING, ShownValues
from dagster_defs.inventory.python_values import Context, PythonCall, Unknown

MUTATING = frozenset(
    {"append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse", "update", "setdefault"}
)
_DEEPEST = 12  # calls inside calls
_STARTERS = frozenset({*(f"subprocess.{name}" for name in STARTING), "os.system", "os.popen", "posix.system"})
_ENVIRONMENT = frozenset(
    {*(f"os.environ.{name}" for name in MUTATING), "os.putenv", "os.unsetenv", "os.chdir", "os.fchdir"}
)
# What of a result says that the program has failed; empty for the result itself.
_BAD = {"run": "returncode", "call": "", "system": "", "run_command": "exit_code", "invoke": "success"}
# Those that call nothing of what they are given, or no more than how it is written.
_ASKING = frozenset(
    {"callable", "getattr", "hasattr", "id", "isinstance", "issubclass", "print", "super", "type"}
)
_KEPT_DECORATORS = frozenset(
    {"property", "cached_property", "functools.cached_property", "override", "apply_defaults", "staticmethod"}
)


@dataclass(frozen=True, slots=True)
class Look:
    """How what a function returns is looked at, and may then fail the task; `surely`: the attributes of which a bad one
    certainly does. `depth`: how many guards are around that."""

    is_taken: bool = False
    surely: frozenset[str] = frozenset()
    depth: int = 0


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
        extra: Mapping[str, Any] | Context | None = None,
    ) -> None:
        self._node = node
        self._stack = (*stack, node)
        self._made_from: dict[int, tuple[ast.Call, ast.Call]] = {}  # calls with what a partial adds
        self._look = Look()
        self._whole: ast.expr | None = None  # of the statement that is walked now
        self._is_branch = False  # whether what is walked now stands in a branch that may not be taken
        super().__init__(world, owner, node, given, instance)
        world.frames.append(self._names)
        if not stack and instance is not None and len(node.args.args) > 1:
            self._names[node.args.args[1].arg] = Context({})
        if extra is not None and node.args.kwarg:
            self._names[node.args.kwarg.arg] = extra if isinstance(extra, Context) else dict(extra)

    @property
    def result(self) -> Any:
        """What the call of this function returns."""
        raise NotImplementedError

    @contextlib.contextmanager
    def _uncertain(self, *, own_lists: bool = False) -> Iterator[None]:
        """What changes inside is not known afterwards. `own_lists`: but for lists of the function itself, of which the
        caller knows what may have been added."""
        places = self._places()
        before = [dict(place) for place in places]
        yield
        for place, was in zip(places, before, strict=True):
            for name, value in place.items():
                lists = isinstance(value, list) and isinstance(was.get(name), list)
                is_known = own_lists and lists and place is self._names
                if value is not was.get(name, Unknown) and not is_known:
                    place[name] = self._either(name, value, was.get(name))

    def _either(self, said: str, *values: Any) -> Any:
        """One of these, and it is not known which."""
        return Opaque() if any(map(self._holds_objects, values)) else self._hole(said)

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
                held = self._held(value)
                self._names[name] = self._either(name, held, self._names.get(name)) if conditional else held
            case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                with self._bound_inside(node):
                    calls = [inner for inner in ast.walk(node) if isinstance(inner, ast.Call)]
                    starting = [call for call in calls if self._may_start(self._value(call.func), call)]
                for call in starting:
                    self._doubt(f"`{ast.unparse(call)}` inside an expression is not followed")
            case _:
                for child in ast.iter_child_nodes(node):
                    self._calls(child, conditional)
                if isinstance(node, ast.Call):
                    self._memo.pop(id(node), None)
                    self._call(node, self._value(node.func), conditional)

    def _may_start(self, target: Any, call: ast.Call) -> bool:
        name = ast.unparse(call.func).rpartition(".")[2]
        given = any(self._is_teams(each) for each in (*call.args, *(each.value for each in call.keywords)))
        if isinstance(call.func, ast.Name) and self._is_builtin(name):
            return name in REACHING or (given and name not in _ASKING)
        if isinstance(target, CodePath):
            if target.text in _ENVIRONMENT or self._world.is_teams(target.text):
                return True
            is_method = "()." in target.text or self._is_of_operator(target)
            if not (name in HARMLESS_METHODS if is_method else is_harmless(target.text)):
                return True
            takes_any = name in LOGGING or target.text in ("functools.partial", "contextlib.suppress")
            return given and not takes_any
        if isinstance(target, OBJECTS) or not isinstance(call.func, ast.Attribute):
            return True
        return self._changes(call) or name not in HARMLESS_METHODS or given or self._is_teams(call.func.value)

    def _changes(self, call: ast.Call) -> bool:
        """Whether it changes a list or mapping that is known."""
        match call.func:
            case ast.Attribute(value=owner, attr=name):
                return name in MUTATING and isinstance(self._value(owner), list | dict)
        return False

    def _grow(self, node: ast.expr) -> None:
        """`_call` sees to it, wherever it stands."""

    def _may_end(self) -> None:
        """What was called may have skipped the task."""
        raise NotImplementedError

    def _change(self, call: ast.Call) -> None:
        """`arguments.append(x)` and the like."""
        raise NotImplementedError

    def _may_raise(self, node: ast.AST) -> bool:
        """Whether something in it may raise, other than by the failure of a program that it starts."""
        for inner in ast.walk(node):
            match inner:
                case ast.Name(ctx=ast.Load()) | ast.Attribute(ctx=ast.Load()):
                    risky = isinstance(self._value(inner), Opaque)
                case ast.Call(func=function):
                    risky = self._call_may_raise(self._value(function), inner)
                case ast.BinOp():
                    risky = not self._is_certain(self._value(inner))
                case ast.Subscript() | ast.Raise() | ast.Import() | ast.ImportFrom() | ast.Delete():
                    risky = True
                case ast.Tuple(ctx=ast.Store()) | ast.Starred() | ast.Assert():
                    risky = True
                case _:
                    risky = False
            if risky:
                return True
        return False

    def _call_may_raise(self, target: Any, call: ast.Call) -> bool:
        match target:
            case CodePath(text=path) if path in _STARTERS or path == "functools.partial":
                return False
            case CodePath(text=path):
                return not path.startswith("logging.Logger.")
            case Partial(function=CodePath(text=path)):
                return path not in _STARTERS
        owner = call.func.value if isinstance(call.func, ast.Attribute) else None
        if owner is not None and isinstance(self._value(owner), list | dict):
            return not ast.unparse(call.func).endswith((".append", ".extend", ".update", ".copy", ".get"))
        return not (isinstance(call.func, ast.Name) and call.func.id == "print" and self._is_builtin("print"))

    def _is_builtin(self, name: str) -> bool:
        own = self._world.code.definitions.get(self._owner)
        return hasattr(builtins, name) and name not in self._names and not (own and name in own.names)

    def _is_of_operator(self, path: CodePath) -> bool:
        """Whether it is a method that a library's class gives to an object of the team's, or one of what it holds."""
        classes = {f"{each}." for instance in self._world.instances for each in instance.mro}
        return path.text.startswith(tuple(classes))

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
            case _ if self._changes(call):
                if call is not self._whole or (conditional and not self._is_branch):
                    self._doubt(f"`{ast.unparse(call)}` changes what the same line reads")
                self._change(call)
            case CodePath(text=path) if path.endswith(".execute") and self._is_super(call.func):
                fails = self._remembered(escapes(self._world.guards, Failure.ANY), call)
                self._world.calls.append(Delegated(self._set_fields(), fails, conditional))
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
            self.calls.append(PythonCall((), script, self._raises(call, method, False), conditional))
            return
        if any(isinstance(each, ast.Starred) for each in call.args) or any(
            k.arg is None for k in call.keywords
        ):
            self._doubt(f"what `{ast.unparse(call)}` starts is not shown")
            return
        given = {str(keyword.arg): self._value(keyword.value) for keyword in call.keywords}
        if not isinstance(given.get("env") or {}, dict):
            self._doubt(f"the environment of what `{ast.unparse(call.func)}` starts is not shown")
        why = [name for name in ("executable", "preexec_fn") if given.get(name) is not None]
        why += [name for name in ("check", "shell") if not isinstance(given.get(name, False), bool)]
        why += ["shell"] if given.get("shell") is True and not isinstance(self._first(call), str) else []
        if why or (path in _STARTERS and len(call.args) > 1):
            self._doubt(f"what {', '.join(why) or 'it'} does for `{ast.unparse(call)}` is not shown")
        before = len(self.calls)
        self._started(call, method, conditional)
        if len(self.calls) == before:
            self._doubt(f"what `{ast.unparse(call)}` starts is not shown")

    def _first(self, call: ast.Call) -> Any:
        """What it starts."""
        named = [each.value for each in call.keywords if each.arg in ("args", "command")]
        return next(map(self._value, (*call.args, *named)), None)

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

    def _raises(self, call: ast.Call, method: str, checks: bool) -> bool:
        look = Look(is_taken=True) if checks else self._look_at(call)
        if not look.is_taken:
            return False
        failure = Failure.CHECKED if checks else Failure.ANY
        fails = escapes(self._world.guards[: None if checks else look.depth], failure)
        if fails is None or not (checks or _BAD.get(method) in look.surely):
            fails = None
        return self._remembered(fails, call)

    def _remembered(self, fails: bool | None, call: ast.Call) -> bool:
        _, written = self._made_from.get(id(call), (call, call))
        if fails is None:
            self._doubt(f"whether a failure of `{ast.unparse(written)}` fails the task is not shown")
        self._world.forgiven = self._world.forgiven or fails is False
        return fails is not False

    def _look_at(self, call: ast.Call) -> Look:
        """How this function or one that called it looks at what the call returns."""
        _, call = self._made_from.get(id(call), (call, call))
        if self._outcomes.is_ignored(call):
            return Look()
        if self._outcomes.surely_return_it(call):
            return self._look
        return Look(True, self._outcomes.surely_read(call, self._value), len(self._world.guards))

    def _of_definition(self, call: ast.Call, path: str, conditional: bool) -> Any:
        tree = tree_of(self._world.code.definitions[path].source)
        if isinstance(tree, ast.FunctionDef):
            return self._follow(call, tree, path, None, conditional)
        made = Instance(self._world.code.definitions[path].mro)
        self._world.instances.append(made)
        for name in unusual(self._world, made):
            self._doubt(f"{path} has {name}, which Python calls by itself")
        begin = lookup(self._world, made, "__init__")
        if isinstance(begin, Method):
            self._follow(call, begin.node, begin.owner, made, conditional)
        elif begin is None or not isinstance(tree, ast.ClassDef):
            self._doubt(f"how {path} is made is not shown")
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
        walk._look = self._look_at(call)
        before, skipped = len(self.calls), self._world.skipped
        places = self._places()
        was = [dict(place) for place in places]
        # In a branch that may not be taken, the branch itself takes care of what changes.
        with self._uncertain() if conditional and not self._is_branch else contextlib.nullcontext():
            walk.statements(node.body, conditional=False)
        if self._world.skipped > skipped:
            self._may_end()
        changed = any(
            place.get(name) is not value
            for place, old in zip(places, was, strict=True)
            for name, value in old.items()
        )
        if changed and call is not self._whole:
            self._doubt(f"{node.name} changes what the same line reads")
        if conditional:
            self._world.calls[before:] = [
                replace(each, conditional=True) for each in self._world.calls[before:]
            ]
        return walk.result

    def _places(self) -> list[dict[str, Any]]:
        """The names of each function, and the fields of each object, so far."""
        return [*self._world.frames, *(each.fields for each in self._world.instances)]

    def _bound(
        self, call: ast.Call, node: ast.FunctionDef, owner: str, instance: Instance | None
    ) -> tuple[dict[str, Any], Mapping[str, Any] | Context, str]:
        """The arguments by name, those that only `**kwargs` takes, and why it cannot be followed; empty if it can."""
        decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
        if decorators - _KEPT_DECORATORS:
            return {}, {}, f"is decorated by {', '.join(sorted(decorators))}"
        if any(isinstance(inner, ast.Yield | ast.YieldFrom | ast.Await) for inner in ast.walk(node)):
            return {}, {}, "is a generator"
        context, spread = self._spread_out(call)
        if spread is None or any(isinstance(each, ast.Starred) for each in call.args):
            return {}, {}, "is given arguments that the source does not show"
        arguments = [*node.args.posonlyargs, *node.args.args]
        placed = [self._held(each) for each in call.args]
        if instance is not None and "staticmethod" not in decorators:
            placed = [instance, *placed]
        given: dict[str, Any] = dict(zip((each.arg for each in arguments), placed, strict=False))
        named = {**spread, **{each.arg: self._held(each.value) for each in call.keywords if each.arg}}
        names = {each.arg for each in (*arguments, *node.args.kwonlyargs)}
        given |= {name: value for name, value in named.items() if name in names}
        begin = len(arguments) - len(node.args.defaults)
        defaults = {
            each.arg: value for each, value in zip(arguments[begin:], node.args.defaults, strict=True)
        }
        keyed = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        defaults |= {each.arg: value for each, value in keyed if value is not None}
        for name in names - given.keys():
            if context is not None and context.has(name):
                given[name] = context.get(name, self._hole(name))
                continue
            default = self._global(owner, defaults[name]) if name in defaults else self._hole(name)
            given[name] = self._shared(default)
        extra = {name: value for name, value in named.items() if name not in names}
        return given, extra if context is None else context.joined(extra), ""

    def _spread_out(self, call: ast.Call) -> tuple[Context | None, Mapping[str, Any] | None]:
        """What `**` gives to a call: Airflow's context, and arguments by name; None for those if they are not known."""
        context, named = None, dict[str, Any]()
        for keyword in call.keywords:
            if keyword.arg is None:
                held = self._value(keyword.value)
                if isinstance(held, Context) and context is None:
                    context = held
                elif isinstance(held, dict):
                    named |= held
                else:
                    return None, None
        return context, named

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
