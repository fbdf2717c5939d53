"""A dbt project: its manifest, its selections, and its runs, by the dbt in this process unless another is named.

A `dbt` subprocess costs seconds of imports, and `--vars` that differ from the last run void dbt's partial parse. So the
project is parsed once without any window (a partial parse, which notices edited files), and commands run on that
manifest: `--vars` then reach `var()` when models execute, not when they are parsed. The measurements are in
docs/decisions/0003-dbt-in-process.md. An executable is another process after all: what it can keep of a parse is in
`partial_parse`.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import yaml
from filelock import FileLock

from dagster_defs.adapters.dbt import in_process, partial_parse
from dagster_defs.adapters.dbt.built import BuiltManifest, Parsed
from dagster_defs.adapters.dbt.child_project import ChildProject
from dagster_defs.adapters.dbt.child_run import ChildRun
from dagster_defs.adapters.dbt.env_vars import ReadVariables
from dagster_defs.adapters.dbt.environment import (
    NOTHING_GIVEN,
    GivenEnvironment,
    dbt_environment,
    options_set,
)
from dagster_defs.adapters.dbt.excerpt import excerpt
from dagster_defs.adapters.dbt.executable import DbtExecutable
from dagster_defs.adapters.dbt.names import BUILT, distinct_names, names_of
from dagster_defs.adapters.dbt.preparation import Preparation
from dagster_defs.adapters.dbt.project_files import PROFILES, files_of, profiles_dir_of, refuse_no_project
from dagster_defs.adapters.dbt.run import DbtRun, working_directory_kept
from dagster_defs.adapters.dbt.selector import Lister
from dagster_defs.adapters.dbt.shaping import ENV_VAR, VAR, ShapingVariables
from dagster_defs.adapters.dbt.working_folders import STAMP, target_path
from dagster_defs.adapters.files import atomic
from dagster_defs.adapters.processes.collector import collector_paused
from dagster_defs.errors import DbtManifestRefused, DbtProjectUnreadable, DbtSelectionRefused, NotComparable
from dagster_defs.parity.dialects import in_a_file, told_apart_by
from dagster_defs.windows.values import as_yaml

Manifest = Mapping[str, Any]

T = TypeVar("T")
Picked = Sequence[str] | DbtSelectionRefused  # unique ids, or why there are none

_PARSED = partial_parse.FILE
_EXCERPTS = "excerpts"  # of the manifest, one file per set of nodes


@dataclass(frozen=True)
class DbtWorkspace:
    """A dbt project with one target: its contents, and how to run it.

    `parsed_with`: the variables, as YAML, that shape the project and are the same in all its runs; `given`: the
    environment variables; `executable`: which dbt does all of it, None for the one in this process. Each target, each
    set of their values and each executable has its own target path, because they are part of dbt's parse key.
    """

    project_dir: Path
    target: str
    parsed_with: str = ""
    given: GivenEnvironment = NOTHING_GIVEN
    executable: DbtExecutable | None = None

    @cached_property
    def target_path(self) -> Path:
        another = self.executable.key if self.executable else ""
        key = f"{self.parsed_with}{self.given.key}{another}"
        digest = f"-{hashlib.sha256(key.encode()).hexdigest()[:12]}" if key else ""
        return target_path(self.project_dir, f"{self.target}{digest}")

    @cached_property
    def shaping(self) -> ShapingVariables:
        """Which of dbt's variables may shape the project; cached until one of its files changes."""
        return self._shaping_by(VAR, "shaping.json")

    @cached_property
    def environment_shaping(self) -> ShapingVariables:
        """Which environment variables may."""
        return self._shaping_by(ENV_VAR, "shaping-environment.json")

    def _shaping_by(self, function: str, file: str) -> ShapingVariables:
        kept_in = self.target_path / file
        match atomic.read_cache(kept_in):
            case {"files": self.files_digest, "shaping": document} if kept := ShapingVariables.read(document):
                return kept
        files = [*files_of(self.project_dir), self.profile]
        shaping = ShapingVariables.in_files(files, function)
        atomic.write_json(kept_in, {"files": self.files_digest, "shaping": shaping.write()})
        return shaping

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest of the project's current files; parsed again only if something has changed.

        Raises DbtProjectUnreadable if there is no project or dbt cannot parse it.
        """
        with self.prepared():
            return self._read_kept(lambda: _read_document(self.target_path / "manifest.json"))

    @cached_property
    def shapes(self) -> dict[str, tuple[str, ...]]:
        """A cache for `shaped_by_window`: hundreds of units have variables of the same names."""
        return {}

    @cached_property
    def table_names(self) -> Mapping[str, str]:
        """See `distinct_names`."""
        return distinct_names(self.manifest)

    @cached_property
    def known_names(self) -> frozenset[str]:
        """All names of models, seeds and snapshots; see `names_of`."""
        tables = (node for node in self.manifest["nodes"].values() if node["resource_type"] in BUILT)
        return frozenset(name for node in tables for name in names_of(node))

    def select(self, select: str = "", exclude: str = "", selector: str = "") -> frozenset[str]:
        """The unique ids that dbt's own selector picks, tests and unit tests included.

        Without any of the three it is the project's default selector, or else everything, as in dbt. dbt resolves each
        selection once, and the result is cached until a file of the project changes. Raises DbtSelectionRefused if dbt
        cannot read the selection, DbtProjectUnreadable if it cannot read the project.
        """
        arguments = _arguments(select, exclude, selector)
        known = self._known()
        asked = _question(arguments, options_set())
        if asked not in known:
            known |= self._ask([arguments])
        picked = known[asked]
        if isinstance(picked, DbtSelectionRefused):
            raise picked
        return frozenset(picked)

    def select_all(self, wanted: Iterable[tuple[str, str, str]]) -> None:
        """Resolve upcoming `select` calls at once, so that the cache file is written once and not for each.

        A selection that dbt refuses is raised later, by `select`. Raises DbtProjectUnreadable.
        """
        known, options = self._known(), options_set()
        arguments = [_arguments(*selection) for selection in dict.fromkeys(wanted)]
        if missing := [each for each in arguments if _question(each, options) not in known]:
            known |= self._ask(missing)

    def _known(self) -> dict[str, Picked]:
        """This process's cache of selections, valid while its environment is unchanged."""
        return self._picked.setdefault(frozenset(dbt_environment().items()), {})

    @cached_property
    def _picked(self) -> dict[frozenset[tuple[str, str]], dict[str, Picked]]:
        return {}

    def _ask(self, wanted: Iterable[Sequence[str]]) -> dict[str, Picked]:
        """The result of each selection, from the cache or else from dbt."""
        kept_in = self.target_path / "selections.json"
        with self.prepared():
            kept: dict[str, Any] = atomic.read_cache(kept_in) or {}
            picked: dict[str, Picked] = {asked: ids for asked, ids in kept.items() if isinstance(ids, list)}
            options = options_set()
            missing = {asked: each for each in wanted if (asked := _question(each, options)) not in picked}
            refused: dict[str, Picked] = {}
            if missing:
                for asked, found in zip(missing, self._list(list(missing.values())), strict=True):
                    (refused if isinstance(found, DbtSelectionRefused) else picked)[asked] = found
            if missing.keys() - refused.keys():
                atomic.write_json(kept_in, picked)
        return {**picked, **refused}

    @property
    def database_file(self) -> Path:
        """The DuckDB file that the target writes, as dbt itself renders its profile.

        Raises NotComparable for a target of another kind, DbtProjectUnreadable for one that is not in the profile.
        """
        credentials = self.credentials
        if not in_a_file(credentials.type):
            raise NotComparable(self.target, credentials.type)
        return Path(self.project_dir, credentials.path).resolve()  # relative paths start where dbt runs

    @property
    def warehouse(self) -> str:
        """A name that two targets share if the same relation name means the same relation: a file, or an account. It is
        shown in messages, so it contains no address."""
        credentials = self.credentials
        if in_a_file(credentials.type):
            return str(self.database_file)
        return f"{credentials.type} {getattr(credentials, told_apart_by(credentials.type))}"

    @property
    def credentials(self) -> Any:
        """dbt's own credentials of the target. Raises DbtProjectUnreadable for one that is not in the profile."""
        from dbt.config.runtime import load_profile
        from dbt.flags import set_from_args
        from dbt_common.context import set_invocation_context

        with working_directory_kept():
            os.chdir(self.project_dir)
            set_invocation_context({**dbt_environment(), **self.given.values})
            set_from_args(argparse.Namespace(PROFILES_DIR=str(self.profiles_dir)), {})
            try:
                given = yaml.safe_load(self.parsed_with) or {}
                return load_profile(str(self.project_dir), given, None, self.target).credentials
            except Exception as error:  # dbt has no common base class for profile errors
                raise DbtProjectUnreadable(self.project_dir, f"target {self.target!r}: {error}") from error

    def run(
        self,
        arguments: Sequence[str],
        *,
        variables: Mapping[str, Any],
        run_dir: Path,
        nodes: frozenset[str] | None = None,
        parse_again: bool = False,
        timeout: float | None = None,
        limit: float | None = None,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> DbtRun | ChildRun:
        """A dbt command, not started yet; its artifacts and log go to `run_dir`.

        `nodes`: what it may select, by unique id, which makes dbt start faster. `parse_again`: the variables shape the
        project, so it must be parsed with them. For `timeout` and `limit` see `DbtRun`. `environment`: variables that
        `env_var()` reads in this run alone. Variables keep their types; raises ValueRefused for a value of a type that
        dbt does not have.
        """
        given = {**(yaml.safe_load(self.parsed_with) or {}), **variables}
        command = [*arguments, "--vars", as_yaml(given)] if given else list(arguments)
        here = replace(self, project_dir=self.project_dir.absolute())
        environment = {**self.given.values, **environment}
        if self.executable is not None:
            read = yaml.safe_load(as_yaml(given)) if given else {}
            return ChildRun(
                self.executable, here, command, read, run_dir, parse_again, timeout, limit, environment
            )
        return DbtRun(
            here,
            command,
            run_dir,
            nodes=nodes,
            parse_again=parse_again,
            timeout=timeout,
            limit=limit,
            environment=environment,
        )

    @property
    def program(self) -> Path:
        """The file that a command line for this project starts."""
        return self.executable.path if self.executable else Path(sys.executable).parent / "dbt"

    def flags(self, target_path: Path) -> list[str]:
        return [
            *("--project-dir", str(self.project_dir)),
            *("--profiles-dir", str(self.profiles_dir)),
            *("--target", self.target),
            *("--target-path", str(target_path)),
            *("--log-path", str(target_path)),
            "--no-send-anonymous-usage-stats",
            "--no-use-colors",
        ]

    def load_manifest(self, nodes: frozenset[str] | None = None) -> Any:
        """dbt's own manifest object, loaded from what the last parse saved, without parsing.

        With `nodes`, only what running these can reach, if that is known: see `excerpt`.
        """
        with self.prepared(), collector_paused():
            if nodes is None:
                return self._read_kept(self._read_parsed)
            manifest = self._read_kept(lambda: self._read_excerpt(nodes))
            manifest.build_flat_graph()  # models see it as `graph`; dbt builds it only after parsing
            return manifest

    def _read_excerpt(self, nodes: frozenset[str]) -> Any:
        digest = hashlib.sha256("\0".join(sorted(nodes)).encode()).hexdigest()
        kept = self.target_path / _EXCERPTS / f"{digest[:32]}.msgpack"
        if kept.exists():
            return in_process.read_manifest(kept)
        whole = self._read_parsed()
        part = excerpt(whole, nodes)
        if part is not None:
            in_process.write_manifest(part, kept)
        return part or whole

    def _read_parsed(self) -> Any:
        return in_process.read_manifest(self.target_path / _PARSED)

    def _read_kept(self, read: Callable[[], T]) -> T:
        """What the last parse saved. An unreadable file is deleted, and the project is parsed again."""
        try:
            return read()
        except Exception:  # a decoder may raise anything for a truncated file
            for name in (STAMP, _PARSED):
                (self.target_path / name).unlink(missing_ok=True)
            with self.prepared():
                return read()

    @cached_property
    def _refused(self) -> dict[frozenset[tuple[str, str]], DbtProjectUnreadable]:
        """Why dbt could not parse the project, by the environment of the attempt."""
        return {}

    def _parse(self) -> Parsed:
        """Parse without window variables; writes manifest.json and partial_parse.msgpack."""
        environment = frozenset(dbt_environment().items())
        if environment in self._refused:
            raise self._refused[environment]
        try:
            return self._parse_into(self.target_path, self.parsed_with, self.given.values)
        except DbtProjectUnreadable as error:
            # Hundreds of units need the same project, and dbt takes seconds to fail the same way again.
            self._refused[environment] = error
            raise

    def _parse_into(
        self, target_path: Path, variables: str, environment: Mapping[str, str], *options: str
    ) -> Parsed:
        words = [*(["--vars", variables] if variables else []), *options]
        flags = self.flags(target_path)
        if self.executable is None:
            return in_process.parse(self.project_dir, ["parse", *words, *flags], environment)
        ChildProject(self.executable, self.project_dir, flags, environment).parse(*words)
        read = ReadVariables.in_files([*files_of(self.project_dir), self.profile])
        # Another process does not say which variables it has read.
        return Parsed(dbt_environment() if read.any_other else read.names, known=False)

    def parsed_apart(
        self, variables: Mapping[str, Any], environment: Mapping[str, str], name: str
    ) -> Manifest:
        """The manifest of a full parse with these variables, in a target path of its own that has this name.

        Raises DbtProjectUnreadable.
        """
        target_path = self.target_path / name
        given = {**self.given.values, **environment}
        self._parse_into(target_path, as_yaml(variables), given, "--no-partial-parse")
        return _read_document(target_path / "manifest.json")

    def _list(self, selections: Sequence[Sequence[str]]) -> Iterator[Picked]:
        flags, given = self.flags(self.target_path), self.given.values
        if self.executable is not None:
            variables = ["--vars", self.parsed_with] if self.parsed_with else []
            child = ChildProject(self.executable, self.project_dir, flags, given)
            yield from child.select_all(selections, *variables)
            return
        options = tuple(options_set().items())
        for arguments in selections:
            if options not in self._listers:
                self._listers[options] = Lister(self.project_dir, self._listed, flags, given)
            try:
                yield self._listers[options].select(arguments)
            except DbtSelectionRefused as error:
                yield error

    @cached_property
    def _listers(self) -> dict[tuple[tuple[str, str], ...], Lister]:
        """Keyed by the options that the environment sets."""
        return {}

    @cached_property
    def _listed(self) -> Any:
        return self.load_manifest()

    def begin_with(self, built: BuiltManifest) -> bool:
        """Let the next parse begin with one that was made elsewhere; whether it is one of this target and this dbt."""
        version = self.executable.version if self.executable else in_process.own_version()
        given = yaml.safe_load(self.parsed_with) or {}
        if not built.is_of(given, self.target, self.profile_name, version):
            return False
        self.target_path.mkdir(parents=True, exist_ok=True)
        with FileLock(self.target_path / ".lock", is_singleton=True):
            kept = Preparation.read(self.target_path / STAMP)
            if kept is None or not kept.is_current(self):
                atomic.write_bytes(self.target_path / _PARSED, built.parse)
        return True

    @cached_property
    def parses(self) -> list[Parsed]:
        """Those that this process has had to make."""
        return []

    @property
    def profile_name(self) -> str:
        """As the project's file names it; a template there is not rendered."""
        document = yaml.safe_load((self.project_dir / "dbt_project.yml").read_text(encoding="utf-8"))
        return str(document.get("profile") or "") if isinstance(document, dict) else ""

    @contextlib.contextmanager
    def prepared(self) -> Iterator[None]:
        """The target path, up to date and locked: several processes preparing one project take turns."""
        refuse_no_project(self.project_dir)
        _ = self.files_digest  # a dbt that cannot be used is refused before it parses
        self.target_path.mkdir(parents=True, exist_ok=True)
        with FileLock(self.target_path / ".lock", is_singleton=True):
            stamp = self.target_path / STAMP
            kept = Preparation.read(stamp)
            if kept is None or not kept.is_current(self):
                stamp.unlink(missing_ok=True)
                (self.target_path / "selections.json").unlink(missing_ok=True)
                shutil.rmtree(self.target_path / _EXCERPTS, ignore_errors=True)
                if not (self.target_path / _PARSED).exists():
                    with contextlib.suppress(DbtManifestRefused):
                        self.begin_with(BuiltManifest.read(self.project_dir / "target"))
                parsed = self._parse()
                atomic.write_text(stamp, Preparation.of(self, parsed.read).write())
                self.parses.append(parsed)
            yield

    @cached_property
    def files_digest(self) -> str:
        """A digest of every file that dbt reads for this project, profile included, independent of its location."""
        dbt = self.executable.key if self.executable else in_process.own_version()
        digest = hashlib.sha256(f"{dbt}:{self.target}:{self.parsed_with}{self.given.key}".encode())
        named = {str(path.relative_to(self.project_dir)): path for path in files_of(self.project_dir)}
        for name, path in {**named, "the profile": self.profile}.items():
            digest.update(f"\0{name}\0".encode())
            with contextlib.suppress(FileNotFoundError):
                digest.update(path.read_bytes())
        return digest.hexdigest()

    @property
    def profiles_dir(self) -> Path:
        return profiles_dir_of(self.project_dir)

    @property
    def profile(self) -> Path:
        return self.profiles_dir / PROFILES


def _arguments(select: str, exclude: str, selector: str) -> list[str]:
    arguments = ["--selector", selector] if selector else ["--select", select] if select else []
    return [*arguments, *(["--exclude", exclude] if exclude else [])]


def _question(arguments: Sequence[str], options: Mapping[str, str]) -> str:
    """The cache key: dbt also takes `options` that narrow a selection from the environment."""
    return json.dumps([[*arguments], dict(options)] if options else [*arguments])


def _read_document(file: Path) -> Manifest:
    document = json.loads(file.read_bytes())
    if not isinstance(document, dict) or not isinstance(document.get("nodes"), dict):
        raise ValueError(f"{file} is not a manifest")
    return document
