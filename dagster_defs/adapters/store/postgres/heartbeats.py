"""Signs of life of runs, a row for each step that is at work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dagster_defs.adapters.store.postgres.schema import check_version
from dagster_defs.adapters.store.postgres.session import SCHEMA, Address, transaction
from dagster_defs.adapters.store.seam import Heartbeat, first_count

_ROW = f"{SCHEMA}.heartbeats"
_BEAT = f"""
insert into {_ROW} as known (run_id, unit, count) values (%(run)s, %(unit)s, %(first)s)
on conflict (run_id, unit) do update set count = known.count + 1, beat_at = clock_timestamp() where not known.lost
"""  # noqa: S608 - the names are constants
_LOSE = f"""
update {_ROW} set lost = true where run_id = %(run)s and unit = %(unit)s and count = %(count)s and not lost
"""  # noqa: S608 - the names are constants


@dataclass(frozen=True)
class HeartbeatRows:
    address: Address

    def beat(self, run_id: str, unit: str) -> bool:
        with self._session() as cursor:
            cursor.execute(_BEAT, {"run": run_id, "unit": unit, "first": first_count()})
            return bool(cursor.rowcount)

    def rest(self, run_id: str, unit: str) -> None:
        with self._session() as cursor:
            cursor.execute(f"delete from {_ROW} where run_id = %s and unit = %s", (run_id, unit))  # noqa: S608 - a constant

    def all(self) -> Sequence[Heartbeat]:
        with self._session(writes=False) as cursor:
            cursor.execute(f"select run_id, unit, count, lost from {_ROW} order by run_id, unit")  # noqa: S608 - a constant
            return [Heartbeat(*row) for row in cursor.fetchall()]

    def declare_lost(self, heartbeat: Heartbeat) -> bool:
        with self._session() as cursor:
            cursor.execute(_LOSE, {"run": heartbeat.run_id, "unit": heartbeat.unit, "count": heartbeat.count})
            return bool(cursor.rowcount)

    @contextmanager
    def _session(self, *, writes: bool = True) -> Iterator[Any]:
        with transaction(self.address, writes=writes) as cursor:
            check_version(cursor, self.address)
            yield cursor
