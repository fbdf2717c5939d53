"""What a template may cost: a number of operations and characters, counted instead of timed, so that the same
template always comes to the same end.

Every operation costs something, and what it would make is weighed before it is made. This is the one place for the
bounds of Jinja that comes from outside, rendered or only read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError
from jinja2.utils import Namespace

BUDGET = 1_000_000  # characters, of one rendering; some hundred thousand operations
OPERATION = 10  # what each operation costs beside what it makes
LONGEST_TEXT = 200_000  # characters of a template
MOST_NODES = 50_000  # of its syntax tree


class TooCostly(SecurityError):
    """The template would go beyond its budget."""

    def __init__(self) -> None:
        super().__init__(
            f"it does more than a template may ({BUDGET:,} characters, and some {BUDGET // OPERATION:,} operations)"
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
        """The values, each of which costs something when it is taken."""
        for value in values:
            self.spend(cost)
            yield value

    def weigh(self, value: Any) -> None:
        """Spends the size of a value. Raises TooCostly."""
        self.spend(size_of(value, self.left))

    def bounded(self, value: Any) -> Any:
        """The value itself; an iterator, which may have no end, costs something for each item that is taken."""
        return self.counted(value) if isinstance(value, Iterator) else value


def size_of(value: Any, enough: int = BUDGET) -> int:
    """Characters of a value, what is in it included as often as it is in it; little more than `enough` if it is more.

    A list that holds another one twice, which holds another one twice, is small in memory and endless when printed.
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
            pending.append(item._Namespace__attrs)  # jinja2 keeps them so
        size += 1
    return size


def numbers_in(text: str | bytes) -> int:
    """The sum of the numbers in a text that says how something is to be written: its widths, at the most."""
    said = text.decode("latin-1") if isinstance(text, bytes) else text
    return sum(int(number) if len(number) < 10 else BUDGET for number in re.findall(r"\d+", said))


def parse(environment: Environment, text: str) -> nodes.Template:
    """Jinja's syntax tree of a text from outside. Raises TemplateSyntaxError, also for a text that is too long, too
    deep or too large to be looked at."""
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
    """Jinja's tokens of a text from outside. Raises TemplateSyntaxError, as `parse` does."""
    _refuse_long(text)
    return list(environment.lex(text))


def _refuse_long(text: str) -> None:
    if len(text) > LONGEST_TEXT and any(mark in text for mark in ("{{", "{%", "{#")):
        raise TemplateSyntaxError(f"it is longer than {LONGEST_TEXT:,} characters", 1)


def _why(error: Exception) -> str:
    return (
        "it is nested too deeply" if isinstance(error, RecursionError) else str(error) or type(error).__name__
    )
