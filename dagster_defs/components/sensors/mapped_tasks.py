"""The instances of a mapped task as one task, told once all of them have ended."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from dagster_defs.adapters.airflow.client import AirflowReader
from dagster_defs.adapters.airflow.rows import TaskInstance
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.mapped import REMOVED, in_words, state_of_all


@dataclass(frozen=True, slots=True)
class WholeTask:
    """`task`: the instance that ended last, with the state, the span and the `max_tries` of all of them together.

    `last_started`: when that instance started. `states`: how many instances ended how, for a person.
    """

    task: TaskInstance
    last_started: datetime | None
    states: str

    @property
    def identity(self) -> tuple[str, datetime]:
        """By which it is known again, and its end."""
        assert self.task.end  # noqa: S101 - something is whole only after an end
        return f"{self.task.identity}|whole", self.task.end


@dataclass
class MappedTasks:
    """What Airflow says about each mapped task and DAG run, asked once."""

    client: AirflowReader
    _instances: dict[tuple[Unit, str], list[TaskInstance]] = field(default_factory=dict)

    def whole(self, instance: TaskInstance) -> WholeTask | None:
        """None as long as another instance has not ended or is missing. Whichever instance is read last finds it whole:
        Airflow commits an end a little after it has passed, so that is not always the one that ended last."""
        place = instance.unit, instance.run_id
        if place not in self._instances:
            self._instances[place] = self.client.mapped_instances(*place)
        found = [one for one in self._instances[place] if one.state != REMOVED]
        state = state_of_all({one.map_index: one.state for one in found})
        ended = [one for one in found if one.end]
        if not state or not ended:
            return None
        last = max(ended, key=lambda one: (one.end, one.map_index))
        return WholeTask(_combined(last, found, state), last.start, in_words([one.state for one in found]))


def _combined(last: TaskInstance, instances: list[TaskInstance], state: str) -> TaskInstance:
    start = min((one.start for one in instances if one.start), default=None)
    return replace(
        last,
        state=state,
        start=start,
        duration=(last.end - start).total_seconds() if start and last.end else None,
        max_tries=sum(one.max_tries for one in instances),
        command="",  # of one instance only
    )
