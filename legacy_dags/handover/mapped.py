"""Mapped tasks (`.expand`): their proxies, and what the proxies of one task's instances know of each other.

A unit has one run in Dagster for each DAG run, however many instances its task has. So the proxies of all instances
name the same run: whichever comes first launches it, and the others follow or accept it (`attach.py`).
"""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Collection, Iterator
from typing import Any

from airflow.exceptions import AirflowException

from handover.facts import facts
from handover.names import PROXY
from handover.shown import shown_as_dagsters

# Set explicitly, or meaningless for another operator.
NOT_COPIED = ("task_id", "dag", "task_group", "default_args", "params", "doc_md", "map_index_template")


def is_mapped(task: Any) -> bool:
    return not isinstance(task, facts.BaseOperator)


def document(task: Any, doc_md: str | None, sentence: str) -> None:
    """Give a task, mapped or not, this documentation and the sentence."""
    text = f"{doc_md}\n\n{sentence}" if doc_md else sentence
    if is_mapped(task):
        task.partial_kwargs["doc_md"] = text
    else:
        task.doc_md = text


def in_mapped_group(task: Any) -> bool:
    return next(iter(task.iter_mapped_task_groups()), None) is not None


def stand_in_for_mapped(task: Any, proxy: type, **settings: Any) -> Any:
    """A proxy with everything that Airflow itself reads from the task, not in any DAG or group yet.

    Where the DAG file says how many instances there are, there are as many proxies: Airflow makes the instances with
    the DAG run, and would remove or repeat them if the task were mapped before a move and not after it. Where an XCom
    says so, which Airflow does not have once its task is Dagster's, there is one proxy.
    """
    known = inspect.signature(facts.BaseOperator.__init__).parameters
    copied = {
        name: value
        for name, value in task.partial_kwargs.items()
        if name in known and name not in NOT_COPIED and value is not None
    }
    copied |= {name: value for name in ("start_date", "end_date") if (value := getattr(task, name))}
    count = _count(task)
    if count is None:
        made = proxy(task_id=task.task_id, **copied, **settings)
    else:
        made = proxy.partial(task_id=task.task_id, **settings).expand(instance=list(range(count)))  # type: ignore[attr-defined]  # each operator has it
        made.partial_kwargs.update(copied)
        made.start_date, made.end_date = task.start_date, task.end_date
    for name in ("params", "upstream_task_ids", "downstream_task_ids", "_is_setup", "_is_teardown"):
        if hasattr(task, name):
            setattr(made, name, getattr(task, name))
    return made


def maps_over_xcom(task: Any) -> bool:
    return _count(task) is None


def _count(task: Any) -> int | None:
    """None if it follows from an XCom. Raises whatever else Airflow raises about it."""
    try:
        return int(task.get_parse_time_mapped_ti_count())
    except Exception as error:
        # By its name, because it is in another place in each version of Airflow.
        if type(error).__name__ == "NotFullyPopulated":
            return None
        raise


def readers_in_airflow(task: Any, proxied: Collection[str]) -> list[str]:
    """The tasks that read the task's XComs, as far as the DAG file shows it, and that Airflow runs itself."""
    others = (other for other in task.dag.task_dict.values() if other.task_id not in {task.task_id, *proxied})
    return sorted(other.task_id for other in others if _reads(other, task.task_id))


def _reads(reader: Any, task_id: str) -> bool:
    if any(source.task_id == task_id for source in _sources(reader)):
        return True
    named = re.compile(rf"""['"]{re.escape(task_id)}['"]""")
    return any("xcom_pull" in text and named.search(text) for text in _texts(_fields(reader)))


def _sources(reader: Any) -> Iterator[Any]:
    """The tasks whose XComs are among its arguments."""
    if is_mapped(reader):
        inputs = (reader.expand_input, getattr(reader, reader._expand_input_attr))
        sought = [reader.partial_kwargs, *(each.value for each in inputs)]
    else:
        sought = [reader]
    groups = (group._expand_input.value for group in reader.iter_mapped_task_groups())
    for value in (*sought, *groups):
        for source, _ in facts.XComArg.iter_xcom_references(value):
            yield source


def _fields(reader: Any) -> list[Any]:
    if is_mapped(reader):
        return [reader.partial_kwargs, reader.expand_input.value]
    return [getattr(reader, name, None) for name in reader.template_fields]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _texts(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _texts(inner)


# --- while a proxy runs -------------------------------------------------------------------------------------------


def refuse_begun(task: Any, instances: Collection[Any]) -> None:
    """Raises AirflowException if Airflow has run some of the instances itself, which Dagster would run again."""
    own = sorted(one.map_index for one in facts.begun(task, instances) if PROXY not in str(one.operator))
    if own:
        with contextlib.suppress(facts.UNREADABLE):  # then they count as Airflow's
            handed_over = shown_as_dagsters(task)
            own = [index for index in own if index not in handed_over]
    if own:
        names = ", ".join(f"{task.task_id}[{index}]" for index in own)
        raise AirflowException(
            f"Airflow itself has run {names} in this DAG run, and a run in Dagster would do their work again: nothing "
            "was launched. Clear all instances of the task, to have Dagster run them all, or roll the unit back, to "
            "have Airflow run the others"
        )
