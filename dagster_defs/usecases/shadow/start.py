"""What a candidate run starts from: legacy's past for models that read their own, and legacy's version of the rest.

The reasons are in docs/decisions/0013-baseline-and-deferral.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from dagster_defs.adapters.dbt.deferral import builds, outside, write_state
from dagster_defs.adapters.dbt.project import DbtWorkspace, Manifest
from dagster_defs.adapters.warehouse.registry import warehouse_of
from dagster_defs.adapters.warehouse.seam import Begin, Begun, Past, ReadModel
from dagster_defs.errors import LegacyOutOfReach
from dagster_defs.lifecycle.mirrors import TableOutput
from dagster_defs.parity import NO_ZONES, Side
from dagster_defs.parity.dialects import in_a_file

SECONDS_FOR_LOCKS = 60.0  # how long a run waits for a DuckDB file, which a dbt run of Airflow's may hold


@dataclass(frozen=True, slots=True)
class Start:
    """`flags`: for dbt. `copied`: by model's unique id, why the rows of the run's window may be legacy's own."""

    flags: Sequence[str] = ()
    copied: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CandidateStart:
    """The start of one candidate run of a dbt unit.

    `selected`: everything that the unit's command runs; `running`: what this run runs. `outputs`: the unit's tables,
    with the bounds of the run's first window. `began`: when legacy's run of that window began, by a model's unique id;
    None if unknown. `full_refresh`: whether dbt gets that option.
    """

    unit: str
    legacy: DbtWorkspace
    candidate: DbtWorkspace
    selected: frozenset[str]
    running: Collection[str]
    outputs: Sequence[TableOutput]
    began: Callable[[str], datetime | None]
    full_refresh: bool = False

    def make(self, state: Path) -> Start:
        """Take what the run needs from legacy; dbt's state goes to the folder `state`.

        Raises LegacyOutOfReach if legacy does not have it, and WarehouseErrors.
        """
        if not builds(self._theirs, self.selected):
            return Start()  # tests only: they test what other units' candidates built
        read, pasts = outside(self._theirs, self.selected), self._pasts()
        if not (read or pasts):
            return Start()
        begun = self._begin(read, pasts)
        flags = write_state(state, self._theirs, begun.places) if begun.places else []
        return Start(flags, begun.copied)

    def _begin(self, read: Sequence[str], pasts: Mapping[str, TableOutput | None]) -> Begun:
        kinds = {credentials.type for credentials in self._credentials.values()}
        warehouse = warehouse_of(self._credentials[Side.CANDIDATE].type)
        self._refuse_another_warehouse([*read, *pasts], kinds)
        if warehouse is None:  # not a warehouse that we can compare in, but dbt can defer in it
            return Begun(dict.fromkeys(read))
        return warehouse.begin(
            Begin(
                self.legacy,
                self.candidate,
                self._credentials[Side.LEGACY],
                self._credentials[Side.CANDIDATE],
                [self._read_model(node_id) for node_id in read],
                [self._past(node_id, output) for node_id, output in pasts.items()],
                partial(LegacyOutOfReach, self.unit),
                SECONDS_FOR_LOCKS,
            )
        )

    def _read_model(self, node_id: str) -> ReadModel:
        node = self._theirs["nodes"][node_id]
        return ReadModel(node_id, node["name"], node["database"], _name(self._theirs, node_id))

    def _past(self, node_id: str, output: TableOutput | None) -> Past:
        time_column, lower = _time_of(output)
        return Past(
            node_id,
            self._theirs["nodes"][node_id]["relation_name"],
            self._ours["nodes"][node_id]["relation_name"],
            _name(self._theirs, node_id),
            _name(self._ours, node_id),
            time_column,
            lower,
            NO_ZONES if output is None else output.zones,
            self.began(node_id),
        )

    def _pasts(self) -> dict[str, TableOutput | None]:
        """This run's models that read what they built before, each with its output."""
        outputs = {output.candidate: output for output in self.outputs}
        nodes = self._ours["nodes"]
        return {
            node_id: outputs.get(nodes[node_id]["relation_name"])
            for node_id in sorted(set(self.running) & nodes.keys() & self._theirs["nodes"].keys())
            if reads_its_past(nodes[node_id], self.full_refresh)
        }

    def _refuse_another_warehouse(self, wanted: Sequence[str], kinds: Collection[str]) -> None:
        """A database file gets a copy of what it reads; on a server, both sides must be on the same one."""
        if len(kinds) == 1 and all(map(in_a_file, kinds)):
            return
        (own, legacy), (other, candidate) = (self._server(side) for side in Side)
        if own == other:
            return
        there = "one of the same name on another server" if legacy == candidate else candidate
        raise LegacyOutOfReach(
            self.unit,
            ", ".join(wanted),
            f"target {self.legacy.target!r} is in {legacy}, and {self.candidate.target!r} in {there}",
            "Put both targets on the same account or server, each with its own database or schema",
        )

    def _server(self, side: Side) -> tuple[str, str]:
        """The server's identity, and its name for messages."""
        credentials = self._credentials[side]
        warehouse = warehouse_of(credentials.type)
        if warehouse is None:
            return f"{credentials.type} {credentials.unique_field}", f"a {credentials.type} warehouse"
        return warehouse.server(credentials, self.candidate.project_dir)

    @cached_property
    def _credentials(self) -> Mapping[Side, Any]:
        """Read once: in dbt this takes as long as everything else together."""
        return {Side.LEGACY: self.legacy.credentials, Side.CANDIDATE: self.candidate.credentials}

    @property
    def _theirs(self) -> Manifest:
        return self.legacy.manifest

    @property
    def _ours(self) -> Manifest:
        return self.candidate.manifest


def reads_its_past(node: Mapping[str, Any], full_refresh: bool = False) -> bool:
    """Whether a run of the node starts from what earlier runs left. `full_refresh`: whether dbt gets that option."""
    if node["resource_type"] == "snapshot":
        return True
    if node["config"].get("materialized") != "incremental":
        return False
    configured = node["config"].get("full_refresh")  # takes precedence, as in dbt's `should_full_refresh`
    return not (full_refresh if configured is None else configured)


def is_built_anew(node: Mapping[str, Any], full_refresh: bool) -> bool:
    """Whether it is the option that makes a run build the node's whole table, which runs without it do not."""
    return reads_its_past(node) and not reads_its_past(node, full_refresh)


def _time_of(output: TableOutput | None) -> tuple[str | None, str | None]:
    if output is None or output.time_column is None or output.lower is None:
        return None, None
    return output.time_column, output.lower


def _name(manifest: Manifest, node_id: str) -> tuple[str, str]:
    node = manifest["nodes"][node_id]
    return node["schema"], node["alias"]
