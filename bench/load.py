"""`python -m bench.load ours|stock FOLDER`: loads a code location as a run's worker does; prints the peak in KB."""

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
    from dagster._core.definitions.definitions_class import Definitions
    from dagster.components.definitions import LazyDefinitions

    DefinitionsLoadContext.set(DefinitionsLoadContext(load_type=DefinitionsLoadType.RECONSTRUCTION))
    found = importlib.import_module(MODULES[way]).defs
    if isinstance(found, LazyDefinitions):
        found = found()
    assert isinstance(found, Definitions)
    repository = found.get_repository_def()
    if "-v" in sys.argv:
        print(len(repository.asset_graph.get_all_asset_keys()), len(repository.job_names))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    print(main(sys.argv[1], sys.argv[2]))  # noqa: T201 - what the bench reads
