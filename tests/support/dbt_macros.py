"""dbt's own 511 macros, read once for each test process instead of twice for each new project.

dbt reads them anew whenever a project has no partial parse: 1.2 of the 1.5 CPU seconds that a small project takes. The
tests make hundreds of such projects. What is kept is the answer to a text, which dbt only looks at; what is left out
is work whose outcome is known.
"""

from __future__ import annotations

import sys
from functools import cache
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
    _settle_dbt()
    key = (type(self), *self.extensions, source, name, filename)
    if key not in _TREES:
        if len(_TREES) >= _MOST_TREES:
            _TREES.clear()
        _TREES[key] = _parse(self, source, name, filename)
    return _TREES[key]


@cache
def _settle_dbt() -> None:
    """When dbt reads its first text: a test without dbt does not pay for its imports."""
    from dbt.parser import manifest
    from dbt_common import behavior_flags
    from dbt_common.tests import enable_test_caching

    docs_context = manifest.generate_runtime_docs_context

    def caller() -> str:
        """The module that makes a behaviour flag: as dbt finds it, without reading the source of every frame."""
        frame = sys._getframe(1)
        while frame.f_globals["__name__"] == behavior_flags.__name__ and frame.f_back:
            frame = frame.f_back
        return str(frame.f_globals["__name__"])

    def context_of_docs(config: Any, target: Any, *more: Any) -> Any:
        """dbt makes a context for the description of each macro; plain text needs none."""
        described = (target, *getattr(target, "arguments", ()))
        if target.resource_type == "macro" and not any("{" in (each.description or "") for each in described):
            return {}
        return docs_context(config, target, *more)

    enable_test_caching()
    behavior_flags.BehaviorFlagRendered._default_source = staticmethod(caller)  # type: ignore[method-assign]
    manifest.generate_runtime_docs_context = context_of_docs


def keep_macros() -> None:
    """Let dbt in this process reuse what it has read of a text: blocks, parsed forms, calls."""
    jinja2.Environment.parse = _parse_once  # type: ignore[method-assign]
