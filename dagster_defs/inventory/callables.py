"""dbt calls of a Python callable, as far as its source shows the argument list.

The function is walked, never run. A value from Airflow's context (`ds`, `kwargs["data_interval_start"]`) becomes the
equivalent Jinja expression; any other value that is not in the source is a hole.
"""

from __future__ import annotations

import ast
import contextlib
import json
import re
import shlex
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from dagster_defs.inventory.holes import HoleKind, Holes
from dagster_defs.inventory.outcomes import Outcomes
from dagster_defs.inventory.python_values import (
    CONTEXT,
    Context,
    Invoked,
    Jinja,
    Maybe,
    PythonCall,
    Returned,
    Unknown,
    Visible,
    formatted,
    percent,
)

RAISING = frozenset({"check_call", "check_output"})
STARTING = frozenset({"run", "call", "Popen", "run_command", *RAISING})


def calls_in(source: str, given: Mapping[str, Any], holes: Holes, *, placed: Sequence[Any] = ()) -> Visible:
    """`given` are the arguments that the operator passes by name, `placed` those it passes by position; their texts may
    contain holes."""
    try:
        tree = ast.parse(textwrap.dedent(source))
    except SyntaxError:
        return Visible(hidden="dbt" in source)
    function = next(
        (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)), None
    )
    body = function.body if function else tree.body
    if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
        names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
        given = {**dict(zip(names, placed, strict=False)), **given}
    walk = Walk(holes, dict(given), function)
    walk.statements(body, conditional=False)
    hidden = walk.hidden or (not walk.calls and _uses_dbt(body))
    return Visible(tuple(walk.calls), tuple(walk.returned), hidden)


_DOING = frozenset(
    {
        *("run", "build", "test", "seed", "snapshot", "invoke", "exec", "execute", "command", "cmd", "cli"),
        *("runner", "call", "operator"),
    }
)


def runs_dbt(name: str) -> bool:
    """`run_dbt`, `DbtRunner`, `dbt`; not `dbt_target`, which only looks something up."""
    parts = set(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().split("_"))
    return name.lower() == "dbt" or ("dbt" in parts and not parts.isdisjoint(_DOING))


def _uses_dbt(body: Sequence[ast.stmt]) -> bool:
    """Whether the code itself, not its comments or docstring, calls, imports or names dbt."""
    for node in (node for statement in body for node in ast.walk(statement)):
        match node:
            case ast.Call(func=function) if runs_dbt(ast.unparse(function).rpartition(".")[2]):
                return True
            case ast.Import() | ast.ImportFrom() if "dbt" in ast.unparse(node).lower():
                return True
            case ast.Constant(value=str(text)) if text == "dbt" or text.startswith("dbt "):
                return True
    return False


def skips(raised: ast.expr | None) -> bool:
    """Whether what is raised makes Airflow skip the task, which is no failure."""
    called = raised.func if isinstance(raised, ast.Call) else raised
    return called is not None and ast.unparse(called).endswith("SkipException")


