"""Where each Airflow reads its marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dagster_defs.adapters.files.airflows import airflows, settings_of_each
from dagster_defs.adapters.store import marks as one_dag
from dagster_defs.adapters.store.proxied_state import Marks, read_marks
from dagster_defs.errors import BadAirflows, ParityError
from dagster_defs.lifecycle.airflows import ONE_AIRFLOW, Airflows
from dagster_defs.settings import Settings


@dataclass(frozen=True)
class MarksFolders:
    """`base`: the folder of a project's only Airflow. Each of several has one of its own in `folders`, so that none of
    them finds a mark of another's DAG of the same id; one whose folder is not known here is missing."""

    base: Path | None
    airflows: Airflows = ONE_AIRFLOW
    folders: Mapping[str, Path] = field(default_factory=dict)

    @classmethod
    def of(cls, base: Path | None, settings: Settings) -> MarksFolders:
        """By default, a folder below `base` with the Airflow's name. Raises BadAirflows if two have the same."""
        declared = airflows(settings)
        if not declared.dags:
            return cls(base)
        folders: dict[str, Path] = {}
        for each in settings_of_each(settings):
            folder = each.marks_of_airflow or (base and base / each.airflow)
            if folder is not None:
                folders[each.airflow] = folder
        owners: dict[Path, str] = {}
        for name, folder in folders.items():
            other = owners.setdefault(folder.resolve(), name)
            if other != name:
                variable = settings.of_airflow(name).of_this_airflow("PARITY_PROXIED_STATE")
                raise BadAirflows(
                    f"{other} and {name} would both read the marks in {folder}",
                    f"Name another folder in {variable}",
                )
        return cls(base, declared, folders)

    @property
    def known(self) -> Sequence[Path]:
        """The folders in which an Airflow reads its marks, as far as they are known here."""
        if self.airflows.dags:
            return list(self.folders.values())
        return [self.base] if self.base else []

    def folder_of(self, dag_id: str) -> Path | None:
        """None if it is not known here. Raises what says that the DAG's Airflow is not known."""
        name = self.airflows.of(dag_id)
        return self.folders.get(name) if name else self.base

    def read(self, dag_id: str = "") -> Marks:
        """All marks, or those of one DAG. A mark counts in the folder of the DAG's own Airflow only, and is in doubt if
        it is not known which one that is, or if another folder has a mark of the DAG."""
        if dag_id:
            return Marks({dag_id: self._of_dag(dag_id)})
        if not self.airflows.dags:
            return read_marks(self.base) if self.base else Marks()
        dag_ids = {each for folder in self.folders.values() for each in read_marks(folder).by_dag}
        if self.base is not None:
            dag_ids |= read_marks(self.base).by_dag.keys()
        return Marks({each: self._of_dag(each) for each in sorted(dag_ids)}, self._unplaced)

    def _of_dag(self, dag_id: str) -> one_dag.Marks:
        try:
            folder = self.folder_of(dag_id)
        except ParityError as error:
            return one_dag.Marks(broken=str(error))
        elsewhere = {*self.known, *([self.base] if self.base else [])} - {folder}
        for other in sorted(elsewhere):
            if files := one_dag.read_marks(other, dag_id).files:
                why = f"{files[0]} has marks of it, too, which is not the folder of its Airflow: move or remove it"
                return one_dag.Marks(files, broken=why)
        return one_dag.read_marks(folder, dag_id) if folder else one_dag.Marks()

    def _unplaced(self, dag_id: str) -> str:
        """Why the Airflow of a DAG without a mark is not known; empty if it is."""
        return self._of_dag(dag_id).broken
