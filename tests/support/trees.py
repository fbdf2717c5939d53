"""Dagster's component tree of a folder of YAML, whatever was imported before."""

from __future__ import annotations

import types
from pathlib import Path

import dagster as dg


def component_tree(defs: Path, root: Path) -> dg.ComponentTree:
    """`defs`: the folder, as the package of the project at `root`."""
    module = types.ModuleType("own_defs")
    module.__path__ = [str(defs)]
    module.__file__ = str(defs / "__init__.py")
    return dg.ComponentTree(defs_module=module, project_root=root)
