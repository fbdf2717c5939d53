"""What the definition of a dbt unit's assets, and the run behind it, need to know of its mirror."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import dagster as dg

from dagster_defs.adapters.dbt.project import DbtWorkspace
from dagster_defs.components.runs.callbacks import Told
from dagster_defs.components.runs.tries import Tries
from dagster_defs.components.units.airflow_place import AirflowPlace
from dagster_defs.components.units.dbt_environment import UnitEnvironment
from dagster_defs.components.units.side_commands import SidePrograms
from dagster_defs.lifecycle.mirrors import DbtMirror
from dagster_defs.parity import Side
from dagster_defs.windows import PartitionVars


class DefinedUnit(DbtMirror, Protocol):
    """What the definition of a unit's assets needs from its mirror. `root`: of the Dagster project."""

    root: Path
    command: Any
    full_refresh: bool
    owners: Sequence[str]
    pool: str | None
    timeout: float | None
    python_path: str

    @property
    def trigger_rules(self) -> AirflowPlace | None: ...

    @property
    def offered(self) -> dg.PartitionsDefinition | None: ...

    @property
    def config_schema(self) -> Any: ...

    @property
    def variables(self) -> PartitionVars: ...

    @property
    def event_times(self) -> PartitionVars: ...

    @property
    def environment(self) -> UnitEnvironment: ...

    @property
    def tries(self) -> Tries: ...

    @property
    def has_programs(self) -> bool: ...

    @property
    def programs_before(self) -> SidePrograms: ...

    @property
    def programs_after(self) -> SidePrograms: ...

    def workspace(self, side: Side) -> DbtWorkspace: ...

    def dbt_arguments(self) -> list[str]: ...

    def op_name(self, side: Side) -> str: ...

    def group_name(self, side: Side) -> str: ...

    def spec_attributes(self, side: Side) -> dict[str, Any]: ...

    def freshness(self, side: Side) -> dg.FreshnessPolicy | None: ...

    def dependency(self, dep: dg.AssetDep) -> dg.AssetDep: ...

    def made_before(self) -> Sequence[dg.AssetDep]: ...

    def calling_back(self, context: dg.AssetExecutionContext, side: Side) -> AbstractContextManager[Told]: ...
