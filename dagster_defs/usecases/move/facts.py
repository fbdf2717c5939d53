"""Gathers what is known about units, for their gates and conditions."""

from __future__ import annotations

from collections.abc import Collection, Container, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from dagster_defs.adapters.dagster.echo_tests import kept_echo_tests
from dagster_defs.adapters.dagster.event_log import EventReader
from dagster_defs.adapters.dagster.evidence import evidence_at, instance_at
from dagster_defs.adapters.dagster.mirrors import Mirrors, legacy_keys, load_mirrors
from dagster_defs.adapters.files.airflows import airflows
from dagster_defs.adapters.store.proxied_state import Marks
from dagster_defs.adapters.store.registry import store_reader
from dagster_defs.errors import ParityError
from dagster_defs.inventory.document import Inventory
from dagster_defs.inventory.operator_kinds import deciders_above
from dagster_defs.lifecycle import Unit, UnitState, state_of
from dagster_defs.lifecycle.compared import Compared, lined_up, newest_partitions, runs_between
from dagster_defs.lifecycle.echo_tests import EchoTest
from dagster_defs.lifecycle.facets import UnitFacets
from dagster_defs.lifecycle.facts import Facts
from dagster_defs.lifecycle.histories import Histories, UnitHistory, Unmoved
from dagster_defs.lifecycle.identity import definers
from dagster_defs.lifecycle.mirrors import Declared, Mirror, Output, TableOutput, any_moment
from dagster_defs.lifecycle.not_read import NOT_READ, NotRead
from dagster_defs.lifecycle.settings import GateSettings
from dagster_defs.lifecycle.verdicts import Evidence
from dagster_defs.lifecycle.waiters import Waiter, waiters
from dagster_defs.lifecycle.written import Continuity
from dagster_defs.settings import Settings
from dagster_defs.usecases.known_mirrors import KnownMirrors
from dagster_defs.usecases.move.live import LiveFacts
from dagster_defs.usecases.verify import configured_inventories, verify_configured

RUNS = 200  # how many of legacy's newest runs without a window are read
SKIPS = 1_000  # how many of Airflow's newest runs that wrote nothing are read, of a unit


