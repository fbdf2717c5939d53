"""What an Airflow DAG promises about its runs, compared with the mirror: limits, order, and who is notified."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dagster_defs.inventory.document import Dag, Task
from dagster_defs.lifecycle.agreement import Agreement, Facet
from dagster_defs.lifecycle.alerts import Cause
from dagster_defs.lifecycle.callback_context import Calls
from dagster_defs.lifecycle.mail_of_tasks import NO_MAIL, TaskMail
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
    """The task's callbacks and mails compared with the mirror's.

    A mirror that calls nothing where Airflow calls a failure callback, calls something where Airflow does not, or mails
    to others, differs. Callbacks that a mirror does not call are undetermined: the inventory does not show whether
    anybody misses them. So is a function other than Airflow's, which may do the same.
    """
    legacy = "; ".join(
        [*_named("", task.callbacks), *_named("DAG's ", dag.callbacks), *_mailed(_mail_of(task))]
    )
    mine, of_dag = _by_kind(declared.calls), _by_kind(declared.dag_calls)
    own = [*_named("", mine), *_named("DAG's ", of_dag), *_mailed(declared.mail)]
    declares = "; ".join([*(["the task's own"] if declared.operator_itself else []), *own]) or "none"
    count = sum(len(named) for holder in (dag, task) for named in holder.callbacks.values()) or 1
    # Airflow calls the task's own callbacks, and sends its mails, if it runs the operator itself.
    theirs = {} if declared.operator_itself else task.callbacks
    differing = [
        *_unnotified(theirs, mine),
        *_in_addition(theirs, mine),
        *_in_addition(dag.callbacks, of_dag),
        *([] if declared.operator_itself else _mails_differ(task, declared)),
    ]
    if differing:
        detail = "; ".join(differing)
        return Facet("callbacks", Agreement.DIFFERS, legacy or "none", declares, detail, count)
    unsure = [
        *_others(theirs, mine),
        *_others(dag.callbacks, of_dag),
        *(f"Dagster does not call {name}" for name in _named("the task's ", _left(theirs, mine))),
        *(f"Dagster does not call {name}" for name in _named("the DAG's ", _left(dag.callbacks, of_dag))),
    ]
    if not unsure:
        return Facet("callbacks", Agreement.AGREES, legacy or "none", declares, compared=count)
    detail = f"{'; '.join(unsure)}. If you need it, have a component Alerts tell of it, {ACCEPT}"
    return Facet("callbacks", Agreement.UNDETERMINED, legacy or "none", declares, detail, count)


_Kinds = Mapping[str, Sequence[str]]  # functions by Airflow's name of the callback


def _by_kind(calls: Calls) -> _Kinds:
    return {f"{name.removeprefix('dag_')}_callback": paths for name, paths in calls.items()}


def _unnotified(theirs: _Kinds, mine: _Kinds) -> Iterator[str]:
    if (named := theirs.get(ON_FAILURE)) and ON_FAILURE not in mine:
        yield f"nobody is notified of a failure that Airflow does not see. Write on_failure: {named[0]}"


def _in_addition(theirs: _Kinds, mine: _Kinds) -> Iterator[str]:
    for kind, paths in mine.items():
        if not theirs.get(kind):
            yield f"Airflow does not call {', '.join(paths)}"


def _others(theirs: _Kinds, mine: _Kinds) -> Iterator[str]:
    for kind, paths in mine.items():
        for path in paths:
            if path not in theirs.get(kind, ()):
                known = ", ".join(theirs[kind])
                yield f"Dagster calls {path} where Airflow calls {known}: check that it does the same"


def _left(theirs: _Kinds, mine: _Kinds) -> _Kinds:
    """What the mirror does not call, but for kinds of which it calls another function instead."""
    left = {
        kind: [path for path in paths if path not in mine.get(kind, ())]
        for kind, paths in theirs.items()
        if not set(mine.get(kind, ())) - set(paths)
    }
    return {kind: paths for kind, paths in left.items() if paths}


def _mail_of(task: Task) -> TaskMail:
    email = task.email
    if email is None or not email.to:
        return NO_MAIL
    on = {Cause.FAILURE: email.on_failure, Cause.RETRY: email.on_retry}
    return TaskMail(email.to, frozenset(cause for cause, holds in on.items() if holds))


def _mailed(mail: TaskMail) -> Iterator[str]:
    if mail.to:
        yield f"mail to {', '.join(mail.to)} on {' and '.join(sorted(mail.on))}"


def _mails_differ(task: Task, declared: Declared) -> Iterator[str]:
    """Nothing if the inventory is too old to tell."""
    if task.email is None:
        return
    theirs, mine = _mail_of(task), declared.mail
    if (set(theirs.to), theirs.to and theirs.on) != (set(mine.to), mine.to and mine.on):
        said = ("; ".join(_mailed(mail)) or "no mail" for mail in (theirs, mine))
        legacy, own = said
        yield f"Airflow sends {legacy}, the mirror {own}. Write email and email_on as in Airflow"


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
