"""What a team knows about its estate that none of its files says: `parity.yaml`, in the project's folder."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, StringConstraints
from typing_extensions import Self

from dagster_defs.inventory.cloud_jobs import CloudJob

FILE = "parity.yaml"
# dbt's own images start `dbt`: the command of such a container begins with dbt's sub-command.
DBT_IMAGES = ("ghcr.io/dbt-labs/dbt", "fishtownanalytics/dbt", "xemuliam/dbt")


_TEMPLATE = re.compile(r"{{.*?}}", re.DOTALL)


def untagged(image: str) -> str:
    """The name of an image without its tag and digest; a registry's port stays, and so does a template."""
    templates = _TEMPLATE.findall(image)
    name = _TEMPLATE.sub("\0", image).partition("@")[0]
    folder, slash, last = name.rpartition("/")
    kept = f"{folder}{slash}{last.partition(':')[0]}"
    for template in templates:
        kept = kept.replace("\0", template, 1)
    return kept


def _without_tags(images: Mapping[str, str]) -> Mapping[str, str]:
    for name in images:
        if untagged(name) != name:
            raise ValueError(f"{name} has a tag: write {untagged(name)}, which stands for each of its tags")
    return images


def _in_words(texts: Mapping[str, str]) -> Mapping[str, str]:
    for name, text in texts.items():
        if "{{" in text or "{%" in text:
            raise ValueError(f"{name}: templates are not rendered here. Write the words as they are")
        if not shlex.split(text):
            raise ValueError(f"{name}: no words. Write what it starts, such as dbt")
    return texts


def _of_dbt(functions: Mapping[str, str]) -> Mapping[str, str]:
    for name, text in functions.items():
        if shlex.split(text)[0] != "dbt":
            raise ValueError(f"{name}: {text!r} is not a call of dbt. Write it as dbt run --select tag:daily")
    return functions


def _each_with_dags(airflows: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
    for name, dags in airflows.items():
        if not dags or not all(dags):
            raise ValueError(f"{name}: no DAGs. List their ids, or globs such as 'shop_*'")
    return airflows


_Words = AfterValidator(_in_words)
# Environment variables end with it, in capitals, and a folder of marks has it.
_AirflowName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
_Dags = Annotated[tuple[str, ...], Field(strict=False)]


class Connection(BaseModel):
    """The dbt targets that stand for a Connection of Airflow's. `warehouse`: their type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    legacy: str
    candidate: str
    warehouse: str
    splits: bool = False


class Host(BaseModel):
    """The host that an SSH Connection of Airflow's stands for, as the `ssh` program reaches it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    host: str
    user: str = ""
    port: int | None = None
    key_file: str = ""
    options: Mapping[str, str] = Field(default_factory=dict)


class Cluster(BaseModel):
    """How Dagster reaches a Kubernetes cluster; empty for the one that its own run is in."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    kubeconfig: str = ""
    context: str = ""
    namespace: str = ""


class DbtRepository(BaseModel):
    """A dbt project in a git repository of its own, in the words of dagster-dbt's RemoteGitDbtProjectManager.
    `token_variable`: the environment variable with the token for it; without one, GITHUB_TOKEN is for GitHub alone.
    `branch`: or a tag; the default branch if it is empty."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    repo_url: str
    repo_relative_path: str = "."
    token_variable: str = ""
    branch: str = ""


def _outside(repositories: Mapping[str, DbtRepository]) -> Mapping[str, DbtRepository]:
    for folder, repository in repositories.items():
        if not folder.strip() or PurePosixPath(folder) == PurePosixPath("."):
            raise ValueError(f"{folder!r} is no folder for a clone. Name one, such as .parity/dbt/shop")
        if "@" in urlsplit(repository.repo_url).netloc and repository.repo_url.startswith("http"):
            raise ValueError(f"{folder}: a token in an address is for everybody to read. Use token_variable")
    return repositories


class LegacyDbt(BaseModel):
    """The dbt that Airflow's tasks run, as far as somebody knows it. `adapter`: its type and version, `duckdb 1.10.0`;
    `packages`: versions by name, `{}` for none; `commit`: of the dbt project that Airflow has."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    version: str = ""
    adapter: str = ""
    packages: Mapping[str, str] | None = None
    commit: str = ""


class Team(BaseModel):
    """`images`: what an image starts, by its name without a tag; a container's arguments follow these words.
    `functions`: the dbt call that a Python function makes, by its dotted path. `dead_dags`: DAGs that will not be
    moved; they are left out of everything. `dbt_cloud_jobs`: a file with dbt Cloud's own answer about its jobs, beside
    this one. `connections`: the dbt targets that a Connection of Airflow's stands for, by its id; `hosts`: the host;
    `clusters`: the cluster, by its Connection or its own name (EKS, GKE). `dbt_projects`: the dbt project that a folder
    of Airflow's holds, as a path from this file. `dbt_repositories`: git repositories with dbt projects, by the folder
    that `parity prepare` clones each to. `dbt`: what Airflow's tasks run. `airflows`: if there are several, the ids of
    each one's DAGs, or globs, by its name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    images: Annotated[Mapping[str, str], _Words, AfterValidator(_without_tags)] = Field(default_factory=dict)
    functions: Annotated[Mapping[str, str], _Words, AfterValidator(_of_dbt)] = Field(default_factory=dict)
    dead_dags: Annotated[frozenset[str], Field(strict=False)] = frozenset()
    dbt_cloud_jobs: str = ""
    connections: Mapping[str, Connection] = Field(default_factory=dict)
    hosts: Mapping[str, Host] = Field(default_factory=dict)
    clusters: Mapping[str, Cluster] = Field(default_factory=dict)
    dbt_projects: Mapping[str, str] = Field(default_factory=dict)
    dbt_repositories: Annotated[Mapping[str, DbtRepository], AfterValidator(_outside)] = Field(
        default_factory=dict
    )
    dbt: LegacyDbt | None = None
    airflows: Annotated[Mapping[_AirflowName, _Dags], AfterValidator(_each_with_dags)] = Field(
        default_factory=dict
    )

    _jobs: tuple[CloudJob, ...] = PrivateAttr(default=())

    @property
    def jobs(self) -> tuple[CloudJob, ...]:
        """What is in the file, once it has been read."""
        return self._jobs

    def with_jobs(self, jobs: tuple[CloudJob, ...]) -> Self:
        complete = self.model_copy()
        complete._jobs = jobs
        return complete

    def entrypoint_of(self, image: str) -> tuple[str, ...]:
        """The words that a container of the image starts with; empty if not known."""
        if entrypoint := self.images.get(untagged(image)):
            return tuple(shlex.split(entrypoint))
        return ("dbt",) if image.startswith(DBT_IMAGES) else ()

    def call_of(self, function: str) -> tuple[str, ...]:
        """The words after `dbt` in the call that the function makes; empty if not known."""
        return tuple(shlex.split(self.functions.get(function, ""))[1:])


NO_TEAM = Team()
