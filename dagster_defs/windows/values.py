"""Typed values: what dbt makes of the text of `--vars`, and the text that gives a value back to it.

dbt reads `--vars` as YAML with PyYAML's safe loader: a value is text, a whole or floating-point number, a boolean,
null, a date, a date and time, a list or a mapping, and each is another value than the text that it prints as.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import yaml

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MOST_NODES = 100_000
MOST_DEPTH = 100

_NAMES: Mapping[type, str] = {
    bool: "a boolean",
    int: "a whole number",
    float: "a floating-point number",
    str: "text",
    datetime: "a date and time",
    date: "a date",
    list: "a list",
    dict: "a mapping",
    type(None): "null",
}


class ValueRefused(Exception):
    """A text that is not YAML as dbt reads it, or a value that cannot be handed to dbt; the message says why."""


def read_yaml(text: str) -> Any:
    """The value that dbt reads from a text; the empty text is null. Raises ValueRefused.

    Aliases are counted as often as they stand for something before any value is made: a short text can stand for
    billions of values.
    """
    loader = _LOADER(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _refuse_large(node)
        return loader.construct_document(node)
    except (yaml.YAMLError, ValueError, OverflowError, TypeError) as error:
        raise ValueRefused(f"it is not YAML that dbt can read: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise ValueRefused("it is nested too deeply") from error
    finally:
        loader.dispose()


@dataclass(frozen=True, slots=True)
class Source:
    """The YAML `text` of a value, quotes kept, and the texts in it that have no quotes: YAML guesses their type."""

    text: str
    unquoted: tuple[str, ...]


def sources_in(text: str) -> dict[str, Source]:
    """How each value of a mapping is written, by its name; nothing for a text that is not a mapping."""
    loader = _LOADER(text)
    try:
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            return {}
        _refuse_large(node)
    except (yaml.YAMLError, ValueRefused, RecursionError):
        return {}
    finally:
        loader.dispose()
    pairs = [(name.value, value) for name, value in node.value if isinstance(name, yaml.ScalarNode)]
    return {name: Source(_written(value), tuple(_unquoted(value))) for name, value in pairs}


def _written(node: yaml.Node) -> str:
    text = str(yaml.serialize(node, width=math.inf, allow_unicode=True))
    return text.removesuffix("\n").removesuffix("\n...")


def _unquoted(node: yaml.Node) -> Iterator[str]:
    if isinstance(node, yaml.ScalarNode):
        if not node.style and node.tag.endswith(":str"):
            yield node.value
    else:
        for item in node.value:
            for part in item if isinstance(item, tuple) else (item,):
                yield from _unquoted(part)


def _refuse_large(root: yaml.Node) -> None:
    pending: list[tuple[yaml.Node, int]] = [(root, 1)]
    seen = 0
    while pending:
        node, depth = pending.pop()
        seen += 1
        if seen > MOST_NODES or depth > MOST_DEPTH:
            raise ValueRefused(
                f"it stands for more than {MOST_NODES:,} values, or for more than {MOST_DEPTH} levels of them"
            )
        if isinstance(node, yaml.MappingNode):
            pending += [(item, depth + 1) for pair in node.value for item in pair]
        elif isinstance(node, yaml.SequenceNode):
            pending += [(item, depth + 1) for item in node.value]


def as_yaml(variables: Mapping[str, Any]) -> str:
    """The text of `--vars` from which dbt reads exactly these values. Raises ValueRefused, which names the variable.

    Text that looks like a number, a date or a boolean is quoted; a date is not.
    """
    for name, value in variables.items():
        if why := uncarried(value):
            raise ValueRefused(f"{name}: {why}")
    return str(yaml.dump(dict(variables), Dumper=_Plain, allow_unicode=True, sort_keys=False, width=math.inf))


def value_as_yaml(value: Any) -> str:
    """One line from which dbt reads exactly this value."""
    text = yaml.dump(value, Dumper=_Plain, allow_unicode=True, default_flow_style=True, width=math.inf)
    return str(text).removesuffix("\n").removesuffix("\n...")


class _Plain(yaml.SafeDumper):
    """Without anchors, so that the text of a value never depends on which values are one object."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def uncarried(value: Any) -> str:
    """Why a value cannot be handed to dbt as it is; empty if it can."""
    if isinstance(value, Mapping):
        if strange := [key for key in value if type(key) not in _SCALARS]:
            return f"a mapping with the key {strange[0]!r} cannot be handed to dbt"
        return next((why for item in value.values() if (why := uncarried(item))), "")
    if isinstance(value, list | tuple):
        return next((why for item in value if (why := uncarried(item))), "")
    if type(value) not in _SCALARS:
        return f"a value of type {type(value).__name__} cannot be handed to dbt"
    if isinstance(value, str) and (bad := next((c for c in value if "\ud800" <= c <= "\udfff"), "")):
        return f"text with the lone surrogate {bad!r} cannot be handed to dbt"
    return ""


_SCALARS = frozenset({bool, int, float, str, datetime, date, type(None)})


def same(one: Any, other: Any) -> bool:
    """Whether both are one value to dbt: equal, and of the same type all the way down."""
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return len(one) == len(other) and all(
            any(same(key, there) for there in (other.keys() if key in other else ()))
            and same(item, other[key])
            for key, item in one.items()
        )
    if type(one) is not type(other):
        return False
    if isinstance(one, float) and math.isnan(one):
        return math.isnan(other)
    if isinstance(one, datetime):  # 12:00 UTC and 13:00+01:00 are equal, and print differently
        return bool(one == other) and one.utcoffset() == other.utcoffset()
    return bool(one == other)


def typed(value: Any) -> str:
    """For people: a value with its type, unless it is text that can be taken for nothing else."""
    if isinstance(value, str):
        try:
            read = read_yaml(value)
        except ValueRefused:
            return value
        return value if isinstance(read, str) and read == value else f"{value!r} (text)"
    kind = next((name for known, name in _NAMES.items() if type(value) is known), type(value).__name__)
    return "null" if value is None else f"{as_text(value)} ({kind})"


def as_text(value: Any) -> str:
    """A value as a model's SQL shows it: a date object prints as ISO text."""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return value.isoformat() if isinstance(value, date) else str(value)


def plain(value: Any) -> Any:
    """Fit for JSON: dates become text, names become strings."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return as_text(value) if isinstance(value, date) else value
