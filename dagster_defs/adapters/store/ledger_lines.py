"""Parses one line of the ledger's file into an entry, or finds out whose line it is if it cannot be parsed.

An unreadable line blocks the unit that it is about. If that is uncertain, it blocks every unit: the lost entry may be
about any of them.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache

from dagster_defs.adapters.files import strict_json
from dagster_defs.errors import BadUnit, LedgerUnreadable
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.ledger import SCHEMA, Entry, Subject, subject

MOST_BYTES = 1 << 20  # per line; the longest that a command writes has a few thousand
_BEGINNING = 1 << 13  # how much of a line is searched for the unit's name

# As `Entry.as_json` and `json.dumps` write it. A string with an escape, or another order, takes the slow path.
_TEXT = r'[^"\\\x00-\x1f]*'
_INSIDE = r"[^\]\\\x00-\x1f]*"  # the inside of a list, whose items are checked later
_LINE = re.compile(
    rf'\{{"schema": "{SCHEMA}", "id": "({_TEXT})", "at": "({_TEXT})", "operator": "({_TEXT})"'
    rf', "unit": "({_TEXT}", "move": "{_TEXT}", "kind": "{_TEXT}", "stage": "{_TEXT})", "reason": "({_TEXT})"'
    rf', "forced": \[({_INSIDE}\], "steps": \[{_INSIDE})\]'
    rf'(?:, "from": "({_TEXT})")?(?:, "until": "({_TEXT})")?(?:, "paused": (true))?\}}'
)
_BETWEEN_NAMES = re.compile(r'", "(?:move|kind|stage)": "')
_TEXTS = re.compile(rf'(?:"{_TEXT}"(?:, "{_TEXT}")*)?')


def _beginning(text: bytes) -> re.Pattern[bytes]:
    """A pattern for a line up to its unit's name (the fourth group); `text` matches the inside of each string."""
    names = b"".join(b', "%s": "(%s)"' % (name, text) for name in (b"id", b"at", b"operator", b"unit"))
    return re.compile(rb'\{"schema": "%s"' % SCHEMA.encode() + names)


_NAMED = _beginning(rb'(?:[^"\\\x00-\x1f]|\\.)*')
_PLAINLY_NAMED = _beginning(_TEXT.encode())


def plain_entry(line: bytes) -> Entry | None:
    """The entry in a line as `json.dumps` writes it, parsed in a third of the time; None for any other line, which may
    still be an entry."""
    if len(line) > MOST_BYTES:
        return None
    try:
        if (match := _LINE.fullmatch(line.decode())) is None:
            return None
        id_, at, operator, names, reason, texts, from_, until, paused = match.groups()
        lists = _lists(texts) if len(texts) < _BEGINNING else _lists.__wrapped__(texts)
        if lists is None:
            return None
        return Entry.from_texts(
            id_, at, operator, _subject(names), reason, *lists, from_, until, paused is not None
        )
    except ValueError:  # not UTF-8, not an instant or not a unit: `read_entry` says which
        return None


def read_entry(line: bytes, where: str) -> Entry:
    """`where`: the file and the line. Raises LedgerUnreadable, with the unit if it is about one, or LedgerVersion."""
    try:
        if len(line) > MOST_BYTES:
            raise ValueError(f"it has {len(line):,} bytes, and an entry {MOST_BYTES:,} at most")
        return Entry.from_json(strict_json.loads(line), where)
    except LedgerUnreadable as error:
        raise LedgerUnreadable(where, error.reason, _named(line)) from error
    except ValueError as error:
        raise LedgerUnreadable(where, f"it is no JSON ({error})", _named(line)) from error


def is_of_another(line: bytes, unit: Unit) -> bool:
    """Whether the line certainly names another unit, and so need not be parsed."""
    match = _PLAINLY_NAMED.match(line) or _NAMED.match(line[:_BEGINNING])
    if match is None or b"\\" in match[4] or b"." not in match[4] or line.count(b'"unit"') != 1:
        return False
    return match[4] != str(unit).encode()


# Many entries share these, and a look-up is cheaper than parsing them again.
@lru_cache(maxsize=8192)
def _subject(names: str) -> Subject:
    return subject(*_BETWEEN_NAMES.split(names))


@lru_cache(maxsize=1024)
def _lists(texts: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    forced, steps = texts.split('], "steps": [')
    if not (_TEXTS.fullmatch(forced) and _TEXTS.fullmatch(steps)):
        return None
    return tuple(json.loads(f"[{forced}]")), tuple(json.loads(f"[{steps}]"))


def _named(line: bytes) -> str:
    """The unit of an unreadable line, if it begins like an entry and is not joined with another one."""
    match = _NAMED.match(line[:_BEGINNING])
    if match is None or line.count(b'"unit"') != 1:
        return ""
    try:
        return str(Unit.parse(json.loads(b'"' + match[4] + b'"')))
    except (ValueError, BadUnit):
        return ""
