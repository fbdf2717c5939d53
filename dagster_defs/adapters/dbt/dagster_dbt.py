"""dagster-dbt, imported without dbt-core, which takes longer to import than everything else that a load needs.

dagster-dbt takes a few names from dbt-core when it is imported: its version, three enumerations and three classes for
annotations. While it is imported here, stand-ins give them. dbt-core itself is not touched: whatever runs dbt imports
it then. All of dagster-dbt works as usual, since what it calls in dbt-core it imports where it calls it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from importlib.metadata import version
from types import ModuleType
from typing import Any

_NODE_STATUSES = {
    "Success": "success",
    "Error": "error",
    "Fail": "fail",
    "Warn": "warn",
    "Skipped": "skipped",
    "PartialSuccess": "partial success",
    "Pass": "pass",
    "RuntimeErr": "runtime error",
    "NoOp": "no-op",
}
_TEST_STATUSES = ("Pass", "Error", "Fail", "Warn", "Skipped")
_NODE_TYPES = {
    "Model": "model",
    "Analysis": "analysis",
    "Test": "test",
    "Snapshot": "snapshot",
    "Operation": "operation",
    "Seed": "seed",
    "RPCCall": "rpc",
    "SqlOperation": "sql_operation",
    "Documentation": "doc",
    "Source": "source",
    "Macro": "macro",
    "Exposure": "exposure",
    "Metric": "metric",
    "Group": "group",
    "SavedQuery": "saved_query",
    "SemanticModel": "semantic_model",
    "Unit": "unit_test",
    "Fixture": "fixture",
    "Function": "function",
}


class _Text(str, Enum):
    def __str__(self) -> str:
        return str(self.value)


_enumeration: Any = _Text  # with members, its functional form, which a type checker takes for that of `str`


def _import_without_dbt() -> None:
    """Import dagster-dbt, unless it or dbt is imported already. If it wants a name that has no stand-in, or dbt-core is
    not installed, it is imported as usual."""
    if "dagster_dbt" in sys.modules or "dbt.version" in sys.modules:
        return
    try:
        with _stand_ins(_modules(version("dbt-core"))):
            importlib.import_module("dagster_dbt.compat")
    except (ImportError, AttributeError):
        for name in [name for name in sys.modules if name.partition(".")[0] == "dagster_dbt"]:
            del sys.modules[name]


def _modules(dbt_version: str) -> Mapping[str, ModuleType]:
    node_type: Any = _enumeration("NodeType", _NODE_TYPES)
    contents: Mapping[str, Mapping[str, Any]] = {
        "dbt": {"__path__": []},
        "dbt.version": {"__version__": dbt_version},
        "dbt.adapters": {"__path__": []},
        "dbt.adapters.base": {"__path__": []},
        "dbt.adapters.base.impl": dict.fromkeys(("BaseAdapter", "BaseColumn", "BaseRelation"), Any),
        "dbt.contracts": {"__path__": []},
        "dbt.contracts.results": {
            "NodeStatus": _enumeration("NodeStatus", _NODE_STATUSES),
            "TestStatus": _enumeration("TestStatus", {name: name.lower() for name in _TEST_STATUSES}),
        },
        "dbt.node_types": {
            "NodeType": node_type,
            "REFABLE_NODE_TYPES": [node_type.Model, node_type.Seed, node_type.Snapshot],
        },
    }
    modules = {name: ModuleType(name) for name in contents}
    for name, module in modules.items():
        vars(module).update(contents[name])
    return modules


@contextmanager
def _stand_ins(modules: Mapping[str, ModuleType]) -> Iterator[None]:
    """Inside the block, these are the modules of their names, which nothing has imported before."""
    before = {name: sys.modules.pop(name) for name in modules if name in sys.modules}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            sys.modules.pop(name, None)
        sys.modules.update(before)


_import_without_dbt()

from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject  # noqa: E402 - see above
from dagster_dbt.asset_utils import get_asset_check_key_for_test, is_non_asset_node  # noqa: E402 - see above
from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage  # noqa: E402 - see above

__all__ = [
    "DagsterDbtTranslator",
    "DagsterDbtTranslatorSettings",
    "DbtCoreCliEventMessage",
    "DbtProject",
    "get_asset_check_key_for_test",
    "is_non_asset_node",
]
