"""dagster-dbt is imported without dbt-core, and what it takes from dbt-core is the same as with it."""

from __future__ import annotations

import json
import subprocess
import sys

_NAMES = ("NodeStatus", "TestStatus", "NodeType")
_PRINTED = f"""
import json, sys
{{first}}
from dagster_dbt import compat
from dagster_dbt.core.resource import DBT_PYTHON_VERSION
imported = sorted(name for name in sys.modules if name.partition(".")[0] == "dbt")
import dbt.contracts.results, dbt.node_types, dbt.version
print(json.dumps({{{{
    "imported": bool(imported),
    "version": [str(compat.DBT_PYTHON_VERSION), str(DBT_PYTHON_VERSION)],
    "values": {{{{name: [[each.name, each.value, str(each)] for each in getattr(compat, name)] for name in {_NAMES}}}}},
    "equal": [compat.NodeStatus.Success == dbt.contracts.results.NodeStatus.Success, compat.NodeType.Test == "test"],
    "refable": list(map(str, compat.REFABLE_NODE_TYPES)),
    "real": [dbt.version.__file__, dbt.contracts.results.NodeStatus.__module__],
}}}}))
"""


def _printed(first: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", _PRINTED.format(first=first)], capture_output=True, text=True, check=True
    )
    printed: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return printed


def test_dagster_dbt_has_the_same_of_dbt_with_and_without_importing_it() -> None:
    """The version, the enumerations' names, values and texts, and dbt-core itself when it is imported afterwards."""
    ours = _printed("import dagster_defs.adapters.dbt.dagster_dbt")
    theirs = _printed("import dagster_dbt")

    assert (ours.pop("imported"), theirs.pop("imported")) == (False, True)
    assert ours == theirs


def test_dbt_that_is_imported_before_stays() -> None:
    """A process that has imported dbt already gets dagster-dbt as usual."""
    before = _printed("import dbt.version, dagster_defs.adapters.dbt.dagster_dbt")

    assert before["imported"]


def test_components_load_without_dbt() -> None:
    """No component type imports dbt-core, which takes longer than the rest of a load's imports."""
    code = "import sys, dagster_defs.components; sys.exit('dbt.version' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
