"""Reads the inventory file, and asks dbt itself what a selection executes."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import os
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from dagster_defs.adapters.dbt.env_vars import ReadVariables, variables_of
from dagster_defs.adapters.dbt.environment import (
    NOTHING_GIVEN,
    GivenEnvironment,
    dbt_environment,
    giving,
    without_options,
)
from dagster_defs.adapters.dbt.in_process import unreadable
from dagster_defs.adapters.dbt.names import distinct_names
from dagster_defs.adapters.dbt.project_files import files_of, profile_of, refuse_no_project
from dagster_defs.adapters.dbt.run import working_directory_kept
from dagster_defs.adapters.dbt.selector import QuickSearch
from dagster_defs.adapters.dbt.shaping import ENV_VAR, ShapingVariables
from dagster_defs.adapters.dbt.working_folders import target_folder
from dagster_defs.adapters.files.inventory_file import load_inventory
from dagster_defs.adapters.files.team_file import read_team
from dagster_defs.adapters.processes.collector import collector_paused
from dagster_defs.errors import DbtProjectUnreadable
from dagster_defs.inventory import (
    Inventory,
    ModelTime,
    Projects,
    Report,
    Selection,
    SelectionRefused,
    describe,
    time_in,
)
from dagster_defs.inventory.proposals import DbtClaims
from dagster_defs.inventory.row_keys import says_strategy
from dagster_defs.windows.values import as_yaml

MOST_PARSES = 50  # per project, for variables that may shape it; each may take half a minute
NO_VARIABLES: Mapping[str, Any] = MappingProxyType({})
_Given = tuple[str, GivenEnvironment]  # variables as YAML, and what is set in the environment
_NOTHING: _Given = ("", NOTHING_GIVEN)


def read_inventory(file: Path, team_file: Path) -> Inventory:
    """The inventory, complemented by the team's own file, if it exists. Raises
    InventoryUnreadable (which says where a truncated file ends), InventoryVersion, or TeamFileUnreadable."""
    return load_inventory(file).told_by(read_team(team_file))


def report(file: Path, team_file: Path, project_dirs: Sequence[Path]) -> Report:
    """Every unit of the inventory, resolved against the projects. Raises InventoryUnreadable, InventoryVersion, or
    DbtProjectUnreadable if there is no project; a unit's own fault is in its row. If a project does not parse, dbt
    says why on stderr, and its units lack only their models."""
    inventory = read_inventory(file, team_file)
    for project_dir in project_dirs:
        refuse_no_project(project_dir)
    on_disk = ProjectsOnDisk.at(project_dirs, team_file)
    estate = describe(inventory, on_disk.projects)
    faults = (project.unreadable for project in on_disk.by_path.values())
    return replace(estate, project_error="\n".join(str(fault) for fault in faults if fault))


@dataclass(frozen=True)
class ProjectsOnDisk:
    """The estate's dbt projects in the order in which they were given, by their paths from the team's file. `told`: the
    path of the project that a folder of Airflow's holds, according to the team."""

    by_path: Mapping[str, ProjectOnDisk]
    told: Mapping[str, str]

    @classmethod
    def at(cls, project_dirs: Sequence[Path], team_file: Path) -> ProjectsOnDisk:
        """Raises TeamFileUnreadable."""
        told = read_team(team_file).dbt_projects if len(project_dirs) > 1 else {}
        here = team_file.parent.resolve()
        return cls(
            {os.path.relpath(folder.resolve(), here): ProjectOnDisk(folder) for folder in project_dirs},
            {
                folder.rstrip("/"): os.path.relpath((here / path).resolve(), here)
                for folder, path in told.items()
            },
        )

    @property
    def projects(self) -> Projects:
        names = (
            {path: project.name for path, project in self.by_path.items()} if len(self.by_path) > 1 else {}
        )
        return Projects(self.by_path, names, self.told)


