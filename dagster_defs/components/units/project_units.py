"""All mirrors of one load: which of them are sound, what is wrong with the others, and which defines what."""

import logging
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, cast

import dagster as dg

from dagster_defs.adapters.dagster.mirrors import as_fault, conflicts, fault_of, in_no_certain_airflow
from dagster_defs.components.units.parts import UnitParts
from dagster_defs.components.units.shadows import shadow_key
from dagster_defs.errors import BadUnit, BrokenUnits, ParityError
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.broken import faults
from dagster_defs.lifecycle.identity import job_names, names_taken_twice
from dagster_defs.lifecycle.mirrors import Mirror
from dagster_defs.parity import Side
from dagster_defs.settings import Settings

T = TypeVar("T")

logger = logging.getLogger(__name__)


class DeclaredUnit(Mirror, Protocol):
    """What the table of a load needs from each unit; `UnitComponent` documents the members."""

    @property
    def deps(self) -> Sequence[str]: ...

    @property
    def declared_deps(self) -> Collection[str]: ...

    @property
    def feeds(self) -> Mapping[str, dg.AssetKey]: ...

    def asset_keys(self) -> Sequence[dg.AssetKey]: ...

    def built(self) -> Collection[Any]: ...

    def remark(self) -> str: ...

    def offer_with(self, mates: Sequence[Any]) -> None: ...

    def make_parts(self) -> UnitParts: ...

    @classmethod
    def look_up(cls, units: Sequence[Any]) -> None: ...


U = TypeVar("U", bound=DeclaredUnit)


