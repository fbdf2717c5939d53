"""What a candidate run begins with: legacy's past of models that read their own, and legacy's version of all else.

What is decided here, and why, stands in docs/decisions/0013-baseline-and-deferral.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from dagster_defs.adapters.dbt.deferral import builds, outside, write_state
from dagster_defs.adapters.dbt.project import DbtWorkspace, Manifest
from dagster_defs.adapters.warehouse.duckdb.start import CandidateFile
from dagster_defs.adapters.warehouse.duckdb.views import Name
from dagster_defs.adapters.warehouse.places import SnowflakeTable, place_of_relation
from dagster_defs.adapters.warehouse.snowflake.reader import SnowflakeReader
from dagster_defs.adapters.warehouse.snowflake.start import begin_with_legacy, holds_copy_of
from dagster_defs.errors import LegacyOutOfReach, StatementFailed
from dagster_defs.lifecycle.mirrors import TableOutput
from dagster_defs.parity import NO_ZONES, Relation, Side, Zones

SECONDS_FOR_LOCKS = 60.0  # that a run waits for a DuckDB file: as long as a dbt run of Airflow's may hold it


@dataclass(frozen=True, slots=True)
class Start:
    """`flags` for dbt. `copied`: why the rows of the run's window may be legacy's own, by unique id of the model."""

    flags: Sequence[str] = ()
    copied: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CandidateStart:
    """The start of one candidate run of a dbt unit.

    `selected`: all that the unit's command runs; `running`: what this run does. `outputs`: the unit's tables, with
    the bounds of the run's first window. `began`: when legacy's run of that window did, by unique id of a model;
    None if nobody knows.
    """

    unit: str
    legacy: DbtWorkspace
    candidate: DbtWorkspace
    selected: frozenset[str]
    running: Collection[str]
    outputs: Sequence[TableOutput]
    began: Callable[[str], datetime | None]

    def make(self, state: Path) -> Start:
        """Take from legacy what the run needs; dbt's state goes to the folder `state`.

        Raises LegacyOutOfReach if legacy does not have it, and WarehouseErrors.
        """
        if not builds(self._theirs, self.selected):
            return Start()  # tests alone: they are on what other units' candidates have built
        read, pasts = outside(self._theirs, self.selected), self._pasts()
        if all(credentials.type == "duckdb" for credentials in self._credentials.values()):
            places, copied = self._on_duckdb(read, pasts)
        else:
            self._refuse_another_warehouse(read)
            snowflake = self._credentials[Side.CANDIDATE].type == "snowflake"
            places, copied = dict.fromkeys(read), self._on_snowflake(pasts) if snowflake and pasts else {}
        flags = write_state(state, self._theirs, places) if places else []
        return Start(flags, copied)

    def _on_duckdb(
        self, read: Sequence[str], pasts: Mapping[str, TableOutput | None]
    ) -> tuple[dict[str, Relation | None], dict[str, str]]:
        if not (read or pasts):
            return {}, {}
        legacy, candidate = self._file(Side.LEGACY), self._file(Side.CANDIDATE)
        there = legacy.exists()
        if read and not there:
            raise self._not_built(read)
        database, ours = self._credentials[Side.LEGACY].database, self._credentials[Side.CANDIDATE]
        with CandidateFile(
            legacy, candidate, ours, self.candidate.project_dir, wait_s=SECONDS_FOR_LOCKS
        ) as file:
            new = [node_id for node_id in pasts if not file.has_in_candidate(_name(self._ours, node_id))]
            if there and (read or new):
                file.attach_legacy()
            # Another database than legacy's own is one that the profile attaches: dbt reads it where it is.
            copies = [
                node_id
                for node_id in read
                if self._theirs["nodes"][node_id]["database"] == database and legacy != candidate
            ]
            names = {node_id: _name(self._theirs, node_id) for node_id in copies}
            if missing := [node_id for node_id, name in names.items() if not file.has_in_legacy(name)]:
                raise self._not_built(missing)
            places: dict[str, Relation | None] = dict.fromkeys(read)
            places |= {node_id: Relation(file.catalog, *file.copy(name)) for node_id, name in names.items()}
            for node_id in new if there else ():
                self._begin(file, node_id, pasts[node_id])
            copied = {
                node_id: why
                for node_id, output in pasts.items()
                if (why := self._why_copied(file, node_id, output))
            }
        return places, copied

    def _begin(self, file: CandidateFile, node_id: str, output: TableOutput | None) -> None:
        theirs = _name(self._theirs, node_id)
        if file.has_in_legacy(theirs):
            file.begin_with_legacy(theirs, _name(self._ours, node_id), *_time_of(output), _zones_of(output))

    def _why_copied(self, file: CandidateFile, node_id: str, output: TableOutput | None) -> str:
        _, lower = _time_of(output)
        return file.holds_copy_of(_name(self._ours, node_id), lower, self.began(node_id))

    def _on_snowflake(self, pasts: Mapping[str, TableOutput | None]) -> dict[str, str]:
        copied: dict[str, str] = {}
        with SnowflakeReader(self._credentials[Side.CANDIDATE]) as session:
            for node_id, output in pasts.items():
                legacy = _on(self.legacy, self._theirs["nodes"][node_id]["relation_name"])
                candidate = _on(self.candidate, self._ours["nodes"][node_id]["relation_name"])
                try:
                    began = self.began(node_id)
                    begin_with_legacy(session, legacy, candidate, *_time_of(output), began, _zones_of(output))
                except StatementFailed as error:
                    remedy = "Give legacy's table a longer data_retention_time_in_days, or fill the candidate's by hand"
                    raise LegacyOutOfReach(self.unit, f"the past of {legacy}", error.why, remedy) from error
                if why := holds_copy_of(session, candidate, _time_of(output)[1]):
                    copied[node_id] = why
        return copied

    def _pasts(self) -> dict[str, TableOutput | None]:
        """Models of this run that read what they have built before, each with its output."""
        outputs = {output.candidate: output for output in self.outputs}
        nodes = self._ours["nodes"]
        return {
            node_id: outputs.get(nodes[node_id]["relation_name"])
            for node_id in sorted(set(self.running) & nodes.keys() & self._theirs["nodes"].keys())
            if reads_its_past(nodes[node_id])
        }

    def _refuse_another_warehouse(self, read: Sequence[str]) -> None:
        if read and self.legacy.warehouse != self.candidate.warehouse:
            reason = f"target {self.legacy.target!r} is in {self.legacy.warehouse}, {self.candidate.target!r} is not"
            remedy = "Give both targets one account, and a database or schema of their own"
            raise LegacyOutOfReach(self.unit, ", ".join(read), reason, remedy)

    def _not_built(self, node_ids: Sequence[str]) -> LegacyOutOfReach:
        names = ", ".join(self._theirs["nodes"][node_id]["name"] for node_id in node_ids)
        reason = f"there is no such relation in {self._file(Side.LEGACY)}"
        return LegacyOutOfReach(self.unit, names, reason, "Let Airflow build it first")

    @cached_property
    def _credentials(self) -> Mapping[Side, Any]:
        """Read once: dbt takes as long for it as everything else does."""
        return {Side.LEGACY: self.legacy.credentials, Side.CANDIDATE: self.candidate.credentials}

    def _file(self, side: Side) -> Path:
        return Path(self.candidate.project_dir, self._credentials[side].path).resolve()

    @property
    def _theirs(self) -> Manifest:
        return self.legacy.manifest

    @property
    def _ours(self) -> Manifest:
        return self.candidate.manifest


def reads_its_past(node: Mapping[str, Any]) -> bool:
    """Whether a run of the node starts from what earlier runs have left."""
    config = node["config"]
    past = node["resource_type"] == "snapshot" or config.get("materialized") == "incremental"
    return past and not config.get("full_refresh")


def _time_of(output: TableOutput | None) -> tuple[str | None, str | None]:
    if output is None or output.time_column is None or output.lower is None:
        return None, None
    return output.time_column, output.lower


def _zones_of(output: TableOutput | None) -> Zones:
    return NO_ZONES if output is None else output.zones


def _on(workspace: DbtWorkspace, relation: str) -> Relation:
    place = place_of_relation(workspace, relation)
    assert isinstance(place, SnowflakeTable), place  # noqa: S101 - asked of Snowflake alone
    return place.relation


def _name(manifest: Manifest, node_id: str) -> Name:
    node = manifest["nodes"][node_id]
    return node["schema"], node["alias"]