@dataclass(frozen=True)
class OnRecord:
    """What the files and the event log say.

    - `facets`, `evidence`, `continuity`: None if not requested or not available.
    - `cut_off`: what a crash left after the ledger's last line.
    - `without_outputs`: units that leave nothing to compare; `own_outputs`: what each unit's runs compare. Both are
      known only together with the facets.
    - `sensors`: by DAG, what in other DAGs waits for it; like `decided_by` (see `Facts`), known only with an
      inventory.
    - `echoed`: by DAG, the test of its echo; known like `sensors`, and without what is told by it.
    - `event_runs`, `skipped`: see `event_runs` and `skipped_windows`; known only together with the evidence.
    - `broken`: the faults of mirrors that are missing from `mirrors` because of them.
    - `gates`: the settings of the sound mirrors; `mirrors` is empty if nothing more is known about them.
    - `other_schedules`: units of the same DAG with a different schedule.
    """

    mirrors: Mapping[Unit, Mirror]
    marks: Marks
    histories: Histories
    cut_off: str = ""
    facets: Mapping[Unit, UnitFacets] | None = None
    evidence: Mapping[Unit, Sequence[Evidence]] | None = None
    continuity: Mapping[Unit, Continuity] | None = None
    without_outputs: frozenset[Unit] = frozenset()
    own_outputs: Mapping[Unit, Collection[str]] = field(default_factory=dict)
    sensors: Mapping[str, Sequence[Waiter]] = field(default_factory=dict)
    broken: Mapping[Unit, str] = field(default_factory=dict)
    gates: Mapping[Unit, GateSettings] = field(default_factory=dict)
    other_schedules: Mapping[Unit, tuple[Unit, ...]] = field(default_factory=dict)
    decided_by: Mapping[Unit, tuple[str, ...]] = field(default_factory=dict)
    event_runs: Mapping[Unit, Sequence[str]] = field(default_factory=dict)
    skipped: Mapping[Unit, Collection[str]] = field(default_factory=dict)
    echoed: Mapping[str, EchoTest] = field(default_factory=dict)

    @property
    def units(self) -> list[Unit]:
        """All units that have a mirror (sound or broken), are marked as proxied, or are in the ledger."""
        marked = {unit for unit, proxied in self.marks.items() if proxied}
        units = self.gates.keys() | self.broken.keys() | marked | self.histories.keys()
        return sorted(units | self.histories.problems.keys())

    @property
    def disposed(self) -> frozenset[Unit]:
        """The tasks that a retired DAG no longer needs Airflow for: those with a mirror, sensors in whose place the
        schedules of mirrors wait, and tasks in whose place Dagster starts another DAG: one that is retired already, or
        one in Airflow, if that was tested."""
        sensors = {
            Unit(unit.dag_id, wait.sensor) for unit, mirror in self.mirrors.items() for wait in mirror.waits
        }
        triggers = {
            trigger.task
            for unit, mirror in self.mirrors.items()
            if mirror.starters and self.histories.retired(unit)
            for trigger in mirror.starters.triggers
            if trigger.after
        }
        echoed = {task for test in self.echoed.values() for task in test.starts}
        return frozenset(sensors | triggers | echoed | self.mirrors.keys())

    @property
    def readable_units(self) -> list[Unit]:
        """The units whose ledger entries can be read; another unit's unreadable entries do not affect them."""
        return [unit for unit in self.units if unit not in self.histories.problems]

    @property
    def problems(self) -> Mapping[str, str]:
        """What cannot be read, by unit or DAG; files of DAGs without a unit are none of our business."""
        ours = {unit.dag_id for unit in self.units}
        units = {str(unit): str(error) for unit, error in self.histories.problems.items()}
        marks = {
            dag_id: "; ".join(reasons) for dag_id, reasons in self.marks.problems.items() if dag_id in ours
        }
        return {**units, **marks}

    def history(self, unit: Unit) -> UnitHistory:
        """Raises LedgerUnreadable if the unit's own entries cannot be read."""
        return self.histories.get(unit, Unmoved(unit))

    def state(self, unit: Unit) -> UnitState:
        """The unit's state as Airflow acts on it: a task whose mark cannot be read runs in Airflow."""
        return state_of(unit, {unit: self.marks.honoured(unit)}, recorded=self.history(unit).stage)

    def settings(self, unit: Unit) -> GateSettings:
        return self.gates.get(unit, GateSettings())

    def facts(self, unit: Unit) -> Facts:
        return Facts(
            unit,
            self.state(unit).stage,
            self.marks.honoured(unit),
            self.history(unit),
            NOT_READ if self.facets is None else self.facets.get(unit, NOT_READ),
            self._compared(unit),
            continuity=NOT_READ if self.continuity is None else self.continuity.get(unit, NOT_READ),
            other_schedules=self.other_schedules.get(unit, ()),
            broken=self.broken.get(unit, ""),
            doubt=self.marks.doubt(unit),
            decided_by=self.decided_by.get(unit, ()),
        )

    def _compared(self, unit: Unit) -> Compared | NotRead:
        mirror = self.mirrors.get(unit)
        if self.evidence is None or mirror is None:
            return NOT_READ
        if unit in self.without_outputs:
            return Compared(nothing_to_compare=True)
        evidence = self.evidence.get(unit, ())
        newest = _newest_compared(mirror, evidence)
        line = (
            [key for key in _from_first_to_last(mirror, newest) if key not in self.skipped.get(unit, ())]
            if mirror.event is None
            else runs_between(self.event_runs.get(unit, ()), newest)
        )
        return lined_up(evidence, line, self.own_outputs.get(unit, ()))


def read_record(
    settings: Settings,
    *,
    facets: Mapping[Unit, UnitFacets] | None = None,
    evidence: Iterable[Evidence] | None = None,
    mirrors: Mirrors | None = None,
) -> OnRecord:
    """Reads files only, no servers. Raises what reading the mirrors and the ledger raises.

    Faults in the marks or ledger entries of one unit or DAG are raised only when that unit is queried.
    """
    loaded = load_mirrors(settings.root) if mirrors is None else mirrors
    store = store_reader(settings)
    contents = store.read()
    by_unit: dict[Unit, list[Evidence]] = {}
    # This queries the dbt project, which is slow if nothing has queried it yet.
    outputs = _outputs(() if facets is None else loaded)
    without_outputs, own_outputs = _compared_outputs(loaded, outputs)
    for record in evidence or ():
        if record.checked.check.name not in _former_names(outputs.get(record.checked.unit, ())):
            by_unit.setdefault(record.checked.unit, []).append(record)
    return OnRecord(
        {mirror.legacy_unit: mirror for mirror in loaded},
        store.marks_in_airflow(),
        contents.histories(),
        contents.cut_off,
        facets,
        None if evidence is None else by_unit,
        without_outputs=without_outputs,
        own_outputs=own_outputs,
        broken=loaded.broken_units,
        gates={mirror.legacy_unit: mirror.gate_settings for mirror in loaded},
        other_schedules=other_schedules(loaded),
        event_runs={} if evidence is None else event_runs(settings.dagster_home, loaded),
        skipped={} if evidence is None else skipped_windows(settings.dagster_home, loaded, by_unit),
    )


def skipped_windows(
    home: Path | None, mirrors: Mirrors, evidence: Mapping[Unit, Sequence[Evidence]]
) -> dict[Unit, frozenset[str]]:
    """By unit, the windows between those that were compared in which Airflow itself skipped its task, as a branch does:
    there is nothing to compare. One that it has also run is not among them, whichever came first. Asks only for units
    that have windows without evidence."""
    holes: dict[Unit, frozenset[str]] = {}
    for mirror in mirrors:
        newest = _newest_compared(mirror, evidence.get(mirror.legacy_unit, ()))
        if mirror.event is None and (between := {*_from_first_to_last(mirror, newest)} - {*newest}):
            holes[mirror.legacy_unit] = frozenset(between)
    if home is None or not holes:
        return {}
    keys = legacy_keys({mirror.legacy_unit: mirror for mirror in mirrors if mirror.legacy_unit in holes})
    skipped: dict[Unit, frozenset[str]] = {}
    with instance_at(home) as instance:
        log = EventReader(instance)
        for unit, partitions in holes.items():
            states: dict[str | None, str] = {}
            written: set[str] = set()
            for key in keys.get(unit, ())[:1]:
                for event in log.observations(key, limit=SKIPS):
                    states.setdefault(event.partition, event.state)
                written = {
                    each
                    for each in partitions
                    if not all(event.is_skip for event in log.materializations(key, partition=each))
                }
            over = {each for each in partitions if states.get(each) == "skipped"}
            skipped[unit] = frozenset(over - written)
    return skipped


def _newest_compared(mirror: Mirror, evidence: Sequence[Evidence]) -> list[str]:
    settings = mirror.gate_settings
    return newest_partitions(evidence, max(settings.windows, settings.soak_windows))


def event_runs(home: Path | None, mirrors: Mirrors) -> dict[Unit, list[str]]:
    """By unit without a clock, the ids of legacy's newest runs that Dagster knows of, oldest first: no schedule tells
    which of them nobody has compared."""
    of_event = {mirror.legacy_unit: mirror for mirror in mirrors if mirror.event is not None}
    if home is None or not of_event:
        return {}
    keys = legacy_keys(of_event)
    with instance_at(home) as instance:
        reader = EventReader(instance)
        by_unit = {
            unit: [event.airflow_run for event in reader.materializations(min(keys[unit]), limit=RUNS)]
            for unit in of_event
            if keys.get(unit)
        }
    return {unit: list(dict.fromkeys(filter(None, reversed(runs)))) for unit, runs in by_unit.items()}


def known_record(settings: Settings, known: KnownMirrors) -> OnRecord:
    """The record without evidence, from cached knowledge about the mirrors; no mirror is loaded."""
    store = store_reader(settings)
    contents = store.read()
    return OnRecord(
        {},
        store.marks_in_airflow(),
        contents.histories(),
        contents.cut_off,
        known.facets,
        broken={unit: why for name, why in known.broken.items() if (unit := Unit.named(name))},
        gates=known.gates,
        other_schedules=known.other_schedules,
    )


def other_schedules(mirrors: Iterable[Mirror]) -> dict[Unit, tuple[Unit, ...]]:
    """By unit, the units of the same DAG whose windows recur differently, wherever they begin and end."""
    by_dag: dict[str, list[Mirror]] = {}
    for mirror in mirrors:
        by_dag.setdefault(mirror.legacy_unit.dag_id, []).append(mirror)
    return {
        mirror.legacy_unit: tuple(
            other.legacy_unit
            for other in sorted(mates, key=lambda mate: mate.legacy_unit)
            if not _recur_alike(other, mirror)
        )
        for mates in by_dag.values()
        for mirror in mates
    }


def _recur_alike(mirror: Mirror, other: Mirror) -> bool:
    if mirror.event or other.event:
        return mirror.event == other.event
    return mirror.partitions.schedule.recurs_like(other.partitions.schedule)


def _outputs(mirrors: Iterable[Mirror]) -> Mapping[Unit, Sequence[Output]]:
    """The outputs by unit, without the units whose outputs cannot be determined."""
    outputs: dict[Unit, Sequence[Output]] = {}
    for mirror in mirrors:
        with suppress(ParityError):
            outputs[mirror.legacy_unit] = list(mirror.outputs_of(any_moment(mirror)))
    return outputs


def _former_names(outputs: Iterable[Output]) -> set[str]:
    """Names under which the verdict on some version of a model was kept, without saying which version."""
    tables = [output for output in outputs if isinstance(output, TableOutput)]
    return {table.former_name for table in tables} - {table.name for table in tables}


