"""Who wrote each window of a unit, as Dagster's event log has it: read once for each asset, not for each window."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dagster_defs.adapters.dagster.api import address_of_run
from dagster_defs.adapters.dagster.event_log import WindowEvent, instant, pages
from dagster_defs.adapters.dagster.evidence import instance_at
from dagster_defs.adapters.dagster.mirrors import legacy_keys
from dagster_defs.adapters.dagster.runs import PlannedAssets
from dagster_defs.errors import EvidenceUnreadable, ParityError
from dagster_defs.lifecycle import Owner, Unit, tags
from dagster_defs.lifecycle.continuity import continuity, spans_by_owner
from dagster_defs.lifecycle.ledger import Kind
from dagster_defs.lifecycle.written import Continuity, Span, Unwritten, Wrote
from dagster_defs.settings import Settings
from dagster_defs.usecases.move.facts import OnRecord, read_record
from dagster_defs.windows import PartitionedSchedule

if TYPE_CHECKING:
    import dagster as dg

PAGE = 1_000  # events of one asset, or runs, that are asked for at once
RUNS = 200  # of a unit that did not succeed, the newest, that are looked at


def continuity_of(
    settings: Settings,
    units: Iterable[Unit],
    now: datetime,
    *,
    record: OnRecord | None = None,
    only: Mapping[Unit, Collection[str]] | None = None,
) -> dict[Unit, Continuity] | None:
    """Of each unit that is mirrored; `only`: nothing is said of other windows. None without an event log at hand.

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
    """The windows that each orchestrator has written since then. Empty without an event log at hand, and where they
    cannot be told, as of a unit that nothing mirrors."""
    with _log_at_hand(settings) as log:
        if log is None:
            return {}
        record = read_record(settings)
        if unit not in record.mirrors:
            return {}
        writes = [
            one for one in log.writes(legacy_keys(record.mirrors).get(unit, ()), since) if one.when >= since
        ]
        try:
            return spans_by_owner(record.mirrors[unit].partitions, writes, now or datetime.now(UTC))
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
    if not keys:
        try:
            mirror.declared()
        except ParityError as error:
            return Continuity(unit, owner, problem=f"nobody knows which assets it writes: {error}")
        return Continuity(unit, owner, nothing_to_write=True)
    entries = record.history(unit).entries
    backfills = {entry.id for entry in entries if entry.kind is Kind.BACKFILLED}
    return continuity(
        unit,
        owner,
        mirror.partitions,
        log.writes(keys, backfills=backfills),
        enrolled=entries[0].at if entries else None,
        now=now,
        unwritten=_newest(log.told(keys[0]), log.unfinished(unit, mirror.partitions, keys)),
        only=only,
    )


@contextmanager
def _log_at_hand(settings: Settings) -> Iterator[WritesLog | None]:
    """The event log of DAGSTER_HOME; None without one. Raises EvidenceUnreadable."""
    home = settings.dagster_home
    if home is None:
        yield None
        return
    with instance_at(home) as instance:
        try:
            yield WritesLog(instance, settings)
        except ParityError:
            raise
        except Exception as error:  # the storages have no common base for what can be wrong with them
            said = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise EvidenceUnreadable(home, said) from error


@dataclass
class _Write:
    """One run's materializations of one partition, while they are read."""

    partition: str
    airflow_run: str
    dagster_run: str
    address: str
    at: datetime
    began: datetime | None = None
    ended: datetime | None = None
    assets: set[str] = field(default_factory=set)

    def add(self, asset: str, event: WindowEvent) -> None:
        """Of a mapped task each instance tells of the same run: it began with the first and ended with the last."""
        self.assets.add(asset)
        self.at = max(self.at, event.at)
        if event.began and event.ended:
            self.began = min(self.began or event.began, event.began)
            self.ended = max(self.ended or event.ended, event.ended)


