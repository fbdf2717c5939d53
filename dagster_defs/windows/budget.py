"""How much a template may do: operations and characters are counted rather than timed, so that the same template
always has the same outcome.

Every operation has a cost, and the size of its result is estimated before the operation runs. All limits on Jinja from
outside, whether it is rendered or only parsed, are defined here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError
from jinja2.utils import Namespace

BUDGET = 1_000_000  # characters for one rendering, or about a hundred thousand operations
OPERATION = 10  # the cost of an operation, in addition to the size of its result
LONGEST_TEXT = 200_000  # characters of a template
MOST_NODES = 50_000  # in its syntax tree


class TooCostly(SecurityError):
    """The template would exceed its budget."""

    def __init__(self) -> None:
        super().__init__(
            f"it exceeds a template's budget ({BUDGET:,} characters, or about {BUDGET // OPERATION:,} operations)"
        )


class Budget:
    """What is left of one rendering's budget."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = BUDGET

    def spend(self, cost: int) -> None:
        """Raises TooCostly if that much is not left."""
        self.left -= OPERATION + cost
        if self.left < 0:
            raise TooCostly

    def counted(self, values: Iterable[Any], cost: int = 0) -> Iterator[Any]:
        """The values; each one is charged to the budget when it is consumed."""
        for value in values:
            self.spend(cost)
            yield value

    def weigh(self, value: Any) -> None:
        """Charges the size of a value. Raises TooCostly."""
        self.spend(size_of(value, self.left))

    def bounded(self, value: Any) -> Any:
        """The value itself; an iterator, which may be endless, is charged for each item that is consumed."""
        return self.counted(value) if isinstance(value, Iterator) else value


def size_of(value: Any, enough: int = BUDGET) -> int:
    """The number of characters in a value, counting nested values once per occurrence; stops just beyond `enough`.

    A list that holds another list twice, which holds another list twice, is small in memory and huge when printed.
    """
    size, pending = 0, [value]
    while pending and size <= enough:
        item = pending.pop()
        if isinstance(item, str | bytes | range):
            size += len(item)
        elif isinstance(item, int):
            size += item.bit_length() // 3
        elif isinstance(item, list | tuple | set | frozenset):
            size += len(item)
            pending += list(item)[: enough + 1]
        elif isinstance(item, Mapping):
            size += len(item)
            pending += [*item.keys(), *item.values()][: enough + 1]
        elif isinstance(item, Namespace):
            pending.append(item._Namespace__attrs)  # where jinja2 stores them
        size += 1
    return size


def numbers_in(text: str | bytes) -> int:
    """The sum of the numbers in a format string: an upper bound of the widths that it asks for."""
    layout = text.decode("latin-1") if isinstance(text, bytes) else text
    return sum(int(number) if len(number) < 10 else BUDGET for number in re.findall(r"\d+", layout))


def parse(environment: Environment, text: str) -> nodes.Template:
    """Jinja's syntax tree of a text from outside. Raises TemplateSyntaxError, also if the text is too long, too
    deeply nested or too large to be examined."""
    _refuse_long(text)
    try:
        tree = environment.parse(text)
        for number, _ in enumerate(tree.find_all(nodes.Node)):
            if number > MOST_NODES:
                raise TemplateSyntaxError(f"it has more than {MOST_NODES:,} parts", 1)
    except (RecursionError, MemoryError, ValueError, OverflowError) as error:
        raise TemplateSyntaxError(f"it cannot be read: {_why(error)}", 1) from error
    return tree


def lex(environment: Environment, text: str) -> list[tuple[int, str, str]]:
    """Jinja's tokens of a text from outside. Raises TemplateSyntaxError like `parse`."""
    _refuse_long(text)
    return list(environment.lex(text))


def _refuse_long(text: str) -> None:
    if len(text) > LONGEST_TEXT and any(mark in text for mark in ("{{", "{%", "{#")):
        raise TemplateSyntaxError(f"it is longer than {LONGEST_TEXT:,} characters", 1)


def _why(error: Exception) -> str:
    return (
        "it is nested too deeply" if isinstance(error, RecursionError) else str(error) or type(error).__name__
    )
