"""The mirror for tasks that have no better one: Dagster runs the DAG file's operator in Airflow's environment."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import dagster as dg

from dagster_defs.components.runs.callbacks import Told
from dagster_defs.components.runs.operator_run import OperatorRun
from dagster_defs.components.runs.run_window import window_metadata
from dagster_defs.components.units.airflow_place import AirflowPlace
from dagster_defs.components.units.scaffold import LegacyTaskScaffolder
from dagster_defs.components.units.task_unit import ProcessUnit
from dagster_defs.errors import BadUnit, LegacyTaskRefused
from dagster_defs.lifecycle import tags
from dagster_defs.lifecycle.mirrors import Declared, Rendering
from dagster_defs.parity import Side
from dagster_defs.settings import Settings
from dagster_defs.windows import Moment

ITSELF = "the operator itself"


@dg.scaffold_with(LegacyTaskScaffolder)
@dataclass
class LegacyTask(ProcessUnit):
    """Any task: Airflow's own engine renders its operator for the window and runs it, without Airflow's servers.

    A candidate runs only if `env.candidate` says what it connects to instead of legacy's places; otherwise the unit
    declares `shadow: never` and `because`.
    """

    airflow: AirflowPlace = field(default_factory=AirflowPlace)

    own_kind = "airflow"

    @property
    def does(self) -> str:
        return ITSELF

    def refused(self, reason: str, remedy: str) -> LegacyTaskRefused:
        return LegacyTaskRefused(self.unit, reason, remedy)

    def refuse_faults(self, *, resolved: bool) -> None:
        super().refuse_faults(resolved=resolved)
        for name in self.callbacks:
            reason = (
                f"`{name}` would be called in addition to the operator's own callbacks, which Airflow calls"
            )
            raise BadUnit(self.unit, reason, f"Drop `{name}`")
        if self.trigger_rules is not None:
            reason = (
                "`trigger_rules` says nothing here: Airflow's engine asks them before it runs the operator"
            )
            raise BadUnit(self.unit, reason, "Drop `trigger_rules`")
        if self.email:
            reason = (
                "`email` would get a mail in addition to the operator's own, which Airflow's engine sends"
            )
            raise BadUnit(self.unit, reason, "Drop `email`")

    @property
    def variables(self) -> Rendering:
        return _Nothing()

    def declared(self) -> Declared:
        return replace(super().declared(), operator_itself=True)

    def work(
        self, context: dg.AssetExecutionContext, side: Side, told: Told
    ) -> Iterator[dg.MaterializeResult[None]]:
        window = self.window_of_side(context, side)
        if side is Side.CANDIDATE:
            self.refuse_same_variables(Settings.from_process().with_variables(self.env.legacy).variables)
        state = self._operator_run(context, side, window).once()
        yield from self.results(context, {**window_metadata([window]), tags.AIRFLOW_STATE: state})

    def _operator_run(self, context: dg.AssetExecutionContext, side: Side, window: Moment) -> OperatorRun:
        settings = Settings.from_process(self.root)
        return OperatorRun(
            context=context,
            unit=self.legacy_unit,
            side=side,
            window=window,
            settings=settings.with_variables(self.env.of(side)),
            place=self.airflow.of(self.root, self.python_path, settings),
            retries=self.retries,
            retry_delay=self.retry_delay,
            timeout=self.timeout,
            candidate=self.env.candidate if side is Side.CANDIDATE else None,
            of_legacy=self.records_of_legacy(context, side, window),
        )


class _Nothing:
    """No arguments: the operator renders its own fields."""

    def for_window(self, window: Moment) -> Mapping[str, Any]:
        return {}