@dataclass
class ProjectOnDisk:
    """A dbt project on its own default target, parsed when the first selection is resolved.

    It is parsed once more for each set of variables, and of environment variables, that may shape it and are the same
    in every window. Window variables that shape it are detected before a run.
    """

    project_dir: Path
    target: str = ""
    _executed: dict[tuple[Selection, _Given], tuple[str, ...] | SelectionRefused] = field(
        default_factory=dict
    )
    _times: dict[str, ModelTime] = field(default_factory=dict)
    _parsed: dict[_Given, _Parsed | DbtProjectUnreadable] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its name in dbt_project.yml; empty if that cannot be read."""
        try:
            document = yaml.safe_load((self.project_dir / "dbt_project.yml").read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            return ""
        return str(document.get("name") or "") if isinstance(document, dict) else ""

    @property
    def unreadable(self) -> DbtProjectUnreadable | None:
        """Why dbt could not parse the project; None if it could, or was not asked to."""
        if any(isinstance(each, _Parsed) for each in self._parsed.values()):
            return None
        return next((each for each in self._parsed.values() if isinstance(each, DbtProjectUnreadable)), None)

    def refuse_unreadable(self) -> None:
        """Raises DbtProjectUnreadable if dbt cannot parse the project, with none of the environments asked for so far;
        if none was, it is parsed now."""
        self._any_parse()

    @property
    def of_profile(self) -> frozenset[str]:
        """The environment variables that the profile reads."""
        return variables_of(profile_of(self.project_dir))

    @property
    def default_selector(self) -> str:
        """dbt's selector for a command without a selection; empty for everything. Raises DbtProjectUnreadable."""
        return self._any_parse().default_selector

    def executed(
        self,
        selection: Selection,
        variables: Mapping[str, Any] = NO_VARIABLES,
        environment: Mapping[str, str] = NO_VARIABLES,
    ) -> tuple[str, ...]:
        text = as_yaml(variables) if variables else ""
        given = text, GivenEnvironment.of(environment, self._environment_shaping.may_shape)
        asked = selection, given
        if given != _NOTHING and given not in self._parsed and len(self._parsed) > MOST_PARSES:
            names = [*variables, *dict(given[1].shaping)]
            raise SelectionRefused(
                f"{', '.join(names)} may decide what the dbt project contains, and it has already been parsed for "
                f"{MOST_PARSES} other sets of values: it is not parsed for more"
            )
        if asked not in self._executed:
            try:
                self._executed[asked] = self._parse(given).executed(selection)
            except SelectionRefused as refused:
                self._executed[asked] = refused
        found = self._executed[asked]
        if isinstance(found, SelectionRefused):
            raise found
        return found

    def time_of(self, unique_id: str) -> ModelTime:
        if unique_id not in self._times:
            parsed = self._parse_with({unique_id})
            node = parsed.manifest.nodes.get(unique_id)
            self._times[unique_id] = time_in(node.raw_code) if node is not None else ModelTime()
        return self._times[unique_id]

    def claims(self, node_ids: frozenset[str]) -> DbtClaims:
        """What the project declares about these tables. Raises DbtProjectUnreadable."""
        return self._parse_with(node_ids).claims(node_ids)

    def _parse_with(self, node_ids: Collection[str]) -> _Parsed:
        """A parse with all these nodes, or else the one without variables. Raises DbtProjectUnreadable."""
        parsed = [each for each in self._parsed.values() if isinstance(each, _Parsed)]
        found = (each for each in parsed if each.manifest.nodes.keys() >= set(node_ids))
        return next(found, None) or self._any_parse()

    def _any_parse(self) -> _Parsed:
        """The parse with nothing given, or else one with what a task gives: `env_var()` may need it."""
        parsed = [each for each in self._parsed.values() if isinstance(each, _Parsed)]
        base = self._parsed.get(_NOTHING)
        return base if isinstance(base, _Parsed) else parsed[0] if parsed else self._parse()

    def reads(self, variable: str) -> bool:
        return self._variables.may_be_read(variable)

    def asks(self, variable: str) -> bool:
        return self._variables.may_be_asked(variable)

    def may_be_shaped_by(self, variable: str) -> bool:
        return self._shaping.may_shape(variable)

    @cached_property
    def _shaping(self) -> ShapingVariables:
        return ShapingVariables.in_files(self._files)

    @cached_property
    def _environment_shaping(self) -> ShapingVariables:
        return ShapingVariables.in_files(self._files, ENV_VAR)

    @cached_property
    def _variables(self) -> ReadVariables:
        return ReadVariables.in_files(self._files)

    @cached_property
    def _files(self) -> list[Path]:
        return [*files_of(self.project_dir), profile_of(self.project_dir)]

    def _parse(self, given: _Given = _NOTHING) -> _Parsed:
        if given not in self._parsed:
            try:
                self._parsed[given] = _Parsed(self.project_dir, self.target, *given)
            except DbtProjectUnreadable as unreadable:
                self._parsed[given] = unreadable
        found = self._parsed[given]
        if isinstance(found, DbtProjectUnreadable):
            raise found
        return found


