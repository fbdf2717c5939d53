"""One walk through a shell script: what each statement does to the shell, and which calls it makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace

from tree_sitter import Node

from dagster_defs.inventory.branches import Branches
from dagster_defs.inventory.builtins import BUILTINS, set_options
from dagster_defs.inventory.calls import Break, Continue, Exit, NeverEnds, Return, ShellCall, SideUse
from dagster_defs.inventory.conditions import truth_of
from dagster_defs.inventory.holes import Holes
from dagster_defs.inventory.knowledge import has_effect
from dagster_defs.inventory.programs import (
    FED,
    SHELLS,
    Program,
    ProgramKind,
    python_calls_dbt,
    shell_script,
    speaks_of_dbt_call,
    what_runs,
)
from dagster_defs.inventory.syntax import ENDS_ON_ERROR, parse
from dagster_defs.inventory.words import Expander, Scope, arithmetic, compare

_MOST_DEPTH, _MOST_STEPS = 40, 2_000


class Path(Branches):
    """One walk. `plan` decides conditions that are not known; conditions beyond it are taken as true."""

    def __init__(self, holes: Holes, plan: Sequence[bool], failing: frozenset[tuple[object, ...]]) -> None:
        self._holes, self._plan, self._failing = holes, plan, failing
        self._expand = Expander(holes, self._substitute)
        self._functions: dict[str, Node] = {}
        self.traps: dict[str, str] = {}
        self._stdin = ("", True)
        self._stack: tuple[int, ...] = ()
        self._steps = 0
        self.cut = False
        self.taken: list[bool] = []
        self.calls: list[ShellCall] = []
        self.unseen: list[str] = []
        self.sides: list[SideUse] = []
        self._apart = 0  # how many pipelines, substitutions and redirections are around
        self._to_file: tuple[int, ...] | None = None  # where the command stands whose output goes into a file

    def run(self, program: Node, scope: Scope) -> int | None:
        """The exit status; None if this path never ends."""
        try:
            return self._ending(program, scope)
        except Exit as end:
            return end.status
        except (NeverEnds, RecursionError):
            return None

    def _ending(self, program: Node, scope: Scope) -> int:
        """The script, then its exit trap."""
        try:
            self._body(program.children, scope, guarded=False)
        except Exit as end:
            scope.status = end.status
        except (Break, Continue):
            pass
        status = scope.status
        if last := self.traps.pop("EXIT", ""):
            self._nested(last, "", (), scope, len(program.text or b""), same_shell=True)
        return status

    def choose(self) -> bool:
        at = len(self.taken)
        self.taken.append(self._plan[at] if at < len(self._plan) else True)
        return self.taken[-1]

    def _body(self, nodes: Sequence[Node], scope: Scope, *, guarded: bool) -> None:
        """Statements in sequence; a trailing `&` sends one to the background."""
        for number, node in enumerate(nodes):
            if not node.is_named or node.type == "comment":
                continue
            if number + 1 < len(nodes) and nodes[number + 1].type == "&":
                background = scope.copy()
                try:
                    self._statement(node, background, guarded=True)
                except Exit as end:
                    background.status = end.status
                scope.jobs[str(len(scope.jobs) + 1)] = background.status
                scope.status = 0
            else:
                self._statement(node, scope, guarded=guarded)

    def _statement(self, node: Node, scope: Scope, *, guarded: bool) -> None:
        """Leaves the exit status in the scope. A guarded statement is one whose failure `set -e` forgives."""
        self._steps += 1
        if self._steps > _MOST_STEPS:
            self.cut = True
            raise NeverEnds
        method = _STATEMENTS.get(node.type)
        if method is not None:
            method(self, node, scope, guarded)
        if guarded or not scope.status or node.type not in ENDS_ON_ERROR:
            return
        if on_error := self.traps.pop("ERR", ""):
            status = scope.status
            self._nested(on_error, "", (), scope, node.start_byte, same_shell=True)
            self.traps["ERR"], scope.status = on_error, status
        if scope.errexit:
            raise Exit(scope.status)

    def _list(self, node: Node, scope: Scope, guarded: bool) -> None:
        left, symbol, right = node.children[0], node.children[1].type, node.children[-1]
        self._statement(left, scope, guarded=True)
        if (symbol == "&&") == (scope.status == 0):
            self._statement(right, scope, guarded=guarded)
            return
        # Whatever ended the list was not its last command, so `set -e` forgives it.

    def _pipeline(self, node: Node, scope: Scope, guarded: bool) -> None:
        parts = list(node.named_children)
        body = parts[0].named_children[0] if parts[0].type == "redirected_statement" else parts[0]
        if body.type == "list":
            # The grammar reads `a && b 2>&1 | c` as `(a && b 2>&1) | c`; a shell pipes only `b`.
            self._statement(body.children[0], scope, guarded=True)
            if (body.children[1].type == "&&") != (scope.status == 0):
                return
            parts[0] = body.children[-1]
        self._piped(parts, scope, guarded, ("", True))

    def _piped(self, parts: Sequence[Node], scope: Scope, guarded: bool, stdin: tuple[str, bool]) -> None:
        statuses, outer = [], self._stdin
        with self._aside() if len(parts) > 1 else nullcontext():
            for part in parts:
                inner, self._stdin = scope.copy(), stdin
                try:
                    self._statement(part, inner, guarded=guarded)
                except Exit as end:
                    inner.status = end.status
                statuses.append(inner.status)
                stdin = self._printed(part, scope, stdin)
        self._stdin = outer
        scope.pipe_status = tuple(statuses)
        failures = [status for status in statuses if status]
        scope.status = failures[-1] if scope.pipefail and failures else statuses[-1]

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """What runs in it has its input or output taken from it."""
        self._apart += 1
        try:
            yield
        finally:
            self._apart -= 1

    def _subshell(self, node: Node, scope: Scope, guarded: bool) -> None:
        inner = scope.copy()
        try:
            self._body(node.children, inner, guarded=guarded)
        except Exit as end:
            inner.status = end.status
        scope.status = inner.status

    def _group(self, node: Node, scope: Scope, guarded: bool) -> None:
        if node.children[0].type == "((":
            text = (node.text or b"").decode().strip("()")
            number = arithmetic(text, scope)
            holds = self.choose() if number is None else bool(number)
            scope.status = 0 if holds else 1
        else:
            self._body(node.children, scope, guarded=guarded)

    def _negated(self, node: Node, scope: Scope, guarded: bool) -> None:
        self._statement(node.named_children[-1], scope, guarded=True)
        scope.status = 0 if scope.status else 1

    def _redirected(self, node: Node, scope: Scope, guarded: bool) -> None:
        body, *redirects = node.named_children
        heredoc = next((item for item in redirects if item.type == "heredoc_redirect"), None)
        if heredoc is not None:
            self._fed(body, heredoc, scope, guarded)
            return
        if body.type.endswith("_redirect"):
            scope.status = 0
            return
        if (last := self._last_of_list(body, scope)) is None:
            return
        is_written = last.type == "command" and any(map(_goes_to_file, redirects))
        self._to_file = self._stack if is_written else None
        with self._aside():
            self._statement(last, scope, guarded=guarded)
        self._to_file = None

    def _last_of_list(self, body: Node, scope: Scope) -> Node | None:
        """To the last command of a list belongs what the grammar gives to all of it: `a && b > file`, `a && b <<EOF`.
        None if it is not its turn; what is before it has run then."""
        if body.type != "list":
            return body
        self._statement(body.children[0], scope, guarded=True)
        if (body.children[1].type == "&&") != (scope.status == 0):
            return None
        return body.children[-1]

    def _fed(self, body: Node, heredoc: Node, scope: Scope, guarded: bool) -> None:
        """A here-document, with what follows its mark on the same line: `cat <<EOF | bash`, `… && dbt run`."""
        if (last := self._last_of_list(body, scope)) is None:
            return
        piped = next((child for child in heredoc.named_children if child.type == "pipeline"), None)
        behind = heredoc.child_by_field_name("right")
        parts = [last, *(piped.named_children if piped is not None else ())]
        self._piped(parts, scope, guarded or behind is not None, (self._expand.heredoc(heredoc, scope), True))
        if behind is not None:
            symbols = [child.type for child in heredoc.children]
            if ("||" in symbols) == (scope.status != 0):
                self._statement(behind, scope, guarded=guarded)

    def _printed(self, node: Node, scope: Scope, stdin: tuple[str, bool]) -> tuple[str, bool]:
        """What a command prints, and whether that is known; if it is not, the command's own text, for its words."""
        words: list[str] = []
        if node.type == "command":
            words = [word for child in node.named_children for word in self._expand.words(child, scope)]
        if words[:1] == ["echo"] and words[1:2] != ["-e"]:
            return " ".join(word for word in words[1:] if word != "-n"), True
        if words in (["cat"], ["tee"]):
            return stdin
        return f"{(node.text or b'').decode()} {stdin[0]}", False

    def _function(self, node: Node, scope: Scope, guarded: bool) -> None:
        name = (node.named_children[0].text or b"").decode()
        self._functions[name] = node.named_children[-1]
        scope.status = 0

    def _assign(self, node: Node, scope: Scope) -> str:
        name_node = node.named_children[0]
        name = (name_node.text or b"").decode()
        appends = any(child.type == "+=" for child in node.children)
        given = node.named_children[1] if len(node.named_children) > 1 else None
        if given is not None and given.type == "array":
            listed = [word for child in given.named_children for word in self._expand.words(child, scope)]
            scope.arrays[name] = (*(scope.arrays.get(name, ()) if appends else ()), *listed)
            return name
        value = self._expand.text(given, scope) if given is not None else ""
        scope.variables[name] = scope.variables.get(name, "") + value if appends else value
        return name

    def _assignment(self, node: Node, scope: Scope, guarded: bool) -> None:
        # `x=$(dbt ls)` has the status of what ran in it, a plain `x=1` has 0; `ret=$?` reads the previous one.
        parts = [node] if node.type == "variable_assignment" else node.named_children
        ran = len(self.calls)
        for part in parts:
            self._assign(part, scope)
        if len(self.calls) == ran:
            scope.status = 0

    def _declaration(self, node: Node, scope: Scope, guarded: bool) -> None:
        exports = node.children[0].type == "export" or b" -x" in (node.text or b"")
        for child in node.named_children:
            name = ""
            if child.type == "variable_assignment":
                name = self._assign(child, scope)
            elif child.type == "variable_name":
                name = (child.text or b"").decode()
            if name and exports:
                scope.exported.add(name)
        scope.status = 0  # even for `export X=$(false)`: the command that counts is `export`

    def _unset(self, node: Node, scope: Scope, guarded: bool) -> None:
        for child in node.named_children:
            scope.variables.pop((child.text or b"").decode(), None)
        scope.status = 0

    def _test(self, node: Node, scope: Scope, guarded: bool) -> None:
        truth = (
            truth_of(node.named_children[0], scope, self._expand, self._holes)
            if node.named_children
            else False
        )
        scope.status = 0 if (self.choose() if truth is None else truth) else 1

    def _command(self, node: Node, scope: Scope, guarded: bool) -> None:
        inner, prefixed = scope.copy(), []
        words: list[str] = []
        ran = len(self.calls)
        for child in node.named_children:
            if child.type == "variable_assignment":
                prefixed.append(self._assign(child, inner))
            elif not child.type.endswith("_redirect"):
                words += self._expand.words(child, scope)
        inner.exported |= set(prefixed)
        if not words:
            scope.status = scope.status if len(self.calls) > ran else 0
            return
        self._execute(words, scope, inner if prefixed else scope, node.start_byte, guarded)

    def _execute(self, words: Sequence[str], scope: Scope, seen: Scope, at: int, guarded: bool) -> None:
        name, rest = words[0], list(words[1:])
        builtin = BUILTINS.get(name)
        if name in self._functions:
            self._call_function(name, rest, scope, at, guarded)
        elif builtin is not None:
            builtin(self, rest, scope)
        elif name in ("test", "["):
            rest = rest[:-1] if name == "[" else rest
            known = len(rest) == 3 and not any(map(self._holes.in_text, rest))
            truth = compare(rest[0], rest[1], rest[2]) if known else None
            scope.status = 0 if (self.choose() if truth is None else truth) else 1
        elif name == "eval":
            self._nested(" ".join(rest), "", (), scope, at, same_shell=True)
        else:
            self._program(words, scope, seen, at)
        if name == "exec" and rest:
            raise Exit(scope.status)

    def _program(self, words: Sequence[str], scope: Scope, seen: Scope, at: int) -> None:
        program = what_runs(words, self._holes)
        fed = program.kind in (ProgramKind.OTHER, ProgramKind.UNSEEN)
        if fed and self._reads_script(words, scope, seen, at):
            return
        script = shell_script(program.arguments) if program.kind is ProgramKind.SHELL else None
        scope.status = 0
        if program.kind is ProgramKind.SHELL and script is not None:
            nested = seen.copy()
            nested.variables.update(program.env)
            nested.exported |= set(program.env)
            self._nested(script.text, script.options, script.arguments, nested, at)
            scope.status = nested.status
        elif program.kind in (ProgramKind.DBT, ProgramKind.OPAQUE):
            env = {name: seen.variables[name] for name in seen.exported if name in seen.variables}
            call = ShellCall(program, {**env, **program.env}, scope.cwd, (*self._stack, at))
            self.calls.append(call)
            scope.status = 1 if call.key in self._failing else 0
        else:
            side = self._side(program, words, scope, seen, (*self._stack, at))
            scope.status = 1 if side.key in self._failing else 0

    def _side(
        self, program: Program, words: Sequence[str], scope: Scope, seen: Scope, site: tuple[int, ...]
    ) -> SideUse:
        """A program that is not dbt; of those that are known not to run dbt, the ones whose effect is seen outside."""
        reason = program.reason if program.kind is ProgramKind.UNSEEN else ""
        env = {name: seen.variables[name] for name in seen.exported if name in seen.variables}
        side = SideUse(site, tuple(words), env, reason, len(self.calls), self._apart > 0, scope.cwd)
        if reason:
            self.unseen.append(reason)
        after_dbt = bool(self.calls)
        is_written = after_dbt and self._to_file == self._stack
        if reason or is_written or has_effect(program.arguments or words, after_dbt=after_dbt):
            self.sides.append(side)
        return side

    def _reads_script(self, words: Sequence[str], scope: Scope, seen: Scope, at: int) -> bool:
        """Whether this is a program that runs its input: a shell without a script, or a remote one."""
        text, known = self._stdin
        name = words[0].rpartition("/")[2]
        options = [word for word in words[1:] if word.startswith("-")]
        is_shell = name in SHELLS and len(options) == len(words) - 1
        if is_shell and known and text:
            scope.status = 0
            nested, self._stdin = seen.copy(), ("", True)
            self._nested(text, " ".join(options), (), nested, at)
            scope.status = nested.status
            return True
        restored = self._holes.restore(text)
        speaks = python_calls_dbt if name.startswith("python") and known else speaks_of_dbt_call
        if not (is_shell or name in FED or name.startswith("python")) or not speaks(restored):
            return False
        scope.status = 0
        hidden = Program(ProgramKind.OPAQUE, tuple(words), f"what is fed to `{words[0]}` cannot be seen")
        call = ShellCall(hidden, {}, scope.cwd, (*self._stack, at))
        self.calls.append(call)
        scope.status = 1 if call.key in self._failing else 0
        return True

    def _nested(
        self,
        script: str,
        options: str,
        arguments: Sequence[str],
        scope: Scope,
        at: int,
        *,
        same_shell: bool = False,
    ) -> None:
        """A script inside the script: it has its own shell, unless `eval` runs it."""
        if len(self._stack) > _MOST_DEPTH:
            raise NeverEnds
        inner = scope if same_shell else replace(scope.copy(), positional=tuple(arguments), errexit=False)
        inner.pipefail = inner.pipefail and same_shell
        set_options(options.split(), inner)
        before, self._stack = self._stack, (*self._stack, at)
        try:
            self._body(parse(script).children, inner, guarded=False)
        except Exit as end:
            if same_shell:
                raise
            inner.status = end.status
        finally:
            self._stack = before
        scope.status = inner.status

    def _call_function(self, name: str, words: Sequence[str], scope: Scope, at: int, guarded: bool) -> None:
        if len(self._stack) > _MOST_DEPTH:
            raise NeverEnds
        outer, scope.positional = scope.positional, tuple(words)
        before, self._stack = self._stack, (*self._stack, at)
        try:
            self._statement(self._functions[name], scope, guarded=guarded)
        except Return as end:
            scope.status = end.status
        finally:
            scope.positional, self._stack = outer, before

    def _substitute(self, node: Node, scope: Scope) -> str | None:
        """Runs `$( … )` for its calls; returns what it prints if it only prints or passes on a text."""
        inner = scope.copy()
        ran = len(self.calls)
        try:
            with self._aside():
                self._body(node.children, inner, guarded=False)
        except Exit as end:
            inner.status = end.status
        scope.status = inner.status if len(self.calls) > ran else scope.status
        statements = node.named_children
        if len(statements) != 1 or len(self.calls) > ran:
            return None
        if statements[0].type == "redirected_statement":
            body, *redirects = statements[0].named_children
            if (body.text, len(redirects)) == (b"cat", 1) and redirects[0].type == "heredoc_redirect":
                return self._expand.heredoc(redirects[0], scope).rstrip("\n")
        if statements[0].type == "command":
            words = [
                word for child in statements[0].named_children for word in self._expand.words(child, scope)
            ]
            if words[:1] == ["echo"] and words[1:2] != ["-e"]:
                return " ".join(word for word in words[1:] if word != "-n")
        return None


def _goes_to_file(redirect: Node) -> bool:
    text = (redirect.text or b"").decode()
    return (
        any(child.type in (">", ">>", "&>", "&>>", ">|") for child in redirect.children)
        and "/dev/" not in text
    )


_STATEMENTS: dict[str, Callable[[Path, Node, Scope, bool], None]] = {
    "program": lambda path, node, scope, guarded: path._body(node.children, scope, guarded=guarded),
    "list": Path._list,
    "pipeline": Path._pipeline,
    "subshell": Path._subshell,
    "compound_statement": Path._group,
    "negated_command": Path._negated,
    "if_statement": Path._if,
    **dict.fromkeys(("while_statement", "until_statement"), Path._while),
    "for_statement": Path._for,
    "c_style_for_statement": Path._for,
    "case_statement": Path._case,
    "redirected_statement": Path._redirected,
    "function_definition": Path._function,
    **dict.fromkeys(("variable_assignment", "variable_assignments"), Path._assignment),
    "declaration_command": Path._declaration,
    "unset_command": Path._unset,
    "test_command": Path._test,
    "command": Path._command,
}
