"""The timetables of Airflow 3.3 beside our boundaries, and what both Airflows do when the timetable of a DAG changes.

Airflow 3's triggers tick at the boundaries of the cron that data intervals have too: `align_to_next` of the DAG's
start, then one `next_boundary` after the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path

import pytest

from dagster_defs.errors import DoesNotAdvance
from dagster_defs.inventory.shifts import Run, Runs, change_at
from dagster_defs.windows import Schedule
from tests.support.estate import AIRFLOW3_PYTHON, AIRFLOW_PYTHON
from tests.support.timetables import Case, Kind, Outcome, Timetables, running_timetables
from tests.windows.test_oracle import CRONS, ZONES, spans

pytestmark = pytest.mark.airflow

MOST = 5_000
DAY = 86_400
SHARE = 29  # one in so many cases is in `make test`


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Timetables]:
    if not AIRFLOW3_PYTHON.exists():
        pytest.skip("no Airflow 3 environment here; `make test` makes it")
    with running_timetables(tmp_path_factory.mktemp("airflow3"), AIRFLOW3_PYTHON) as running:
        yield running


CASES = [
    Case(Kind.CRON, cron, zone, f"{start}T00:00:00", f"{until}T00:00:00", MOST)
    for cron, zone in product(CRONS, ZONES)
    for start, until in spans(cron, zone)
]


def ticks(*schedules: Schedule) -> tuple[list[datetime], bool]:
    """Those of a trigger, within the start and end that they share, and whether one came back to an earlier one.

    A trigger with several crons asks each of them for its next tick after the last tick of any of them, which may be at
    a time that is not the cron's own: across a clock change that is not the same as the ticks of all of them together.
    """
    found: list[datetime] = []
    [start], [end] = {one.start for one in schedules}, {one.end for one in schedules}
    tick = min(one.align_to_next(start) for one in schedules)
    while end is None or tick <= end:
        if found and tick <= found[-1]:
            return found, True
        found.append(tick)
        tick = min(one.next_boundary(tick) for one in schedules)
    return found, False


def windows(schedule: Schedule) -> tuple[list[tuple[datetime, datetime]], bool]:
    found: list[tuple[datetime, datetime]] = []
    walk = schedule.windows()
    while True:
        try:
            window = next(walk)
        except StopIteration:
            return found, False
        except DoesNotAdvance:
            return found, True
        found.append((window.start, window.end))


def compare(three: Timetables, cases: Sequence[Case]) -> Counter[str]:
    """Every run of every case, as each of Airflow 3.3's timetables for a cron schedules it."""
    seen: Counter[str] = Counter()
    for number, case in enumerate(cases):
        schedule = Schedule.of(str(case.schedule), case.timezone, case.start, case.end)
        theirs = three.walk(case)
        expected, stuck = windows(schedule)
        assert [(window.start, window.end) for window in theirs.windows] == expected, case
        # Where 2.11 comes back to time that it has covered, 3.3 may raise an error of its own.
        assert (theirs.outcome in (Outcome.STUCK, Outcome.RAISED)) == stuck, (case, theirs)
        assert theirs.outcome is not Outcome.RAISED or "did not advance past" in theirs.reason
        seen["data interval"] += len(expected)

        found, back = ticks(schedule)
        interval = (0, DAY, 7 * DAY)[number % 3]
        theirs = three.walk(replace(case, kind=Kind.CRON_TRIGGER, interval=interval))
        assert theirs.runs == tuple((tick - timedelta(seconds=interval), tick) for tick in found), case
        assert (theirs.outcome is Outcome.STUCK) == back, (case, theirs)
        seen["with interval" if interval else "trigger"] += len(found)

        theirs = three.walk(replace(case, kind=Kind.PARTITION))
        assert theirs.runs == tuple((tick, tick) for tick in found), case
        assert theirs.keys == tuple(
            tick.astimezone(schedule.zone).strftime("%Y-%m-%dT%H:%M:%S") for tick in found
        ), case
        seen["partition"] += len(found)

        other = cases[number - 1].schedule
        both = f"{case.schedule}|{other}"
        more, back = ticks(schedule, Schedule.of(str(other), case.timezone, case.start, case.end))
        theirs = three.walk(replace(case, kind=Kind.SEVERAL, schedule=both))
        assert theirs.runs == tuple((tick, tick) for tick in more), (case, both)
        assert (theirs.outcome is Outcome.STUCK) == back, (case, both, theirs)
        seen["several"] += len(theirs.runs)
    return seen


