"""Who moves a unit: a row that its holder renews, and that anybody may take once the database's clock says it is over.

A row survives a transaction pooler, which a session's lock does not. A holder that was frozen and comes back still
believes in its lease, so each of its writes shows the token of the row, which the next holder has changed.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dagster_defs.adapters.store.postgres.session import SCHEMA, Address, transaction
from dagster_defs.errors import LeaseLost, ParityError
from dagster_defs.lifecycle import Unit

SECONDS = 30.0  # after which a lease that nobody renews is over
_ROW = f"{SCHEMA}.leases"
# What takes over at that moment is decided by the database's clock alone.
_TAKE = f"""
insert into {_ROW} as held (unit, token, holder, taken_at, expires_at)
values (%(unit)s, 1, %(holder)s, clock_timestamp(), clock_timestamp() + %(seconds)s * interval '1 second')
on conflict (unit) do update
set token = held.token + 1, holder = excluded.holder, taken_at = excluded.taken_at, expires_at = excluded.expires_at
where held.expires_at <= clock_timestamp()
returning token
"""  # noqa: S608 - the names are constants
_RENEW = f"""
update {_ROW} set expires_at = clock_timestamp() + %(seconds)s * interval '1 second'
where unit = %(unit)s and token = %(token)s and expires_at <> '-infinity'
"""  # noqa: S608 - the names are constants
_RETURN = f"""
update {_ROW} set expires_at = '-infinity' where unit = %(unit)s and token = %(token)s
"""  # noqa: S608 - the names are constants
# An append outside a move has no lease: it locks the row, so that no move begins until it is committed.
_RESERVE = f"""
insert into {_ROW} (unit, token, holder, taken_at, expires_at)
values (%(unit)s, 0, '', clock_timestamp(), '-infinity') on conflict (unit) do nothing
"""  # noqa: S608 - the names are constants
_HOLDER = f"""
select holder, taken_at, expires_at > clock_timestamp() from {_ROW} where unit = %(unit)s
"""  # noqa: S608 - the names are constants


@dataclass(frozen=True, slots=True)
class Holder:
    who: str
    since: datetime


@dataclass
class Leases:
    """Those that this process holds. A thread renews them as long as there are any."""

    address: Address
    seconds: float = SECONDS
    _tokens: dict[Unit, int] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _renewing: threading.Thread | None = None

    def take(self, cursor: Any, unit: Unit, who: str) -> int | None:
        """The token, or None while somebody else has the unit. It counts once the transaction is committed."""
        cursor.execute(_TAKE, {"unit": str(unit), "holder": who, "seconds": self.seconds})
        row = cursor.fetchone()
        return None if row is None else int(row[0])

    def hold(self, unit: Unit, token: int) -> None:
        """Renew the lease from now on."""
        with self._changed:
            self._tokens[unit] = token
            if self._renewing is None or not self._renewing.is_alive():
                self._renewing = threading.Thread(target=self._renew_all, name="parity-leases", daemon=True)
                self._renewing.start()

    def give_back(self, unit: Unit) -> None:
        """If the store does not answer, the lease ends by itself."""
        with self._changed:
            token = self._tokens.pop(unit)
            self._changed.notify_all()
        with suppress(ParityError), transaction(self.address, writes=True) as cursor:
            cursor.execute(_RETURN, {"unit": str(unit), "token": token})

    def guard(self, cursor: Any, unit: Unit) -> Holder | None:
        """Lock the unit's row until the transaction ends; returns who else is moving the unit.

        Raises LeaseLost if this process believed that it was moving it.
        """
        token = self._tokens.get(unit)
        if token is None:
            cursor.execute(_RESERVE, {"unit": str(unit)})
            return holder_of(cursor, unit, lock=True)
        # A lease that is over and that nobody has taken is renewed: no other move has begun.
        cursor.execute(_RENEW, {"unit": str(unit), "token": token, "seconds": self.seconds})
        if cursor.rowcount != 1:
            holder = holder_of(cursor, unit)
            raise LeaseLost(str(unit), holder.who if holder else "another command")
        return None

    def _renew_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait(self.seconds / 3)
                if not self._tokens:
                    self._renewing = None
                    return
                held = sorted(self._tokens.items())
            # What fails now is tried again; a lease that is lost is found out by the next write.
            with suppress(ParityError), transaction(self.address, writes=True) as cursor:
                for unit, token in held:
                    cursor.execute(_RENEW, {"unit": str(unit), "token": token, "seconds": self.seconds})


def holder_of(cursor: Any, unit: Unit, *, lock: bool = False) -> Holder | None:
    """Who is moving the unit; None if nobody is. `lock`: nobody begins to until the transaction ends."""
    cursor.execute(f"{_HOLDER} for update" if lock else _HOLDER, {"unit": str(unit)})
    row = cursor.fetchone()
    return Holder(row[0], row[1]) if row and row[2] else None


def holders(cursor: Any) -> list[tuple[str, Holder]]:
    """All units that are being moved, and by whom."""
    cursor.execute(
        f"select unit, holder, taken_at from {_ROW} where expires_at > clock_timestamp() order by unit"  # noqa: S608 - a constant
    )
    return [(unit, Holder(who, since)) for unit, who, since in cursor.fetchall()]
