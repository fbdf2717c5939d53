"""Who wrote each window since a unit was enrolled, on drawn and on chosen histories."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_defs.adapters.dagster.partitions import partitioned
from dagster_defs.lifecycle import Owner, Unit
from dagster_defs.lifecycle.continuity import continuity, skips_among, spans_by_owner
from dagster_defs.lifecycle.written import Continuity, Extent, Span, Unwritten, Wrote
from dagster_defs.windows import ListedPartitions, ListedSchedule, Schedule, Window, WindowList
from dagster_defs.windows.window import utc

UNIT = Unit("taxi_daily", "dbt_daily")
START = datetime(2024, 3, 1, tzinfo=timezone.utc)
DAYS = partitioned(Schedule.of("@daily", "UTC", START))
HOURS = partitioned(Schedule.of("@hourly", "Europe/Berlin", START))
DAY = timedelta(days=1)
TABLES = frozenset({"one", "two"})


def key(day: int) -> str:
    return (START + day * DAY).strftime("%Y-%m-%d")


def end_of(day: int) -> datetime:
    return START + (day + 1) * DAY


NOW = end_of(9) + DAY / 2


def wrote(
    day: int,
    owner: Owner = Owner.AIRFLOW,
    *,
    after: timedelta = timedelta(hours=1),
    run: str = "",
    root: str = "",
    assets: Iterable[str] = TABLES,
    live: bool = False,
) -> Wrote:
    """A write that began so long after the window's end and took ten minutes."""
    began = end_of(day) + after
    ended = began + timedelta(minutes=10)
    name = run or f"{owner} {key(day)} {after}"
    return Wrote(
        owner,
        key(day),
        ended,
        name,
        root or name,
        began,
        None if live else ended,
        frozenset(assets),
        live=live,
    )


def found(
    writes: Iterable[Wrote],
    *,
    now: datetime = NOW,
    enrolled: datetime | None = None,
    owner: Owner = Owner.AIRFLOW,
    unwritten: dict[str, Unwritten] | None = None,
    only: Iterable[str] | None = None,
) -> Continuity:
    return continuity(
        UNIT,
        owner,
        DAYS,
        list(writes),
        enrolled=enrolled,
        now=now,
        unwritten=unwritten,
        only=None if only is None else frozenset(only),
    )


def extents(one: Continuity) -> dict[str, Extent]:
    return {window.partition: window.extent for window in one.windows}


DRAWN = st.builds(
    wrote,
    st.integers(0, 14),
    st.sampled_from(Owner),
    after=st.integers(-30, 24 * 40).map(lambda hours: timedelta(hours=hours)),
    root=st.sampled_from(["", "a", "b"]),
    assets=st.sets(st.sampled_from(sorted(TABLES)), min_size=1),
    live=st.booleans(),
)
TOLD = st.dictionaries(
    st.integers(0, 14).map(key),
    st.builds(Unwritten, st.sampled_from(["", "failed"]), st.booleans(), st.booleans()),
)


@given(
    st.lists(DRAWN, max_size=25),
    st.none() | st.integers(-2, 16).map(end_of),
    st.integers(-2, 16).map(end_of),
    TOLD,
)
def test_each_window_is_in_one_place(
    writes: list[Wrote], enrolled: datetime | None, now: datetime, told: dict[str, Unwritten]
) -> None:
    """Every window from the first to the last that is over appears once, in the schedule's order, and is written,
    part, skipped, gap or waiting; spans cover exactly what was written, and what lacks exactly the rest."""
    one = found(writes, now=now, enrolled=enrolled, unwritten=told)
    keys = [window.partition for window in one.windows]
    by_key = {each: {write.owner for write in writes if write.partition == each} for each in keys}

    if keys:
        first = DAYS.window_of(keys[0]).start
        assert keys == [
            key(day) for day in range(15 + 3) if first <= START + day * DAY and end_of(day) <= now
        ]
    for owner in Owner:
        assert within(keys, one.by_owner[owner]) == [each for each in keys if owner in by_key[each]]
    lacking = sorted(within(keys, (lack.span for lack in (*one.lacks, *one.waiting))))
    skipped = within(keys, one.skipped)
    written = [each for each, extent in extents(one).items() if extent is Extent.WRITTEN]
    assert sorted([*lacking, *skipped, *written]) == keys
    assert all(by_key[each] for each in written)
    assert not any(by_key[each] for each in skipped)
    assert one.gap_keys == within(keys, (lack.span for lack in one.lacks))
    assert one.is_continuous is not bool(one.gap_keys or one.overlaps)


