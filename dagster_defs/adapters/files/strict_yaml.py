"""YAML that somebody has written: values as PyYAML reads them, without what lets a small file grow without bound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

MOST_BYTES = 1 << 20  # thousands of comparisons; PyYAML takes ten seconds for them
DEPTH = 100  # nesting levels; our files have fewer than ten
MOST_NODES = 200_000  # counting the target of an alias each time


def load(file: Path) -> Any:
    """Raises OSError, and ValueError with a readable reason for a document that is too large, too deep, or invalid.

    An alias counts as everything that it stands for, so that ten lines of aliases cannot become a billion values.
    """
    with file.open("rb") as opened:
        data = opened.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"it is larger than {MOST_BYTES:,} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 text (byte {error.start})") from error
    try:
        return _Bounded(text).get_single_data()
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


class _Bounded(yaml.SafeLoader):
    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._level = 0
        self._sizes: dict[int, int] = {}  # of each node by its identity; aliases share their anchor's

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._level += 1
        if self._level > DEPTH:
            raise ValueError(f"it is nested more than {DEPTH} levels deep")
        node: Any = super().compose_node(parent, index)
        self._level -= 1
        if id(node) not in self._sizes:
            self._sizes[id(node)] = 1 + sum(self._sizes.get(id(child), 0) for child in _children(node))
        if self._sizes[id(node)] > MOST_NODES:
            raise ValueError(f"it has more than {MOST_NODES:,} values, counting what its aliases stand for")
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise ValueError(
                    f"the key {key.value[:60]!r} is there twice (line {key.start_mark.line + 1})"
                )
            seen.add(key.value)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


def _children(node: Any) -> list[Any]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []
