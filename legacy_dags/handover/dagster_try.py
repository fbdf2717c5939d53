"""One try of an Airflow task whose window is Dagster's: it launches the unit's job, or follows what is left of it.

The unit's job has a name that follows from the unit's name: that needs no look-up over all assets, and dbt's tests are
part of the job. The run's data interval, written in the partition's own time zone, decides which partition is run. The
interval is sent along, and the Dagster run refuses to start its work if it is not the partition's window.
"""

from __future__ import annotations

import contextlib
import json
import operator
import time
import uuid
from dataclasses import replace
from typing import Any

from airflow.exceptions import AirflowException

from handover.attach import Act, decide
from handover.client import Client
from handover.facts import facts
from handover.mapped import refuse_begun
from handover.names import (
    DAG_RUN_TAG,
    DAG_TAG,
    HANDOVER_VERSION_TAG,
    LAUNCH_TAG,
    MAP_INDEX_TAG,
    MAX_RETRIES_TAG,
    PARTITION_TAG,
    PASSES_ON_EACH,
    PASSES_ON_SKIPS_TAG,
    POSITION_TAG,
    ROUND_TAG,
    SKIPPED_INDICES_TAG,
    SKIPS_TAG,
    STATE_TAG,
    TASK_INSTANCE_TAG,
    TASK_TAG,
    TRY_TAG,
    UPSTREAM_TAG,
    VERSION_TAG,
    WINDOW_END_TAG,
    WINDOW_START_TAG,
    job_name,
    op_name,
    task_instance_name,
)
from handover.patience import poll_pause
from handover.place import Place, find_place
from handover.runs import (
    GONE,
    DagsterJob,
    find_job,
    has_ended,
    launch,
    runs_of,
    status_of,
    terminate,
    why_it_failed,
)
from handover.shown import show_run
from handover.trigger import DagsterRunTrigger
from handover.version import VERSION, why_apart

KILL_PATIENCE, LAUNCH_SECONDS = 5.0, 10.0
# Instances of a mapped task that begin together would all launch a run, of which all but one would refuse.
SIBLING_SECONDS = 60.0
# For how long the last of several instances waits for the others, which may have been killed together with it.
SIBLING_KILL_SECONDS = 15.0


