"""Which of dbt's variables may decide what a project contains: nodes, their relations, their dependencies.

dbt reads variables while it parses a project, but keeps no record of them. A variable that is read only in a
statement's SQL changes rows, never the project. A variable that is read in a `config`, a `ref`, a condition around one
of these, the YAML, or a macro whose result affects any of these, may shape the project: it must be parsed with it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from jinja2 import nodes
from typing_extensions import Self

from dagster_defs.adapters.dbt.jinja import YAML, calls_of, names_asked, templates_in, tree_of

Names = frozenset[str | None]  # of variables or macros; None: unknown, so possibly any

_RULES = "2"  # version of this module's rules: bump it if the same files would give another answer
VAR, ENV_VAR = "var", "env_var"  # dbt's functions that read a variable
_BLOCKS = re.compile(r"\{%-?\s*(macro|test|data_test|materialization)\b")
_DECIDES = ("config", "ref", "source", "metric")  # these make a node, or an edge to one
# dbt calls these for each node's relation, whether or not the project calls them.
_CALLED_BY_DBT = ("generate_schema_name", "generate_alias_name", "generate_database_name")
_MACRO, _TEST = "dbt_macro__", "test_"  # prefixes of names in dbt's own syntax trees
_WITH_JINJA = YAML | {".sql"}


@dataclass(frozen=True, slots=True)
class ShapingVariables:
    """`any_name`: some file computes a variable's name, or cannot be read. `handled`: variables whose value something
    takes besides printing it into a statement, so that a value of another type may fail to parse."""

    names: frozenset[str]
    any_name: bool = False
    handled: frozenset[str] = frozenset()

    @classmethod
    def in_files(cls, files: Iterable[Path], function: str = VAR) -> Self:
        """From one project's files, including its packages and profile. `function`: by which the variables are read."""
        project = _Project.read(files, function)
        names = frozenset(project.shaping())
        return cls(_known(names), None in names, _known(project.handled()))

    @classmethod
    def read(cls, document: Any) -> Self | None:
        """None for a file that `write` did not write, or that was written under other rules."""
        match document:
            case {
                "rules": str(rules),
                "names": [*names],
                "any_name": bool(any_name),
                "handled": [*handled],
            } if rules == _RULES and all(isinstance(name, str) for name in (*names, *handled)):
                return cls(frozenset(names), any_name, frozenset(handled))
        return None

    def write(self) -> dict[str, Any]:
        said = {"rules": _RULES, "any_name": self.any_name}
        return {**said, "names": sorted(self.names), "handled": sorted(self.handled)}

    def may_shape(self, name: str) -> bool:
        return self.any_name or name in self.names

    def is_only_printed(self, name: str) -> bool:
        """Whether the project parses to the same nodes with every value of the variable."""
        return not self.may_shape(name) and name not in self.handled


def _known(names: Iterable[str | None]) -> frozenset[str]:
    return frozenset(name for name in names if name is not None)


@dataclass(frozen=True, slots=True)
class _Code:
    """A macro, or the statement of a file. `refers`: it makes a node or an edge; `decides`: on a value that is
    computed, or under a condition. `conditional`: macros that it names in a condition or a loop, or between them.
    `given`: those to which it hands more than what is written. `handled`: see `ShapingVariables`."""

    asks: Names
    calls: Names
    conditional: Names = frozenset()
    refers: bool = True
    decides: bool = True
    given: Names = frozenset({None})
    handled: Names = frozenset()

    @classmethod
    def of(cls, tree: nodes.Node, function: str) -> Self:
        asked = _word(function)
        calls = list(tree.find_all(nodes.Call))
        given = frozenset(_macro_of(call) for call in calls if not all(map(_is_literal, _arguments(call))))
        blocks = [block for kind in _CONDITIONS for block in tree.find_all(kind)]
        conditional = frozenset(name for block in blocks for name in _named_in(block))
        computed = not all(
            _is_literal(each) for call in calls_of(tree, *_DECIDES) for each in _arguments(call)
        )
        # Hooks are templates inside strings, and dbt renders them while parsing.
        texts = (text.value for text in tree.find_all(nodes.Const) if isinstance(text.value, str))
        names = Counter(names_asked(tree, function))
        return cls(
            frozenset(names),
            frozenset(_named_in(tree)),
            conditional,
            any(calls_of(tree, *_DECIDES)),
            computed
            or any(any(calls_of(block, *_DECIDES)) for block in blocks)
            or any("{" in text and asked.search(text) for text in texts),
            given,
            frozenset(names - Counter(_names_printed(tree, function))),
        )


def _word(function: str) -> re.Pattern[str]:
    return re.compile(rf"\b{function}\b")


def _names_printed(tree: nodes.Node, function: str) -> Iterator[str | None]:
    """The first argument of each call of the function whose value is put into the text as it is. In a macro nothing
    is: what calls it may take its text apart."""
    for part in _printed(tree.body) if isinstance(tree, nodes.Template) else ():
        match part:
            case nodes.Call(node=nodes.Name(name=name), args=[nodes.Const(value=str(asked)), *_]) if (
                name == function and all(map(_is_literal, _arguments(part)))
            ):
                yield asked


def _printed(body: Iterable[nodes.Node]) -> Iterator[nodes.Node]:
    """Expressions between braces that become text of the statement, and not of a block that something takes."""
    for node in body:
        match node:
            case nodes.Output(nodes=parts):
                yield from parts
            case nodes.If(body=inside, elif_=others, else_=otherwise):
                yield from _printed([*inside, *others, *otherwise])
            case nodes.For(body=inside, else_=otherwise):
                yield from _printed([*inside, *otherwise])


