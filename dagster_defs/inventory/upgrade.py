"""Two inventories of the same DAGs, from two Airflows or two settings of one, compared run by run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dagster_defs.inventory.document import BrokenTask, Dag, Inventory, Sample, Task
from dagster_defs.inventory.shifts import Change, Move, Run, Runs, alone, change_at, moves, runs_of
from dagster_defs.inventory.timetables import FAILS
from dagster_defs.older_python import StrEnum, datetime_of
from dagster_defs.windows import OccasionKind

__all__ = ["Agreement", "ComparedDag", "ComparedTask", "Example", "Upgrade", "compare_inventories"]


class Agreement(StrEnum):
    """How a task's texts compare. `moves`: the same text for the same logical date, but not for the same due time."""

    SAME = "same"
    MOVES = "moves"
    DIFFERS = "differs"
    FAILS = "fails"
    UNDETERMINED = "undetermined"


@dataclass(frozen=True, slots=True)
class Example:
    """A field that two Airflows render differently for the run that is due at an instant; None where it has none."""

    due: str
    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class ComparedTask:
    """`compared`: rendered fields of runs that are due at the same time, or with the same logical date. `reason`: why
    it fails, or what is not known of it."""

    task_id: str
    agreement: Agreement
    compared: int
    example: Example | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ComparedDag:
    """A DAG that both inventories have. `compared`: runs that are due at the same time; `since` and `until` bound the
    time of which both know all runs. `vanished` and `added`: runs that are due only in one. `other_intervals`: runs
    with the same logical date and another interval. `keys_differ`: partition keys that only one has. `unknown`: why no
    runs are compared."""

    dag_id: str
    before: Dag
    after: Dag
    tasks: tuple[ComparedTask, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    compared: int = 0
    since: datetime | None = None
    until: datetime | None = None
    moves: tuple[Move, ...] = ()
    vanished: tuple[Run, ...] = ()
    added: tuple[Run, ...] = ()
    other_intervals: int = 0
    change: Change | None = None
    keys_differ: int = 0
    unknown: str = ""

    @property
    def kind_changes(self) -> bool:
        return self.before.schedule.occasion is not self.after.schedule.occasion

    @property
    def differs(self) -> bool:
        alike = {Agreement.SAME, Agreement.UNDETERMINED}  # what is not known is `undetermined`
        return bool(
            self.kind_changes
            or self.moves
            or self.vanished
            or self.added
            or self.other_intervals
            or self.keys_differ
            or self.only_before
            or self.only_after
            or self.before.catchup is not self.after.catchup
            or any(task.agreement not in alike for task in self.tasks)
        )

    @property
    def undetermined(self) -> tuple[ComparedTask, ...]:
        return tuple(task for task in self.tasks if task.agreement is Agreement.UNDETERMINED)

    @property
    def is_whole(self) -> bool:
        """Whether its runs and all its tasks could be compared."""
        return not self.unknown and not self.undetermined


@dataclass(frozen=True, slots=True)
class Upgrade:
    """`only_before`, `only_after`: DAGs that one inventory lacks. `errors`: files that only the second Airflow does not
    import, with its reason."""

    before: Inventory
    after: Inventory
    dags: tuple[ComparedDag, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    errors: Mapping[str, str]

    @property
    def differs(self) -> bool:
        return bool(
            self.only_before or self.only_after or self.errors or any(dag.differs for dag in self.dags)
        )

    @property
    def unknown_dags(self) -> int:
        """How many DAGs have runs that could not be compared."""
        return sum(bool(dag.unknown) for dag in self.dags)

    @property
    def undetermined_tasks(self) -> int:
        return sum(len(dag.undetermined) for dag in self.dags)

    @property
    def is_whole(self) -> bool:
        return all(dag.is_whole for dag in self.dags)


def compare_inventories(before: Inventory, after: Inventory, at: datetime | None) -> Upgrade:
    """`at`: when the second Airflow takes over; without it, near the end of the time that both know, as an example."""
    first, second = ({dag.dag_id: dag for dag in each.dags} for each in (before, after))
    known = {str(error.get("file")) for error in before.import_errors}
    skips = not after.airflow_version.startswith("2.")
    return Upgrade(
        before,
        after,
        tuple(
            _compared(first[name], second[name], at, skips) for name in sorted(first.keys() & second.keys())
        ),
        tuple(sorted(first.keys() - second.keys())),
        tuple(sorted(second.keys() - first.keys())),
        {
            str(error.get("file")): str(error.get("error"))
            for error in after.import_errors
            if str(error.get("file")) not in known
        },
    )


def _compared(before: Dag, after: Dag, at: datetime | None, skips: bool) -> ComparedDag:
    one, other = runs_of(before), runs_of(after)
    if one or other:
        one, other = one or _no_runs(before), other or _no_runs(after)
    if one is None or other is None:
        unknown = _why_unknown(before, after)
        differing = len({run.key for run in before.partitions} ^ {run.key for run in after.partitions})
        keys = differing if before.partitions and after.partitions else 0
        tasks = _tasks(before, after, moving=False)
        return ComparedDag(before.dag_id, before, after, *tasks, keys_differ=keys, unknown=unknown)
    since, until = max(one.since, other.since), min(one.until, other.until)
    first, second = one.between(since, until), other.between(since, until)
    due = {run.due: run for run in second}
    pairs = [(run, due[run.due]) for run in first if run.due in due]
    moved = moves(first, second)
    nothing_shared = "the two inventories have no time in common: export the same days"
    return ComparedDag(
        before.dag_id,
        before,
        after,
        *_tasks(before, after, moving=bool(moved)),
        compared=len(pairs),
        since=since,
        until=until,
        moves=moved,
        vanished=alone(first, second),
        added=alone(second, first),
        other_intervals=sum(run.start == twin.start and run != twin for run, twin in pairs),
        change=_change(one, other, at or _an_instant(first), skips) if pairs else None,
        unknown="" if pairs or first or second else nothing_shared,
    )


def _no_runs(dag: Dag) -> Runs | None:
    """Of a DAG with a clock that is known to run nothing in the inventory's days; None if that is not known."""
    has_clock = dag.schedule.occasion in (OccasionKind.WINDOW, OccasionKind.TICK)
    if dag.windows or dag.span is None or dag.stuck or dag.bounds_move or not has_clock:
        return None
    since, until = map(datetime_of, dag.span)
    return Runs(dag.schedule.kind, (), since, until)


def _change(before: Runs, after: Runs, at: datetime | None, skips: bool) -> Change | None:
    """None if nothing is left out and nothing done twice."""
    change = change_at(before, after, at, skips_a_collision=skips) if at else None
    return None if change is None or change.is_smooth else change


def _an_instant(runs: tuple[Run, ...]) -> datetime | None:
    """A time at which the change may be, as an example: there are runs before it and after it."""
    return runs[-3].due if len(runs) > 2 else None


def _why_unknown(before: Dag, after: Dag) -> str:
    """Why there are no runs to compare; empty if neither is to have any."""
    occasions = {before.schedule.occasion, after.schedule.occasion}
    if OccasionKind.EVENT in occasions and occasions <= {OccasionKind.EVENT, OccasionKind.PARTITION}:
        return ""
    first, second = (dag.windows or dag.partitions for dag in (before, after))
    if not first and not second:
        return "neither inventory has a run of it: export other days"
    if first and second and occasions == {OccasionKind.PARTITION}:
        return ""
    if first and second and OccasionKind.PARTITION in occasions:
        return "only one of the two has partition keys"
    if before.span is None or after.span is None:
        return "an older exporter did not write from which instants its windows are: export it again"
    return f"the {'second' if first else 'first'} inventory has no run of it"


def _tasks(
    before: Dag, after: Dag, *, moving: bool
) -> tuple[tuple[ComparedTask, ...], tuple[str, ...], tuple[str, ...]]:
    first, second = ({task.task_id: task for task in dag.tasks} for dag in (before, after))
    both = sorted(first.keys() & second.keys())
    return (
        tuple(_compared_task(first[name], second[name], moving=moving) for name in both),
        tuple(sorted(first.keys() - second.keys())),
        tuple(sorted(second.keys() - first.keys())),
    )


def _compared_task(before: Task | BrokenTask, after: Task | BrokenTask, *, moving: bool) -> ComparedTask:
    """`moving`: the runs of the DAG have other logical dates."""
    for task in (before, after):
        if isinstance(task, BrokenTask):
            return ComparedTask(task.task_id, Agreement.UNDETERMINED, 0, reason=task.reason)
    assert isinstance(before, Task) and isinstance(after, Task)  # noqa: S101, PT018 - see the loop
    if failing := _newly_failing(before, after):
        return ComparedTask(before.task_id, Agreement.FAILS, 0, reason=failing)
    by_due = list(_pairs(before, after, lambda sample: sample.end))
    by_date = list(_pairs(before, after, lambda sample: sample.start))
    due, date = ([_look(*pair) for pair in pairs] for pairs in (by_due, by_date))
    compared = sum(look.compared for look in (*due, *date))
    if other := _first_example(date):
        return ComparedTask(before.task_id, Agreement.DIFFERS, compared, other)
    later = _first_example(due)
    if later and not by_date:
        return ComparedTask(before.task_id, Agreement.DIFFERS, compared, later)
    if unknown := _why_undetermined([*due, *date]):
        return ComparedTask(before.task_id, Agreement.UNDETERMINED, compared, reason=unknown)
    if later or (moving and _varies(before)):
        return ComparedTask(before.task_id, Agreement.MOVES, compared, later)
    moved = any(one.start != other.start for one, other in by_due)
    if moving and not moved and len(before.samples) < 2 and not _is_constant(before):
        reason = (
            "one rendered run does not show whether its text moves with the logical date: export more of them"
        )
        return ComparedTask(before.task_id, Agreement.UNDETERMINED, compared, reason=reason)
    return ComparedTask(before.task_id, Agreement.SAME, compared)


def _why_undetermined(looks: Sequence[_Look]) -> str:
    """Empty if every field of every pair could be compared, and there is one."""
    if not looks:
        return "no run of it was rendered by both: export with the same --from, --to and --window"
    unknown = {name: reason for look in looks for name, reason in look.unknown.items()}
    if unknown:
        return "; ".join(f"{name} ({reason})" for name, reason in sorted(unknown.items()))
    return "" if any(look.compared for look in looks) else "it has no field that is rendered"


def _varies(task: Task) -> bool:
    """Whether its texts are other ones in other runs."""
    return any(_look(task.samples[0], other).example for other in task.samples[1:])


def _is_constant(task: Task) -> bool:
    """Whether rendering leaves its fields as they are, so that they are the same in every run."""
    return all(
        name in task.templated and task.templated[name] == value
        for sample in task.samples
        for name, value in sample.fields.items()
    )


def _newly_failing(before: Task, after: Task) -> str:
    """The names with which the second Airflow cannot render the task, while the first can; empty if there is none."""
    known = _failing(before)
    return "; ".join(
        f"{name}: {reason}" for name, reason in sorted(_failing(after).items()) if name not in known
    )


def _failing(task: Task) -> Mapping[str, str]:
    asked = {name: reason for sample in task.samples for name, reason in sample.asked.items()}
    return {
        name: reason for name, reason in asked.items() if reason.endswith(FAILS) or reason.startswith(FAILS)
    }


def _pairs(before: Task, after: Task, key: Callable[[Sample], str]) -> Iterator[tuple[Sample, Sample]]:
    others = {key(sample): sample for sample in after.samples}
    return ((sample, others[key(sample)]) for sample in before.samples if key(sample) in others)


@dataclass(frozen=True, slots=True)
class _Look:
    """Two samples beside each other. `unknown`: fields that one of them does not determine, with what they need."""

    compared: int
    unknown: Mapping[str, str]
    example: Example | None


def _look(before: Sample, after: Sample) -> _Look:
    """`example` is the first field that differs. One that only one of them has differs too, unless it is None there:
    another version of an operator may have arguments that nobody has given."""
    unknown = {**after.needs, **before.needs}
    known = [name for name in {**before.fields, **after.fields} if name not in unknown]
    compared = [
        name
        for name in known
        if (name in before.fields and name in after.fields)
        or before.fields.get(name) is not None
        or after.fields.get(name) is not None
    ]
    for name in compared:
        one, other = before.fields.get(name), after.fields.get(name)
        if one != other:
            return _Look(len(compared), unknown, Example(after.end, name, one, other))
    return _Look(len(compared), unknown, None)


def _first_example(looks: Sequence[_Look]) -> Example | None:
    return next((look.example for look in looks if look.example), None)