class _Parsed:
    """dbt's manifest, graph and configuration. dbt's own task classes select from them, as at the start of a run;
    nothing is run, and no warehouse is queried."""

    def __init__(self, root: Path, target: str, variables: str, environment: GivenEnvironment) -> None:
        self._root, self._environment = root.resolve(), environment
        given = f"{variables}{environment.key}"
        digest = hashlib.sha256(given.encode()).hexdigest()[:12]
        self._target_path = target_folder(self._root) / (f"inventory-{digest}" if given else "inventory")
        self._flags = ["--project-dir", str(self._root), "--target-path", str(self._target_path)]
        self._flags += ["--log-path", str(self._target_path), "--no-send-anonymous-usage-stats"]
        self._flags += ["--vars", variables] if variables else []
        if "DBT_PROFILES_DIR" not in dbt_environment() and (self._root / "profiles.yml").is_file():
            self._flags += ["--profiles-dir", str(self._root)]
        self._flags += ["--target", target] if target else []
        refuse_no_project(self._root)
        self._selectors: dict[tuple[str, tuple[str, ...]], Any] = {}
        self._bare_flags: dict[Selection, Any] = {}
        with collector_paused():
            self.manifest, self._config = self._parse()

    def executed(self, selection: Selection) -> tuple[str, ...]:
        from dbt.flags import set_flags
        from dbt.node_types import NodeType

        with self._in_project():
            try:
                with without_options():
                    flags = self._flags_of(selection)
                set_flags(flags)
                self._config.args = flags
                task = _tasks()[selection.command](flags, self._config, self.manifest)
                selector = self._selector(selection, task)
                selected = selector.get_selected(task.get_selection_spec(), **_quietly(selector.get_selected))
            except Exception as error:  # dbt has no common base class for selection errors
                raise SelectionRefused(f"dbt {' '.join(selection.arguments)}: {error}") from error
        # `build` passes over exposures and saved queries without doing anything.
        idle = {NodeType.Exposure, NodeType.SavedQuery}
        return tuple(
            sorted(
                unique_id
                for unique_id in selected
                if (node := self.manifest.expect(unique_id)).resource_type not in idle
                and not getattr(node, "is_ephemeral_model", False)
            )
        )

    @property
    def default_selector(self) -> str:
        return self._config.get_default_selector_name() or ""

    def claims(self, node_ids: frozenset[str]) -> DbtClaims:
        nodes = self.manifest.nodes
        asked = {
            node_id: node.to_dict(omit_none=True)
            for node_id, node in nodes.items()
            if node_id in node_ids or getattr(node, "attached_node", None) in node_ids
        }
        tables = {
            node_id: {
                "resource_type": str(node.resource_type),
                "package_name": node.package_name,
                "name": node.name,
                "version": getattr(node, "version", None),
            }
            for node_id, node in nodes.items()
        }
        macros = {
            macro_id: {"name": macro.name, "macro_sql": macro.macro_sql}
            for macro_id, macro in self.manifest.macros.items()
            if macro.name.startswith("test_") or says_strategy(macro.name)
        }
        adapter = {"adapter_type": self._config.credentials.type}
        return DbtClaims(
            {"nodes": asked, "macros": macros, "metadata": adapter}, distinct_names({"nodes": tables})
        )

    def _flags_of(self, selection: Selection) -> Any:
        """dbt's flags for the selection. Parsing a command line takes as long as selecting, so each command is parsed
        once without a selection, and the selection's words are put in."""
        from dbt.cli.flags import Flags, args_to_context

        if selection.selector:
            return Flags(args_to_context([*selection.arguments, *self._flags]))
        bare = Selection(selection.command, options=selection.options)
        if bare not in self._bare_flags:
            self._bare_flags[bare] = Flags(args_to_context([*bare.arguments, *self._flags]))
        flags = copy(self._bare_flags[bare])
        # Each flag exists under two names, and all of them are frozen.
        flags.__dict__.update(SELECT=selection.select, select=selection.select)
        flags.__dict__.update(EXCLUDE=selection.exclude, exclude=selection.exclude)
        return flags

    def _selector(self, selection: Selection, task: Any) -> Any:
        """dbt's selector for the command and its options, kept because creating one walks the whole graph."""
        key = selection.command, selection.options
        if key not in self._selectors:
            task.graph = self._build_graph if selection.command == "build" else self._graph
            self._selectors[key] = self._search.speed_up(task.get_node_selector())
        return self._selectors[key]

    @cached_property
    def _search(self) -> QuickSearch:
        return QuickSearch(self.manifest)

    @cached_property
    def _graph(self) -> Any:
        from dbt.compilation import Compiler

        return Compiler(self._config).compile(self.manifest, write=False)

    @cached_property
    def _build_graph(self) -> Any:
        """In `build` everything downstream of a model waits for its tests, so its graph has extra edges."""
        from dbt.compilation import Compiler

        return Compiler(self._config).compile(self.manifest, write=False, add_test_edges=True)

    def _parse(self) -> tuple[Any, Any]:
        from dbt.cli.main import cli
        from dbt.cli.requires import ExceptionExit, ResultExit

        arguments = ["--quiet", "parse", "--no-write-json", *self._flags, *self._earlier_parse()]
        # dbt prints errors to stdout, which belongs to the report.
        with self._in_project(), contextlib.redirect_stdout(sys.stderr):
            context = cli.make_context(cli.name, list(arguments))
            # As dbtRunner does; the context keeps the configuration, which dbtRunner does not expose.
            context.obj = {
                "manifest": None,
                "callbacks": [giving(self._environment.values)],
                "dbt_runner_command_args": arguments,
            }
            try:
                cli.invoke(context)
            except ExceptionExit as failed:
                raise unreadable(self._root, failed.exception) from failed
            except ResultExit as failed:
                raise DbtProjectUnreadable(self._root, "dbt parse failed") from failed
        return context.obj["manifest"], context.obj["runtime_config"]

    def _earlier_parse(self) -> list[str]:
        """An earlier parse for dbt to continue from; dbt itself rejects one that does not fit."""
        mine = self._target_path / "partial_parse.msgpack"
        others = [
            *self._root.glob("target/partial_parse.msgpack"),
            *self._root.glob("target/*/partial_parse.msgpack"),
        ]
        if mine.exists() or not others:
            return []
        return ["--partial-parse-file-path", str(max(others, key=lambda file: file.stat().st_mtime))]

    @contextlib.contextmanager
    def _in_project(self) -> Iterator[None]:
        with working_directory_kept():
            os.chdir(self._root)  # relative paths in the profile start where dbt runs
            yield


def _quietly(get_selected: Any) -> dict[str, bool]:
    """The option by which nothing is said of an empty selection; older versions of dbt have none."""
    option = "warn_on_no_nodes"
    return {option: False} if option in inspect.signature(get_selected).parameters else {}


def _tasks() -> dict[str, Any]:
    from dbt.task.build import BuildTask
    from dbt.task.freshness import FreshnessTask
    from dbt.task.run import RunTask
    from dbt.task.seed import SeedTask
    from dbt.task.snapshot import SnapshotTask
    from dbt.task.test import TestTask

    return {
        "build": BuildTask,
        "run": RunTask,
        "seed": SeedTask,
        "snapshot": SnapshotTask,
        "source freshness": FreshnessTask,
        "test": TestTask,
    }
