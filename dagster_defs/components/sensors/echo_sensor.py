"""The sensor that tells Airflow what Dagster has run of retired DAGs, as long as something there listens to them."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from time import monotonic

import dagster as dg
import pendulum

from dagster_defs.adapters.airflow.address import AirflowAddress
from dagster_defs.adapters.airflow.echo_client import EchoClient
from dagster_defs.adapters.files.airflows import settings_of_dag
from dagster_defs.adapters.store.registry import store_reader
from dagster_defs.components.sensors.airflow_sensor import PATIENCE
from dagster_defs.components.sensors.echo_turn import EchoTurn
from dagster_defs.components.sensors.schedule_sensor import SECONDS, round_from, shown
from dagster_defs.components.sensors.trigger_sensor import wholly_retired
from dagster_defs.errors import ParityError
from dagster_defs.lifecycle.echo_place import ECHOES, EchoPlace, echo_cursor, echo_places, first_echoed
from dagster_defs.lifecycle.listening import Listening
from dagster_defs.settings import Settings
from dagster_defs.usecases.echoes.listeners import listeners_of
from dagster_defs.usecases.echoes.tell import Echo, EchoedDag

UNKNOWN = "who listens to it in Airflow is not known: there is no inventory (PARITY_INVENTORY)"


def build_echo_sensor(
    name: str, dags: Sequence[EchoedDag], poll_seconds: int, root: Path, seconds: float = SECONDS
) -> dg.SensorDefinition:
    """`dags`: all that have mirrors. `root`: the Dagster project. `seconds`: how long a tick tells; the next one begins
    with the first DAG that it had no time for. The cursor holds the `EchoPlace` of each DAG."""
    own = {dag.dag_id: dag for dag in dags}

    @dg.sensor(
        name=f"{name}{ECHOES}",
        minimum_interval_seconds=poll_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells Airflow what Dagster has run of retired DAGs, so that what waits for them there goes on.",
    )
    def echoes(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        began, now, settings = monotonic(), pendulum.now("UTC"), Settings.from_process(root)
        places, first = echo_places(context.cursor), first_echoed(context.cursor)
        try:
            histories = store_reader(settings).read().histories()
        except ParityError as error:
            return dg.SensorResult(skip_reason=str(error), cursor=context.cursor)
        retired = {
            dag_id: at
            for dag_id in round_from(first, [*own])
            if (at := histories.all_retired(each.unit for each in own[dag_id].units))
        }
        gone = {*retired, *(wholly_retired(histories, histories) - own.keys())}
        told: list[str] = []
        failed: list[str] = []
        first, has_looked = "", False

        def is_spent() -> bool:
            return monotonic() - began >= seconds

        for dag_id, at in retired.items():
            if has_looked and is_spent():
                first = dag_id
                break
            has_looked = True
            dag = own[dag_id]
            try:
                heard = listeners_of(settings, dag_id, dag.mirrored, gone, clock=dag.partitions is not None)
                if heard is None:
                    told.append(f"{dag_id}: {UNKNOWN}")
                    continue
                turn = EchoTurn(
                    context.instance,
                    dag,
                    places.get(dag_id, EchoPlace()),
                    heard,
                    partial(_echo, context.instance, dag, heard, settings),
                    is_spent,
                )
                turn.take(at, now)
            except ParityError as error:  # one DAG's fault must not stop the others
                failed.append(f"{dag_id}: {error}")
                continue
            told += turn.told
            failed += turn.failed
            places[dag_id] = turn.after
        for line in told:
            context.log.info(line)
        for line in failed:
            context.log.error(line)
        why = "; ".join(shown([*failed, *told])) or "there is nothing that Airflow waits for"
        return dg.SensorResult(cursor=echo_cursor(places, first), skip_reason=why)

    return echoes


def _echo(instance: dg.DagsterInstance, dag: EchoedDag, heard: Listening, settings: Settings) -> Echo:
    """Raises what reading the address raises."""
    address = AirflowAddress.of(settings_of_dag(settings, dag.dag_id))
    return Echo(instance, dag, heard, EchoClient(address, patience=PATIENCE))
