"""Who starts a DAG without a clock: tasks of other DAGs, and datasets by a condition; see docs/lifecycle.md."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from dagster_defs.lifecycle.units import Unit


@dataclass(frozen=True, slots=True)
class Trigger:
    """One `TriggerDagRunOperator`. `after`: the tasks of its DAG after whose success Dagster starts a run in its place,
    once that DAG is retired; empty if only Airflow can. `conf`, `logical_date`: as in the DAG file, with templates of
    the run that it belongs to. `reset`: a logical date that there has been already is run again."""

    task: Unit
    after: tuple[str, ...] = ()
    conf: Mapping[str, Any] = field(default_factory=dict, hash=False)
    logical_date: str = ""
    reset: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """Datasets or assets by their addresses: `every` one of the parts, or any of them."""

    every: bool
    parts: tuple[Condition | str, ...]

    @classmethod
    def read(cls, document: Any) -> Condition:
        """From nested `all` and `any`, as Airflow writes them. Raises ValueError, in words."""
        if not isinstance(document, Mapping) or len(document) != 1 or not document.keys() <= {"all", "any"}:
            raise ValueError("a condition is a mapping with one key, `all` or `any`")
        [(key, listed)] = document.items()
        if not isinstance(listed, list) or not listed:
            raise ValueError(f"`{key}` has to be a list of addresses and conditions")
        return cls(key == "all", tuple(each if isinstance(each, str) else cls.read(each) for each in listed))

    @property
    def addresses(self) -> tuple[str, ...]:
        """Each of them once, in the order of the text."""
        found: dict[str, None] = {}
        for part in self.parts:
            found |= dict.fromkeys([part] if isinstance(part, str) else part.addresses)
        return tuple(found)

    def holds(self, queued: Container[str]) -> bool:
        """As in Airflow's `DatasetAll.evaluate` and `DatasetAny.evaluate`."""
        answers = (part in queued if isinstance(part, str) else part.holds(queued) for part in self.parts)
        return all(answers) if self.every else any(answers)

    def __str__(self) -> str:
        parts = [part if isinstance(part, str) else f"({part})" for part in self.parts]
        return (" and " if self.every else " or ").join(parts)


@dataclass(frozen=True, slots=True)
class Starters:
    """All that starts one DAG. `written_by`: by dataset, the tasks whose success is an event of it. `dates`: whether a
    run that datasets start has a logical date and an interval, as in Airflow 2. `refused`: why something that starts it
    in Airflow would not start it in Dagster."""

    triggers: tuple[Trigger, ...] = ()
    condition: Condition | None = None
    written_by: Mapping[str, tuple[Unit, ...]] = field(default_factory=dict, hash=False)
    dates: bool = True
    refused: tuple[str, ...] = ()

    @property
    def writers(self) -> Mapping[Unit, tuple[str, ...]]:
        """By task, the datasets that it writes."""
        found: dict[Unit, tuple[str, ...]] = {}
        for address, units in self.written_by.items():
            for unit in units:
                found[unit] = (*found.get(unit, ()), address)
        return found

    @property
    def in_words(self) -> str:
        """What starts it, for people."""
        told = [str(trigger.task) for trigger in self.triggers]
        told += [str(self.condition)] if self.condition else []
        return ", or ".join(told) or "nobody"
