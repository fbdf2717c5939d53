"""JSON that somebody may have edited: rejects what Python's parser accepts but nobody can have meant."""

from __future__ import annotations

import json
import math
from typing import Any

DEPTH = 100  # nesting levels; our files have fewer than ten


def loads(data: bytes | str) -> Any:
    """Raises ValueError, with a readable reason, for invalid JSON: non-UTF-8 bytes, NaN and Infinity, a number beyond a
    float's range, a duplicate key, more than 100 levels."""
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data.removeprefix("\ufeff")
        document = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 text (byte {error.start})") from error
    except RecursionError:
        raise ValueError(f"it is nested more than {DEPTH} levels deep") from None
    _refuse_deep(document)
    return document


def _refuse_deep(document: Any) -> None:
    level = [document]
    for _ in range(DEPTH):
        level = [child for each in level for child in _children(each)]
        if not level:
            return
    raise ValueError(f"it is nested more than {DEPTH} levels deep")


def _children(value: Any) -> list[Any]:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [child for child in inside if isinstance(child, dict | list)]


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"the number {text[:20]} is too large")
    return number


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:60]!r} is there twice")
    return members


_DECODER = json.JSONDecoder(parse_constant=_constant, parse_float=_float, object_pairs_hook=_object)
