"""Tasks below a branch or a short circuit: in a retired DAG, Airflow's own rules say which windows run them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Protocol

import dagster as dg

from dagster_defs.adapters.store.registry import store_reader
from dagster_defs.components.runs.one_writer import moments_to_write
from dagster_defs.components.runs.operator_run import OperatorRun
from dagster_defs.components.runs.run_window import window_metadata
from dagster_defs.components.units.airflow_place import AirflowPlace
from dagster_defs.errors import LegacyTaskRefused
from dagster_defs.lifecycle import Stage, Unit, tags
from dagster_defs.parity import Side
from dagster_defs.settings import Settings
from dagster_defs.windows import Times

TriggerRules = Annotated[
    AirflowPlace | None,
    dg.Resolver.default(
        description=(
            "For a task below a branch or a short circuit: where Airflow's own trigger rules are asked, once the DAG "
            "is retired, whether a window runs it or skips it. The deciding task is a `LegacyTask`."
        ),
        examples=[{"dag_file": "taxi_daily.py"}],
    ),
]


class RuledUnit(Protocol):
    root: Path
    python_path: str

    @property
    def trigger_rules(self) -> AirflowPlace | None: ...

    @property
    def legacy_unit(self) -> Unit: ...

    @property
    def times(self) -> Times: ...


def results_of_skip(
    context: dg.AssetExecutionContext, unit: RuledUnit, side: Side
) -> Iterator[dg.MaterializeResult[None]]:
    """The results of a run that Airflow's rules skip; none if the task is to run.

    Nobody is asked for a candidate, which repeats what legacy did, and before the DAG is retired: Airflow has decided.
    Raises LegacyTaskRefused, LegacyTaskFailed, and what `moments_to_write` raises.
    """
    place, settings = unit.trigger_rules, Settings.from_process(unit.root)
    if place is None or side is Side.CANDIDATE:
        return
    if store_reader(settings).history(unit.legacy_unit).stage is not Stage.RETIRED:
        return
    windows = moments_to_write(context, unit.legacy_unit, unit.times, settings)
    if len(windows) > 1:
        reason = f"Airflow's rules decide window by window, and this run has {len(windows)}"
        raise LegacyTaskRefused(str(unit.legacy_unit), reason, "Run one partition at a time")
    asked = OperatorRun(
        context=context,
        unit=unit.legacy_unit,
        side=side,
        window=windows[0],
        settings=settings,
        place=place.of(unit.root, unit.python_path, settings),
        retries=0,
        retry_delay=0,
        timeout=None,
        candidate=None,
    )
    if asked.asked():
        return
    metadata = {**window_metadata(windows), tags.AIRFLOW_STATE: "skipped"}
    for key in sorted(context.selected_asset_keys):
        yield dg.MaterializeResult(asset_key=key, metadata=metadata)