def within(keys: list[str], spans: Iterable[Span]) -> list[str]:
    covered: list[str] = []
    for span in spans:
        part = keys[keys.index(span.first) : keys.index(span.last) + 1]
        assert len(part) == span.windows
        covered += part
    return covered


@given(st.lists(DRAWN, max_size=12))
def test_both_orchestrators_overlap(writes: list[Wrote]) -> None:
    """A window that both wrote is always an overlap, and one that a single run wrote never."""
    for window in found(writes).windows:
        assert not (len(window.owners) == 2 and not window.overlap)
        assert not (len(window.wrote) < 2 and window.overlap)


def test_one_writer_each_is_continuous() -> None:
    """Airflow until the hand-over and Dagster after it, without a window between, is nothing to look at."""
    one = found([*map(wrote, range(4)), *(wrote(day, Owner.DAGSTER) for day in range(4, 10))])

    assert one.is_continuous
    assert one.against == ()
    assert {owner: [str(span) for span in spans] for owner, spans in one.by_owner.items()} == {
        Owner.AIRFLOW: ["2024-03-01 … 2024-03-04 (4)"],
        Owner.DAGSTER: ["2024-03-05 … 2024-03-10 (6)"],
    }


@pytest.mark.parametrize(
    ("owner", "remedy"),
    [
        (Owner.DAGSTER, "parity backfill taxi_daily.dbt_daily --from 2024-03-03 --to 2024-03-04"),
        (
            Owner.AIRFLOW,
            "airflow dags backfill -s 2024-03-03T00:00:00+00:00 -e 2024-03-04T00:00:00+00:00 "
            "--rerun-failed-tasks taxi_daily",
        ),
    ],
)
def test_a_gap_says_what_fills_it(owner: Owner, remedy: str) -> None:
    """Windows that nobody wrote between others are one gap, with the owner's own command."""
    one = found(map(wrote, (0, 1, 4, 5, 6, 7, 8, 9)), owner=owner)

    [gap] = one.lacks
    assert (str(gap), gap.extent) == ("2024-03-03 … 2024-03-04 (2)", Extent.GAP)
    assert gap.remedy.endswith(remedy)
    assert one.gap_keys == [key(2), key(3)]
    assert one.against == ("written by nobody: 2024-03-03 … 2024-03-04 (2)",)


def test_what_is_late_is_no_gap() -> None:
    """Windows that are over after the last written one wait, with what is known of their tries."""
    one = found(map(wrote, range(7)), unwritten={key(8): Unwritten("failed in Airflow, try 2")})

    assert one.is_continuous
    assert [str(lack) for lack in one.waiting] == [key(7), f"{key(8)} (failed in Airflow, try 2)", key(9)]
    assert one.waiting[0].remedy == "If it is late, look at DAG taxi_daily in Airflow"


def test_again_by_the_same_is_no_overlap() -> None:
    """A window that the same orchestrator wrote again later, or in tries of one run, has one writer."""
    again = wrote(3, after=timedelta(days=2))
    tries = [wrote(4, Owner.DAGSTER, run=name, root="scheduled") for name in ("try 1", "try 2")]

    one = found([*map(wrote, (0, 1, 2, 3, 5, 6, 7, 8, 9)), again, *tries])

    assert one.is_continuous


def test_overlaps_name_both_runs() -> None:
    """A window that both wrote, and one that two runs wrote at once, is listed with the runs and their times."""
    late = timedelta(days=3)
    at_once = [wrote(5, Owner.DAGSTER, run=name, after=late) for name in ("b", "c")]
    writes = [
        *map(wrote, (0, 1, 2, 3, 4, 6, 7, 8, 9)),
        wrote(3, Owner.DAGSTER, run="a", after=late),
        *at_once,
    ]

    both, twice = found(writes).overlaps

    assert (both.partition, both.overlap) == (key(3), "both orchestrators wrote it")
    assert [str(each) for each in both.wrote][1] == "dagster (a) at 2024-03-08 00:10:00 UTC"
    assert (twice.partition, twice.overlap) == (key(5), "two runs of dagster wrote it at the same time")
    assert found(writes).against == (
        f"both orchestrators wrote it: {key(3)}",
        f"two runs of dagster wrote it at the same time: {key(5)}",
    )


