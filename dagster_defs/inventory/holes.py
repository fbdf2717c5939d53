"""Text with holes: a command in which some words are known only to Airflow, a shell or a program.

A hole is represented by a plain word, so that shell, YAML and dbt's own parsers read the surrounding text as they would
with the value; `restore` puts the original text back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from jinja2 import Environment, TemplateSyntaxError

from dagster_defs.older_python import StrEnum
from dagster_defs.windows.budget import lex

# The marks that the exporter leaves inside rendered values.
UNDETERMINED_MARK, MASKED_MARK = "__undetermined__", "***"

_OPEN, _CLOSE = "zqh", "hqz"  # letters only: they have no meaning in shell, YAML or dbt
_LEXER = Environment(autoescape=False)  # noqa: S701 - it never renders


def is_known(value: Any) -> bool:
    """Whether a value has none of the exporter's marks, at any depth. Text with a mark may be anything."""
    if isinstance(value, str):
        return not any(mark in value for mark in (UNDETERMINED_MARK, MASKED_MARK))
    if isinstance(value, Mapping):
        return all(is_known(key) and is_known(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(is_known, value))
    return True


class HoleKind(StrEnum):
    TEMPLATE = "template"
    MARK = "mark"
    SHELL = "shell"
    PYTHON = "python"


@dataclass(frozen=True, slots=True)
class Hole:
    """`text` is the original text: `{{ ds }}`, `$DBT_TARGET`, `$(date +%F)`, `os.environ["X"]`."""

    text: str
    kind: HoleKind


class Holes:
    """The holes of one reading, by the word that represents each."""

    def __init__(self) -> None:
        self._numbers = count()
        self._by_word: dict[str, Hole] = {}
        self._words: dict[Hole, str] = {}

    def dig(self, text: str, kind: HoleKind) -> str:
        """The word for this hole; the same text is always the same hole."""
        hole = Hole(self.restore(text), kind)
        if hole not in self._words:
            word = f"{_OPEN}{next(self._numbers)}{_CLOSE}"
            self._words[hole], self._by_word[word] = word, hole
        return self._words[hole]

    def mask_template(self, text: str) -> str:
        """Each `{{ … }}` becomes a hole; comments and the tags of `{% … %}` blocks are removed, their contents stay.

        Text that Jinja cannot parse is returned unchanged: Airflow does not render it either.
        """
        try:
            tokens = lex(_LEXER, text)
        except TemplateSyntaxError:
            return text
        masked, inside, expression = "", "", False
        for _, kind, value in tokens:
            if kind == "variable_begin":
                inside, expression = value, True
            elif kind == "variable_end":
                masked += self.dig(inside + value, HoleKind.TEMPLATE)
                expression = False
            elif expression:
                inside += value
            elif kind in ("data", "raw_begin", "raw_end"):
                masked += value if kind == "data" else ""
        return masked

    def mask_marks(self, text: str) -> str:
        for mark in (UNDETERMINED_MARK, MASKED_MARK):
            if mark in text:
                text = text.replace(mark, self.dig(mark, HoleKind.MARK))
        return text

    def restore(self, text: str) -> str:
        for hole, word in self._in(text):
            text = text.replace(word, hole.text)
        return text

    def restore_all(self, value: Any) -> Any:
        """The same inside lists and mappings, as YAML or JSON gives them."""
        if isinstance(value, str):
            return self.restore(value)
        if isinstance(value, dict):
            return {self.restore_all(key): self.restore_all(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.restore_all(item) for item in value]
        return value

    def in_text(self, text: str) -> tuple[Hole, ...]:
        return tuple(hole for hole, _ in self._in(text))

    def _in(self, text: str) -> Iterator[tuple[Hole, str]]:
        at = text.find(_OPEN)
        while at >= 0:
            end = text.find(_CLOSE, at)
            word = text[at : end + len(_CLOSE)]
            if end >= 0 and word in self._by_word:
                yield self._by_word[word], word
            at = text.find(_OPEN, at + 1)


_DECIDING = {"if": "if ", "elif": "elif ", "for": " in ", "set": "="}


def blocks(text: str) -> list[str]:
    """The expressions in `{% if … %}`, `{% for … in … %}` and `{% set … = … %}` that decide what the text is."""
    try:
        tokens = lex(_LEXER, text)
    except TemplateSyntaxError:
        return []
    expressions, inside, within = [], "", False
    for _, kind, value in tokens:
        if kind == "block_end":
            keyword = inside.split(maxsplit=1)[0] if inside.strip() else ""
            _, parts, expression = inside.partition(_DECIDING.get(keyword, "\0"))
            expressions += [expression.strip()] if parts else []
            within = False
        elif within:
            inside += value
        within, inside = (True, "") if kind == "block_begin" else (within, inside)
    return expressions
