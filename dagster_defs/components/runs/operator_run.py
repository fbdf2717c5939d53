"""One try of an operator in Airflow's environment, and its consequences for the Dagster run."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import dagster as dg

from dagster_defs.adapters.airflow.task_process import AirflowEnvironment
from dagster_defs.adapters.airflow.task_store import Attempt, WindowStore
from dagster_defs.components.runs.skips import pass_on
from dagster_defs.components.runs.window_records import OfLegacy, records_of_others
from dagster_defs.errors import LegacyTaskFailed, LegacyTaskRefused, TimedOut
from dagster_defs.lifecycle import Unit, tags
from dagster_defs.older_python import datetime_of
from dagster_defs.parity import Side
from dagster_defs.settings import Settings
from dagster_defs.windows import Moment, Occasion, Scheduled

#: Prefixes of the ids of Airflow runs that nobody triggered by hand, and that therefore have no `conf`.
SCHEDULED = ("scheduled__", "backfill__")
RESUMED = ("up_for_retry", "up_for_reschedule")


@dataclass(frozen=True)
class Place:
    """See AirflowEnvironment."""

    python: Path
    dags_folder: Path
    dag_file: str
    program: Path | None


@dataclass(frozen=True)
class OperatorRun:
    """`retry_delay`, `timeout`: in seconds."""

    context: dg.AssetExecutionContext
    unit: Unit
    side: Side
    window: Moment
    settings: Settings
    place: Place
    retries: int
    retry_delay: float
    timeout: float | None
    candidate: Mapping[str, str] | None
    """The isolation that keeps a candidate away from legacy's places; None for legacy itself."""
    of_legacy: OfLegacy | None = None

    @property
    def _store(self) -> WindowStore:
        return WindowStore.of(self.settings.task_store, self.side, self.unit.dag_id, self.window)

    @property
    def _said(self) -> Mapping[str, str]:
        return self.context.run.tags

    @property
    def _is_airflows(self) -> bool:
        """Whether Airflow's proxy launched the run: then Airflow retries it and reports failures."""
        return tags.AIRFLOW_TRY in self._said

    @property
    def _round(self) -> str:
        """The same for all tries of a task that Airflow makes from the same input, each with a run of its own."""
        if not self._is_airflows:
            return ""
        names = (tags.AIRFLOW_RUN, tags.AIRFLOW_ROUND, tags.AIRFLOW_UPSTREAM)
        return "|".join(self._said.get(name, "") for name in names)

    def once(self) -> str:
        """Run the operator once; returns Airflow's state, `success` or `skipped`.

        Raises RetryRequested for a further try, and for a sensor that pokes again later and frees the step's slot until
        then; LegacyTaskFailed; LegacyTaskRefused if nothing was run; TimedOut; TaskStoreUnreadable.
        """
        store, run_id = self._store, self.context.run.run_id
        before = store.attempt(self.unit)
        if (
            before is not None
            and before.round
            and before.round == self._round
            and _is_to_repeat(before.record)
        ):
            before = _to_repeat(before)
        elif before is not None and (before.run_id != run_id or before.record["state"] not in RESUMED):
            before = None
        failures = before.failures if before else 0
        record = self._run(before, failures)
        state = str(record["state"])
        failures += state in ("up_for_retry", "failed")
        store.keep(self.unit, Attempt(run_id, failures, record, self._round))
        self.context.log.info(f"{self.unit} {self.side.value}: {self.window} has the Airflow state {state}")
        if state == "up_for_reschedule":
            raise dg.RetryRequested(self.context.retry_number + 1, self._seconds_until(record))
        if state in ("success", "skipped"):
            if self._is_airflows:
                self._pass_on(state, record)
            return state
        reason = "; ".join(
            dict.fromkeys(instance["error"] for instance in record["instances"] if instance["error"])
        )
        failed = LegacyTaskFailed(str(self.unit), state, reason, final=state != "up_for_retry")
        if state == "up_for_retry" and not self._is_airflows:
            self.context.log.warning(f"try {failures} of {self.retries + 1} failed: {reason}")
            raise dg.RetryRequested(self.context.retry_number + 1, self.retry_delay) from failed
        raise failed

    def asked(self) -> bool:
        """Whether Airflow's trigger rules let the task run in the window; its operator is not run here.

        Tasks below one that is skipped read that from the store. Raises LegacyTaskRefused if the rules cannot say, or
        say that it has to wait; LegacyTaskFailed if something above it has failed.
        """
        record = self._run(None, 0, asks=True)
        state = str(record["state"])
        if state in ("", "skipped"):
            if state:
                self._store.keep(self.unit, Attempt(self.context.run.run_id, 0, record))
            else:
                self._store.forget(self.unit)
            return not state
        reason = "Airflow's trigger rules do not let it run"
        raise LegacyTaskFailed(str(self.unit), state, reason, final=True)

    def _run(self, before: Attempt | None, failures: int, *, asks: bool = False) -> Mapping[str, Any]:
        """The record of the task that Airflow's engine has run, or of one whose rules were asked.

        Raises LegacyTaskRefused also for a task whose turn it is not.
        """
        known = records_of_others(self.context, self.unit, self._store, self.settings, self.of_legacy)
        if before is not None:
            known[self.unit.task_id] = before.record
        request = {
            "dag_id": self.unit.dag_id,
            "task_id": self.unit.task_id,
            **self._dag_run(),
            "try_number": int(self._said[tags.AIRFLOW_TRY]) if self._is_airflows else failures + 1,
            "max_tries": None if self._is_airflows else self.retries,
            "rules": not self._is_airflows,
            "candidate": None if self.candidate is None else sorted(self.candidate),
            "callbacks": self.side is Side.LEGACY and not self._is_airflows,
            "records": known,
            **({"asks": True} if asks else {}),
        }
        environment = AirflowEnvironment(
            self.place.python,
            self.place.dags_folder,
            self.place.dag_file,
            self.place.program,
            self.settings.task_store / "databases",
            self.settings.variables,
        )
        try:
            result = environment.run(request, say=self.context.log.info, limit=self.timeout)
        except TimedOut as error:
            if self._is_airflows or failures >= self.retries:
                raise
            failed = {"state": "up_for_retry", "instances": [], "skips": []}
            self._store.keep(self.unit, Attempt(self.context.run.run_id, failures + 1, failed))
            raise dg.RetryRequested(self.context.retry_number + 1, self.retry_delay) from error
        if waiting := result.get("waiting"):
            remedy = "First run what it waits for, for this window"
            raise LegacyTaskRefused(str(self.unit), f"it cannot run yet: {str(waiting).rstrip('.')}", remedy)
        record: Mapping[str, Any] = result["record"]
        return record

    def _dag_run(self) -> Mapping[str, Any]:
        """What Airflow's own run of the window, or the run that this one is about, is like."""
        moment = self.window
        if isinstance(moment, Occasion):
            if moment.logical_date is None or moment.start is None or moment.end is None:
                reason = f"{moment} has no logical date or no data interval, and Airflow 2 has no such run"
                raise LegacyTaskRefused(str(self.unit), reason, "Run it in Airflow")
            known = moment.as_json()
            return {name: known[name] for name in ("run_id", "logical_date", "start", "end", "conf")}
        self._refuse_unknown_conf()
        start = moment.start.isoformat()
        return {
            "run_id": self._said.get(tags.AIRFLOW_RUN) or f"scheduled__{start}",
            "logical_date": self._logical_date(moment),
            "start": start,
            "end": moment.end.isoformat(),
            "conf": {},
        }

    def _refuse_unknown_conf(self) -> None:
        """Raises LegacyTaskRefused for an Airflow run that may have been triggered with a `conf`."""
        run_id = self._said.get(tags.AIRFLOW_RUN, "")
        if (self._is_airflows or run_id) and not run_id.startswith(SCHEDULED):
            reason = f"Airflow's run {run_id!r} was not scheduled, and its conf is not available here"
            remedy = "Run its partition from Dagster, or roll the unit back and run it in Airflow"
            raise LegacyTaskRefused(str(self.unit), reason, remedy)

    def _logical_date(self, window: Scheduled) -> str:
        """The window's start for a scheduled run, the date in the run id for a backfill.

        Raises LegacyTaskRefused if the run id contains no date: then the logical date is unknown here.
        """
        run_id = self._said.get(tags.AIRFLOW_RUN, "")
        kind, _, text = run_id.partition("__")
        if not run_id or kind == "scheduled":
            return window.start.isoformat()
        try:
            return datetime_of(text).isoformat()
        except ValueError as error:
            reason = f"the logical date of Airflow's run {run_id!r} is not in its id"
            raise LegacyTaskRefused(str(self.unit), reason, "Run its partition from Dagster") from error

    def _pass_on(self, state: str, record: Mapping[str, Any]) -> None:
        """Raises LegacyTaskFailed if Airflow's own tasks would run as after a success, although they are skipped.

        Only proxies of all instances can pass on that some instances of a mapped task are skipped and some are not.
        """
        indices = [str(one["map_index"]) for one in record["instances"] if one["state"] == "skipped"]
        if state != "skipped" and indices:
            if self._said.get(tags.PASSES_ON_SKIPS) != tags.PASSES_ON_EACH:
                skipped = ", ".join(f"{self.unit.task_id}[{index}]" for index in indices)
                reason = f"it skips {skipped}, and one proxy for all instances cannot pass that on"
                raise LegacyTaskFailed(str(self.unit), state, reason, final=True)
            run_tags = {tags.SKIPPED_INDICES: ",".join(indices)}
            self.context.instance.add_run_tags(self.context.run.run_id, run_tags)
        if not pass_on(self.context, state, record["skips"]):
            skipped = ", ".join(record["skips"]) or self.unit.task_id
            reason = (
                f"it skips {skipped}, and this proxy of Airflow's cannot pass that on: update handover/ there"
            )
            raise LegacyTaskFailed(str(self.unit), state, reason, final=True)

    def _seconds_until(self, record: Mapping[str, Any]) -> float:
        untils = [datetime_of(instance["until"]) for instance in record["instances"] if instance["until"]]
        return max(0.0, (min(untils) - datetime.now(timezone.utc)).total_seconds())


def _is_to_repeat(record: Mapping[str, Any]) -> bool:
    """Whether instances of a mapped task are left to repeat. Of one that is over, nothing would run."""
    return record["state"] not in ("success", "skipped") and any(
        one["map_index"] >= 0 for one in record["instances"]
    )


def _to_repeat(before: Attempt) -> Attempt:
    """The instances of a mapped task that have succeeded stay as they are; Airflow repeats the others only."""
    instances = [
        {**one, "state": "up_for_retry"} if one["state"] in ("failed", "upstream_failed") else one
        for one in before.record["instances"]
    ]
    return replace(before, record={**before.record, "instances": instances})
