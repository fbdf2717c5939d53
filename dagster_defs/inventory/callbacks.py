"""Whom a task and its DAG tell how they went, as attributes of a mirror, and what no mirror can call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagster_defs.inventory.document import Dag, Task

Refusal = Callable[[str], str]

ON_FAILURE = "on_failure_callback"
#: What a component Alerts calls the occasion of each kind of callback.
CAUSES = {
    ON_FAILURE: "failure",
    "on_success_callback": "success",
    "on_retry_callback": "retry",
    "on_execute_callback": "execute",
    "on_skipped_callback": "skipped",
    "sla_miss_callback": "late",
    "deadline": "late",
}
_OF_TASK = (
    ON_FAILURE,
    "on_success_callback",
    "on_retry_callback",
    "on_execute_callback",
    "on_skipped_callback",
)
_OF_DAG = (ON_FAILURE, "on_success_callback")


@dataclass(frozen=True, slots=True)
class Uncalled:
    """A callback that a mirror does not have. `of`: the task, or the DAG."""

    of: str
    kind: str
    function: str
    why: str


@dataclass(frozen=True, slots=True)
class Called:
    attributes: Mapping[str, Any]
    left: Sequence[Uncalled]

    def gaps(self) -> Iterator[str]:
        """A task of whose failures nobody would hear comes first."""
        left = list(self.left)
        if "on_failure" not in self.attributes:
            for silent in [each for each in left if (each.of, each.kind) == ("task", ON_FAILURE)][:1]:
                left.remove(silent)
                yield (
                    f"Dagster cannot call {silent.function} when a run fails, {silent.why}: name a function as "
                    "on_failure that does the same"
                )
        if left:
            named = ", ".join(f"the {each.of}'s {each.kind} {each.function}" for each in left)
            causes = ", ".join(dict.fromkeys(CAUSES[each.kind] for each in left))
            remedy = f"have a component Alerts tell of it, by a route with causes: [{causes}]"
            yield f"Dagster does not call {named}: {remedy}"


def called(dag: Dag, task: Task, refusal: Refusal) -> Called:
    """`refusal`: why Dagster cannot call a function, empty if it can."""
    own, left = _split("task", task.callbacks, _OF_TASK, refusal)
    of_dag = called_for_dag(dag, refusal)
    return Called({**own, **of_dag.attributes}, [*left, *of_dag.left])


def called_for_dag(dag: Dag, refusal: Refusal) -> Called:
    """Those of the DAG alone, such as for a mirror whose own callbacks Airflow's engine calls."""
    found, left = _split("DAG", dag.callbacks, _OF_DAG, refusal)
    return Called({f"dag_{name}": paths for name, paths in found.items()}, left)


def _split(
    of: str, callbacks: Mapping[str, Sequence[str]], kinds: Sequence[str], refusal: Refusal
) -> tuple[dict[str, Any], list[Uncalled]]:
    found: dict[str, Any] = {}
    left: list[Uncalled] = []
    for kind, functions in callbacks.items():
        reasons = {
            path: refusal(path) if kind in kinds else "no mirror has a place for it" for path in functions
        }
        left += [Uncalled(of, kind, path, why) for path, why in reasons.items() if why]
        if mine := [path for path in functions if not reasons[path]]:
            found[kind.removesuffix("_callback")] = mine[0] if len(mine) == 1 else mine
    return found, left


def mailed(task: Task) -> Mapping[str, Any]:
    """The attributes of a mirror that mails as Airflow does; none if nobody gets a mail."""
    email = task.email
    if email is None or not email.to:
        return {}
    on = [name for name, holds in (("failure", email.on_failure), ("retry", email.on_retry)) if holds]
    return {"email": list(email.to), **({"email_on": on} if len(on) < 2 else {})}
