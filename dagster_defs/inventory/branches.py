"""The conditions and loops of a shell script, on one walk through it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase

from tree_sitter import Node

from dagster_defs.inventory.calls import Break, Continue, NeverEnds
from dagster_defs.inventory.holes import Holes
from dagster_defs.inventory.words import Expander, Scope

_MOST_ROUNDS = 50


class Branches:
    """What a walk does at a branch; the walk itself says how a body is run."""

    _holes: Holes
    _expand: Expander

    def choose(self) -> bool:
        """The outcome of a condition that is not known."""
        raise NotImplementedError

    def _body(self, nodes: Sequence[Node], scope: Scope, *, guarded: bool) -> None:
        raise NotImplementedError

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
            if self.choose() if unknown else any(fnmatchcase(value, pattern) for pattern in patterns):
                self._body(item.children[end + 1 :], scope, guarded=guarded)
                return