def test_an_overlap_is_settled_on_request() -> None:
    """A backfill that somebody asked for, after all others, leaves one writer; one that began before them does not."""
    writes = [*map(wrote, range(10)), wrote(3, Owner.DAGSTER, run="a", after=3 * DAY)]
    again = replace(wrote(3, Owner.DAGSTER, run="b", after=4 * DAY), asked=True)
    early = replace(wrote(3, Owner.DAGSTER, run="b", after=3 * DAY + timedelta(minutes=5)), asked=True)

    assert found([*writes, again], owner=Owner.DAGSTER).is_continuous
    one = found([*writes, early], owner=Owner.DAGSTER)
    assert one.remedy_of(one.overlaps[0]).endswith(
        "To write it again: parity backfill taxi_daily.dbt_daily --from 2024-03-04"
    )


def test_two_runs_of_two_assets_do_not_overlap() -> None:
    """At the same time two runs may write two assets of one window."""
    runs = [wrote(5, Owner.DAGSTER, run=name, assets={name}) for name in TABLES]

    assert found([*map(wrote, (0, 1, 2, 3, 4, 6, 7, 8, 9)), *runs]).is_continuous


def test_a_window_that_is_written_in_part() -> None:
    """Some of the unit's assets are not the window; while the run lives it is waited for. A new asset makes no past."""
    past = [wrote(day, assets={"one"}) for day in range(3)]
    rest = [wrote(day) for day in (3, 4, 5, 7, 8, 9)]

    one = found([*past, *rest, wrote(6, Owner.DAGSTER, assets={"two"})])
    live = found([*past, *rest, wrote(6, Owner.DAGSTER, run="0123456789", assets={"two"}, live=True)])

    [part] = one.lacks
    assert (str(part), part.extent) == (f"{key(6)} (without one)", Extent.PART)
    assert part.remedy == (
        "Clear it in Airflow: airflow tasks clear -s 2024-03-07T00:00:00+00:00 -e 2024-03-07T00:00:00+00:00 "
        "-t '^dbt_daily$' taxi_daily"
    )
    assert live.is_continuous
    assert [str(lack) for lack in live.waiting] == [f"{key(6)} (run 01234567 has not finished)"]


def test_what_airflow_skips_is_no_gap() -> None:
    """A window whose task Airflow has skipped by itself is told apart from one that has failed or was never run."""
    told = {key(3): Unwritten("skipped in Airflow, try 1", skipped=True), key(5): Unwritten("failed")}

    one = found(map(wrote, (0, 1, 2, 4, 6, 7, 8)), unwritten=told)

    assert [str(span) for span in one.skipped] == [key(3)]
    assert [str(lack) for lack in one.lacks] == [f"{key(5)} (failed)"]


def test_what_dagster_skips_is_written_by_nobody() -> None:
    """A window that a Dagster run skipped has no writer of its own, and keeps the one that it has."""
    skips = [replace(wrote(day, Owner.DAGSTER), skipped=True) for day in (3, 4)]
    writes = [*map(wrote, (0, 1, 2, 3)), *(wrote(day, Owner.DAGSTER) for day in (5, 6, 7, 8)), *skips]

    one = found(writes, owner=Owner.DAGSTER, unwritten=dict(skips_among(writes)))

    assert [str(span) for span in one.skipped] == [key(4)]
    assert {owner: [str(span) for span in spans] for owner, spans in one.by_owner.items()} == {
        Owner.AIRFLOW: [f"{key(0)} … {key(3)} (4)"],
        Owner.DAGSTER: [f"{key(5)} … {key(8)} (4)"],
    }
    assert one.is_continuous
    assert spans_by_owner(DAYS, writes, NOW) == one.by_owner


def test_what_airflow_always_skips_is_continuous() -> None:
    """A branch that was not taken since the enrolment has windows all the same, also in a DAG that is catching up."""
    enrolled = NOW + 90 * DAY
    told = {
        key(day): Unwritten("skipped in Airflow, try 1", skipped=True, at=enrolled + DAY) for day in (8, 9)
    }

    caught_up = found(
        (), enrolled=enrolled, now=NOW + 99 * DAY, unwritten={**told, key(7): Unwritten("failed")}
    )
    nothing = found((), enrolled=end_of(8), now=end_of(8))

    assert [str(span) for span in caught_up.skipped] == [f"{key(8)} … {key(9)} (2)"]
    assert caught_up.windows[0].partition == key(8)
    assert caught_up.against == ()
    assert nothing.against == ("no window is known to be written",)


def test_it_begins_with_the_enrolment() -> None:
    """What ended before the unit's first entry in the ledger does not count, whether it was written or not."""
    one = found(map(wrote, (0, 2, 4, 5, 6, 7, 8, 9)), enrolled=end_of(3) + DAY / 2)

    assert one.windows[0].partition == key(4)
    assert one.is_continuous