_UNREADABLE = _Code(frozenset({None}), frozenset({None}))
_CONDITIONS = (nodes.If, nodes.For, nodes.CondExpr, nodes.And, nodes.Or)


def _named_in(tree: nodes.Node) -> Iterator[str | None]:
    """Everything that may be the name of a macro."""
    yield from (_macro_of(call) for call in tree.find_all(nodes.Call))
    yield from (node.name for node in tree.find_all(nodes.Name))


def _macro_of(call: nodes.Call) -> str | None:
    """The name of what is called; None if it is computed."""
    match call.node:
        case nodes.Name(name=name):
            return str(name)
        case nodes.Call(node=nodes.Getattr(attr="dispatch"), args=[nodes.Const(value=str(name)), *_]):
            return name.rpartition(".")[2]
        case nodes.Getattr(attr=attr):
            return str(attr)
    return None


@dataclass
class _Project:
    """`macros` by name, with several per name: `default__x` is also called as `x`."""

    function: str
    macros: dict[str, list[_Code]] = field(default_factory=dict)
    statements: list[_Code] = field(default_factory=list)

    @classmethod
    def read(cls, files: Iterable[Path], function: str) -> Self:
        """Only what asks for a variable, or calls a macro, is parsed: the rest decides nothing."""
        project = cls(function)
        texts: dict[Path, str] = {}
        for file in files:
            if file.suffix not in _WITH_JINJA:
                continue
            try:
                texts[file] = file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                project.statements.append(_UNREADABLE)
        for file, text in texts.items():
            if file.suffix == ".sql" and _BLOCKS.search(text):
                project._add_macros(text)
        asking = project._up_from(lambda code: bool(code.asks))
        mentioned = re.compile(
            "|".join([_word(function).pattern, *(rf"\b{re.escape(name)}\b" for name in sorted(asking))])
        )
        for file, text in texts.items():
            if ("{" in text or file.suffix in YAML) and mentioned.search(text):
                project._add_statements(file, text)
        return project

    def _add_macros(self, text: str) -> None:
        tree = tree_of(text)
        if tree is None:
            self.statements.append(_UNREADABLE)
            return
        for macro in tree.find_all(nodes.Macro):
            name, code = macro.name.removeprefix(_MACRO), _Code.of(macro, self.function)
            for each in {name, name.rpartition("__")[2]}:
                self.macros.setdefault(each, []).append(code)
            if name.startswith(_TEST):
                self.statements.append(code)  # dbt renders it for each test while parsing

    def _add_statements(self, file: Path, text: str) -> None:
        if file.suffix not in YAML:
            if not _BLOCKS.search(text):
                tree = tree_of(text)
                self.statements.append(_UNREADABLE if tree is None else _Code.of(tree, self.function))
            return
        for template in templates_in(text):
            if "{" in template:
                tree = tree_of(template)
                code = _UNREADABLE if tree is None else _Code.of(tree, self.function)
                self.statements.append(replace(code, decides=True))

    def _up_from(self, begins: Callable[[_Code], bool]) -> set[str]:
        """Names of macros for which `begins` holds, or that call such a macro directly or indirectly."""
        reached = {name for name, codes in self.macros.items() if any(map(begins, codes))}
        while more := {
            name
            for name, codes in self.macros.items()
            if name not in reached
            and any(code.calls & reached or None in code.calls for code in codes)
            and reached
        }:
            reached |= more
        return reached

    def _down_from(self, names: Iterable[str | None]) -> Iterator[_Code]:
        """The macros with these names and all macros that they call; every macro for a computed name."""
        seen: set[str] = set()
        todo = list(names)
        while todo:
            name = todo.pop()
            for each in self.macros if name is None else (name,):
                if each not in seen:
                    seen.add(each)
                    for code in self.macros.get(each, ()):
                        yield code
                        todo += code.calls

    def handled(self) -> Iterator[str | None]:
        codes = (code for named in self.macros.values() for code in named)
        yield from (name for code in (*self.statements, *codes) for name in code.handled)

    def shaping(self) -> Iterator[str | None]:
        """The variables, with None for a computed name."""
        referring = self._up_from(lambda code: code.refers)

        def decides(code: _Code) -> bool:
            chosen = code.conditional & referring or (None in code.conditional and referring)
            return code.decides or bool(chosen)

        deciding = self._up_from(decides)
        roots: set[str | None] = set(_CALLED_BY_DBT)
        for code in self.statements:
            if decides(code):
                yield from code.asks
                roots |= code.calls
                continue
            yield from (name for name in code.asks if name is None)
            if decided := {name for name in code.calls if name in deciding or (name is None and deciding)}:
                roots |= code.calls
                if decided & code.given:
                    yield from code.asks
        for code in self._down_from(roots):
            yield from code.asks


def _arguments(call: nodes.Call) -> list[nodes.Node]:
    more = [node for node in (call.dyn_args, call.dyn_kwargs) if node is not None]
    return [*call.args, *(pair.value for pair in call.kwargs), *more]


def _is_literal(node: nodes.Node) -> bool:
    plain = isinstance(node, nodes.Const | nodes.List | nodes.Tuple | nodes.Dict | nodes.Pair)
    return plain and all(map(_is_literal, node.iter_child_nodes()))
