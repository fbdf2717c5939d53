"""What a parsed manifest was made from, so that it is made again only if something has changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from typing_extensions import Self

from dagster_defs.adapters.dbt.env_vars import env_vars_in
from dagster_defs.adapters.dbt.environment import GivenEnvironment, dbt_environment
from dagster_defs.adapters.files import atomic


class Workspace(Protocol):
    """`profile`: the file that dbt reads, which need not exist."""

    @property
    def project_dir(self) -> Path: ...

    @property
    def profile(self) -> Path: ...

    @property
    def given(self) -> GivenEnvironment: ...

    @property
    def files_digest(self) -> str: ...


_SECRET = "DBT_ENV_SECRET"  # noqa: S105 - dbt's own prefix of secrets, not one of them


@dataclass(frozen=True, slots=True)
class Preparation:
    """What a saved manifest was made from: the files, their location, and the environment variables that they read.

    Values are stored as digests: a profile reads passwords.
    """

    place: str
    files: str
    environment: Mapping[str, str]

    @classmethod
    def of(cls, workspace: Workspace, names: Iterable[str]) -> Self:
        """`names`: the variables that models read, according to dbt; the profile's are added."""
        texts = (workspace.project_dir / "dbt_project.yml", workspace.profile)
        found = {*names, *(name for text in texts if text.exists() for name in env_vars_in(text.read_text()))}
        # What a unit gives is part of the workspace's identity as far as it matters.
        # dbt lets only the profile and the packages read a secret, so no manifest depends on one.
        tracked = {name for name in found - workspace.given.values.keys() if not name.startswith(_SECRET)}
        environment = {name: _digest_of_variable(name) for name in sorted(tracked)}
        return cls(str(workspace.project_dir), workspace.files_digest, environment)

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """None if there is none, or it cannot be read."""
        match atomic.read_cache(path):
            case {"place": str(place), "files": str(files), "environment": dict(environment)}:
                return cls(place, files, environment)
        return None

    def write(self) -> str:
        return json.dumps({"place": self.place, "files": self.files, "environment": dict(self.environment)})

    def is_current(self, workspace: Workspace) -> bool:
        here = (str(workspace.project_dir), workspace.files_digest)
        return (self.place, self.files) == here and all(
            _digest_of_variable(name) == digest for name, digest in self.environment.items()
        )


def _digest_of_variable(name: str) -> str:
    value = dbt_environment().get(name)
    return "" if value is None else hashlib.sha256(value.encode()).hexdigest()
