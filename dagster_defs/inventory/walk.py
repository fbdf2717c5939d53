"""One walk through a shell script: what each statement does to the shell, and which calls it makes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

from dagster_defs.inventory.calls import Break, Continue, Exit, NeverEnds, Return, ShellCall
from dagster_defs.inventory.holes import Holes
from dagster_defs.inventory.programs import SHELLS, ProgramKind, shell_script, what_runs
from dagster_defs.inventory.words import Expander, Scope, arithmetic, compare

_PARSER = Parser(Language(tree_sitter_bash.language()))
_MOST_ROUNDS, _MOST_DEPTH, _MOST_STEPS = 50, 40, 2_000


def parse(script: str) -> Node:
    return _PARSER.parse(script.encode()).root_node


class Path:
    """One walk. `plan` says which way conditions go that cannot be told; those beyond it hold."""

    def __init__(self, holes: Holes, plan: Sequence[bool], failing: frozenset[tuple[object, ...]]) -> None:
        self._holes, self._plan, self._failing = holes, plan, failing
        self._expand = Expander(holes, self._substitute)
        self._functions: dict[str, Node] = {}
        self._stack: tuple[int, ...] = ()
        self._steps = 0
        self.cut = False
        self.taken: list[bool] = []
        self.calls: list[ShellCall] = []

    def run(self, program: Node, scope: Scope) -> int | None:
        """The exit status; None if this path never ends."""
        try:
            self._body(program.children, scope, guarded=False)
        except Exit as end:
            return end.status
        except (Break, Continue):
            return scope.status
        except (NeverEnds, RecursionError):
            return None
        return scope.status

    def set_options(self, words: Iterable[str], scope: Scope) -> None:
        """As `set` and `bash` take them: `-e`, `+e`, `-euo pipefail`, `-o errexit`."""
        pending = list(words)
        while pending:
            word = pending.pop(0)
            on = word.startswith("-")
            if not on and not word.startswith("+"):
                continue
            letters = word[1:]
            if "e" in letters and not letters.startswith("-"):
                scope.errexit = on
            if letters.endswith("o") and pending:
                named = pending.pop(0)
                scope.pipefail = on if named == "pipefail" else scope.pipefail
                scope.errexit = on if named == "errexit" else scope.errexit

    def _choose(self) -> bool:
        at = len(self.taken)
        self.taken.append(self._plan[at] if at < len(self._plan) else True)
        return self.taken[-1]

    def _body(self, nodes: Sequence[Node], scope: Scope, *, guarded: bool) -> None:
        """Statements one after another; `&` behind one sends it to the background."""
        for number, node in enumerate(nodes):
            if not node.is_named or node.type == "comment":
                continue
            if number + 1 < len(nodes) and nodes[number + 1].type == "&":
                self._statement(node, scope.copy(), guarded=True)
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
        if scope.errexit and not guarded and scope.status and node.type in _ENDS_ON_ERROR:
            raise Exit(scope.status)

    def _list(self, node: Node, scope: Scope, guarded: bool) -> None:
        left, symbol, right = node.children[0], node.children[1].type, node.children[-1]
        self._statement(left, scope, guarded=True)
        if (symbol == "&&") == (scope.status == 0):
            self._statement(right, scope, guarded=guarded)
            return
        # What ended the list was not its last command: `set -e` forgives that.

    def _pipeline(self, node: Node, scope: Scope, guarded: bool) -> None:
        statuses = []
        for part in node.named_children:
            inner = scope.copy()
            try:
                self._statement(part, inner, guarded=guarded)
            except Exit as end:
                inner.status = end.status
            statuses.append(inner.status)
        scope.pipe_status = tuple(statuses)
        failures = [status for status in statuses if status]
        scope.status = failures[-1] if scope.pipefail and failures else statuses[-1]

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
            holds = self._choose() if number is None else bool(number)
            scope.status = 0 if holds else 1
        else:
            self._body(node.children, scope, guarded=guarded)

    def _negated(self, node: Node, scope: Scope, guarded: bool) -> None:
        self._statement(node.named_children[-1], scope, guarded=True)
        scope.status = 0 if scope.status else 1

    def _if(self, node: Node, scope: Scope, guarded: bool) -> None:
        """`if` and its `elif`s: a condition up to `then`, a body up to the next clause."""
        then = next((n for n, child in enumerate(node.children) if child.type == "then"), len(node.children))
        self._body(node.children[:then], scope, guarded=True)
        clauses = [child for child in node.children if child.type in ("elif_clause", "else_clause")]
        if scope.status == 0:
            body = [child for child in node.children[then:] if child not in clauses]
            self._body(body, scope, guarded=guarded)
            return
        scope.status = 0
        for clause in clauses:
            if clause.type == "else_clause":
                self._body(clause.children, scope, guarded=guarded)
                return
            then = next((n for n, child in enumerate(clause.children) if child.type == "then"), 0)
            self._body(clause.children[:then], scope, guarded=True)
            if scope.status == 0:
                self._body(clause.children[then:], scope, guarded=guarded)
                return
            scope.status = 0

    def _loop(self, rounds: Iterable[Callable[[], bool]], body: Node, scope: Scope, guarded: bool) -> None:
        status = 0
        for goes_on in rounds:
            if not goes_on():
                break
            try:
                self._body(body.children, scope, guarded=guarded)
            except Continue:
                pass
            except Break:
                status = scope.status
                break
            status = scope.status
        scope.status = status

    def _while(self, node: Node, scope: Scope, guarded: bool) -> None:
        body = next(child for child in node.named_children if child.type == "do_group")
        until = node.children[0].type == "until"
        conditions = [
            child for child in node.children if child != body and child.type not in ("while", "until")
        ]

        def holds() -> bool:
            self._body(conditions, scope, guarded=True)
            return (scope.status == 0) != until

        def rounds() -> Iterable[Callable[[], bool]]:
            for _ in range(_MOST_ROUNDS):
                yield holds
            raise NeverEnds

        self._loop(rounds(), body, scope, guarded)

    def _for(self, node: Node, scope: Scope, guarded: bool) -> None:
        body = next(
            child for child in node.named_children if child.type in ("do_group", "compound_statement")
        )
        if node.type == "c_style_for_statement":
            self._loop([lambda: True], body, scope, guarded)
            return
        variable, *values = [child for child in node.named_children if child != body]
        name = (variable.text or b"").decode()
        words = [word for value in values for word in self._expand.words(value, scope)][:_MOST_ROUNDS]

        def take(word: str) -> Callable[[], bool]:
            def assign() -> bool:
                scope.variables[name] = word
                return True

            return assign

        self._loop([take(word) for word in words], body, scope, guarded)

    def _case(self, node: Node, scope: Scope, guarded: bool) -> None:
        value = self._expand.text(node.named_children[0], scope)
        scope.status = 0
        for item in node.named_children[1:]:
            end = next((n for n, child in enumerate(item.children) if child.type == ")"), -1)
            patterns = [self._expand.text(child, scope) for child in item.children[:end] if child.is_named]
            unknown = "*" not in patterns and any(self._holes.in_text(text) for text in (value, *patterns))
            if self._choose() if unknown else any(fnmatchcase(value, pattern) for pattern in patterns):
                self._body(item.children[end + 1 :], scope, guarded=guarded)
                return

    def _redirected(self, node: Node, scope: Scope, guarded: bool) -> None:
        body, *redirects = node.named_children
        heredoc = next((item for item in redirects if item.type == "heredoc_redirect"), None)
        if heredoc is not None and body.type == "command":
            words = self._expand.words(body.named_children[0], scope)
            if words and words[0].rpartition("/")[2] in SHELLS and len(body.named_children) == 1:
                self._nested(self._expand.heredoc(heredoc, scope), "", (), scope, body.start_byte)
                return
        if body.type.endswith("_redirect"):
            scope.status = 0
            return
        self._statement(body, scope, guarded=guarded)

    def _function(self, node: Node, scope: Scope, guarded: bool) -> None:
        name = (node.named_children[0].text or b"").decode()
        self._functions[name] = node.named_children[-1]
        scope.status = 0

    def _assign(self, node: Node, scope: Scope) -> str:
        name_node = node.named_children[0]
        name = (name_node.text or b"").decode()
        value = self._expand.text(node.named_children[1], scope) if len(node.named_children) > 1 else ""
        appends = any(child.type == "+=" for child in node.children)
        scope.variables[name] = scope.variables.get(name, "") + value if appends else value
        return name

    def _assignment(self, node: Node, scope: Scope, guarded: bool) -> None:
        # `x=$(dbt ls)` has the status of what ran in it, a plain `x=1` has 0; `ret=$?` reads the one before.
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
        scope.status = 0  # also `export X=$(false)`: the command that counts is `export`

    def _unset(self, node: Node, scope: Scope, guarded: bool) -> None:
        for child in node.named_children:
            scope.variables.pop((child.text or b"").decode(), None)
        scope.status = 0

    def _test(self, node: Node, scope: Scope, guarded: bool) -> None:
        holds = self._condition(node.named_children[0], scope) if node.named_children else False
        scope.status = 0 if (self._choose() if holds is None else holds) else 1

    def _condition(self, node: Node, scope: Scope) -> bool | None:
        """Whether a test holds; None if that cannot be told."""
        if (node.text or b"").startswith(b"((") or node.has_error:
            return None
        if node.type == "binary_expression" and len(node.children) == 3:
            left, symbol, right = node.children
            sign = (symbol.text or b"").decode()
            if sign in ("&&", "||", "-a", "-o"):
                both = (self._condition(left, scope), self._condition(right, scope))
                if None in both:
                    return None
                return all(both) if sign in ("&&", "-a") else any(both)
            texts = self._expand.text(left, scope), self._expand.text(right, scope)
            return None if any(map(self._holes.in_text, texts)) else compare(texts[0], sign, texts[1])
        if node.type == "unary_expression":
            sign = (node.children[0].text or b"").decode()
            if sign == "!":
                inner = self._condition(node.children[-1], scope)
                return None if inner is None else not inner
            text = self._expand.text(node.children[-1], scope)
            if sign in ("-z", "-n") and not self._holes.in_text(text):
                return bool(text) == (sign == "-n")
            return None
        if node.type == "parenthesized_expression":
            return self._condition(node.named_children[0], scope)
        text = self._expand.text(node, scope)
        return None if self._holes.in_text(text) else bool(text)

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
        builtin = _BUILTINS.get(name)
        if name in self._functions:
            self._call_function(name, rest, scope, at, guarded)
        elif builtin is not None:
            builtin(self, rest, scope)
        elif name in ("test", "["):
            rest = rest[:-1] if name == "[" else rest
            known = len(rest) == 3 and not any(map(self._holes.in_text, rest))
            holds = compare(rest[0], rest[1], rest[2]) if known else None
            scope.status = 0 if (self._choose() if holds is None else holds) else 1
        elif name == "eval":
            self._nested(" ".join(rest), "", (), scope, at, same_shell=True)
        else:
            self._program(words, scope, seen, at)
        if name == "exec" and rest:
            raise Exit(scope.status)

    def _program(self, words: Sequence[str], scope: Scope, seen: Scope, at: int) -> None:
        program = what_runs(words, self._holes)
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
        """A script inside the script: its own shell, unless `eval` runs it."""
        if len(self._stack) > _MOST_DEPTH:
            raise NeverEnds
        inner = scope if same_shell else replace(scope.copy(), positional=tuple(arguments), errexit=False)
        inner.pipefail = inner.pipefail and same_shell
        self.set_options(options.split(), inner)
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
        """Runs `$( … )` for what it calls; says what it prints where it only prints or hands over a text."""
        inner = scope.copy()
        ran = len(self.calls)
        try:
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

    def _cd(self, words: Sequence[str], scope: Scope) -> None:
        where = words[-1] if words else "~"
        scope.cwd = where if where.startswith(("/", "~")) or not scope.cwd else f"{scope.cwd}/{where}"
        scope.status = 0

    def _set(self, words: Sequence[str], scope: Scope) -> None:
        self.set_options(words, scope)
        scope.status = 0

    def _end(self, words: Sequence[str], scope: Scope) -> None:
        raise Exit(self._status(words, scope))

    def _end_function(self, words: Sequence[str], scope: Scope) -> None:
        raise Return(self._status(words, scope))

    def _status(self, words: Sequence[str], scope: Scope) -> int:
        if not words:
            return scope.status
        if words[0].isdigit():
            return int(words[0]) % 256
        # A status that cannot be seen: it may be the lost one or 0.
        return 1 if self._choose() else 0

    def _break(self, words: Sequence[str], scope: Scope) -> None:
        scope.status = 0
        raise Break

    def _continue(self, words: Sequence[str], scope: Scope) -> None:
        scope.status = 0
        raise Continue

    def _true(self, words: Sequence[str], scope: Scope) -> None:
        scope.status = 0

    def _false(self, words: Sequence[str], scope: Scope) -> None:
        scope.status = 1

    def _shift(self, words: Sequence[str], scope: Scope) -> None:
        scope.positional = scope.positional[int(words[0]) if words and words[0].isdigit() else 1 :]
        scope.status = 0


_Statement = Callable[[Path, Node, Scope, bool], None]
_STATEMENTS: dict[str, _Statement] = {
    "program": lambda path, node, scope, guarded: path._body(node.children, scope, guarded=guarded),
    "list": Path._list,
    "pipeline": Path._pipeline,
    "subshell": Path._subshell,
    "compound_statement": Path._group,
    "negated_command": Path._negated,
    "if_statement": Path._if,
    "while_statement": Path._while,
    "until_statement": Path._while,
    "for_statement": Path._for,
    "c_style_for_statement": Path._for,
    "case_statement": Path._case,
    "redirected_statement": Path._redirected,
    "function_definition": Path._function,
    "variable_assignment": Path._assignment,
    "variable_assignments": Path._assignment,
    "declaration_command": Path._declaration,
    "unset_command": Path._unset,
    "test_command": Path._test,
    "command": Path._command,
}
# A list, a group or a loop has ended on an error where it happened inside, or has forgiven it.
_ENDS_ON_ERROR = frozenset(
    {"command", "pipeline", "subshell", "test_command", "variable_assignment", "variable_assignments"}
)
_BUILTINS: dict[str, Callable[[Path, Sequence[str], Scope], None]] = {
    "cd": Path._cd,
    "pushd": Path._cd,
    "set": Path._set,
    "exit": Path._end,
    "return": Path._end_function,
    "break": Path._break,
    "continue": Path._continue,
    "true": Path._true,
    ":": Path._true,
    "false": Path._false,
    "shift": Path._shift,
}
