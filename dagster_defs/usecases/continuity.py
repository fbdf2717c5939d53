"""Who wrote each window of a unit, according to Dagster's event log: read once per asset, not per window."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from dagster_defs.adapters.dagster.api import address_of_run
from dagster_defs.adapters.dagster.event_log import EventReader, WindowEvent, instant
from dagster_defs.adapters.dagster.evidence import instance_at
from dagster_defs.adapters.dagster.mirrors import legacy_keys
from dagster_defs.adapters.dagster.runs import PlannedAssets
from dagster_defs.errors import EvidenceUnreadable, ParityError
from dagster_defs.lifecycle import Owner, Unit, tags
from dagster_defs.lifecycle.continuity import continuity, event_continuity, skips_among, spans_by_owner
from dagster_defs.lifecycle.ledger import Kind
from dagster_defs.lifecycle.written import Continuity, Span, Unwritten, Wrote
from dagster_defs.settings import Settings
from dagster_defs.usecases.move.facts import OnRecord, read_record
from dagster_defs.windows import Partitions, Scheduled

if TYPE_CHECKING:
    import dagster as dg

PAGE = 1_000  # events of one asset, or runs, per request
RUNS = 200  # how many of a unit's newest unsuccessful runs are examined


def continuity_of(
    settings: Settings,
    units: Iterable[Unit],
    now: datetime,
    *,
    record: OnRecord | None = None,
    only: Mapping[Unit, Collection[str]] | None = None,
) -> dict[Unit, Continuity] | None:
    """The continuity of each mirrored unit; `only` restricts it to these windows. None without an event log.

    Raises EvidenceUnreadable, and what reading the mirrors, the marks and the ledger raises.
    """
    with _log_at_hand(settings) as log:
        if log is None:
            return None
        record = record or read_record(settings)
        keys = legacy_keys(record.mirrors)
        return {
            unit: _continuity(log, record, unit, keys.get(unit, ()), now, (only or {}).get(unit))
            for unit in units
            if unit in record.mirrors
        }


def windows_by_side(
    settings: Settings, unit: Unit, since: datetime, now: datetime | None = None
) -> Mapping[Owner, tuple[Span, ...]]:
    """The windows that each orchestrator has written since then. Empty without an event log, and where the windows
    cannot be determined, as for a unit without a mirror."""
    with _log_at_hand(settings) as log:
        if log is None:
            return {}
        record = read_record(settings)
        if unit not in record.mirrors:
            return {}
        writes = [
            write
            for write in log.writes(legacy_keys(record.mirrors).get(unit, ()), since)
            if write.when >= since
        ]
        try:
            return spans_by_owner(record.mirrors[unit].partitions, writes, now or datetime.now(timezone.utc))
        except ParityError:
            return {}


def _continuity(
    log: WritesLog,
    record: OnRecord,
    unit: Unit,
    keys: Sequence[dg.AssetKey],
    now: datetime,
    only: Collection[str] | None,
) -> Continuity:
    mirror, owner = record.mirrors[unit], record.state(unit).owner
    of_event = mirror.event is not None
    if not keys:
        try:
            mirror.declared()
        except ParityError as error:
            return Continuity(unit, owner, problem=f"it is unknown which assets it writes: {error}")
        return Continuity(unit, owner, nothing_to_write=True, of_event=of_event)
    entries = record.history(unit).entries
    enrolled = entries[0].at if entries else None
    if of_event:
        return event_continuity(unit, owner, log.writes(keys, of_event=True), enrolled=enrolled, only=only)
    writes = log.writes(keys, backfills={entry.id for entry in entries if entry.kind is Kind.BACKFILLED})
    return continuity(
        unit,
        owner,
        mirror.partitions,
        writes,
        enrolled=enrolled,
        now=now,
        unwritten=_newest(
            log.latest_observations(keys[0]),
            log.unfinished(unit, mirror.partitions, keys),
            skips_among(writes),
        ),
        only=only,
    )


@contextmanager
def _log_at_hand(settings: Settings) -> Iterator[WritesLog | None]:
    """The event log in DAGSTER_HOME; None without one. Raises EvidenceUnreadable."""
    home = settings.dagster_home
    if home is None:
        yield None
        return
    with instance_at(home) as instance:
        try:
            yield WritesLog(instance, settings)
        except ParityError:
            raise
        except Exception as error:  # Dagster's storages have no common base class for their errors
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise EvidenceUnreadable(home, reason) from error


@dataclass
class _Write:
    """Accumulates one run's materializations of one partition."""

    partition: str
    airflow_run: str
    dagster_run: str
    address: str
    at: datetime
    began: datetime | None = None
    ended: datetime | None = None
    assets: set[str] = field(default_factory=set)
    skipped: bool = True

    def add(self, asset: str, event: WindowEvent) -> None:
        """The instances of a mapped task are one run, which began with the first and ended with the last."""
        self.assets.add(asset)
        self.skipped = self.skipped and event.is_skip
        self.at = max(self.at, event.at)
        if event.began and event.ended:
            self.began = min(self.began or event.began, event.began)
            self.ended = max(self.ended or event.ended, event.ended)


