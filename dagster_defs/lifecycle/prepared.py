"""What was made ahead for the runs of dbt projects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dagster_defs.lifecycle.broken import Fault

SCHEMA = "parity/prepare/1"
ALL = "all"


@dataclass(frozen=True, slots=True)
class Fetched:
    """A repository that was cloned. `folder`: as parity.yaml names it."""

    folder: str
    address: str
    commit: str


@dataclass(frozen=True, slots=True)
class PreparedTarget:
    """A dbt project, parsed for one target. `folder`: where the result is; `nodes`: in its manifest; `units`: how many
    run with it; `seconds`: what all of it took; `built`: where the manifest was found with which the parse began, empty
    for our own; `parsed`: how many files had to be parsed, ALL, or None if dbt does not say."""

    project: str
    target: str
    folder: str
    nodes: int
    units: int
    seconds: float
    parsed: int | str | None
    built: str = ""


@dataclass(frozen=True, slots=True)
class PreparedProjects:
    """`broken`: units for which nothing could be prepared, and why. `unused`: folders with manifests that are of no
    target here."""

    fetched: tuple[Fetched, ...]
    targets: tuple[PreparedTarget, ...]
    broken: tuple[Fault, ...]
    unused: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "fetched": [
                {"folder": each.folder, "address": each.address, "commit": each.commit}
                for each in self.fetched
            ],
            "targets": [
                {
                    "project": each.project,
                    "target": each.target,
                    "folder": each.folder,
                    "nodes": each.nodes,
                    "units": each.units,
                    "seconds": round(each.seconds, 1),
                    "parsed": each.parsed,
                    "built": each.built or None,
                }
                for each in self.targets
            ],
            "broken": [fault.as_json() for fault in self.broken],
            "unused": [*self.unused],
        }
