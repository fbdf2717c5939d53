"""What an Airflow DAG promises about its runs, compared with the mirror: limits, order, and who is notified."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dagster_defs.inventory.document import Dag, Task
from dagster_defs.lifecycle.agreement import Agreement, Facet
from dagster_defs.lifecycle.alerts import Cause
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
    mine = {kind: path for kind, path in _called(declared).items() if path}
    own = [*mine.values(), *_mailed(declared.mail)]
    declares = "the task's own" if declared.operator_itself else "; ".join(own) or "none"
    count = sum(len(named) for holder in (dag, task) for named in holder.callbacks.values()) or 1
    # Airflow calls the task's own callbacks, and sends its mails, if it runs the operator itself.
    theirs = {} if declared.operator_itself else task.callbacks
    differing = [
        *_differing(theirs, mine),
        *([] if declared.operator_itself else _mails_differ(task, declared)),
    ]
    if differing:
        detail = "; ".join(differing)
        return Facet("callbacks", Agreement.DIFFERS, legacy or "none", declares, detail, count)
    unsure = [
        *(each for kind, path in mine.items() for each in _same(theirs.get(kind, ()), path)),
        *(f"Dagster does not call {name}" for name in _not_called(dag, task, declared)),
    ]
    if not unsure:
        return Facet("callbacks", Agreement.AGREES, legacy or "none", declares, compared=count)
    detail = f"{'; '.join(unsure)}. If you need it, have a component Alerts tell of it, {ACCEPT}"
    return Facet("callbacks", Agreement.UNDETERMINED, legacy or "none", declares, detail, count)


def _called(declared: Declared) -> Mapping[str, str | None]:
    """By Airflow's name of the callback, the function that the mirror calls."""
    return {
        ON_FAILURE: declared.on_failure,
        "on_success_callback": declared.on_success,
        "on_retry_callback": declared.on_retry,
    }


def _differing(theirs: Mapping[str, Sequence[str]], mine: Mapping[str, str]) -> Iterator[str]:
    if (named := theirs.get(ON_FAILURE)) and ON_FAILURE not in mine:
        yield f"nobody is notified of a failure that Airflow does not see. Write on_failure: {named[0]}"
    yield from (f"Airflow does not call {path}" for kind, path in mine.items() if not theirs.get(kind))


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


def _same(theirs: Sequence[str], mine: str) -> Iterator[str]:
    if theirs and mine not in theirs:
        yield f"Dagster calls {mine} where Airflow calls {', '.join(theirs)}: check that it does the same"


def _not_called(dag: Dag, task: Task, declared: Declared) -> Iterator[str]:
    """Callbacks that a mirror does not declare, and those in addition to the one that it declares."""
    if not declared.operator_itself:
        mine = _called(declared)
        left = {
            kind: tuple(name for name in named if name != mine.get(kind))
            if mine.get(kind) in named
            else named
            for kind, named in task.callbacks.items()
            if mine.get(kind) is None or mine[kind] in named
        }
        yield from _named("the task's ", {kind: named for kind, named in left.items() if named})
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
