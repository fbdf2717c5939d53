"""Which of a project's Airflows has a DAG, by the list of `airflows` in parity.yaml."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from dagster_defs.errors import AirflowUnknown, DagInTwoAirflows, UsageError


@dataclass(frozen=True, slots=True)
class Airflows:
    """`dags`: of each Airflow, the ids of its DAGs or globs, by its name. Without any, the project has one Airflow,
    whose name is empty."""

    dags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.dags) or ("",)

    def of(self, dag_id: str) -> str:
        """The name of the one that has the DAG. Raises AirflowUnknown if none is named for it, DagInTwoAirflows if two
        are."""
        if not self.dags:
            return ""
        names = self._named_for(dag_id)
        if not names:
            raise AirflowUnknown(dag_id, self.names)
        if len(names) > 1:
            raise DagInTwoAirflows(dag_id, names, "parity.yaml names both for it")
        return names[0]

    def may_be_in(self, dag_id: str, name: str) -> bool:
        """False for a DAG that belongs to another Airflow, even if this one has a DAG of the same id."""
        return not self.dags or self._named_for(dag_id) in ([], [name])

    def has(self, name: str, dag_id: str) -> bool:
        """Whether the DAG belongs to this Airflow for certain."""
        return not self.dags or self._named_for(dag_id) == [name]

    def _named_for(self, dag_id: str) -> list[str]:
        return [name for name, ids in self.dags.items() if any(fnmatchcase(dag_id, each) for each in ids)]

    def misplaced(
        self, dag_ids: Iterable[str], seen: Mapping[str, Iterable[str]]
    ) -> Mapping[str, UsageError]:
        """The faults of DAGs whose Airflow is not known for certain, by DAG id. `seen`: the DAG ids that each Airflow
        was last seen to have, by its name; one that was never looked at is missing."""
        if not self.dags:
            return {}
        bad: dict[str, UsageError] = {}
        seen_in = {name: frozenset(ids) for name, ids in seen.items()}
        for dag_id in sorted({*dag_ids}):
            try:
                own = self.of(dag_id)
                others = [name for name, ids in seen_in.items() if name != own and dag_id in ids]
                if others:
                    raise DagInTwoAirflows(dag_id, [own, *others], f"{' and '.join(others)} has one, too")
            except (AirflowUnknown, DagInTwoAirflows) as error:
                bad[dag_id] = error
        return bad


ONE_AIRFLOW = Airflows()
