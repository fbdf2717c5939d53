"""What an Airflow DAG promises about its runs, compared with the mirror: limits, order, and who is notified."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dagster_defs.inventory.document import Dag, Task
from dagster_defs.lifecycle.agreement import Agreement, Facet
from dagster_defs.lifecycle.mirrors import Declared

DEFAULT_POOL = "default_pool"
ON_FAILURE = "on_failure_callback"
ACCEPT = "then accept it in its YAML: gates: {undetermined: [callbacks]}"


def promise_facets(dag: Dag, task: Task, declared: Declared) -> tuple[Facet, ...]:
    """Always the same eight facets, in this order."""
    return (
        retries_facet(task, declared),
        pool_facet(task, declared),
        _seconds_facet("timeout", task.timeout, declared.timeout),
        _seconds_facet("sla", task.sla, declared.sla),
        _equal("catchup", _yes(dag.catchup), _yes(declared.catchup)),
        _equal("max_active_runs", str(dag.max_active_runs), str(declared.max_active_runs)),
        _equal("depends_on_past", _yes(task.depends_on_past), _yes(declared.depends_on_past)),
        callbacks_facet(dag, task, declared),
    )


def retries_facet(task: Task, declared: Declared) -> Facet:
    """Number and delay; without retries the delay is meaningless."""
    theirs, mine = _tries(task.retries, task.retry_delay), _tries(declared.retries, declared.retry_delay)
    return _equal("retries", theirs, mine)


def _tries(retries: int, delay: float) -> str:
    return f"{retries}, {delay:g} s apart" if retries else "none"


def pool_facet(task: Task, declared: Declared) -> Facet:
    """Airflow's default pool limits nothing in particular: it counts as none."""
    return _equal("pool", "none" if task.pool == DEFAULT_POOL else task.pool, declared.pool or "none")


def callbacks_facet(dag: Dag, task: Task, declared: Declared) -> Facet:
    """The task's failure callback compared with the mirror's.

    A mirror that calls nothing, or calls something where Airflow does not, differs. Callbacks that a mirror cannot call
    are undetermined: the inventory does not show whether anybody misses them. So is a function other than Airflow's,
    which may do the same.
    """
    theirs, mine = task.callbacks.get(ON_FAILURE, ()), declared.on_failure
    legacy = "; ".join([*_named("", task.callbacks), *_named("DAG's ", dag.callbacks)]) or "none"
    declares = mine or "none"
    count = sum(len(named) for holder in (dag, task) for named in holder.callbacks.values()) or 1
    if declared.operator_itself:
        theirs = ()  # Airflow calls the task's own callbacks
        declares = "the task's own"
    if theirs and mine is None:
        detail = f"nobody is notified of a failure that Airflow does not see. Write on_failure: {theirs[0]}"
        return Facet("callbacks", Agreement.DIFFERS, legacy, declares, detail, count)
    if mine and not theirs:
        return Facet("callbacks", Agreement.DIFFERS, legacy, declares, f"Airflow does not call {mine}", count)
    unsure = [
        *_same(theirs, mine),
        *(f"Dagster does not call {name}" for name in _not_called(dag, task, declared)),
    ]
    if not unsure:
        return Facet("callbacks", Agreement.AGREES, legacy, declares, compared=count)
    detail = f"{'; '.join(unsure)}. If you need it, call it from a Dagster sensor or hook, {ACCEPT}"
    return Facet("callbacks", Agreement.UNDETERMINED, legacy, declares, detail, count)


def _same(theirs: Sequence[str], mine: str | None) -> Iterator[str]:
    if mine and mine not in theirs:
        yield f"Dagster calls {mine} where Airflow calls {', '.join(theirs)}: check that it does the same"


def _not_called(dag: Dag, task: Task, declared: Declared) -> Iterator[str]:
    """Callbacks that a mirror cannot declare, and failure callbacks in addition to the one that it declares."""
    if declared.operator_itself:
        yield from _named("the DAG's ", dag.callbacks)
        return
    mine, theirs = declared.on_failure, task.callbacks.get(ON_FAILURE, ())
    besides = tuple(name for name in theirs if name != mine) if mine in theirs else ()
    own = {kind: named for kind, named in task.callbacks.items() if kind != ON_FAILURE}
    yield from _named("the task's ", own | ({ON_FAILURE: besides} if besides else {}))
    yield from _named("the DAG's ", dag.callbacks)


def _named(whose: str, callbacks: Mapping[str, Sequence[str]]) -> Iterator[str]:
    return (f"{whose}{kind} {', '.join(named)}" for kind, named in callbacks.items())


def _seconds_facet(name: str, theirs: float | None, mine: float | None) -> Facet:
    """A limit in seconds; None means no limit."""
    legacy, declared = (("none" if seconds is None else f"{seconds:g} s") for seconds in (theirs, mine))
    return _equal(name, legacy, declared)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _equal(name: str, theirs: str, mine: str) -> Facet:
    return Facet(name, Agreement.AGREES if theirs == mine else Agreement.DIFFERS, theirs, mine)
