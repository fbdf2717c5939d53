"""dbt's own selection, for many selections on one manifest: command, graph and configuration are built only once."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from copy import copy
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dagster_defs.adapters.dbt.environment import giving
from dagster_defs.adapters.dbt.run import working_directory_kept
from dagster_defs.errors import DbtSelectionRefused

_LS = ("--log-level", "none", "--no-write-json", "ls", "--output", "json", "--output-keys", "unique_id")


@dataclass(frozen=True)
class QuickSearch:
    """Makes dbt's selectors on one manifest look only at the relevant nodes."""

    manifest: Any

    def speed_up(self, selector: Any) -> Any:
        """The same selector, with the same answers, made faster."""
        # dbt's graph is a filtered view, which is asked for all its nodes again and again.
        selector.graph = type(selector.graph)(selector.graph.graph.copy())
        selector.get_method = partial(self._method, selector.get_method)
        selector.select_included = partial(self._select_included, selector.select_included)
        return selector

    def _select_included(self, select: Any, included: Any, criteria: Any) -> set[str]:
        """Look for a plain name only where dbt could find it; dbt's own search compares it with every node."""
        if criteria.method == "fqn" and not set("*?[]") & set(criteria.value):
            near = self._by_name.get(criteria.value.partition(".")[0], set()) | self._versioned
            included = near.intersection(included)
        selected: set[str] = select(included, criteria)
        return selected

    def _method(self, get_method: Any, *arguments: Any, **options: Any) -> Any:
        """One of dbt's selection methods, which looks only at the nodes in question instead of all nodes."""
        method = get_method(*arguments, **options)
        nodes = self.manifest.nodes
        method.parsed_nodes = lambda included: [(name, nodes[name]) for name in included if name in nodes]
        return method

    @cached_property
    def _nodes(self) -> list[tuple[str, Any]]:
        """What dbt searches by name: everything except sources."""
        kinds = (
            "nodes",
            "exposures",
            "functions",
            "metrics",
            "unit_tests",
            "semantic_models",
            "saved_queries",
        )
        return [item for kind in kinds for item in getattr(self.manifest, kind, {}).items()]

    @cached_property
    def _by_name(self) -> Mapping[str, set[str]]:
        """Nodes by each part of their qualified name."""
        by_name: dict[str, set[str]] = {}
        for unique_id, node in self._nodes:
            for part in ".".join(node.fqn).split("."):
                by_name.setdefault(part, set()).add(unique_id)
        return by_name

    @cached_property
    def _versioned(self) -> set[str]:
        return {unique_id for unique_id, node in self._nodes if getattr(node, "is_versioned", False)}


class Lister:
    """What `dbt ls` selects in a project whose manifest is already loaded.

    dbt lists the first selection itself. The others reuse its configuration and graph: rebuilding them takes a hundred
    times as long as selecting.
    """

    def __init__(
        self,
        project_dir: Path,
        manifest: Any,
        flags: Sequence[str],
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """`flags`: those of every dbt command in the project. `environment`: what it reads beside this process's."""
        self._environment = environment
        self._project_dir = project_dir
        self._manifest = manifest
        self._flags = flags
        self._configured: Mapping[
            str, Any
        ] = {}  # dbt's flags and configuration, once it has listed something

    def select(self, arguments: Sequence[str]) -> list[str]:
        """Unique ids, sorted. Raises DbtSelectionRefused."""
        with working_directory_kept():
            os.chdir(self._project_dir)
            try:
                return self._again(arguments) if self._configured else self._first(arguments)
            except Exception as error:  # dbt has no common base class for selection errors
                reason = getattr(error, "exception", None) or error
                raise DbtSelectionRefused(self._project_dir, arguments, str(reason)) from error

    def _first(self, arguments: Sequence[str]) -> list[str]:
        from dbt.cli.main import cli

        command = [*_LS, *arguments, *self._flags]
        context = cli.make_context(cli.name, list(command))
        # As dbtRunner does; the context keeps the configuration, which dbtRunner does not expose.
        context.obj = {
            "manifest": self._manifest,
            "callbacks": [giving(self._environment)],
            "dbt_runner_command_args": command,
        }
        try:
            with redirect_stdout(
                io.StringIO()
            ):  # older versions of dbt print what they list, whatever the log level
                result, _ = cli.invoke(context)
        finally:
            if "manifest" in context.obj and "runtime_config" in context.obj:
                self._configured = context.obj
        return sorted(json.loads(line)["unique_id"] for line in result or ())

    def _again(self, arguments: Sequence[str]) -> list[str]:
        from dbt.cli.flags import Flags, args_to_context
        from dbt.events.types import NoNodesSelected
        from dbt.flags import set_flags
        from dbt.task.list import ListTask
        from dbt_common.events.functions import warn_or_error

        flags, asked = (
            copy(self._configured["flags"]),
            Flags(args_to_context([*_LS, *arguments, *self._flags])),
        )
        for name in ("select", "exclude", "selector"):
            # Each flag exists under two names, and all of them are frozen.
            flags.__dict__.update({each: getattr(asked, each) for each in (name, name.upper())})
        set_flags(flags)
        config = self._configured["runtime_config"]
        config.args = flags
        task = ListTask(flags, config, self._manifest)
        task.graph = self._graph
        if self._selector is None:
            self._selector = QuickSearch(self._manifest).speed_up(task.get_node_selector())
        picked = sorted(self._selector.get_selected(task.get_selection_spec()))
        if not picked:
            warn_or_error(NoNodesSelected())
        return picked

    _selector: Any = None

    @cached_property
    def _graph(self) -> Any:
        from dbt.compilation import Compiler

        return Compiler(self._configured["runtime_config"]).compile(self._manifest, write=False)
