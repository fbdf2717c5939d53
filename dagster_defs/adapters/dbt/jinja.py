"""A dbt project's templates as syntax trees, using Jinja's own parser and dbt's own blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import jinja2
import yaml
from jinja2 import nodes

from dagster_defs.windows.budget import parse

# dbt/clients/jinja.py, `looks_like_func`.
_CALL = re.compile(r"\s*(?:env_var|ref|var|source|doc)\s*\(.+\)\s*", re.DOTALL)
# dbt takes the block out before Jinja sees it.
_SNAPSHOT = re.compile(r"\{%-?\s*(?:snapshot\b[^%]*|endsnapshot\s*)%\}")


@cache
def _environment() -> jinja2.Environment:
    """A Jinja environment with dbt's own blocks: macros, tests, materializations, documentation."""
    from dbt_common.clients.jinja import get_environment

    environment: jinja2.Environment = get_environment(None, capture_macros=True)
    return environment


def tree_of(template: str) -> nodes.Template | None:
    """None for an invalid template, which dbt itself will report."""
    try:
        return parse(_environment(), _SNAPSHOT.sub("", template))
    except jinja2.TemplateSyntaxError:
        return None


YAML = frozenset({".yml", ".yaml"})  # file suffixes


def templates_in(text: str) -> list[str]:
    """All strings in a YAML document, keys included, as dbt renders them; the text itself if it is not YAML."""
    try:
        return [_with_braces(each) for each in _strings_in(yaml.safe_load(text))]
    except yaml.YAMLError:
        return [text]


def _with_braces(text: str) -> str:
    """Adds the braces that dbt itself adds around a bare call: `to: ref(var("x"))`."""
    return f"{{{{ {text} }}}}" if _CALL.fullmatch(text) else text


def _strings_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for pair in value.items():
            for item in pair:
                yield from _strings_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings_in(item)


def names_asked(tree: nodes.Node, function: str) -> Iterator[str | None]:
    """The first argument of each call of a dbt function (`env_var`, `var`); None for a computed name and for every
    other use of the function. Strings that are templates themselves, such as hooks, count too."""
    for text in tree.find_all(nodes.Const):
        if isinstance(text.value, str) and function in text.value and "{" in text.value:
            nested = tree_of(text.value)
            yield from [None] if nested is None else names_asked(nested, function)
    used = sum(node.name == function for node in tree.find_all(nodes.Name))
    used += sum(node.attr == function for node in tree.find_all(nodes.Getattr))
    used += sum(node.value == function for node in tree.find_all(nodes.Const))
    for call in calls_of(tree, function):
        used -= 1
        first = call.args[0] if call.args else None
        named = isinstance(first, nodes.Const) and isinstance(first.value, str)
        yield first.value if named else None  # type: ignore[union-attr]  # a Const
    if used:
        yield None


def calls_of(tree: nodes.Node, *functions: str) -> Iterator[nodes.Call]:
    """Calls by function name, including those through `builtins` or another package."""
    for call in tree.find_all(nodes.Call):
        named = call.node.name if isinstance(call.node, nodes.Name) else None
        of_package = call.node.attr if isinstance(call.node, nodes.Getattr) else None
        if (named or of_package) in functions:
            yield call
