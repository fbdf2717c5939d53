"""Explains a validation error in terms of what the person wrote, not of pydantic's types."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import ValidationError

_LONGEST = 60  # how many characters of the input are quoted
_WANTED: Mapping[str, str] = {
    "string": "a text",
    "int": "a whole number",
    "float": "a number",
    "decimal": "a number",
    "bool": "true or false",
    "list": "a list such as [a, b]",
    "tuple": "a list such as [a, b]",
    "set": "a list such as [a, b]",
    "frozen": "a list such as [a, b]",
    "sequence": "a list such as [a, b]",
    "dict": "a mapping, `name: value`",
    "mapping": "a mapping, `name: value`",
    "model": "a mapping, `name: value`",
    "dataclass": "a mapping, `name: value`",
    "date": "a date such as 2024-03-10",
    "datetime": "a time such as 2024-03-10T12:00:00+00:00",
}
_OF_DAGSTER = re.compile(r"(?P<path>\S.*) at (?P<place>\S.*)")  # how Dagster says where in a component's YAML
_BRANCHES = {"str", "int", "float", "bool", "dict", "list"}


@dataclass(frozen=True, slots=True)
class _Problem:
    """`where`: the parts of its place, from the outermost; `file`: that and the line, if Dagster says them."""

    where: tuple[str, ...]
    file: str
    sentence: str
    noun: str
    written: str


def in_words(error: ValidationError, written: Any = None) -> str:
    """`legacy.table is missing; key must be a list such as [a, b], not 'id'`.

    `written`: the document that was refused, by which a place in it is told from the branch of a union. Not needed
    for what Dagster says of a component's YAML.
    """
    problems = [_read(each, written) for each in error.errors(include_url=False)]
    problems = [each for each in problems if not _is_only_a_template(each, problems)]
    sentences: dict[str, None] = {}
    for problem in problems:
        where = ".".join(problem.where)
        if problem.sentence:
            sentence = problem.sentence
        else:
            mates = [each for each in problems if each.where == problem.where and each.noun]
            nouns = " or ".join(dict.fromkeys(each.noun for each in mates))
            sentence = f"{where or 'it'} must be {nouns}, not {problem.written}"
        sentences[f"{sentence} ({problem.file})" if problem.file else sentence] = None
    return "; ".join(sentences)


def _read(problem: Mapping[str, Any], written: Any) -> _Problem:
    loc, file = problem["loc"], ""
    in_yaml = _OF_DAGSTER.fullmatch(str(loc[0])) if len(loc) == 1 else None
    if in_yaml:
        place, file = tuple(_without_branches(in_yaml["path"])), in_yaml["place"]
    else:
        place = tuple(_in_document(loc, written, missing=problem["type"] == "missing"))
    sentence = _sentence(problem, ".".join(place))
    return _Problem(place, file, sentence, "" if sentence else _noun(problem), _shown(problem["input"]))


def _is_only_a_template(problem: _Problem, problems: Sequence[_Problem]) -> bool:
    """Drops the alternative of text, which Dagster accepts anywhere as a template: irrelevant to who wrote a list."""
    if not problem.file or problem.noun != _WANTED["string"]:
        return False
    depth = len(problem.where)
    return any(
        each is not problem and each.where[:depth] == problem.where and each.noun != problem.noun
        for each in problems
    )


def _without_branches(path: str) -> Iterator[str]:
    """`compare.tuple[Model, ...].0.masked.str` is `compare`, `#1`, `masked`."""
    parts: list[str] = [""]
    depth = 0
    for letter in path:
        depth += (letter in "[(") - (letter in "])")
        if letter == "." and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if part.isdecimal():
            yield f"#{int(part) + 1}"
        elif not (set(part) & set("[(") or part.endswith("Model") or (last and part in _BRANCHES)):
            yield part


def _in_document(loc: Sequence[Any], written: Any, *, missing: bool) -> Iterator[str]:
    here = written
    for depth, part in enumerate(loc):
        last = depth == len(loc) - 1
        if (isinstance(here, Mapping) and part in here) or (
            isinstance(here, list | tuple) and isinstance(part, int) and part < len(here)
        ):
            here = here[part]
        elif written is not None and not (last and missing):
            continue  # the branch of a union
        yield f"#{part + 1}" if isinstance(part, int) else str(part)


def _sentence(problem: Mapping[str, Any], where: str) -> str:
    """Empty if something else has to be there."""
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "missing":
        return f"{where} is missing"
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{where} is not known here: correct its spelling, or leave it out"
    if kind in ("string_too_short", "too_short"):
        return f"{where} is empty"
    if kind in ("value_error", "assertion_error"):
        message = str(context.get("error") or problem["msg"])
        return f"{where}: {message}" if where else message
    return ""


def _noun(problem: Mapping[str, Any]) -> str:
    kind, context = problem["type"], problem.get("ctx", {})
    if kind in ("enum", "literal_error"):
        return f"one of {context.get('expected', '')}".replace("'", "")
    if kind == "is_instance_of":
        kind = str(context.get("class", "")).lower()
    elif kind.startswith("date_from_datetime"):
        kind = "date"
    noun = _WANTED.get(kind.split("_", 1)[0])
    return noun or problem["msg"].removeprefix("Input should be ")


def _shown(value: Any) -> str:
    """The value as in YAML, on one line."""
    if value is None:
        return "null"
    if isinstance(value, str):
        text = repr(value)
    elif isinstance(value, date):
        text = value.isoformat()
    else:
        try:
            text = json.dumps(value, ensure_ascii=False, default=str)
        except (TypeError, ValueError):
            text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
