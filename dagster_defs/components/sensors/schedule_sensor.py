"""The sensor that starts each window of a retired DAG, continuing where Airflow's scheduler stopped."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import dagster as dg
import pendulum

from dagster_defs.adapters.store.registry import store_reader
from dagster_defs.components.sensors.schedule_turn import ScheduleTurn
from dagster_defs.components.sensors.scheduled_dag import ScheduledDag
from dagster_defs.errors import ParityError
from dagster_defs.lifecycle.histories import Retired
from dagster_defs.lifecycle.started import SCHEDULES, Place, cursor_of, first_of, places
from dagster_defs.settings import Settings
from dagster_defs.usecases.waits import Awaited, AwaitedStates
from dagster_defs.windows import instant_text

SHOWN = 20  # windows that a tick's skip reason names
SECONDS = 20.0  # after which a tick leaves the other DAGs to the next one; Dagster ends a tick after 60


def build_schedule_sensor(
    name: str,
    dags: Sequence[ScheduledDag],
    jobs: Sequence[Any],
    poll_seconds: int,
    root: Path,
    held: Mapping[str, str] | None = None,
    awaited: Mapping[str, Sequence[Awaited]] | None = None,
    seconds: float = SECONDS,
) -> dg.SensorDefinition:
    """`jobs`: those of `dags`. `held`: DAGs, and why none of their windows can be started. `root`: the Dagster
    project. `awaited`: by DAG, the units that may be waited for. `seconds`: how long a tick looks; at least one DAG has
    its turn, and the next tick begins with the first that had none. The cursor holds the `Place` of each DAG."""
    own = {dag.dag_id: dag for dag in dags}

    @dg.sensor(
        name=f"{name}{SCHEDULES}",
        jobs=jobs,
        minimum_interval_seconds=poll_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Runs each window of a retired DAG once it is over, as Airflow's scheduler did.",
    )
    def schedules(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        began = monotonic()
        before, first = places(context.cursor), first_of(context.cursor)
        # Until a DAG has had its turn, nothing has looked at what its windows wait for.
        after = {dag_id: replace(place, held=True) for dag_id, place in before.items()}
        try:
            histories = store_reader(Settings.from_process(root)).read().histories()
        except ParityError as error:
            return dg.SensorResult(skip_reason=str(error), cursor=cursor_of(after, first))
        requests: list[dg.RunRequest] = []
        waiting: list[str] = []
        states = AwaitedStates(context.instance, awaited or {})
        retired = {unit.dag_id for unit, history in histories.items() if isinstance(history, Retired)}
        for dag_id, fault in sorted((held or {}).items()):
            if dag_id in retired:
                context.log.error(f"{dag_id}: its windows are waiting, because {fault}")
        turns = [dag_id for dag_id in round_from(first, [*own]) if dag_id not in (held or {})]
        first, has_looked = "", False

        def is_spent() -> bool:
            return monotonic() - began >= seconds

        for place, dag_id in enumerate(turns):
            dag = own[dag_id]
            try:
                begin = dag.takes_over(histories)
                if begin is None:
                    continue
                if has_looked and is_spent():
                    first, late = dag_id, turns[place:]
                    after |= {each: before[each] for each in late if each in before}
                    context.log.info(
                        f"this tick has taken its {seconds:g} s; the next one begins with {dag_id}"
                    )
                    break
                turn = ScheduleTurn(context.instance, dag, before.get(dag_id, Place()), states, is_spent)
                turn.take(begin)
                has_looked = True
                requests += turn.requests
                waiting += turn.told
                for line in turn.dropped:
                    context.log.warning(line)
                known = dag.partitions.schedule.known_until
                if known is not None and known <= pendulum.now("UTC"):
                    context.log.error(
                        f"{dag_id}: its windows are listed to {instant_text(known)}, and later ones cannot be run. "
                        "Export the inventory again and run parity scaffold, or mirror it with a cron"
                    )
            except ParityError as error:  # one DAG's fault must not stop the others
                context.log.error(f"{dag_id}: {error}")
                continue
            after[dag_id] = turn.after
        for line in waiting:
            context.log.info(line)
        why = None if requests else "; ".join(shown(waiting)) or "no window of a retired DAG is due"
        return dg.SensorResult(run_requests=requests, cursor=cursor_of(after, first), skip_reason=why)

    return schedules


def round_from(first: str, dag_ids: Sequence[str]) -> Sequence[str]:
    """The same round of DAGs, begun with another one; one that is gone changes nothing."""
    at = dag_ids.index(first) if first in dag_ids else 0
    return [*dag_ids[at:], *dag_ids[:at]]


def shown(lines: Sequence[str]) -> Sequence[str]:
    more = [f"{len(lines) - SHOWN} more windows wait"] if len(lines) > SHOWN else []
    return [*lines[:SHOWN], *more]
