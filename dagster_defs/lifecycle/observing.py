"""How far Airflow has been observed: nothing is reported twice, and nothing is skipped.

Airflow's list of task instances is unordered, and rows arrive while it is read. So it is read in slices of time, each
small enough for one answer. A *round* goes from what is settled to the present, in as many ticks as it takes. Airflow
commits an end date a little after it has passed, so the last minutes are read again in the next round, and what was
reported about them is remembered.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import blake2b

from dagster_defs.older_python import datetime_of

# Without news, the clock alone settles: otherwise a burst would be read again forever. Dagster's clock is not
# Airflow's.
SETTLED = timedelta(minutes=10)
FIRST_LOOK = timedelta(days=1)
INSTANT = timedelta(microseconds=1)  # the resolution of Airflow's databases
_LETTERS = 11  # of a digest: 64 bits


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that one tick may do; the rest is left for the next. A single task may bring more events than are
    left."""

    tasks: int = 500
    events: int = 1_000
    seconds: float = 20


@dataclass(frozen=True, slots=True)
class Cursor:
    """`settled`: whatever ended before it is never requested again. `reached`: this round has read up to there.

    `ceiling`: the clock when the round began; None between rounds. `latest`: the latest end ever seen. `width`: of the
    next slice; None: it is open-ended. `told`: digests of what was reported since `settled`, by the minute of its end:
    some 11 bytes per task.
    """

    settled: datetime
    reached: datetime
    ceiling: datetime | None = None
    latest: datetime | None = None
    width: timedelta | None = None
    told: Mapping[int, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def first(cls, now: datetime) -> Cursor:
        first = _plain(now) - FIRST_LOOK
        return cls(first, first)

    @classmethod
    def read(cls, text: str) -> Cursor:
        stored = json.loads(text)
        reported = {
            int(minute): frozenset(digests[at : at + _LETTERS] for at in range(0, len(digests), _LETTERS))
            for minute, digests in stored["told"].items()
        }
        settled, reached, ceiling, latest = (
            None if stored[name] is None else datetime_of(stored[name])
            for name in ("settled", "reached", "ceiling", "latest")
        )
        assert settled  # noqa: S101 - only `ceiling` and `latest` may be missing, see `write`
        assert reached  # noqa: S101 - see above
        width = stored["width"]
        return cls(settled, reached, ceiling, latest, None if width is None else INSTANT * width, reported)

    def write(self) -> str:
        instants = {
            "settled": self.settled.isoformat(),
            "reached": self.reached.isoformat(),
            "ceiling": self.ceiling and self.ceiling.isoformat(),
            "latest": self.latest and self.latest.isoformat(),
        }
        reported = {str(minute): "".join(sorted(digests)) for minute, digests in sorted(self.told.items())}
        width = self.width and self.width // INSTANT
        return json.dumps({**instants, "width": width, "told": reported})

    def begun(self, now: datetime) -> Cursor:
        """In a round: the one that an earlier tick has not finished, or a new one."""
        return self if self.ceiling else replace(self, reached=self.settled, ceiling=_plain(now))

    def knows(self, identity: str, end: datetime) -> bool:
        return digest(identity) in self.told.get(_minute(end), ())

    def telling(self, tasks: Iterable[tuple[str, datetime]]) -> Cursor:
        """With these tasks reported, each given by an identity and its end."""
        reported, latest = dict(self.told), self.latest
        for identity, end in tasks:
            reported[_minute(end)] = reported.get(_minute(end), frozenset()) | {digest(identity)}
            latest = max(latest or _plain(end), _plain(end))
        return replace(self, told=reported, latest=latest)

    def passing(self, before: datetime, overlap: timedelta) -> Cursor:
        """With everything reported that had ended before this instant when it was read. `overlap`: how long after its
        end a task may become visible."""
        assert self.ceiling  # noqa: S101 - only a round passes anything
        settled = before if before <= self.ceiling - overlap else self.settled
        return replace(self, reached=before)._settling(settled)

    def arrived(self, overlap: timedelta) -> Cursor:
        """With the round finished; `overlap` as in `passing`.

        A round may take many ticks: only what ended before it began can be settled."""
        assert self.ceiling  # noqa: S101 - only a round arrives
        seen = self.settled if self.latest is None else min(self.latest, self.ceiling) - overlap
        ended = self._settling(max(seen, self.ceiling - SETTLED))
        return replace(ended, reached=ended.settled, ceiling=None)

    def _settling(self, settled: datetime) -> Cursor:
        settled = max(self.settled, settled)
        reported = {minute: digests for minute, digests in self.told.items() if minute >= _minute(settled)}
        return replace(self, settled=settled, told=reported)


def fitting(width: timedelta, events: int, page: int) -> timedelta:
    """A width whose tasks should fit on a page, given that a slice of this width had `found` tasks; at least an
    instant."""
    return max(INSTANT, width * min(8, 0.8 * page / max(events, 1)))


def digest(text: str) -> str:
    return b64encode(blake2b(text.encode(), digest_size=8).digest()).decode().rstrip("=")


def _plain(instant: datetime) -> datetime:
    """Without pendulum's own type, whose durations cannot be divided by the standard library's."""
    return datetime_of(instant.isoformat())


def _minute(end: datetime) -> int:
    return int(end.timestamp()) // 60
