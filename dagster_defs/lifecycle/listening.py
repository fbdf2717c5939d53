"""What in Airflow listens to a DAG that Dagster runs: sensors, consumers of its datasets, and DAGs that it starts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from dagster_defs.inventory.document import Dag, Inventory, Task
from dagster_defs.inventory.external_sensors import tasks_of
from dagster_defs.inventory.triggers import in_place_of, triggers_of, uris_of
from dagster_defs.lifecycle.starters import Trigger
from dagster_defs.lifecycle.units import Unit
from dagster_defs.lifecycle.waiters import Fed, Waiter, waiters

SUCCESS, FAILED, SKIPPED, UPSTREAM_FAILED = "success", "failed", "skipped", "upstream_failed"
#: By trigger rule, how a task that does nothing ends after tasks with these states, once all of them have ended;
#: what is not there runs whatever is above it. As `TriggerRuleDep` of Airflow 2.11 and 3.3.
_RULES: Mapping[str, Callable[[Collection[str]], str]] = {
    "all_success": lambda above: _unless_failed(above, SKIPPED if SKIPPED in above else SUCCESS),
    "none_failed": lambda above: _unless_failed(above, SUCCESS),
    "none_failed_min_one_success": lambda above: _unless_failed(above, _if(SUCCESS in above)),
    "none_failed_or_skipped": lambda above: _unless_failed(above, _if(SUCCESS in above)),
    "one_success": lambda above: SUCCESS if SUCCESS in above else _unless_failed(above, SKIPPED),
    "one_failed": lambda above: _if(_has_failed(above)),
    "all_failed": lambda above: _if(not {SUCCESS, SKIPPED} & {*above}),
    "all_skipped": lambda above: _if({*above} == {SKIPPED}),
    "none_skipped": lambda above: _if(SKIPPED not in above),
    "one_done": lambda above: _if(bool({SUCCESS, FAILED} & {*above})),
    "all_done_min_one_success": lambda above: (
        SKIPPED if SKIPPED in above else SUCCESS if SUCCESS in above else UPSTREAM_FAILED
    ),
}


def _if(runs: bool) -> str:
    return SUCCESS if runs else SKIPPED


def _has_failed(above: Collection[str]) -> bool:
    return FAILED in above or UPSTREAM_FAILED in above


def _unless_failed(above: Collection[str], otherwise: str) -> str:
    return UPSTREAM_FAILED if _has_failed(above) else otherwise


@dataclass(frozen=True, slots=True)
class EchoedTask:
    """A task of the DAG in Airflow, with or without a mirror."""

    task_id: str
    upstream: tuple[str, ...] = ()
    rule: str = "all_success"


@dataclass(frozen=True, slots=True)
class Started:
    """A DAG that a task of the retired one starts in Airflow."""

    dag_id: str
    trigger: Trigger


@dataclass(frozen=True, slots=True)
class Listening:
    """`sensors`: tasks of other DAGs that look for the DAG's runs or tasks. `datasets`: by task, the addresses that
    start other DAGs; `readers`: by address, those DAGs. `refused`: what listens and cannot be told, and why. `tasks`:
    all of the DAG, each after those that it comes after."""

    dag_id: str
    sensors: tuple[Unit, ...] = ()
    datasets: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    readers: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    starts: tuple[Started, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict, hash=False)
    tasks: tuple[EchoedTask, ...] = ()

    @property
    def heard_by(self) -> tuple[str, ...]:
        """Whatever can be told, in the words of the gate `waited_for`."""
        fed = [Fed(dag_id, uri) for uri, dag_ids in self.readers.items() for dag_id in dag_ids]
        fed += [Fed(each.dag_id, str(each.trigger.task)) for each in self.starts]
        return tuple(map(str, [*self.sensors, *fed]))


def listening(
    inventory: Inventory, dag_id: str, mirrored: Collection[str], gone: Collection[str] = (), *, clock: bool
) -> Listening:
    """`mirrored`: the DAG's tasks whose mirrors make assets. `gone`: DAGs that Dagster runs, which listen to Airflow no
    more. `clock`: whether the DAG has one: only then has each run a date that others know."""
    dag = next((each for each in inventory.dags if each.dag_id == dag_id), None)
    if dag is None:
        return Listening(dag_id)
    tasks = [task for each in inventory.dags for task in tasks_of(each)]
    found = [each for each in waiters(inventory).get(dag_id, ()) if each.dag_id not in gone]
    refused = dict(_refused(dag, found, mirrored, uris_of(tasks), clock=clock))
    heard = [each for each in found if str(each) not in refused]
    sensors = tuple(each for each in heard if isinstance(each, Unit))
    readers: dict[str, tuple[str, ...]] = {}
    for each in heard:
        if isinstance(each, Fed) and not _of_task(each, dag):
            readers[each.by] = (*readers.get(each.by, ()), each.dag_id)
    datasets = {
        task.task_id: addresses
        for task in tasks_of(dag)
        if (addresses := tuple(o.uri for o in task.outlets if o.uri in readers))
    }
    starts = tuple(_starts(dag, heard, mirrored))
    return Listening(dag_id, sensors, datasets, readers, starts, refused, tuple(_in_order(dag)))


def _of_task(each: Fed, dag: Dag) -> bool:
    return any(each.by == f"{dag.dag_id}.{task.task_id}" for task in tasks_of(dag))


def _refused(
    dag: Dag, found: Iterable[Waiter], mirrored: Collection[str], uris: Mapping[str, str], *, clock: bool
) -> Iterator[tuple[str, str]]:
    known = {f"{dag.dag_id}.{task.task_id}": task for task in tasks_of(dag)}
    for each in found:
        if isinstance(each, Unit):
            if not clock:
                yield str(each), f"{dag.dag_id} has no clock, so that nobody knows which run it looks for"
        elif each.by in known:
            if why := in_place_of(known[each.by], dag, mirrored)[1]:
                yield str(each), f"{each.by} cannot be replaced: {why}"
            elif in_place_of(known[each.by], dag, mirrored)[0].get("reset"):
                yield str(each), f"{each.by} has reset_dag_run, which only Airflow obeys"
        elif silent := [
            task.task_id
            for task in known.values()
            if task.task_id not in mirrored and each.by in {o.uri or uris.get(o.name) for o in task.outlets}
        ]:
            yield str(each), f"{dag.dag_id}.{silent[0]}, which writes it, has no mirror with an asset"


def _starts(dag: Dag, heard: Collection[Waiter], mirrored: Collection[str]) -> Iterator[Started]:
    wanted = {(each.dag_id, each.by) for each in heard if isinstance(each, Fed)}
    for target, tasks in triggers_of(tasks_of(dag)).items():
        for task in tasks:
            unit = Unit(task.dag_id, task.task_id)
            if (target, str(unit)) in wanted:
                told = in_place_of(task, dag, mirrored)[0]
                yield Started(
                    target,
                    Trigger(unit, tuple(told["after"]), told.get("conf", {}), told.get("logical_date", "")),
                )


def _in_order(dag: Dag) -> Iterator[EchoedTask]:
    tasks: list[Task] = sorted(tasks_of(dag), key=lambda task: (len(dag.above(task.task_id)), task.task_id))
    for task in tasks:
        yield EchoedTask(task.task_id, tuple(task.upstream), task.trigger_rule)


def states_told(tasks: Iterable[EchoedTask], known: Mapping[str, str]) -> dict[str, str]:
    """The state of each task, in the given order. `known`: how those with a mirror have ended, in Airflow's words. One
    without a mirror ends as its trigger rule says, as if it had done nothing."""
    ended: dict[str, str] = {}
    for task in tasks:
        if own := known.get(task.task_id):
            ended[task.task_id] = own
            continue
        above = [ended[name] for name in task.upstream if name in ended]
        rule = _RULES.get(task.rule)
        ended[task.task_id] = rule(above) if rule and above else SUCCESS
    return {task_id: _as_told(state) for task_id, state in ended.items()}


def _as_told(state: str) -> str:
    """REST sets no `upstream_failed`: whatever a failure has kept from running is told as failed."""
    return FAILED if state == UPSTREAM_FAILED else state
