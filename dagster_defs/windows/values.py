"""Typed values: how dbt reads the text of `--vars`, and the text from which it reads a given value.

dbt reads `--vars` as YAML with PyYAML's safe loader: a value is text, a whole or floating-point number, a boolean,
null, a date, a date and time, a list or a mapping, and each differs from the text that it prints as.
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
    """A text that is not YAML as dbt reads it, or a value that cannot be passed to dbt; the message says why."""


def read_yaml(text: str) -> Any:
    """The value that dbt reads from a text; an empty text is null. Raises ValueRefused.

    Every use of an alias is counted before any value is created, because a short text can stand for billions of values.
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
    """The YAML `text` of a value with its quotes, and the unquoted texts in it, whose type YAML guesses."""

    text: str
    unquoted: tuple[str, ...]


def sources_in(text: str) -> dict[str, Source]:
    """How each value of a mapping is written, by name; empty if the text is not a mapping."""
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
    """The text for `--vars` from which dbt reads exactly these values. Raises ValueRefused, naming the variable.

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
    """Writes no anchors, so that a value's text never depends on which values are the same object."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def uncarried(value: Any) -> str:
    """Why a value cannot be passed to dbt as it is; empty if it can."""
    if isinstance(value, Mapping):
        if strange := [key for key in value if type(key) not in _SCALARS]:
            return f"a mapping with the key {strange[0]!r} cannot be passed to dbt"
        return next((why for item in value.values() if (why := uncarried(item))), "")
    if isinstance(value, list | tuple):
        return next((why for item in value if (why := uncarried(item))), "")
    if type(value) not in _SCALARS:
        return f"a value of type {type(value).__name__} cannot be passed to dbt"
    if isinstance(value, str) and (bad := next((c for c in value if "\ud800" <= c <= "\udfff"), "")):
        return f"text with the lone surrogate {bad!r} cannot be passed to dbt"
    return ""


_SCALARS = frozenset({bool, int, float, str, datetime, date, type(None)})


def same(value: Any, other: Any) -> bool:
    """Whether dbt sees both as the same value: equal, and of the same type all the way down."""
    if isinstance(value, list | tuple) and isinstance(other, list | tuple):
        return len(value) == len(other) and all(map(same, value, other))
    if isinstance(value, Mapping) and isinstance(other, Mapping):
        return len(value) == len(other) and all(
            any(same(key, there) for there in (other.keys() if key in other else ()))
            and same(item, other[key])
            for key, item in value.items()
        )
    if type(value) is not type(other):
        return False
    if isinstance(value, float) and math.isnan(value):
        return math.isnan(other)
    if isinstance(value, datetime):  # 12:00 UTC and 13:00+01:00 are equal, and print differently
        return bool(value == other) and value.utcoffset() == other.utcoffset()
    return bool(value == other)


def typed(value: Any) -> str:
    """For display: a value with its type, unless it is text that cannot be mistaken for another type."""
    if isinstance(value, str):
        try:
            read = read_yaml(value)
        except ValueRefused:
            return value
        return value if isinstance(read, str) and read == value else f"{value!r} (text)"
    kind = next((name for known, name in _NAMES.items() if type(value) is known), type(value).__name__)
    return "null" if value is None else f"{as_text(value)} ({kind})"


def as_text(value: Any) -> str:
    """A value as it prints in a model's SQL: a date object becomes ISO text."""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return value.isoformat() if isinstance(value, date) else str(value)


def plain(value: Any) -> Any:
    """The value for JSON: dates become text, keys become strings."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return as_text(value) if isinstance(value, date) else value