class Walk:
    """The statements of one function, in order."""

    def __init__(self, holes: Holes, given: dict[str, Any], function: Any) -> None:
        self._holes = holes
        self._names: dict[str, Any] = {}
        self._runners: set[str] = set()
        self._outcomes = Outcomes(function)
        self._caught = 0
        self._has_ended = self._may_have_ended = False
        self.calls: list[PythonCall | Invoked] = []
        self.returned: list[Returned] = []
        self.hidden = False
        if function is not None:
            arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
            defaults = dict(
                zip([a.arg for a in function.args.args[::-1]], function.args.defaults[::-1], strict=False)
            )
            for argument in arguments:
                name = argument.arg
                if name in given:
                    self._names[name] = given[name]
                elif name in CONTEXT:
                    self._names[name] = Jinja(name)
                elif name in defaults:
                    self._names[name] = self._value(defaults[name])
            if function.args.kwarg:
                self._names[function.args.kwarg.arg] = Context(given)

    def statements(self, nodes: Sequence[ast.stmt], *, conditional: bool) -> None:
        for node in nodes:
            if self._has_ended:
                return
            self._statement(node, conditional or self._may_have_ended)

    def _statement(self, node: ast.stmt, conditional: bool) -> None:
        match node:
            case ast.If(test=test, body=body, orelse=other):
                self._calls(test, conditional)
                known = self._truth(test)
                if known is not False:
                    self._branch(body, conditional or known is None)
                if known is not True:
                    self._branch(other, conditional or known is None)
            case ast.For(body=body) | ast.While(body=body):
                self._branch(body, conditional)
                self._has_ended = False  # the loop may have had no turn
            case ast.With(items=items, body=body):
                for item in items:
                    self._calls(item.context_expr, conditional)
                self.statements(body, conditional=conditional)
            case ast.Try(body=body, handlers=handlers, orelse=other, finalbody=last):
                forgives = any(
                    not any(isinstance(n, ast.Raise) for n in ast.walk(handler)) for handler in handlers
                )
                self._caught += forgives
                self.statements([*body, *other], conditional=conditional)
                self._caught -= forgives
                ended = self._has_ended, self._may_have_ended
                for handler in handlers:
                    self._has_ended = False
                    self._branch(handler.body, True)
                self._has_ended = False
                self.statements(last, conditional=conditional)
                # Only a failure leads into a handler, so where that ends says nothing about a success.
                self._has_ended, self._may_have_ended = ended
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self._calls(value, conditional)
                if isinstance(value, ast.Call) and ast.unparse(value.func).endswith("dbtRunner"):
                    self._runners.add(name)
                self._names[name] = self._value(value)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                self._calls(value, conditional)
                self._names[name] = self._value(value)
            case ast.AugAssign(target=ast.Name(id=name), value=value):
                before, more = self._names.get(name), self._value(value)
                both = isinstance(before, list) and isinstance(more, list)
                texts = isinstance(before, str) and isinstance(more, str)
                self._names[name] = before + more if both or texts else Unknown()
            case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=name), slice=key)], value=value):
                held = self._names.get(name)
                if isinstance(held, dict):
                    held[self._text(self._value(key), key)] = self._value(value)
            case ast.Return(value=value):
                if value is not None:
                    self._calls(value, conditional)
                    text = self._value(value)
                    self.returned += [Returned(text, conditional)] if isinstance(text, str) else []
                self._end(conditional)
            case ast.Raise(exc=raised):
                if raised is not None:
                    self._calls(raised, conditional)
                if skips(raised):
                    self._end(conditional)
                else:
                    self._has_ended = not conditional
            case _:
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.expr):
                        self._grow(child)
                        self._calls(child, conditional)

    def _end(self, conditional: bool) -> None:
        """The callable ends here without a failure, if it comes so far."""
        if conditional:
            self._may_have_ended = True
        else:
            self._has_ended = True

    def _branch(self, nodes: Sequence[ast.stmt], conditional: bool) -> None:
        """A branch that may not be taken makes argument lists that it changes unknown."""
        before = {name: list(v) for name, v in self._names.items() if isinstance(v, list)}
        self.statements(nodes, conditional=conditional)
        if not conditional:
            return
        for name, items in before.items():
            now = self._names.get(name)
            if isinstance(now, list) and now != items:
                extra = now[len(items) :] if now[: len(items)] == items else None
                flag = extra is not None and all(str(item).startswith("--full-refresh") for item in extra)
                self._names[name] = [*items, Maybe("--full-refresh")] if flag else [*items, Unknown()]

    def _grow(self, node: ast.expr) -> None:
        """`arguments.append(x)` and `arguments.extend([…])`."""
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method), args=[argument]):
                held = self._names.get(name)
                if isinstance(held, list) and method == "append":
                    self._names[name] = [*held, self._value(argument)]
                elif isinstance(held, list) and method == "extend":
                    more = self._value(argument)
                    self._names[name] = [*held, *(more if isinstance(more, list) else [Unknown()])]

    def _truth(self, test: ast.expr) -> bool | None:
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            inner = self._truth(test.operand)
            return None if inner is None else not inner
        value = self._value(test)
        if isinstance(value, Unknown | Jinja | Context | Maybe):
            return None
        return None if isinstance(value, str) and self._holes.in_text(value) else bool(value)

    def _calls(self, node: ast.AST, conditional: bool) -> None:
        for call in [n for n in ast.walk(node) if isinstance(n, ast.Call)]:
            name = ast.unparse(call.func)
            owner, _, method = name.rpartition(".")
            if method == "invoke" and (
                owner.endswith("dbtRunner()") or owner in self._runners or "dbt" in owner
            ):
                self._invoked(call, conditional)
            elif method in STARTING and (owner in ("subprocess", "sp") or method == "run_command"):
                self._started(call, method, conditional)
            elif name in ("os.system", "os.popen") and call.args:
                script = self._text(self._value(call.args[0]), call.args[0])
                raises = method == "system" and self._raises(call, method, False)
                self.calls.append(PythonCall((), script, raises, conditional))

    def _raises(self, call: ast.Call, method: str, checks: bool) -> bool:
        """Whether a failure fails the function: the call itself `checks`, or what it returns is looked at."""
        return (checks or self._outcomes.fail(call)) and not self._caught

    def _invoked(self, call: ast.Call, conditional: bool) -> None:
        words = self._words(call.args[0]) if call.args else None
        if words is None:
            self.hidden = True
            return
        sure = [word for word in words if not isinstance(word, Maybe)]
        raises = self._raises(call, "invoke", False)
        self.calls.append(Invoked(tuple(sure), raises, conditional))
        if len(sure) < len(words):
            self.calls.append(Invoked((*sure, "--full-refresh"), raises, True))

    def _started(self, call: ast.Call, method: str, conditional: bool) -> None:
        keywords = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
        argument = call.args[0] if call.args else keywords.get("args", keywords.get("command"))
        if argument is None:
            return
        checks = self._value(keywords["check"]) is True if "check" in keywords else False
        raises = self._raises(call, method, checks or method in RAISING)
        given_env = self._value(keywords["env"]) if "env" in keywords else {}
        env = {k: self._text(v, None) for k, v in given_env.items()} if isinstance(given_env, dict) else {}
        if given_env is not None and not isinstance(given_env, dict):
            self.hidden = self.hidden or not self._is_environment(keywords["env"])
        value = self._value(argument)
        if isinstance(value, str):
            self.calls.append(PythonCall((), value, raises, conditional, env))
            return
        words = self._words(argument)
        if words is None:
            self.hidden = self.hidden or "dbt" in ast.unparse(argument)
            return
        sure = [word for word in words if not isinstance(word, Maybe)]
        self.calls.append(PythonCall(tuple(sure), None, raises, conditional, env))
        if len(sure) < len(words):
            self.calls.append(PythonCall((*sure, "--full-refresh"), None, raises, True, env))

    def _words(self, node: ast.expr) -> list[Any] | None:
        value = self._value(node)
        if not isinstance(value, list):
            return None
        return [item if isinstance(item, Maybe) else self._text(item, None) for item in value]

    def _text(self, value: Any, node: ast.expr | None) -> str:
        if isinstance(value, str):
            return value
        if isinstance(value, Jinja):
            return self._holes.dig(f"{{{{ {value.expression} }}}}", HoleKind.TEMPLATE)
        if isinstance(value, Unknown | Context | Maybe):
            return self._holes.dig(ast.unparse(node) if node is not None else "?", HoleKind.PYTHON)
        return str(value)

    def _value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return self._names.get(name, self._hole(node))
            case ast.JoinedStr(values=values):
                return "".join(self._part(part) for part in values)
            case ast.List(elts=items) | ast.Tuple(elts=items):
                listed: list[Any] = []
                for item in items:
                    value = self._value(item.value if isinstance(item, ast.Starred) else item)
                    spread = isinstance(item, ast.Starred)
                    listed += (value if isinstance(value, list) else [Unknown()]) if spread else [value]
                return listed
            case ast.Dict(keys=keys, values=values):
                return self._mapping(keys, values, node)
            case ast.ListComp() | ast.DictComp():
                return self._comprehended(node)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                first, second = self._value(left), self._value(right)
                if isinstance(first, list) and isinstance(second, list):
                    return first + second
                return self._text(first, left) + self._text(second, right)
            case ast.BinOp(left=left, op=ast.Mod(), right=right) if isinstance(
                text := self._value(left), str
            ):
                return self._percent(text, right, node)
            case ast.Subscript(value=owner, slice=ast.Constant(value=key)):
                held = self._value(owner)
                if isinstance(held, Context):
                    return held.get(str(key), self._hole(node))
                if isinstance(held, Jinja):
                    return Jinja(f"{held.expression}[{key!r}]")
                return held.get(key, self._hole(node)) if isinstance(held, dict) else self._hole(node)
            case ast.Attribute(value=owner, attr=name):
                held = self._value(owner)
                return Jinja(f"{held.expression}.{name}") if isinstance(held, Jinja) else self._hole(node)
            case ast.Call():
                return self._result(node)
        return self._hole(node)

    def _mapping(self, keys: Sequence[ast.expr | None], values: Sequence[ast.expr], node: ast.expr) -> Any:
        """Unknown as a whole if something is spread into it that is."""
        found: dict[str, Any] = {}
        for key, value in zip(keys, values, strict=True):
            held = self._value(value)
            if key is not None:
                found[self._text(self._value(key), key)] = held
            elif isinstance(held, dict):
                found |= held
            elif not self._is_environment(value):  # which is Airflow's own, and nothing that the task sets
                return self._hole(node)
        return found

    def _is_environment(self, node: ast.expr) -> bool:
        return ast.unparse(node) in ("os.environ", "environ", "os.environ.copy()", "dict(os.environ)")

    def _part(self, part: ast.expr) -> str:
        if not isinstance(part, ast.FormattedValue):
            return self._text(self._value(part), part)
        value = self._value(part.value)
        if part.conversion in (ord("r"), ord("a")) or (part.format_spec and not isinstance(value, Jinja)):
            return self._hole(part)
        if part.format_spec is not None and isinstance(value, Jinja):
            layout = self._text(self._value(part.format_spec), None)
            value = Jinja(f"{value.expression}.strftime({layout!r})")
        return self._text(value, part.value)

    def _result(self, call: ast.Call) -> Any:
        name = ast.unparse(call.func)
        if name in ("json.dumps", "yaml.dump", "yaml.safe_dump") and call.args:
            value, options = (
                self._value(call.args[0]),
                {str(k.arg): self._value(k.value) for k in call.keywords},
            )
            plain = options.keys() <= {"sort_keys", "indent", "ensure_ascii"}
            known = plain and not any(isinstance(each, str | Unknown) for each in options.values())
            if not isinstance(value, dict | list) or (name == "json.dumps" and not known):
                return self._hole(call)
            return json.dumps(self._flat(value), **(options if name == "json.dumps" else {}))
        if name == "str" and len(call.args) == 1:
            return self._text(self._value(call.args[0]), call.args[0])
        if name == "shlex.split" and len(call.args) == 1:
            text = self._value(call.args[0])
            with contextlib.suppress(ValueError):  # a quotation that is not closed
                return shlex.split(text) if isinstance(text, str) else self._hole(call)
            return self._hole(call)
        if not isinstance(call.func, ast.Attribute):
            return self._hole(call)
        owner, method = self._value(call.func.value), call.func.attr
        if isinstance(owner, str) and method == "join" and call.args:
            items = self._value(call.args[0])
            joined = isinstance(items, list) and owner.join(self._text(item, None) for item in items)
            return joined if isinstance(joined, str) else self._hole(call)
        if isinstance(owner, str) and method == "split" and not call.args:
            return owner.split()
        if isinstance(owner, dict) and method == "items":
            return [[key, value] for key, value in owner.items()]
        if isinstance(owner, Context) and method == "get" and call.args:
            key = self._value(call.args[0])
            return owner.get(str(key), self._hole(call))
        if isinstance(owner, Jinja):
            return self._of_context(owner, call, method)
        if isinstance(owner, str) and method == "format":
            return self._formatted(owner, call)
        return self._hole(call)

    def _of_context(self, owner: Jinja, call: ast.Call, method: str) -> Any:
        """A method of a value from Airflow's context, as a template would call it."""
        placed = [self._as_expression(each) for each in call.args]
        named = [(each.arg, self._as_expression(each.value)) for each in call.keywords]
        if None in placed or any(name is None or value is None for name, value in named):
            return self._hole(call)
        said = ", ".join([*map(str, placed), *(f"{name}={value}" for name, value in named)])
        return Jinja(f"{owner.expression}.{method}({said})")

    def _as_expression(self, node: ast.expr) -> str | None:
        """A value as a template has it; None if that is not known."""
        value = self._value(node)
        if isinstance(value, Jinja):
            return value.expression
        if value is None or isinstance(value, bool | int | float):
            return repr(value)
        return repr(value) if isinstance(value, str) and not self._holes.in_text(value) else None

    def _formatted(self, text: str, call: ast.Call) -> str:
        if any(isinstance(each, ast.Starred) for each in call.args) or not all(
            each.arg for each in call.keywords
        ):
            return self._hole(call)
        placed = [self._text(self._value(each), each) for each in call.args]
        named = {str(each.arg): self._text(self._value(each.value), each.value) for each in call.keywords}
        made = formatted(text, placed, named)
        return self._hole(call) if made is None else made

    def _percent(self, text: str, right: ast.expr, node: ast.expr) -> str:
        nodes = list(right.elts) if isinstance(right, ast.Tuple) else [right]
        values = [self._value(each) for each in nodes]
        made = None
        if not any(isinstance(value, list | dict) for value in values):
            made = percent(text, [self._text(value, each) for value, each in zip(values, nodes, strict=True)])
        return self._hole(node) if made is None else made

    def _comprehended(self, node: ast.ListComp | ast.DictComp) -> Any:
        """A comprehension over a list, or the items of a mapping, that is known."""
        over = node.generators[0]
        items = self._value(over.iter)
        if len(node.generators) > 1 or over.ifs or not isinstance(items, list) or self._unsure_of(items):
            return self._hole(node)
        before, made = dict(self._names), list[Any]()
        for item in items:
            match over.target, item:
                case ast.Name(id=name), _:
                    self._names[name] = item
                case ast.Tuple(elts=[ast.Name(id=one), ast.Name(id=two)]), [first, second]:
                    self._names[one], self._names[two] = first, second
                case _:
                    made = []
                    break
            key = self._text(self._value(node.key), node.key) if isinstance(node, ast.DictComp) else ""
            made.append((key, self._value(node.value if isinstance(node, ast.DictComp) else node.elt)))
        self._names.clear()
        self._names.update(before)
        if len(made) < len(items):
            return self._hole(node)
        return dict(made) if isinstance(node, ast.DictComp) else [value for _, value in made]

    def _unsure_of(self, items: Sequence[Any]) -> bool:
        return any(isinstance(item, Unknown | Maybe) for item in items)

    def _flat(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._flat(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._flat(item) for item in value]
        return value if isinstance(value, int | float | bool | None) else self._text(value, None)

    def _hole(self, node: ast.expr) -> str:
        return self._holes.dig(ast.unparse(node), HoleKind.PYTHON)
