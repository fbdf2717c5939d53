"""Who starts a DAG without a clock, as a mirror's YAML declares it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import dagster as dg

from dagster_defs.errors import BadUnit
from dagster_defs.lifecycle import Unit
from dagster_defs.lifecycle.starters import Condition, Starters, Trigger

_REMEDY = "Fix `schedule.triggered_by` in its YAML"


@dataclass
class TriggerTask(dg.Resolvable):
    """One `TriggerDagRunOperator` that starts the DAG."""

    task: Annotated[str, dg.Resolver.default(description="The task: dag_id.task_id.")]
    after: Annotated[
        Sequence[str],
        dg.Resolver.default(
            description=(
                "The tasks of its DAG after which it comes, each with a mirror: once its DAG is retired, Dagster "
                "starts a run when all of them have succeeded. Without them only Airflow does."
            )
        ),
    ] = field(default_factory=list)
    conf: Annotated[
        Mapping[str, Any],
        dg.Resolver.passthrough(
            description="Its `conf`; texts are Airflow templates, exactly as in the DAG."
        ),
    ] = field(default_factory=dict)
    logical_date: Annotated[
        str,
        dg.Resolver.passthrough(
            description="Its `logical_date`, an Airflow template; by default that of the moment.",
            examples=["{{ data_interval_start }}"],
        ),
    ] = ""
    reset: Annotated[
        bool,
        dg.Resolver.default(
            description="Its `reset_dag_run`: a logical date that was run already is run again."
        ),
    ] = False

    def trigger(self) -> Trigger:
        """Raises BadUnit."""
        return Trigger(
            Unit.parse(self.task), tuple(self.after), dict(self.conf), self.logical_date, self.reset
        )


@dataclass
class TriggeredBy(dg.Resolvable):
    """What starts the runs of a DAG without a clock, once it is retired; `parity scaffold` writes it."""

    tasks: Annotated[Sequence[TriggerTask], dg.Resolver.default(description="The tasks that start it.")] = (
        field(default_factory=list)
    )
    datasets: Annotated[
        Mapping[str, Any] | None,
        dg.Resolver.passthrough(
            description="The condition of its datasets or assets: `all` or `any` of a list, which may be nested.",
            examples=[{"all": ["s3://lake/a", {"any": ["s3://lake/b", "s3://lake/c"]}]}],
        ),
    ] = None
    written_by: Annotated[
        Mapping[str, Sequence[str]],
        dg.Resolver.passthrough(
            description="By dataset, the tasks that have it as an outlet: each success is an event of it."
        ),
    ] = field(default_factory=dict)
    dates: Annotated[
        bool,
        dg.Resolver.default(
            description="Whether a run that datasets start has a logical date and an interval: not in Airflow 3."
        ),
    ] = True
    refused: Annotated[
        Sequence[str],
        dg.Resolver.default(
            description="What starts it in Airflow and would not in Dagster: with such a reason it is not retired."
        ),
    ] = field(default_factory=list)

    def starters(self, unit: str) -> Starters:
        """Raises BadUnit for anything impossible."""
        condition = None
        if self.datasets is not None:
            try:
                condition = Condition.read(self.datasets)
            except ValueError as error:
                raise BadUnit(unit, f"`schedule.triggered_by.datasets`: {error}", _REMEDY) from error
        written_by = {address: tuple(map(Unit.parse, units)) for address, units in self.written_by.items()}
        addresses = condition.addresses if condition else ()
        if odd := sorted({*addresses} ^ written_by.keys()):
            reason = f"`schedule.triggered_by`: {odd[0]} is in only one of `datasets` and `written_by`"
            raise BadUnit(unit, reason, _REMEDY)
        triggers = tuple(each.trigger() for each in self.tasks)
        return Starters(triggers, condition, written_by, self.dates, tuple(self.refused))
