"""One line of the ledger's file as an entry, and whose it is where it cannot be one.

A line that cannot be read stops the unit that it is about. If that cannot be told for sure, it stops every unit: an
entry that is lost in it may be anybody's.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache

from dagster_defs.adapters.files import strict_json
from dagster_defs.errors import BadUnit, LedgerUnreadable
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.ledger import SCHEMA, Entry

MOST_BYTES = 1 << 20  # of one line; the longest that a command writes has a few thousand
_BEGINNING = 1 << 13  # of a line that is looked at for the unit's name

# As `Entry.as_json` and `json.dumps` write it. A string with an escape, and any other order, goes the long way.
_PLAIN = r'"([^"\\\x00-\x1f]*)"'
_LIST = r'\[((?:"[^"\\\x00-\x1f]*"(?:, "[^"\\\x00-\x1f]*")*)?)\]'
_FIELDS = ("id", "at", "operator", "unit", "move", "kind", "stage", "reason")
_LINE = re.compile(
    rf'\{{"schema": "{SCHEMA}", '
    + ", ".join(f'"{name}": {_PLAIN}' for name in _FIELDS)
    + rf', "forced": {_LIST}, "steps": {_LIST}(?:, "from": {_PLAIN})?(?:, "until": {_PLAIN})?\}}'
)
_ANY = rb'"((?:[^"\\\x00-\x1f]|\\.)*)"'
_NAMED = re.compile(
    rb'\{"schema": "'
    + SCHEMA.encode()
    + b'"'
    + b"".join(b', "%s": ' % name + _ANY for name in (b"id", b"at", b"operator", b"unit"))
)


def read_entry(line: bytes, where: str) -> Entry:
    """`where`: the file and the line. Raises LedgerUnreadable, with the unit if it is about one, or LedgerVersion."""
    try:
        if len(line) > MOST_BYTES:
            raise ValueError(f"it has {len(line):,} bytes, and an entry {MOST_BYTES:,} at most")
        return _written_by_us(line) or Entry.from_json(strict_json.loads(line), where)
    except LedgerUnreadable as error:
        raise LedgerUnreadable(where, error.reason, _named(line)) from error
    except ValueError as error:
        raise LedgerUnreadable(where, f"it is no JSON ({error})", _named(line)) from error


def is_of_another(line: bytes, unit: Unit) -> bool:
    """Whether the line names for sure another unit, and so need not be read."""
    found = _NAMED.match(line[:_BEGINNING])
    if found is None or b"\\" in found[4] or b"." not in found[4] or line.count(b'"unit"') != 1:
        return False
    return found[4] != str(unit).encode()


def _written_by_us(line: bytes) -> Entry | None:
    """The entry of a line as `json.dumps` writes it, in half the time; None for any other, which is no fault yet."""
    try:
        found = _LINE.fullmatch(line.decode())
    except UnicodeDecodeError:
        return None
    if found is None:
        return None
    id_, at, operator, unit, move, kind, stage, reason, forced, steps, from_, until = found.groups()
    return Entry.from_texts(
        id_, at, operator, unit, move, kind, stage, reason, _list(forced), _list(steps), from_, until
    )


@lru_cache(maxsize=1024)
def _list(text: str) -> tuple[str, ...]:
    return tuple(json.loads(f"[{text}]"))


def _named(line: bytes) -> str:
    """The unit of a line that cannot be read, if it begins as an entry does and nothing else is glued to it."""
    found = _NAMED.match(line[:_BEGINNING])
    if found is None or line.count(b'"unit"') != 1:
        return ""
    try:
        return str(Unit.parse(json.loads(b'"' + found[4] + b'"')))
    except (ValueError, BadUnit):
        return ""
