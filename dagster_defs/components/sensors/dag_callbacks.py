"""The sensors that call a retired DAG's own callbacks when its run in Dagster has ended, as Airflow's scheduler did."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.storage.tags import WILL_RETRY_TAG

from dagster_defs.adapters.dagster.api import address_of_run
from dagster_defs.adapters.dagster.event_log import EventReader
from dagster_defs.adapters.files.legacy_code import LegacyFunction
from dagster_defs.components.units.project_units import ProjectUnits
from dagster_defs.components.units.unit import UnitComponent
from dagster_defs.errors import ParityError
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.lifecycle.callback_context import CalledRun, run_context
from dagster_defs.parity import Side
from dagster_defs.settings import Settings
from dagster_defs.windows import EventSchedule, Times

# What Airflow's scheduler gives as the reason, and the state of its run.
_FAILED, _SUCCEEDED = ("task_failure", "failed"), ("success", "success")


@dataclass(frozen=True)
class CallingDag:
    """`functions`: by attribute in YAML. `by_step`: its units, by the names of their steps. `times`: of one of them."""

    dag_id: str
    functions: Mapping[str, Sequence[LegacyFunction]]
    by_step: Mapping[str, Unit]
    times: Times


def calling_dags(project: ProjectUnits[UnitComponent]) -> Mapping[str, CallingDag]:
    """By id, the DAGs with callbacks of their own. What any mirror of a DAG names is called once."""
    found: dict[str, CallingDag] = {}
    for dag_id in sorted({unit.legacy_unit.dag_id for unit in project.sound if unit.dag_callbacks}):
        mates = [unit for unit in project.sound if unit.legacy_unit.dag_id == dag_id]
        functions: dict[str, dict[str, LegacyFunction]] = {}
        for unit in mates:
            for name, paths in unit.dag_callbacks.items():
                for path in paths:
                    functions.setdefault(name, {}).setdefault(path, unit.legacy_function(path))
        steps = {unit.op_name(Side.LEGACY): unit.legacy_unit for unit in mates}
        called = {name: [*by_path.values()] for name, by_path in functions.items()}
        found[dag_id] = CallingDag(dag_id, called, steps, mates[0].times)
    return found


def build_dag_callback_sensors(
    name: str, dags: Mapping[str, CallingDag], jobs: Sequence[Any]
) -> Iterator[dg.SensorDefinition]:
    """`jobs`: those that run these DAGs as a whole."""
    failures = any("dag_on_failure" in dag.functions for dag in dags.values())
    successes = any("dag_on_success" in dag.functions for dag in dags.values())
    if failures and jobs:

        @dg.run_failure_sensor(
            name=f"{name}_dag_on_failure",
            monitored_jobs=jobs,
            default_status=dg.DefaultSensorStatus.RUNNING,
            minimum_interval_seconds=5,
            description="Calls the `dag_on_failure` of retired DAGs whose run has failed.",
        )
        def on_failure(context: dg.RunFailureSensorContext) -> dg.SkipReason:
            return _call(context, dags, "dag_on_failure")

        yield on_failure
    if successes and jobs:

        @dg.run_status_sensor(
            name=f"{name}_dag_on_success",
            run_status=dg.DagsterRunStatus.SUCCESS,
            monitored_jobs=jobs,
            default_status=dg.DefaultSensorStatus.RUNNING,
            minimum_interval_seconds=5,
            description="Calls the `dag_on_success` of retired DAGs whose run has succeeded.",
        )
        def on_success(context: dg.RunStatusSensorContext) -> dg.SkipReason:
            return _call(context, dags, "dag_on_success")

        yield on_success


def _call(context: dg.RunStatusSensorContext, dags: Mapping[str, CallingDag], name: str) -> dg.SkipReason:
    """Each function, whatever the one before it does, as Airflow does."""
    run = context.dagster_run
    dag = dags.get(run.tags.get(tags.DAG, ""))
    if dag is None or name not in dag.functions:
        return dg.SkipReason("its DAG has no such callback")
    if refused := run.tags.get(tags.REFUSED):
        return dg.SkipReason(f"the run was refused before it did anything: {refused}")
    if run.tags.get(WILL_RETRY_TAG) == "true":
        return dg.SkipReason("Dagster runs it again")
    said = []
    for function in dag.functions[name]:
        try:
            function.call(_context(context, dag, name))
            said.append(f"called {function.path}")
        except (Exception, SystemExit) as error:
            said.append(f"{function.path} failed itself, so nobody was notified: {error!r}")
            context.log.error(said[-1])
    return dg.SkipReason("; ".join(said))


def _context(context: dg.RunStatusSensorContext, dag: CallingDag, name: str) -> Mapping[str, Any]:
    run = context.dagster_run
    reason, state = _FAILED if name == "dag_on_failure" else _SUCCEEDED
    failed = [each.step for each in EventReader(context.instance).steps(run.run_id) if each.what == "failure"]
    units = [dag.by_step[step] for step in failed if step in dag.by_step]
    task = (units or sorted(dag.by_step.values()))[-1].task_id
    url = Settings.from_process().named_dagster_url
    called = CalledRun(dag.dag_id, run.run_id, state, *_dates(run, dag.times))
    return run_context(called, task, address_of_run(url, run.run_id) if url else run.run_id, reason)


def _dates(run: dg.DagsterRun, times: Times) -> Sequence[Any]:
    """Start and end of the interval, and the logical date; nothing if no clock has started the run."""
    key = run.tags.get(tags.PARTITION, "")
    if isinstance(times, EventSchedule):
        return ()
    try:
        [moment] = times.windows_between(key, key)
    except ParityError:  # a partition of one of the DAG's former schedules
        return ()
    return (moment.start, moment.end, moment.start)
