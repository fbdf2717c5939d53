"""dbt projects in other git repositories, cloned by dagster-dbt's own manager.

The manager clones the repository, installs the project's packages and parses it once. A clone is made beside the old
one and takes its place when all of that has succeeded.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dagster_defs.errors import DbtRepositoryRefused
from dagster_defs.settings import process_environment

_GITHUB, _ITS_TOKEN = "github.com", "GITHUB_TOKEN"
# Files and folders that dbt and dagster-dbt write into a project; its .gitignore need not name them.
_MADE_BY_DBT = {"target", "logs", "dbt_packages", "package-lock.yml", ".user.yml"}
_CLONED, _STATE, _FORMER = "project", "state", "former"  # the first name is the manager's


def fetch(
    place: Path,
    address: str,
    relative: str,
    token: str,
    target: str,
    variables: Mapping[str, str],
    branch: str = "",
) -> str:
    """Clone the repository to `place`, which is then replaced as a whole; the commit that it has now.

    `relative`: the dbt project's folder in it; `token`: empty for none; `target`: for parsing; `variables`: this
    process's own; `branch`: or a tag; empty for the default branch. Raises DbtRepositoryRefused, and then
    `place` is as it was.
    """
    _refuse_foreign(place, address)
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{place.name}-") as folder:
        cloned = Path(folder, _CLONED)
        with _explained(place, address, token), _its_environment(address, variables):
            _manager(address, relative, token, target, branch).prepare(Path(folder, _STATE))
            commit = _forget_token(cloned, address)
        if place.exists():
            place.rename(Path(folder, _FORMER))
        cloned.rename(place)
    return commit


def _manager(address: str, relative: str, token: str, target: str, branch: str) -> Any:
    from dagster_dbt.dbt_project_manager import RemoteGitDbtProjectManager
    from git import Repo

    class OfBranch(RemoteGitDbtProjectManager):
        """dagster-dbt's own clones the default branch alone."""

        def sync(self, state_path: Path) -> None:
            Repo.clone_from(
                self._get_clone_url(), self._local_project_dir(state_path), depth=1, branch=branch
            )
            project = self.get_project(state_path)
            project.preparer.prepare(project)

    kind = OfBranch if branch else RemoteGitDbtProjectManager
    return kind(address, relative, token=token or None, target=target)


def _refuse_foreign(place: Path, address: str) -> None:
    """Nothing is replaced that is not a clone of this repository without changes of its own."""
    from git import InvalidGitRepositoryError, Repo

    if not place.exists() or (place.is_dir() and not any(place.iterdir())):
        return
    try:
        with Repo(place) as repo:
            origin, own_work = next(iter(repo.remotes.origin.urls), ""), _own_work(repo)
    except (InvalidGitRepositoryError, AttributeError) as error:
        raise DbtRepositoryRefused(
            address, f"{place} is no clone of it", "Name another folder in parity.yaml"
        ) from error
    if origin != address:
        raise DbtRepositoryRefused(
            address, f"{place} is a clone of {_bare(origin)}", "Name another folder in parity.yaml"
        )
    if own_work:
        raise DbtRepositoryRefused(address, f"{place} has {own_work}", "Push them, or undo them")


def _own_work(repo: Any) -> str:
    """What a person would lose with the clone, in words; empty if it is nothing."""
    if repo.is_dirty():
        return "changes that are not committed"
    if own := [file for file in repo.untracked_files if not _MADE_BY_DBT & {*Path(file).parts}]:
        return f"files that are not committed ({own[0]})"
    fetched = repo.git.config("--get-all", "remote.origin.fetch")
    tags = [tag for tag in repo.tags if tag.path in fetched]  # the one that was cloned, not those of a person
    if repo.head.commit not in [ref.commit for ref in (*repo.remotes.origin.refs, *tags)]:
        return "commits that are not pushed"
    return ""


def _forget_token(cloned: Path, address: str) -> str:
    """A clone may become part of an image: its configuration keeps no token."""
    from git import Repo

    with Repo(cloned) as repo:
        repo.remotes.origin.set_url(address)
        return str(repo.head.commit.hexsha)


@contextlib.contextmanager
def _explained(place: Path, address: str, token: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # git's, dagster-dbt's and dbt's have no common base
        said = " ".join(str(error).split())
        reason = said.replace(token, "…") if token else said
        remedy = f"Try: git clone {_bare(address)}"
        raise DbtRepositoryRefused(address, f"it was not cloned to {place}: {reason}", remedy) from None


@contextlib.contextmanager
def _its_environment(address: str, variables: Mapping[str, str]) -> Iterator[None]:
    """The manager starts `dbt` from PATH, which need not have this environment's. Without a token of its own it takes
    GITHUB_TOKEN for whatever host: only GitHub gets it."""
    hidden = () if urlsplit(address).hostname == _GITHUB else (_ITS_TOKEN,)
    path = os.pathsep.join((str(Path(sys.executable).parent), variables.get("PATH", os.defpath)))
    with process_environment({"PATH": path}, without=hidden):
        yield


def _bare(address: str) -> str:
    """Without a name or password in it."""
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if parts.scheme else address