@pytest.mark.parametrize("days", [1, 2, 3, 30])
def test_enrolled_before_the_schedule_begins(days: int) -> None:
    """Then its first window counts, however long before that the enrolment was."""
    one = found(map(wrote, range(3, 10)), enrolled=START - days * DAY)

    assert one.windows[0].partition == key(0)
    assert one.gap_keys == [key(0), key(1), key(2)]


def test_catching_up_begins_with_what_is_caught_up_on() -> None:
    """Old windows that are written after the enrolment count, also where the first to be written is not the oldest."""
    late = timedelta(days=600)
    writes = [
        wrote(day, after=late + timedelta(minutes=minute))
        for day, minute in ((3, 5), (2, 9), (4, 20), (6, 30))
    ]

    one = found(writes, now=end_of(700), enrolled=end_of(500))

    assert one.windows[0].partition == key(2)
    assert one.gap_keys == [key(5)]
    assert [str(lack) for lack in one.waiting] == ["2024-03-08 … 2026-01-30 (694)"]


def test_without_a_ledger_it_begins_with_the_first_write() -> None:
    """A unit without an entry is enrolled by its first write; without a write nothing is known, and no gate is open."""
    one, nothing = found(map(wrote, range(4, 10))), found([])

    assert (one.enrolled, one.windows[0].partition) == (end_of(4) + timedelta(minutes=70), key(4))
    assert (nothing.windows, nothing.enrolled, nothing.is_continuous) == ((), None, True)
    assert nothing.against == ("no window is known to be written",)


def test_only_some_windows() -> None:
    """Of windows that nobody asks about nothing is said, and those that are asked about stay what they are."""
    writes = list(map(wrote, (0, 1, 4, 5, 8, 9)))

    one = found(writes, only=[key(2), key(4)])

    assert extents(one) == {key(2): Extent.GAP, key(4): Extent.WRITTEN}
    assert [str(lack) for lack in one.lacks] == [key(2)]


def test_keys_that_the_schedule_does_not_have() -> None:
    """What was written under another schedule is named, and stops nothing."""
    one = found([*map(wrote, range(10)), Wrote(Owner.AIRFLOW, "2024-03-01T05:00+0100", START)])

    assert one.unknown == ("2024-03-01T05:00+0100",)
    assert one.is_continuous


def test_the_hour_that_comes_twice() -> None:
    """On the night on which clocks go back both hours are windows, in their order, and one that lacks is found."""
    night = datetime(2024, 10, 26, 20, tzinfo=timezone.utc)
    keys = [HOURS.key_of(window) for window in HOURS.schedule.windows(night, night + timedelta(hours=9))]
    assert {"2024-10-27T02:00+0200", "2024-10-27T02:00+0100"} <= set(keys)
    writes = [
        Wrote(Owner.AIRFLOW, each, HOURS.window_of(each).end, each, each)
        for each in keys
        if each != "2024-10-27T02:00+0200"
    ]

    one = continuity(
        UNIT, Owner.AIRFLOW, HOURS, writes, enrolled=None, now=night + timedelta(hours=9, minutes=5)
    )

    assert [window.partition for window in one.windows] == keys
    assert one.gap_keys == ["2024-10-27T02:00+0200"]


def test_a_schedule_that_has_ended() -> None:
    """After the schedule's last window nothing is waited for."""
    ended = partitioned(Schedule.of("@daily", "UTC", START, START + 4 * DAY))

    one = continuity(UNIT, Owner.AIRFLOW, ended, map(wrote, range(5)), enrolled=None, now=end_of(300))

    assert ([*extents(one)], one.waiting) == ([key(day) for day in range(5)], ())


@given(st.lists(DRAWN, max_size=20))
def test_what_each_side_wrote(writes: list[Wrote]) -> None:
    """By side, each written window that is over stands in one span of each orchestrator that wrote it."""
    now = end_of(11)
    keys = [key(day) for day in range(12)]

    by_side = spans_by_owner(DAYS, writes, now)

    for owner in Owner:
        expected = sorted({each.partition for each in writes if each.owner is owner} & set(keys))
        assert within(keys, by_side[owner]) == expected