@dataclass(frozen=True)
class WritesLog:
    """The part of Dagster's event log about a unit's own assets."""

    instance: dg.DagsterInstance
    settings: Settings

    def writes(
        self,
        keys: Sequence[dg.AssetKey],
        since: datetime | None = None,
        *,
        backfills: Collection[str] | None = None,
        of_event: bool = False,
    ) -> list[Wrote]:
        """One record for each run and partition that wrote any of these assets; only these are kept in memory.

        `of_event`: of a DAG without a clock, whose runs' ids take the place of partitions.

        `backfills`: ids of the ledger's entries; a run with any other id was not requested. None: no ledger to check
        against, so every run is believed.

        A Dagster run over several partitions wrote each of them. A materialization that names neither a run nor an
        observation, such as one reported by hand in Dagster's UI, was written outside Dagster and counts as Airflow's.
        """
        writes: dict[tuple[str, str, str], _Write] = {}
        for key in keys:
            for event in EventReader(self.instance).materializations(key, since=since):
                if not (partition := event.airflow_run if of_event else event.partition):
                    continue
                airflow_run = "" if event.run_id else event.airflow_run
                write = writes.setdefault(
                    (partition, event.run_id or airflow_run, event.airflow_try),
                    _Write(partition, airflow_run, event.run_id, event.address, event.at),
                )
                write.add(key.to_user_string(), event)
        runs = self._runs({write.dagster_run for write in writes.values() if write.dagster_run})
        return [
            _wrote(write, runs.get(write.dagster_run), backfills, self.settings.dagster_url)
            for write in writes.values()
        ]

    def latest_observations(self, key: dg.AssetKey) -> dict[str, Unwritten]:
        """The observer's latest note on an Airflow task that wrote nothing, by partition."""
        latest: dict[str, Unwritten] = {}
        for event in EventReader(self.instance).observations(key):
            if event.partition and event.state:
                why = event.description or event.state
                latest.setdefault(event.partition, Unwritten(why, skipped=event.is_skip, at=event.at))
        return latest

    def unfinished(
        self, unit: Unit, partitions: Partitions[Scheduled], keys: Collection[dg.AssetKey] = ()
    ) -> dict[str, Unwritten]:
        """The unit's newest Dagster runs that have failed or not ended, by partition.

        `keys`: the unit's assets, to recognise runs started from their pages in the UI.
        """
        import dagster as dg
        from dagster._core.definitions.assets.job.asset_job import IMPLICIT_ASSET_JOB_NAME
        from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

        failed = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
        # A run of the unit's own job, or of the job that runs the whole DAG once it is retired.
        statuses = [*failed, *NOT_FINISHED_STATUSES]
        filters = [
            dg.RunsFilter(tags={tags.UNIT: str(unit), tags.SIDE: "legacy"}, statuses=statuses),
            dg.RunsFilter(tags={tags.DAG: unit.dag_id}, statuses=statuses),
            dg.RunsFilter(job_name=IMPLICIT_ASSET_JOB_NAME, statuses=statuses),
        ]
        planned, own = PlannedAssets(self.instance), set(keys)
        records = {
            record.storage_id: record
            for runs_filter in filters
            for record in self.instance.get_run_records(runs_filter, limit=RUNS)
            if runs_filter.job_name is None or own & set(planned.of(record.dagster_run) or ())
        }
        latest: dict[str, Unwritten] = {}
        for record in sorted(records.values(), key=lambda each: each.create_timestamp, reverse=True):
            run, ended = record.dagster_run, "has not ended"
            if refused := run.tags.get(tags.REFUSED):
                ended = f"was refused ({refused})"
            elif run.is_finished:
                ended = "has failed" if run.status is failed[0] else "was cancelled"
            unfinished = Unwritten(
                f"Dagster run {run.run_id[:8]} {ended}", live=not run.is_finished, at=record.create_timestamp
            )
            for partition in _partitions_of(run, partitions):
                latest.setdefault(partition, unfinished)
        return latest

    def _runs(self, run_ids: Collection[str]) -> dict[str, dg.RunRecord]:
        import dagster as dg

        ids = sorted(run_ids)
        return {
            record.dagster_run.run_id: record
            for start in range(0, len(ids), PAGE)
            for record in self.instance.get_run_records(dg.RunsFilter(run_ids=ids[start : start + PAGE]))
        }