def _compared_outputs(
    mirrors: Iterable[Mirror], outputs: Mapping[Unit, Sequence[Output]]
) -> tuple[frozenset[Unit], Mapping[Unit, Collection[str]]]:
    """Which units leave nothing to compare, and which outputs the runs of each unit compare.

    An output that several units build is compared by the unit that defines it. A unit whose outputs are unknown is in
    neither: it is not known that there is nothing to compare.
    """
    known = {mirror.precedence(): mirror.legacy_unit for mirror in mirrors if mirror.legacy_unit in outputs}
    tables = {
        precedence: {_identity(unit, output): output.name for output in outputs[unit]}
        for precedence, unit in known.items()
    }
    defined_by = definers(tables)
    own = {
        known[precedence]: [name for table, name in names.items() if defined_by[table] == known[precedence]]
        for precedence, names in tables.items()
    }
    return frozenset(unit for unit, names in outputs.items() if not names), own


def _identity(unit: Unit, output: Output) -> Hashable:
    """An identity that two units share if they build the same table; a file belongs to one unit only."""
    return (output.project_dir, output.legacy) if isinstance(output, TableOutput) else (unit, output.name)


def read_all(settings: Settings, units: Sequence[Unit]) -> OnRecord:
    """Everything available, including these units' facets and the evidence; as slow as `parity verify`."""
    mirrors, inventories = load_mirrors(settings.root).resolved(units), configured_inventories(settings)
    record = read_record(
        settings,
        facets=verify_configured(settings, mirrors, inventories, units),
        evidence=evidence_at(settings.dagster_home),
        mirrors=mirrors,
    )
    declared, home = airflows(settings), settings.dagster_home
    echoed = kept_echo_tests(home, {unit.dag_id for unit in units}) if home else {}
    sensors: dict[str, list[Waiter]] = {}
    decided_by: dict[Unit, tuple[str, ...]] = {}
    for name, inventory in inventories.items():
        waiting = waiters(inventory).items()
        sensors |= {
            dag_id: untold(found, echoed.get(dag_id))
            for dag_id, found in waiting
            if declared.has(name, dag_id)
        }
        own = [unit for unit in units if declared.has(name, unit.dag_id)]
        decided_by |= undecided(inventory, record.mirrors, own)
    return replace(record, sensors=sensors, decided_by=decided_by, echoed=echoed)


def untold(waiting: Sequence[Waiter], test: EchoTest | None) -> list[Waiter]:
    """Those that would wait for ever: no test has shown that Airflow can be told for them."""
    return [each for each in waiting if test is None or str(each) not in test.heard_by]


def undecided(
    inventory: Inventory, mirrors: Mapping[Unit, Mirror], units: Sequence[Unit]
) -> dict[Unit, tuple[str, ...]]:
    """By unit, the tasks that decide in Airflow whether it runs, and that nobody asks in Dagster: its mirror does not
    ask Airflow's rules, or these do not find in Dagster what was decided above them."""
    moved = {unit.dag_id for unit in units}
    by_dag = {dag.dag_id: deciders_above(dag) for dag in inventory.dags if dag.dag_id in moved}
    deciders = {unit: by_dag.get(unit.dag_id, {}).get(unit.task_id, frozenset()) for unit in units}

    def is_asked(unit: Unit, name: str) -> bool:
        own, above = _declared(mirrors.get(unit)), _declared(mirrors.get(Unit(unit.dag_id, name)))
        if own is None or not (own.operator_itself or own.asks_rules):
            return False
        return own.operator_itself or above is None or above.operator_itself

    found = {
        unit: tuple(sorted(name for name in names if not is_asked(unit, name)))
        for unit, names in deciders.items()
    }
    return {unit: names for unit, names in found.items() if names}


def _declared(mirror: Mirror | None) -> Declared | None:
    with suppress(ParityError):
        return mirror.declared() if mirror is not None else None
    return None


def with_live(
    facts: Facts,
    world: LiveFacts,
    now: datetime,
    mirrored: Container[Unit] | None = None,
    sensors: Sequence[Waiter] = (),
) -> Facts:
    """`mirrored`, `sensors`: see `LiveFacts.live`."""
    return replace(facts, live=world.live(facts.unit, now, mirrored, sensors))


def _from_first_to_last(mirror: Mirror, partitions: Sequence[str]) -> list[str]:
    """Every partition from the first to the last; only the given ones if the schedule no longer has them."""
    if not partitions:
        return []
    try:
        windows = [mirror.partitions.window_of(key) for key in (partitions[0], partitions[-1])]
        after_last = windows[-1].start.add(microseconds=1)
        between = mirror.partitions.schedule.windows(windows[0].start, after_last)
        return [mirror.partitions.key_of(window) for window in between]
    except ParityError:
        return list(partitions)
