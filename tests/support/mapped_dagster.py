"""A Dagster code location with whatever a test has declared in the folder MAPPED_ROOT."""

import os
import types
from pathlib import Path

import dagster as dg

ROOT = Path(os.environ["MAPPED_ROOT"])

module = types.ModuleType("own_defs")
module.__path__ = [str(ROOT / "own_defs")]
module.__file__ = str(ROOT / "own_defs" / "__init__.py")
defs = dg.ComponentTree(defs_module=module, project_root=ROOT).build_defs()
