"""Asks the installed Airflow's own trigger rules how a task ends that does nothing: runs in an Airflow environment.

Prints a JSON document: by rule and by the states of its upstream tasks, with a blank between them, the state that the
scheduler gives the task without running it (`skipped`, `upstream_failed`), or `success` if it lets it run. All upstream
tasks have ended when it looks: what it does with a rule that needs not wait for all of them depends on who is first.

Rules, operators and their order are Airflow's; the rows of the database, which `TriggerRuleDep` is given as finished
task instances, are not there.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Sequence
from datetime import datetime, timezone
from itertools import combinations_with_replacement
from types import SimpleNamespace
from typing import Any

warnings.simplefilter("ignore")

from airflow import DAG  # noqa: E402 - after the filter
from airflow.ti_deps.dep_context import DepContext  # noqa: E402 - see above
from airflow.ti_deps.deps.trigger_rule_dep import TriggerRuleDep  # noqa: E402 - see above

try:
    from airflow.operators.empty import EmptyOperator
    from airflow.utils.trigger_rule import TriggerRule
except ImportError:
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.task.trigger_rule import TriggerRule

ENDS = ("success", "failed", "skipped", "upstream_failed")
MOST_ABOVE = 4


def answer(rule: str, above: Sequence[str]) -> str:
    """One DAG for each question, as Airflow's scheduler has it."""
    with DAG("ruled", schedule=None, start_date=datetime(2024, 1, 1, tzinfo=timezone.utc)) as dag:
        tasks = [EmptyOperator(task_id=f"above_{number}") for number in range(len(above))]
        tasks >> EmptyOperator(task_id="task", trigger_rule=rule)
    whole = scheduled(dag)
    ended = [
        SimpleNamespace(
            task_id=task.task_id, state=state, map_index=-1, task=whole.task_dict[task.task_id], run_id="run"
        )
        for task, state in zip(tasks, above, strict=True)
    ]
    told: list[str] = []

    def set_state(state: Any, session: Any) -> bool:
        told.append(str(state))
        return True

    asked = SimpleNamespace(
        task=whole.task_dict["task"], map_index=-1, dag_id="ruled", task_id="task", run_id="run",
        get_dagrun=lambda session: None, set_state=set_state,
    )  # fmt: skip
    context: Any = DepContext(flag_upstream_failed=True, finished_tis=ended)
    statuses = list(TriggerRuleDep()._get_dep_statuses(ti=asked, session=None, dep_context=context))
    if told:
        return told[-1]
    return "none" if any(not status.passed for status in statuses) else "success"


def scheduled(dag: DAG) -> Any:
    """The DAG as the scheduler reads it from its database."""
    from airflow.serialization.serialized_objects import SerializedDAG

    try:
        return SerializedDAG.deserialize_dag(SerializedDAG.serialize_dag(dag))
    except AttributeError:
        from airflow.serialization.serialized_objects import DagSerialization

        return DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))


def main() -> None:
    """Without the rule of teardowns, which asks for set-ups among the tasks above."""
    rules = sorted(rule for rule in map(str, TriggerRule.all_triggers()) if rule != "all_done_setup_success")
    found = {
        rule: {
            " ".join(above): answer(rule, above)
            for count in range(1, MOST_ABOVE + 1)
            for above in combinations_with_replacement(ENDS, count)
        }
        for rule in rules
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
