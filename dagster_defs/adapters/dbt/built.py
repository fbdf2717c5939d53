"""A parse that dbt has made elsewhere, with which ours begins, so that only what differs is parsed.

Somebody's CI has parsed the project already, or dagster-dbt has packaged it. What dbt keeps of a parse is beside its
manifest.json; given that, dbt itself compares every file, the profile and the projects with those of the parse, and
parses what differs. So nothing has to be believed. A manifest alone does not say what it was made from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagster_defs.adapters.dbt import partial_parse
from dagster_defs.errors import DbtManifestRefused

_MANIFEST = "manifest.json"
# dbt's events about the parse that it begins with.
_NOTHING, _PARTS, _ALL = "PartialParsingSkipParsing", "PartialParsingEnabled", "UnableToPartialParse"
_COUNTED = ("deleted", "added", "changed")


@dataclass
class Parsed:
    """What a parse has done. `read`: the environment variables that it has read; `files`: how many files had to be
    parsed, None for all of them; `known`: whether dbt has said so."""

    read: Iterable[str] = ()
    files: int | None = None
    known: bool = True

    def hear(self, message: Any) -> None:
        """A callback of dbt's; its last event counts, for a change of a macro may make it begin anew."""
        if message.info.name == _NOTHING:
            self.files = 0
        elif message.info.name == _PARTS:
            self.files = sum(getattr(message.data, name) for name in _COUNTED)
        elif message.info.name == _ALL:
            self.files = None


@dataclass(frozen=True, slots=True)
class BuiltManifest:
    """`folder`: the target path of the dbt that has parsed the project elsewhere."""

    folder: Path
    parse: bytes

    @classmethod
    def read(cls, folder: Path) -> BuiltManifest:
        """Raises DbtManifestRefused if what dbt keeps of a parse is not there."""
        file = folder / partial_parse.FILE
        try:
            return cls(folder, file.read_bytes())
        except FileNotFoundError as error:
            found = f"it has a {_MANIFEST}, but no" if (folder / _MANIFEST).is_file() else "it has no"
            raise DbtManifestRefused(folder, f"{found} {file.name}") from error
        except OSError as error:
            raise DbtManifestRefused(folder, f"{file.name}: {error.strerror or error}") from error

    def is_of(self, variables: Mapping[str, Any], target: str, profile: str, version: str) -> bool:
        """Whether a dbt of this version has made it for this target. `profile`: as the project names it."""
        handed = partial_parse.handed_on(self.parse, variables, variables, target, profile, version)
        return handed is not None
