"""`python -m bench.load ours|stock FOLDER [JOB]`: loads a code location; prints the peak of the process in KB, and
how many assets it has.

With a job, only what the worker of its run reconstructs; without, the whole location, as a code server does.
"""

from __future__ import annotations

import importlib
import resource
import sys
from typing import Any

from bench.estates import PACKAGE

MODULES = {"ours": f"{PACKAGE}.definitions", "stock": f"{PACKAGE}.stock"}


def main(way: str, folder: str, job: str = "") -> tuple[int, int]:
    """Load the definitions and the repository that Dagster makes of them; the peak memory, and the assets' number."""
    sys.path.insert(0, folder)
    assets = _reconstructed(way, folder, job) if job else _whole(way)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, len(assets)


def _whole(way: str) -> Any:
    from dagster.components.definitions import LazyDefinitions

    entry = importlib.import_module(MODULES[way]).defs
    definitions = entry() if isinstance(entry, LazyDefinitions) else entry
    return definitions.get_repository_def().asset_graph.get_all_asset_keys()


def _reconstructed(way: str, folder: str, job: str) -> Any:
    from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository

    repository = ReconstructableRepository.for_module(MODULES[way], "defs", folder)
    return ReconstructableJob(repository, job).get_definition().asset_layer.executable_asset_keys


if __name__ == "__main__":
    print(*main(*sys.argv[1:]))  # noqa: T201 - what the bench reads