class ProjectUnits(Generic[U]):
    """One table of all units of a load, which each unit consults to know what the others define.

    A unit whose definitions cannot be built is broken, but does not keep others from loading: its definitions are
    missing, and a stand-in says why. It still owns what it builds, so that no other unit takes over its assets.
    """

    def __init__(self, declared: Sequence[U], root: Path, job: str | None = None) -> None:
        """`declared`: every mirror in the YAML of the project at `root`, each once. `job`: the only one that the load
        is for."""
        self.declared = sorted(declared, key=lambda unit: unit.unit)
        self.broken: dict[str, ParityError] = {}
        self.parts: dict[str, UnitParts] = {}
        self._job = job
        self._root = root
        self._made: dict[Hashable, Any] = {}

    def settle(self) -> None:
        """Determine which units are broken, and build the parts of all others; for a unit's job, of that unit alone.

        Raises BrokenUnits if something is broken and PARITY_STRICT is set.
        """
        self._select_at_once()
        self.broken = {unit.unit: fault for unit in self.declared if (fault := fault_of(unit, resolved=True))}
        self.broken = {**self._elsewhere, **self._names_taken_twice, **self.broken}
        self.broken |= conflicts(self.sound)
        by_dag: dict[str, list[U]] = {}
        for unit in self.sound:
            by_dag.setdefault(unit.legacy_unit.dag_id, []).append(unit)
        for unit in self.sound:
            try:
                unit.offer_with(by_dag[unit.legacy_unit.dag_id])
            except Exception as error:  # whatever it is, it is this unit's
                self.broken[unit.unit] = as_fault(unit.unit, error)
        for unit in self._asked:
            try:
                self.parts[unit.unit] = unit.make_parts()
            except Exception as error:  # whatever it is, it is this unit's
                self.broken[unit.unit] = as_fault(unit.unit, error)
        self._break_circles()
        vars(self).pop("makers", None)  # units that turned out to be broken make nothing
        broken = [str(each) for each in faults({name: str(fault) for name, fault in self.broken.items()})]
        if broken and Settings.from_process().strict:
            raise BrokenUnits(broken)
        for line in broken:
            logger.warning("broken: %s", line)
        for unit in self.sound:
            if remark := unit.remark():
                logger.warning("%s", remark)

    def _break_circles(self) -> None:
        """Units whose `deps` would let assets wait for themselves are broken: Dagster would load nothing at all."""
        if not any(unit.declared_deps for unit in self.sound):
            return
        while circle := _circle(self.parts.values()):
            blamed = {
                maker.unit
                for key, before in pairwise(circle)
                if (maker := self.makers.get(key)) and before in self.made_before([*maker.declared_deps])
            }
            if not blamed:
                return
            reason = (
                f"its `deps` go in a circle: {' waits for '.join(key.to_user_string() for key in circle)}"
            )
            for name in sorted(blamed):
                self.broken[name] = BadUnit(name, reason, "Take one of them away")
                del self.parts[name]

    @property
    def _asked(self) -> list[U]:
        """Sound units whose parts the load needs."""
        of_job = [unit for unit in self.sound if self._job in job_names(unit.legacy_unit)[:-1]]
        return of_job or self.sound

    def _select_at_once(self) -> None:
        """Resolve all units' selections at once; each unit will report its own errors."""
        by_kind: dict[type[U], list[U]] = {}
        for unit in self.declared:
            by_kind.setdefault(type(unit), []).append(unit)
        for kind, units in by_kind.items():
            kind.look_up(units)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """A value that units of the load share, made by the first unit that asks for this key."""
        if key not in self._made:
            self._made[key] = make()
        return cast("T", self._made[key])

    @property
    def sound(self) -> list[U]:
        """Units whose definitions can be built, sorted by name."""
        return [unit for unit in self.declared if unit.unit not in self.broken]

    def is_first(self, unit: U) -> bool:
        """Whether this unit represents its name, in case the name is declared twice."""
        return self._first[unit.unit] is unit

    @cached_property
    def _first(self) -> Mapping[str, U]:
        return {unit.unit: unit for unit in reversed(self.declared)}

    @cached_property
    def feeds(self) -> Mapping[str, dg.AssetKey]:
        """Assets that are dbt sources, by `source_name.table`."""
        return {source: key for unit in self.declared for source, key in unit.feeds.items()}

    @cached_property
    def makers(self) -> Mapping[dg.AssetKey, U]:
        """The mirror that defines each asset, on both sides."""
        return {
            key: unit
            for unit in self.sound
            for legacy in unit.asset_keys()
            for key in (legacy, shadow_key(legacy))
        }

    def made_before(self, deps: Sequence[str]) -> list[dg.AssetKey]:
        """The assets that a unit's `deps` name: by their keys, or, where none has the key, as what the unit
        `dag_id/task_id` makes."""
        keys = (dg.AssetKey(dep.split("/")) for dep in dict.fromkeys(deps))
        return [each for key in keys for each in ([key] if key in self.makers else self._made_by(key))]

    def _made_by(self, name: dg.AssetKey) -> Sequence[dg.AssetKey]:
        unit = self._named.get(name)
        return [name] if unit is None else unit.asset_keys()

    @cached_property
    def _named(self) -> Mapping[dg.AssetKey, U]:
        return {
            dg.AssetKey([unit.legacy_unit.dag_id, unit.legacy_unit.task_id]): unit
            for unit in self.declared
            if unit.unit not in self.broken
        }

    @cached_property
    def definers(self) -> Mapping[Any, U]:
        """The unit that defines each node: the one that builds the fewest nodes, or the first by name among equals.

        Broken units count if it is known what they build.
        """
        in_order = sorted(
            (unit for unit in self.declared if _is_resolved(unit)), key=lambda unit: unit.precedence()
        )
        definers: dict[Any, U] = {}
        for unit in in_order:
            for node in unit.built():
                definers.setdefault(node, unit)
        return definers

    def has_job_to_itself(self, unit: U) -> bool:
        """Whether the unit's name is valid for a job, and no other unit has the same."""
        return Unit.named(unit.unit) is not None and unit.unit not in self._names_taken_twice

    @property
    def _elsewhere(self) -> Mapping[str, ParityError]:
        return in_no_certain_airflow(self._root, [unit.unit for unit in self.declared])

    @cached_property
    def _names_taken_twice(self) -> Mapping[str, ParityError]:
        return names_taken_twice(unit.unit for unit in self.declared)


def _circle(parts: Collection[UnitParts]) -> Sequence[dg.AssetKey]:
    """Legacy assets that wait for themselves, the first one once more at the end; empty if there are none."""
    specs = (spec for each in parts for spec in each.sides[Side.LEGACY].specs)
    try:
        TopologicalSorter({spec.key: [dep.asset_key for dep in spec.deps] for spec in specs}).prepare()
    except CycleError as error:
        circle: Sequence[dg.AssetKey] = error.args[1]
        return circle[::-1]  # it lists what comes before first
    return ()


def _is_resolved(unit: DeclaredUnit) -> bool:
    """Whether it is known what the unit builds."""
    try:
        return bool(unit.precedence()) and unit.built() is not None
    except Exception:
        return False