def test_a_hole_between_listed_windows_is_no_gap() -> None:
    """Windows that Airflow lists follow each other over time that is in none; the one that is missing is one window."""
    windows = tuple(Window.between(START + day * DAY, end_of(day)) for day in (0, 1, 4, 5, 8))
    listed = WindowList(windows[0].start, utc(START + 20 * DAY), windows)
    partitions = ListedPartitions(ListedSchedule.listing(listed, "UTC"))
    keys = partitions.keys

    days = (0, 1, 4, 5, 8)

    def told(enrolled: datetime | None, *written: int) -> Continuity:
        writes = [replace(wrote(days[place]), partition=keys[place]) for place in written]
        return continuity(UNIT, Owner.AIRFLOW, partitions, writes, enrolled=enrolled, now=NOW)

    whole = told(None, 0, 1, 2, 3, 4)
    assert [each.partition for each in whole.windows] == keys
    assert whole.lacks == ()
    [gap] = told(None, 0, 1, 3, 4).lacks
    assert gap.span == Span(keys[2], keys[2], 1)
    # Enrolled inside of a hole: the first window after it is the first that counts.
    assert [each.partition for each in told(START + 3 * DAY, 0, 1, 2, 3).windows] == keys[2:]


def overlapping(length: int, days: Iterable[int]) -> ListedPartitions:
    """Windows of so many days, one from each of these days on."""
    windows = tuple(Window.between(START + day * DAY, START + (day + length) * DAY) for day in days)
    listed = WindowList(utc(START), utc(START + 100 * DAY), windows)
    return ListedPartitions(ListedSchedule.listing(listed, "UTC"))


@given(
    st.integers(1, 9),
    st.sets(st.integers(0, 40), min_size=1).map(sorted),
    st.data(),
    st.none() | st.integers(-2, 50),
    st.integers(-2, 60),
)
def test_windows_that_reach_over_several_others(
    length: int, days: list[int], data: st.DataObject, enrolled: int | None, today: int
) -> None:
    """Of windows that overlap, each that ended after the enrolment and is over counts once, and is a gap if nobody
    wrote it and a later one is written."""
    partitions, noon = overlapping(length, days), DAY / 2
    place = {day: partitions.key_of(partitions.schedule.window_from(START + day * DAY)) for day in days}
    ends = {day: START + (day + length) * DAY for day in days}
    now = START + today * DAY + noon
    since = None if enrolled is None else START + enrolled * DAY + noon
    written = [day for day in data.draw(st.sets(st.sampled_from(days)).map(sorted)) if ends[day] <= now]
    hour = timedelta(hours=1)
    writes = [Wrote(Owner.AIRFLOW, place[day], ends[day] + hour, place[day], place[day]) for day in written]

    one = continuity(UNIT, Owner.AIRFLOW, partitions, writes, enrolled=since, now=now)

    begin = since or min((ends[day] + hour for day in written), default=None)
    counted = [
        day for day in days if begin and ends[day] <= now and (ends[day] > begin or ends[day] + hour == begin)
    ]
    assert [window.partition for window in one.windows] == [place[day] for day in counted]
    last = max(written, default=-1)
    assert one.gap_keys == [place[day] for day in counted if day not in written and day < last]
    by_side = spans_by_owner(partitions, writes, now)[Owner.AIRFLOW]
    assert sum(span.windows for span in by_side) == len(written)


def test_a_week_every_day_is_known_to_be_written() -> None:
    """A daily trigger with `interval=` of seven days: all windows written is nothing to look at."""
    partitions = overlapping(7, range(60))
    over = partitions.keys[:53]
    writes = [
        Wrote(Owner.AIRFLOW, each, partitions.window_of(each).end + timedelta(hours=1), each, each)
        for each in over
    ]

    one = continuity(UNIT, Owner.AIRFLOW, partitions, writes, enrolled=None, now=START + 59.5 * DAY)

    assert [window.partition for window in one.windows] == over
    assert (one.is_continuous, one.against, one.waiting) == (True, (), ())


def test_a_window_that_began_long_before_the_enrolment_counts() -> None:
    """Of three days' windows, the one that was half over at the enrolment is a gap if nobody wrote it."""
    partitions = overlapping(3, range(30))
    over = partitions.keys[:18]
    writes = [
        Wrote(Owner.AIRFLOW, each, partitions.window_of(each).end + timedelta(hours=1), each, each)
        for each in over
        if each != over[8]
    ]

    one = continuity(
        UNIT, Owner.AIRFLOW, partitions, writes, enrolled=START + 10.5 * DAY, now=START + 20.5 * DAY
    )

    assert one.windows[0].partition == over[8]
    assert one.gap_keys == [over[8]]
