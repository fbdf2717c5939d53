"""The mirrors that defs/ declares, read from its YAML without building a single Dagster definition."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from dagster_defs.errors import MirrorsUnreadable, NoSuchUnit
from dagster_defs.lifecycle.mirrors import Mirror

PROJECT_ROOT = Path(__file__).resolve().parents[2]


def named(mirrors: Sequence[Mirror], names: Sequence[str]) -> list[Mirror]:
    """The mirrors of these units, in this order; all if none is named. Raises NoSuchUnit."""
    by_name = {str(mirror.legacy_unit): mirror for mirror in mirrors}
    for name in names:
        if name not in by_name:
            raise NoSuchUnit(name, list(by_name))
    return [by_name[name] for name in names or by_name]


def load_mirrors(project_root: Path = PROJECT_ROOT) -> list[Mirror]:
    """Every mirror, by unit. Raises MirrorsUnreadable, which names the file, if the YAML cannot be loaded."""
    import dagster as dg

    try:
        tree = dg.ComponentTree.for_project(project_root)
        components = tree.get_all_components(of_type=dg.Component)  # type: ignore[type-abstract]  # a base will do
        # A file with a single document is listed twice: as the file, and as its only document.
        distinct = {id(component): component for component in components}.values()
        mirrors = [component for component in distinct if hasattr(component, "outputs_of")]
    except Exception as error:
        innermost: BaseException = error
        while innermost.__cause__ is not None:
            innermost = innermost.__cause__
        raise MirrorsUnreadable(project_root, str(innermost).strip() or type(innermost).__name__) from error
    return sorted(cast("list[Mirror]", mirrors), key=lambda mirror: mirror.legacy_unit)
