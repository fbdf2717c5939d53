"""Which of dbt's variables may decide what there is in a project: nodes, their relations, what they depend on.

dbt reads variables while it parses a project, and keeps no record of them. A variable that no file asks for outside the
SQL of a statement changes rows, never the project; each other one may shape it, and the project must be parsed with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from jinja2 import nodes

from dagster_defs.adapters.dbt.jinja import calls_of, names_asked, texts_in, tree_of

_FUNCTION = "var"
_ASKED = re.compile(r"\bvar\b")
_BLOCKS = re.compile(r"\{%-?\s*(macro|test|data_test|materialization)\b")
_DECIDES = ("config", "ref", "source", "metric")  # what makes a node, or an edge to one
_HARMLESS = frozenset({_FUNCTION, "env_var", "is_incremental", "log", "print", "return"})
_YAML = frozenset({".yml", ".yaml"})
_WITH_JINJA = _YAML | {".sql"}


@dataclass(frozen=True, slots=True)
class ShapingVariables:
    """`any_name`: a file asks for a name that is computed, or cannot be read."""

    names: frozenset[str]
    any_name: bool = False

    @classmethod
    def in_files(cls, files: Iterable[Path]) -> Self:
        """Of the files of one project, its packages and its profile."""
        names: set[str] = set()
        any_name = False
        for file in files:
            for name in _asked_by(file):
                any_name = any_name or name is None
                names.update([name] if name else [])
        return cls(frozenset(names), any_name)

    @classmethod
    def read(cls, document: Any) -> Self | None:
        """None for what `write` has not written."""
        match document:
            case {"names": list(names), "any_name": bool(any_name)} if all(isinstance(n, str) for n in names):
                return cls(frozenset(names), any_name)
        return None

    def write(self) -> dict[str, Any]:
        return {"names": sorted(self.names), "any_name": self.any_name}

    def may_shape(self, name: str) -> bool:
        return self.any_name or name in self.names


def _asked_by(file: Path) -> Iterator[str | None]:
    if file.suffix not in _WITH_JINJA:
        return
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        yield None
        return
    if not _ASKED.search(text):
        return
    if file.suffix in _YAML:
        for template in texts_in(text):
            tree = tree_of(template) if "var" in template and "{" in template else None
            yield from names_asked(tree, _FUNCTION) if tree is not None else ()
    else:
        yield from _asked_in_sql(text)


def _asked_in_sql(text: str) -> Iterator[str | None]:
    tree = tree_of(text)
    if tree is None:
        yield None  # a broken file; dbt will say so
        return
    if _BLOCKS.search(text) or _decides_by_value(tree):
        yield from names_asked(tree, _FUNCTION)
        return
    yield from (name for name in names_asked(tree, _FUNCTION) if name is None)
    for call in tree.find_all(nodes.Call):
        # What a macro makes of its arguments is not seen.
        if not (isinstance(call.node, nodes.Name) and call.node.name in (*_HARMLESS, *_DECIDES)):
            yield from names_asked(call, _FUNCTION)


def _decides_by_value(tree: nodes.Node) -> bool:
    """Whether a node or an edge depends on more than what is written: on a value, a condition or a loop."""
    kinds = (nodes.If, nodes.For, nodes.CondExpr, nodes.And, nodes.Or)
    return any(any(calls_of(block, *_DECIDES)) for kind in kinds for block in tree.find_all(kind)) or any(
        not all(map(_is_literal, _arguments(call))) for call in calls_of(tree, *_DECIDES)
    )


def _arguments(call: nodes.Call) -> list[nodes.Node]:
    more = [node for node in (call.dyn_args, call.dyn_kwargs) if node is not None]
    return [*call.args, *(pair.value for pair in call.kwargs), *more]


def _is_literal(node: nodes.Node) -> bool:
    plain = isinstance(node, nodes.Const | nodes.List | nodes.Tuple | nodes.Dict | nodes.Pair)
    return plain and all(map(_is_literal, node.iter_child_nodes()))