@dataclass(frozen=True)
class WritesLog:
    """Dagster's event log, as far as a unit's own assets are asked for."""

    instance: dg.DagsterInstance
    settings: Settings

    def writes(
        self,
        keys: Sequence[dg.AssetKey],
        since: datetime | None = None,
        *,
        backfills: Collection[str] | None = None,
    ) -> list[Wrote]:
        """What runs have written of these assets, one for each run and partition; memory for these only.

        `backfills`: ids of the ledger's entries; a run that names another one was asked for by nobody. None: without a
        ledger at hand, a run is believed.

        A Dagster run over several partitions has written each of them. What was reported without a run and without a
        word of the observer's, as by hand in Dagster's UI, was written outside of Dagster, and counts as Airflow's.
        """
        import dagster as dg

        found: dict[tuple[str, str, str], _Write] = {}
        for key in keys:
            wanted = dg.AssetRecordsFilter(
                asset_key=key, after_timestamp=since.timestamp() if since else None
            )
            for record in pages(self.instance.fetch_materializations, wanted, PAGE):
                if (partition := record.partition_key) is None:
                    continue
                event = WindowEvent.of(record)
                airflow_run = "" if event.run_id else event.airflow_run
                one = found.setdefault(
                    (partition, event.run_id or airflow_run, event.airflow_try),
                    _Write(partition, airflow_run, event.run_id, event.address, event.at),
                )
                one.add(key.to_user_string(), event)
        runs = self._runs({one.dagster_run for one in found.values() if one.dagster_run})
        return [
            _wrote(one, runs.get(one.dagster_run), backfills, self.settings.dagster_url)
            for one in found.values()
        ]

    def told(self, key: dg.AssetKey) -> dict[str, Unwritten]:
        """What the observer has told last of tasks of Airflow's that wrote nothing, by partition."""
        import dagster as dg

        found: dict[str, Unwritten] = {}
        for record in pages(self.instance.fetch_observations, dg.AssetRecordsFilter(asset_key=key), PAGE):
            event = WindowEvent.of(record)
            if event.partition and event.state:
                why, skipped = event.description or event.state, event.state == "skipped"
                found.setdefault(event.partition, Unwritten(why, skipped=skipped, at=event.at))
        return found

    def unfinished(
        self, unit: Unit, partitions: PartitionedSchedule, keys: Collection[dg.AssetKey] = ()
    ) -> dict[str, Unwritten]:
        """The newest runs of the unit in Dagster that have failed, or have not ended, by partition.

        `keys`: its assets, for runs that were started from their pages.
        """
        import dagster as dg
        from dagster._core.definitions.assets.job.asset_job import IMPLICIT_ASSET_JOB_NAME
        from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

        failed = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
        # A run of the unit's own job, or of the one that runs its whole DAG once that is retired.
        statuses = [*failed, *NOT_FINISHED_STATUSES]
        asked = [
            dg.RunsFilter(tags={tags.UNIT: str(unit), tags.SIDE: "legacy"}, statuses=statuses),
            dg.RunsFilter(tags={tags.DAG: unit.dag_id}, statuses=statuses),
            dg.RunsFilter(job_name=IMPLICIT_ASSET_JOB_NAME, statuses=statuses),
        ]
        planned, own = PlannedAssets(self.instance), set(keys)
        records = {
            record.storage_id: record
            for wanted in asked
            for record in self.instance.get_run_records(wanted, limit=RUNS)
            if wanted.job_name is None or own & set(planned.of(record.dagster_run) or ())
        }
        found: dict[str, Unwritten] = {}
        for record in sorted(records.values(), key=lambda one: one.create_timestamp, reverse=True):
            run, ended = record.dagster_run, "has not ended"
            if refused := run.tags.get(tags.REFUSED):
                ended = f"was refused ({refused})"
            elif run.is_finished:
                ended = "has failed" if run.status is failed[0] else "was cancelled"
            told = Unwritten(
                f"Dagster run {run.run_id[:8]} {ended}", live=not run.is_finished, at=record.create_timestamp
            )
            for partition in _partitions_of(run, partitions):
                found.setdefault(partition, told)
        return found

    def _runs(self, run_ids: Collection[str]) -> dict[str, dg.RunRecord]:
        import dagster as dg

        wanted = sorted(run_ids)
        return {
            record.dagster_run.run_id: record
            for start in range(0, len(wanted), PAGE)
            for record in self.instance.get_run_records(dg.RunsFilter(run_ids=wanted[start : start + PAGE]))
        }


def _wrote(
    one: _Write, record: dg.RunRecord | None, backfills: Collection[str] | None, dagster_url: str
) -> Wrote:
    at, assets = one.at, frozenset(one.assets)
    if not one.dagster_run:
        return Wrote(
            Owner.AIRFLOW,
            one.partition,
            at,
            one.airflow_run,
            one.airflow_run,
            one.began,
            one.ended,
            assets,
            one.address,
        )
    wrote = Wrote(Owner.DAGSTER, one.partition, at, one.dagster_run, one.dagster_run, None, None, assets)
    if record is None:  # somebody has deleted the run, and not what it wrote
        return wrote
    run = record.dagster_run
    return Wrote(
        Owner.DAGSTER,
        one.partition,
        at,
        run.run_id,
        # A try of a proxied task is a run of its own; a try that Dagster makes has the first one as its root.
        run.tags.get(tags.AIRFLOW_RUN) or run.root_run_id or run.run_id,
        instant(record.start_time) if record.start_time else record.create_timestamp,
        instant(record.end_time) if record.end_time else None,
        assets,
        address_of_run(dagster_url, run.run_id),
        live=not run.is_finished,
        asked=_is_asked(run, backfills),
    )


def _is_asked(run: dg.DagsterRun, backfills: Collection[str] | None) -> bool:
    """An entry of the ledger is for the run that was launched for it, not for one that was executed again from that."""
    named = run.tags.get(tags.BACKFILL)
    return named is not None and (backfills is None or named in backfills) and not run.parent_run_id


def _partitions_of(run: dg.DagsterRun, partitions: PartitionedSchedule) -> Sequence[str]:
    """Of one partition, of a stretch of them, or of none that the schedule has."""
    if tags.PARTITION in run.tags:
        return [run.tags[tags.PARTITION]]
    first, last = run.tags.get(tags.RANGE_START), run.tags.get(tags.RANGE_END)
    if not first or not last:
        return ()
    try:
        return [partitions.key_of(window) for window in partitions.windows_between(first, last)]
    except ParityError:
        return ()


def _newest(*told: Mapping[str, Unwritten]) -> dict[str, Unwritten]:
    """What was told last of each partition, by whomever."""
    found: dict[str, Unwritten] = {}
    for partition, one in (item for each in told for item in each.items()):
        other = found.get(partition)
        if other is None or (one.at and other.at and one.at > other.at):
            found[partition] = one
    return found
