"""Tests the echo of a DAG on one window, before the DAG is retired: in Airflow, with a run that is gone afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from dagster_defs.adapters.airflow.address import AirflowAddress
from dagster_defs.adapters.airflow.echo_client import EchoClient
from dagster_defs.adapters.airflow.rows import DagRun
from dagster_defs.adapters.dagster.echo_tests import keep_echo_test
from dagster_defs.adapters.dagster.mirrors import load_mirrors
from dagster_defs.adapters.files.airflows import settings_of_dag
from dagster_defs.adapters.store.registry import store_reader
from dagster_defs.errors import (
    EchoUntested,
    EventLogMissing,
    InventoryMissing,
    NoSuchUnit,
    NothingListens,
    ParityError,
)
from dagster_defs.lifecycle.echo_place import PREFIX
from dagster_defs.lifecycle.echo_tests import EchoTest
from dagster_defs.lifecycle.listening import Listening
from dagster_defs.lifecycle.mirrors import Mirror
from dagster_defs.settings import Settings
from dagster_defs.usecases.echoes.listeners import listeners_of
from dagster_defs.windows import Partitions, Scheduled, Tick, Window

YEARS = 75  # Airflow starts nothing of a run whose date is so far ahead, whether or not its DAG is paused
EVENTS_SINCE = (2, 9)  # the first Airflow whose REST API takes events of datasets
_RUN = f"{PREFIX}test"


def try_echo(settings: Settings, dag_id: str, now: datetime) -> EchoTest:
    """Kept, so that the gate `waited_for` knows it. Raises NoSuchUnit, EventLogMissing, InventoryMissing,
    NothingListens, EchoUntested, AirflowFault, and what reading the mirrors, the record and the inventory raises."""
    if (home := settings.dagster_home) is None:
        raise EventLogMissing()
    everybody = load_mirrors(settings.root).resolved()
    mirrors = [mirror for mirror in everybody if mirror.legacy_unit.dag_id == dag_id]
    if not mirrors:
        raise NoSuchUnit(dag_id, sorted({mirror.legacy_unit.dag_id for mirror in everybody}))
    heard = _heard(settings, dag_id, mirrors, list(everybody))
    if not heard.heard_by:
        raise NothingListens(dag_id, [f"{who}: {why}" for who, why in heard.refused.items()])
    client = EchoClient(AirflowAddress.of(settings_of_dag(settings, dag_id)), patience=20)
    steps: list[str] = []
    window = ""
    if heard.sensors:
        window = _try_run(client, heard, mirrors[0].partitions, steps)
    steps += _try_others(client, heard)
    starts = tuple(dict.fromkeys(each.trigger.task for each in heard.starts))
    test = EchoTest(
        dag_id, now, client.version.text, window, heard.heard_by, starts, tuple(steps), heard.refused
    )
    keep_echo_test(home, test)
    return test


def _heard(settings: Settings, dag_id: str, mirrors: list[Mirror], everybody: list[Mirror]) -> Listening:
    histories = store_reader(settings).read().histories()
    units: dict[str, list[Mirror]] = {}
    for mirror in everybody:
        units.setdefault(mirror.legacy_unit.dag_id, []).append(mirror)
    gone = [name for name, own in units.items() if histories.all_retired(each.legacy_unit for each in own)]
    mirrored = {mirror.legacy_unit.task_id for mirror in mirrors if mirror.declared().writes}
    clock = not any(mirror.event for mirror in mirrors)
    heard = listeners_of(settings, dag_id, mirrored, gone, clock=clock)
    if heard is None:
        raise InventoryMissing()
    return heard


def _try_run(
    client: EchoClient, heard: Listening, partitions: Partitions[Scheduled], steps: list[str]
) -> str:
    """The window of Airflow's last run, whose date and interval are those that an echo would have; and a run far ahead,
    with all its tasks as an echo sets them, asked back and removed."""
    dag_id = heard.dag_id
    last = client.newest_scheduled_run(dag_id)
    if last is None or last.window is None:
        raise EchoUntested(dag_id, "Airflow has no run of its schedule to compare with", "Let it run once")
    key = _same_window(last, partitions)
    steps.append(f"the window {key} has the date and the interval of Airflow's {last.run_id}")
    start, end = (instant.add(years=YEARS) for instant in (last.window.start, last.window.end))
    ahead = Tick(start) if start == end else Window(start, end)
    client.remove_run(dag_id, _RUN)  # of a test that was broken off
    try:
        run = client.put_run(dag_id, _RUN, ahead)
        client.put_states(run, {task.task_id: "success" for task in heard.tasks}, succeeded=True)
        _refuse_other(client, heard, run)
    finally:
        client.remove_run(dag_id, _RUN)
    steps.append(f"a run of {ahead.start.date()} was told and found, no task was started, and it is removed")
    return key


def _same_window(last: DagRun, partitions: Partitions[Scheduled]) -> str:
    assert last.window is not None  # noqa: S101 - the caller has looked
    try:
        key = partitions.key_of(last.window)
    except ParityError as error:
        raise EchoUntested(last.dag_id, str(error), "Look: parity verify") from error
    date = last.occasion.logical_date if last.occasion else None
    if date != last.window.start:
        reason = f"the date of Airflow's {last.run_id} is {date}, and that of an echo is {last.window.start}"
        raise EchoUntested(last.dag_id, reason, "What waits for it asks for another date: retire that first")
    return key


def _refuse_other(client: EchoClient, heard: Listening, run: DagRun) -> None:
    found = client.run_at(heard.dag_id, run.window.start) if run.window else None
    tasks = client.task_instances(heard.dag_id, run.run_id)
    names = {task.unit.task_id for task in tasks}
    known = {task.task_id for task in heard.tasks}
    if found is None or found.run_id != run.run_id:
        raise EchoUntested(heard.dag_id, f"{run.run_id} is not found by its date", "Please report this")
    if names != known:
        other = ", ".join(sorted(names ^ known))
        raise EchoUntested(
            heard.dag_id, f"Airflow and the inventory differ in {other}", "Export the inventory again"
        )
    if began := [str(task.unit) for task in tasks if task.try_number]:
        raise EchoUntested(heard.dag_id, f"Airflow has started {', '.join(began)}", "Please report this")


def _try_others(client: EchoClient, heard: Listening) -> Iterator[str]:
    """An event would start what waits for it, and so would a run: only that both can be told is asked."""
    if heard.readers and client.version.number < EVENTS_SINCE:
        reason = f"Airflow {client.version.text} takes no events of datasets by REST"
        raise EchoUntested(heard.dag_id, reason, f"Retire {', '.join(*heard.readers.values())} first")
    for address in heard.readers:
        if client.dataset(address) is None:
            raise EchoUntested(
                heard.dag_id, f"Airflow has no dataset {address}", "Export the inventory again"
            )
        yield f"Airflow has the dataset {address}"
    for dag_id in dict.fromkeys(each.dag_id for each in heard.starts):
        if not client.has_dag(dag_id):
            raise EchoUntested(heard.dag_id, f"Airflow has no DAG {dag_id}", "Export the inventory again")
        yield f"Airflow has the DAG {dag_id}"