def _wrote(
    write: _Write, record: dg.RunRecord | None, backfills: Collection[str] | None, dagster_url: str
) -> Wrote:
    at, assets = write.at, frozenset(write.assets)
    if not write.dagster_run:
        return Wrote(
            Owner.AIRFLOW,
            write.partition,
            at,
            write.airflow_run,
            write.airflow_run,
            write.began,
            write.ended,
            assets,
            write.address,
        )
    if record is None:  # the run was deleted, but not what it wrote
        run_id = write.dagster_run
        return Wrote(Owner.DAGSTER, write.partition, at, run_id, run_id, assets=assets, skipped=write.skipped)
    run = record.dagster_run
    return Wrote(
        Owner.DAGSTER,
        write.partition,
        at,
        run.run_id,
        # Each try of a proxied task is a separate run; a retry by Dagster has the first run as its root.
        run.tags.get(tags.AIRFLOW_RUN) or run.root_run_id or run.run_id,
        instant(record.start_time) if record.start_time else record.create_timestamp,
        instant(record.end_time) if record.end_time else None,
        assets,
        address_of_run(dagster_url, run.run_id),
        live=not run.is_finished,
        asked=_is_asked(run, backfills),
        skipped=write.skipped,
    )


def _is_asked(run: dg.DagsterRun, backfills: Collection[str] | None) -> bool:
    """A ledger entry authorizes the run that was launched for it, not a re-execution of that run."""
    entry = run.tags.get(tags.BACKFILL)
    return entry is not None and (backfills is None or entry in backfills) and not run.parent_run_id


def _partitions_of(run: dg.DagsterRun, partitions: Partitions[Scheduled]) -> Sequence[str]:
    """The run's partition or range of partitions; empty if the schedule has none of them."""
    if tags.PARTITION in run.tags:
        return [run.tags[tags.PARTITION]]
    first, last = run.tags.get(tags.RANGE_START), run.tags.get(tags.RANGE_END)
    if not first or not last:
        return ()
    try:
        return [partitions.key_of(window) for window in partitions.windows_between(first, last)]
    except ParityError:
        return ()


def _newest(*sources: Mapping[str, Unwritten]) -> dict[str, Unwritten]:
    """The latest record for each partition, from any of the sources."""
    newest: dict[str, Unwritten] = {}
    for partition, unwritten in (item for source in sources for item in source.items()):
        other = newest.get(partition)
        if other is None or (unwritten.at and other.at and unwritten.at > other.at):
            newest[partition] = unwritten
    return newest