class DagsterTry:
    """A retry follows the run that an earlier try has left behind; a task that is killed ends its run.

    `way_back`: the method of the task that Airflow calls after a deferral. `position`: of the mark that says that the
    window is Dagster's; empty if the mark has none.
    """

    def __init__(
        self,
        task: Any,
        *,
        conn_id: str,
        deferrable: bool = False,
        patience: float | None = None,
        way_back: str = "resume",
        position: str = "",
    ) -> None:
        self.task, self.log = task, task.log
        self.conn_id, self.deferrable, self.patience = conn_id, deferrable, patience
        self.way_back, self.position = way_back, position
        # on_kill may have to end the runs of this task instance, including one whose launch is under way.
        self._task_instance: str | None = None
        self._instance: Any = None
        self._launching = False
        self._run_id: str | None = None
        # Where Dagster is, kept for on_kill: a task that is being ended may no longer be able to ask Airflow.
        self._place: Place | None = None

    def _find_place(self) -> Place:
        self._place = find_place(self.conn_id, self.patience)
        return self._place

    def run(self, context: Any) -> None:
        client = Client(self._find_place())
        task = context["task_instance"]
        job = find_job(client, job_name(task.dag_id, task.task_id))
        if apart := why_apart(job.tags.get(VERSION_TAG)):
            self.log.warning(apart)
        about, config = self._about(job, context)
        tags = {
            DAG_TAG: task.dag_id,
            DAG_RUN_TAG: task.run_id,
            TASK_TAG: task.task_id,
            **about,
            MAX_RETRIES_TAG: "0",
            HANDOVER_VERSION_TAG: VERSION,
            PASSES_ON_SKIPS_TAG: "yes",
            **({POSITION_TAG: self.position} if self.position else {}),
            LAUNCH_TAG: uuid.uuid4().hex,
            **_task_instance_tags(context),
        }
        self._task_instance, self._instance = tags[TASK_INSTANCE_TAG], task
        began = time.monotonic()
        while True:
            decision = decide(runs_of(client, self._task_instance), tags)
            waited = time.monotonic() - began
            if decision.act is Act.LAUNCH and waited < SIBLING_SECONDS and _has_launcher(task):
                time.sleep(poll_pause(waited))
                continue
            if decision.run:
                self.log.info(
                    "Dagster run: %s\n%s: %s",
                    client.run_url(decision.run.run_id),
                    decision.act.value,
                    decision.why,
                )
            if decision.act is not Act.OUTLAST:
                break
            self._outlast(client, decision.run.run_id)
        if decision.run:
            self._run_id = decision.run.run_id
        else:
            self._launching = True
            self._run_id = launch(client, job, tags, config)
            self._launching = False
            self.log.info("Dagster run: %s", client.run_url(self._run_id))
        show_run(task, client.run_url(self._run_id))
        if decision.act is Act.ACCEPT:
            self._end_as(client, self._run_id, "SUCCESS", context)
        else:
            self._wait(client, self._run_id, context)

    def _about(self, job: DagsterJob, context: Any) -> tuple[dict[str, str], dict[str, Any]]:
        """What the Dagster run is about, as tags and as run config: a window, or this run of a DAG without a clock."""
        name = job.selector["pipelineName"]
        if job.is_event:
            occasion = _occasion(context)
            self.log.info("Run %s is an event of %s", occasion["run_id"], name)
            return {}, {"ops": {op_name(name): {"config": {"occasion": occasion}}}}
        start, end = context["data_interval_start"], context["data_interval_end"]
        partition = job.partition_key(start)
        self.log.info("Window [%s, %s) is partition %s of %s", start, end, partition, name)
        tags = {
            PARTITION_TAG: partition,
            WINDOW_START_TAG: start.isoformat(),
            WINDOW_END_TAG: end.isoformat(),
        }
        return tags, {}

    def resume(self, context: Any, event: dict[str, str]) -> None:
        """Continue after the trigger has seen the run end."""
        client = Client(self._find_place())
        task = context["task_instance"]
        self._task_instance, self._instance, self._run_id = _name_of(task), task, event["run_id"]
        if "error" in event:
            raise AirflowException(
                f"Dagster run {client.run_url(event['run_id'])} can no longer be followed: {event['error']}"
            )
        self._end_as(client, event["run_id"], event["status"], context)

    def end_if_timed_out(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> None:
        """A task that times out while it is deferred is not killed, only failed, so its run is ended here."""
        if next_method == "__fail__" and "timeout" in str((next_kwargs or {}).get("error", "")):
            self._instance = context["task_instance"]
            self._task_instance = _name_of(self._instance)
            self.end()

    def end(self) -> None:
        """End the run that this task waits for, even if its launch has not been answered yet.

        A run that a later try waits for is left alone: Airflow gives up a try whose scheduler or worker it has lost,
        and kills the remains of that try when they turn up again.
        """
        if not self._task_instance:
            return
        if self._instance is not None and (facts.has_later_try(self._instance) or _is_shared(self._instance)):
            left = "Dagster run %s is left to a later try, or to another instance, of this task"
            self.log.info(left, self._run_id or "(launched)")
            return
        try:
            place = self._place or find_place(self.conn_id)
            hurried = replace(place, patience=KILL_PATIENCE, timeout=min(place.timeout, KILL_PATIENCE))
            client = Client(hurried)
            for run_id in self._live(client):
                status = client.patiently(
                    lambda run_id=run_id: terminate(client, run_id, seconds=facts.KILL_SECONDS), stubborn=True
                )
                outcome = (
                    "was ended with its task" if has_ended(status) else "was told to end, and has not yet"
                )
                self.log.info("Dagster run %s %s: %s", client.run_url(run_id), outcome, status)
        except Exception as error:
            self.log.error(
                "Dagster run %s could not be ended and may go on: %s", self._run_id or "(launched)", error
            )

    def _live(self, client: Client) -> list[str]:
        """The runs that on_kill ends. A launch that has not been answered is given a moment to arrive."""
        until = time.monotonic() + (LAUNCH_SECONDS if self._launching else 0)
        while True:
            runs = runs_of(client, str(self._task_instance), stubborn=True)
            live = [run.run_id for run in runs if run.is_live]
            if live or time.monotonic() >= until:
                return live
            time.sleep(0.5)

    def _wait(self, client: Client, run_id: str, context: Any) -> None:
        if self.deferrable:
            self.task.defer(
                trigger=DagsterRunTrigger(run_id, self.conn_id, self.patience),
                method_name=self.way_back,
                timeout=self.task.execution_timeout,
            )
        self._end_as(client, run_id, self._follow(client, run_id), context)

    def _follow(self, client: Client, run_id: str) -> str:
        began = time.monotonic()
        while not has_ended(status := client.patiently(lambda: status_of(client, run_id), stubborn=True)):
            time.sleep(poll_pause(time.monotonic() - began))
        return str(status)

    def _outlast(self, client: Client, run_id: str) -> None:
        """Wait for a run of another try. Raises AirflowException if a run that is being ended does not end."""
        began = time.monotonic()
        while not has_ended(status := client.patiently(lambda: status_of(client, run_id), stubborn=True)):
            waited = time.monotonic() - began
            if status == "CANCELING" and waited > client.place.patience:
                raise AirflowException(
                    f"Dagster run {client.run_url(run_id)} has been ending for {waited:.0f} s and may still write: "
                    "nothing was launched. Once you are sure that it is gone, mark it as canceled in Dagster"
                )
            time.sleep(poll_pause(waited))

    def _end_as(self, client: Client, run_id: str, status: str, context: Any) -> None:
        if status == "SUCCESS":
            self.log.info("Dagster run %s succeeded", run_id)
            self._skip_as(client, run_id, context)
            return
        url = client.run_url(run_id)
        if status == GONE:
            raise AirflowException(f"Dagster run {url} was deleted before it was seen to end")
        why = why_it_failed(client, run_id)
        first = self._first_launched(client, run_id)
        if first is None:
            raise AirflowException(f"Dagster run {url} ended as {status}: {why}")
        self.log.warning("Dagster run %s gave way to %s, following that: %s", url, client.run_url(first), why)
        self._run_id = first
        self._wait(client, first, context)

    def _skip_as(self, client: Client, run_id: str, context: Any) -> None:
        """Skip what the operator has skipped in Dagster: other tasks, as a branch does, or this one.

        Raises AirflowFailException if Dagster does not say what that is: another try would do the work again.
        """
        runs = runs_of(client, str(self._task_instance), stubborn=True)
        tags = next((run.tags for run in runs if run.run_id == run_id), None)
        if tags is None:
            raise facts.AirflowFailException(
                f"Dagster run {client.run_url(run_id)} succeeded, but Dagster does not list it among this task's "
                "newest runs: what it has skipped is not known. Look at the run, then mark the task"
            )
        skipped = [name for name in json.loads(tags.get(SKIPS_TAG, "[]")) if self.task.dag.has_task(name)]
        if skipped:
            self.log.info("Skipping %s, as Dagster run %s did", ", ".join(skipped), run_id)
            facts.skip(context, self.task.task_id, [self.task.dag.get_task(name) for name in skipped])
        indices = tags.get(SKIPPED_INDICES_TAG, "").split(",")
        if tags.get(STATE_TAG) == "skipped" or str(context["task_instance"].map_index) in indices:
            raise facts.AirflowSkipException(f"Dagster run {client.run_url(run_id)} has skipped this task")

    def _first_launched(self, client: Client, run_id: str) -> str | None:
        """Of two runs that were launched at once, the one that the other, `run_id`, gave way to; None: it did not."""
        runs = runs_of(client, str(self._task_instance), stubborn=True)
        second = next((run for run in runs if run.run_id == run_id), None)
        if second is None:
            return None
        decision = decide([run for run in runs if run is not second], second.tags)
        return decision.run.run_id if decision.run and decision.act in (Act.FOLLOW, Act.ACCEPT) else None


def _name_of(task: Any) -> str:
    return str(task_instance_name(task.dag_id, task.run_id, task.task_id))


def _occasion(context: Any) -> dict[str, Any]:
    """What Airflow knows about the run, which is all that Dagster's variables may follow from. Raises AirflowException
    for a conf that is no JSON."""
    run = context["dag_run"]
    instants = {
        "logical_date": getattr(run, "logical_date", None),
        "start": context.get("data_interval_start"),
        "end": context.get("data_interval_end"),
    }
    kind = getattr(run, "run_type", None) or "manual"
    occasion: dict[str, Any] = {name: at and at.isoformat() for name, at in instants.items()}
    occasion.update(run_id=run.run_id, run_type=str(getattr(kind, "value", kind)), conf=run.conf or {})
    try:
        json.dumps(occasion)
    except (TypeError, ValueError) as error:
        raise AirflowException(f"the conf of run {run.run_id} cannot be sent to Dagster: {error}") from error
    return occasion


def _has_launcher(task: Any) -> bool:
    """Whether an instance before this one is about to launch the run; False if Airflow's database cannot be asked."""
    with contextlib.suppress(Exception):
        return task.map_index > 0 and bool(facts.has_waiting_sibling(task, operator.lt))
    return False


def _is_shared(task: Any) -> bool:
    """Whether another instance of a mapped task waits for the run; False if Airflow's database cannot be asked.

    Instances that are killed together see each other waiting. So an instance leaves the run to any of a higher index at
    once, and the highest gives the others time to end.
    """
    with contextlib.suppress(Exception):
        if task.map_index < 0:
            return False
        until = time.monotonic() + SIBLING_KILL_SECONDS
        while facts.has_waiting_sibling(task):
            if facts.has_waiting_sibling(task, operator.gt) or time.monotonic() >= until:
                return True
            time.sleep(0.5)
    return False


def _task_instance_tags(context: Any) -> dict[str, str]:
    """Raises AirflowException for an instance of a mapped task that Airflow has begun to run itself."""
    task = context["task_instance"]
    # Airflow adds the tries so far to max_tries when a task is cleared, and never otherwise.
    before = task.max_tries - (context["task"].retries or 0)
    if task.map_index >= 0:
        instances = facts.instances_of(task, context["dag_run"])
        refuse_begun(task, instances)
        # Not without the retries: the observer sees max_tries only.
        before = sum(one.max_tries for one in instances)
    return {
        MAP_INDEX_TAG: "-1",
        **({PASSES_ON_SKIPS_TAG: PASSES_ON_EACH} if task.map_index >= 0 else {}),
        TRY_TAG: str(task.try_number),
        TASK_INSTANCE_TAG: _name_of(task),
        ROUND_TAG: f"{facts.identity_of_run(context['dag_run'])}.{before}",
        UPSTREAM_TAG: _upstream_ended(context),
    }


def _upstream_ended(context: Any) -> str:
    """When the last of the upstream tasks ended, by Airflow's clock; empty if there is none, and never the same if that
    cannot be learned."""
    before = context["task"].get_flat_relative_ids(upstream=True)
    if not before:
        return ""
    ends = facts.ends_of(context, before)
    if ends is None:
        return f"not known {uuid.uuid4().hex}"
    return max(ends).isoformat() if ends else ""
