"""`python -m bench.load ours|stock FOLDER`: loads a code location as a run's worker does; prints its peak in KB."""

from __future__ import annotations

import importlib
import resource
import sys

from bench.estates import PACKAGE

MODULES = {"ours": f"{PACKAGE}.definitions", "stock": f"{PACKAGE}.stock"}


def main(way: str, folder: str) -> int:
    """The definitions, and the repository that Dagster makes of them."""
    sys.path.insert(0, folder)
    from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext, DefinitionsLoadType
    from dagster.components.definitions import LazyDefinitions

    DefinitionsLoadContext.set(DefinitionsLoadContext(load_type=DefinitionsLoadType.RECONSTRUCTION))
    found = importlib.import_module(MODULES[way]).defs
    definitions = found() if isinstance(found, LazyDefinitions) else found
    assets = definitions.get_repository_def().asset_graph.get_all_asset_keys()
    if not assets:
        raise SystemExit(f"{folder} has no assets")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    print(main(sys.argv[1], sys.argv[2]))  # noqa: T201 - what the bench reads