def test_a_share_of_the_schedules(three: Timetables) -> None:
    """Data intervals, triggers with and without interval, several crons and partitions, over clock changes."""
    seen = compare(three, CASES[::SHARE])
    print(dict(seen))  # noqa: T201 - shown with -s
    assert all(
        seen[kind] > 200 for kind in ("data interval", "trigger", "with interval", "several", "partition")
    )


@pytest.mark.thorough
def test_a_hundred_thousand_runs(three: Timetables) -> None:
    """The same for all of them."""
    seen = compare(three, CASES)
    print(dict(seen))  # noqa: T201 - shown with -s
    assert seen.total() > 100_000


@pytest.mark.parametrize("minutes", [15, 60, 6 * 60, 24 * 60, 7 * 24 * 60])
def test_deltas(three: Timetables, minutes: int) -> None:
    """A timedelta counts from the DAG's start, as interval and as trigger."""
    start, end = datetime(2024, 3, 8, 5, 7), datetime(2024, 3, 30)  # noqa: DTZ001 - wall clock, as in a DAG file
    case = Case(Kind.DELTA, minutes * 60, "UTC", start.isoformat(), end.isoformat(), MOST)
    schedule = Schedule.every(timedelta(minutes=minutes), start, end)
    expected, _ = windows(schedule)
    assert [(window.start, window.end) for window in three.walk(case).windows] == expected
    found, _ = ticks(schedule)
    theirs = three.walk(replace(case, kind=Kind.DELTA_TRIGGER, interval=3600))
    assert theirs.runs == tuple((tick - timedelta(hours=1), tick) for tick in found)


FLIPS = [
    (first, second)
    for first, second in product((Kind.CRON, Kind.CRON_TRIGGER), repeat=2)
    if first is not second
]


@pytest.mark.parametrize("version", ["airflow2", "airflow3"])
def test_the_run_after_a_change_of_the_timetable(version: str, tmp_path: Path) -> None:
    """Whichever way `create_cron_data_intervals` is flipped, and whenever, the next run is the one that `parity verify
    --from --to` names, and so are the logical dates that are never run, run twice or passed over."""
    python = {"airflow2": AIRFLOW_PYTHON, "airflow3": AIRFLOW3_PYTHON}[version]
    if not python.exists():
        pytest.skip(f"no {version} environment here; `make test` makes it")
    never = twice = skipped = 0
    with running_timetables(tmp_path, python) as timetables:
        crons = [("0 6 * * *", "America/New_York"), ("@hourly", "UTC"), ("30 0 1 * *", "Asia/Kolkata"),
                 ("0 9 * * MON-FRI", "Europe/Berlin"), ("30 2 * * *", "America/New_York")]  # fmt: skip
        for (cron, zone), (first, second) in product(crons, FLIPS):
            lists = {
                kind: runs_of(
                    timetables, Case(kind, cron, zone, "2024-02-20T00:00:00", "2024-04-20T00:00:00", 300)
                )
                for kind in (first, second)
            }
            for last in lists[first].every[3:40:4]:
                change = change_at(
                    lists[first], lists[second], last.due, skips_a_collision=version == "airflow3"
                )
                before = (last.start.isoformat(), last.end.isoformat())
                asked = Case(second, cron, zone, "2024-02-20T00:00:00", None, 1, last=before)
                [theirs] = runs_of(timetables, asked).every
                assert change is not None
                assert change.next == theirs, (cron, zone, second, last)
                never, twice = never + len(change.never_run), twice + len(change.twice)
                skipped += len(change.skipped)
    assert never > 0
    assert (twice > 0, skipped > 0) == ((True, False) if version == "airflow2" else (False, True))


def runs_of(timetables: Timetables, case: Case) -> Runs:
    walk = timetables.walk(case)
    assert walk.outcome is not Outcome.RAISED, walk.reason
    every = tuple(Run(window.start, window.end) for window in walk.windows) or tuple(
        Run(start, end) for start, end in walk.runs
    )
    return Runs(case.kind.value, every, every[0].start, every[-1].end)
