"""dbt's own 511 macros, read by Jinja once for each test process instead of twice for each new project.

dbt parses them anew whenever a project has no partial parse: 1.2 of the 1.5 CPU seconds that a small project takes. The
tests make hundreds of such projects. What is kept is Jinja's answer to a text, which dbt only looks at.
"""

from __future__ import annotations

from typing import Any

import jinja2

_TREES: dict[tuple[Any, ...], jinja2.nodes.Template] = {}
_MOST_TREES = 2_000
_parse = jinja2.Environment.parse


def _parse_once(
    self: jinja2.Environment, source: str, name: str | None = None, filename: str | None = None
) -> jinja2.nodes.Template:
    if not type(self).__module__.startswith("dbt_common."):
        return _parse(self, source, name, filename)
    key = (type(self), *self.extensions, source, name, filename)
    if key not in _TREES:
        if len(_TREES) >= _MOST_TREES:
            _TREES.clear()
        _TREES[key] = _parse(self, source, name, filename)
    return _TREES[key]


def keep_macros() -> None:
    """Let each Jinja environment of dbt in this process reuse the parsed form of a text."""
    jinja2.Environment.parse = _parse_once  # type: ignore[method-assign]
