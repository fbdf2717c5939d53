"""What `parity init` made of a Dagster project."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagster_defs.older_python import StrEnum


class Outcome(StrEnum):
    WRITTEN = "written"
    THERE = "there"


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """One that was `there` is unchanged."""

    path: Path
    outcome: Outcome

    def as_json(self) -> dict[str, Any]:
        return {"path": str(self.path), "outcome": self.outcome.value}


@dataclass(frozen=True, slots=True)
class AdoptingProject:
    """`mirrors`: the folder for the YAML, `dg`'s defs/."""

    root: Path
    mirrors: Path
    files: tuple[ProjectFile, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "schema": "parity/init/1",
            "root": str(self.root),
            "mirrors": str(self.mirrors),
            "files": [file.as_json() for file in self.files],
        }
