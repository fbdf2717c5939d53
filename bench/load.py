"""`python -m bench.load ours|stock FOLDER [JOB]`: loads a code location; prints the peak of the process in KB, and
how many assets it has.

With a job, only what the worker of its run reconstructs; with `every_job`, everything that a code server prepares when
it starts; without, the location with its assets.
"""

from __future__ import annotations

import importlib
import resource
import sys
from typing import Any

from bench.estates import PACKAGE

EVERY = "every_job"
MODULES = {"ours": f"{PACKAGE}.definitions", "stock": f"{PACKAGE}.stock"}


def main(way: str, folder: str, job: str = "") -> tuple[int, int]:
    """Load the definitions and the repository that Dagster makes of them; the peak memory, and the assets' number."""
    sys.path.insert(0, folder)
    assets = (
        _reconstructed(way, folder, job) if job not in ("", EVERY) else _whole(way, every_job=job == EVERY)
    )
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, len(assets)


def _whole(way: str, *, every_job: bool) -> Any:
    from dagster.components.definitions import LazyDefinitions

    entry = importlib.import_module(MODULES[way]).defs
    definitions = entry() if isinstance(entry, LazyDefinitions) else entry
    repository = definitions.get_repository_def()
    if every_job:
        repository.load_all_definitions()
    return repository.asset_graph.get_all_asset_keys()


def _reconstructed(way: str, folder: str, job: str) -> Any:
    from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository

    repository = ReconstructableRepository.for_module(MODULES[way], "defs", folder)
    return ReconstructableJob(repository, job).get_definition().asset_layer.executable_asset_keys


if __name__ == "__main__":
    print(*main(*sys.argv[1:]))  # noqa: T201 - what the bench reads
