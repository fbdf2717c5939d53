"""Schedules that hypothesis draws, beside the timetables of the installed Airflow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import pairwise, product

import pendulum
import pytest
from dagster._utils.schedules import is_valid_cron_schedule
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dagster_defs.adapters.dagster.partitions import definition_of, partitioned
from dagster_defs.errors import DoesNotAdvance, ScheduleRefused
from dagster_defs.windows import PRESETS, PartitionedSchedule, Schedule, Window
from dagster_defs.windows.boundaries import HORIZON
from tests.support.schedules import cases, changes, offset
from tests.support.timetables import Case, Kind, Outcome, Timetables, Walk, running_timetables

pytestmark = pytest.mark.airflow

HOUR = timedelta(hours=1)
MOST_KEYS = 200  # of one schedule


def examples(many: int) -> settings:
    # An answer of Airflow's takes as long as the machine is busy.
    return settings(max_examples=many, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def timetables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Timetables]:
    with running_timetables(tmp_path_factory.mktemp("airflow")) as running:
        yield running


def schedule_of(case: Case) -> Schedule:
    """Ours. Raises `ScheduleRefused`."""
    if isinstance(case.schedule, str):
        return Schedule.of(case.schedule, case.timezone, case.start, case.end)
    end = None if case.end is None else instant(case.end, case.timezone)
    return Schedule.every(timedelta(seconds=case.schedule), instant(case.start, case.timezone), end)


def instant(text: str, zone: str) -> pendulum.DateTime:
    found = pendulum.parse(text, tz=zone)
    assert isinstance(found, pendulum.DateTime)
    return found


def walked(schedule: Schedule, most: int) -> tuple[tuple[Window, ...], Outcome]:
    """Our walk, told as Airflow's is."""
    found: list[Window] = []
    walk = schedule.windows()
    while True:
        try:
            window = next(walk)
        except StopIteration:
            return tuple(found), Outcome.ENDED
        except DoesNotAdvance:
            return tuple(found), Outcome.STUCK
        if len(found) == most:
            return tuple(found), Outcome.GOES_ON
        found.append(window)


def may_be_refused(case: Case, theirs: Walk) -> bool:
    """Whether there is a reason to refuse the schedule itself: Airflow refuses it, no cron is that delta, or
    it ends before it starts."""
    start, end = (instant(text, case.timezone) for text in (case.start, case.end or case.start))
    if end < start:
        return True
    if isinstance(case.schedule, int):
        return not a_cron_expresses(case.schedule) or start.second != 0
    return theirs.outcome is Outcome.RAISED


def a_cron_expresses(seconds: int) -> bool:
    """Whether steps of that length hit the same combinations of hours and minutes every day, or are a
    week."""
    minutes, odd = divmod(seconds, 60)
    if odd or minutes <= 0 or (24 * 60 % minutes and minutes != 7 * 24 * 60):
        return False
    times = {divmod(minute, 60) for minute in range(0, 24 * 60, minutes)}
    hours, past = ({time[part] for time in times} for part in (0, 1))
    return times == set(product(hours, past))


def test_windows_are_airflows(timetables: Timetables) -> None:
    """The walk over any schedule gives Airflow's windows and ends as Airflow's does; a schedule is refused
    if, and only if, Airflow refuses it or no cron expresses its delta."""
    seen: Counter[str] = Counter()

    @examples(400)
    @given(cases())
    @example(Case(Kind.CRON, "0 * * * *", "Australia/Lord_Howe", "2023-09-29T00:00", None, 100))
    def law(case: Case) -> None:
        theirs = timetables.walk(case)
        try:
            schedule = schedule_of(case)
        except ScheduleRefused as refusal:
            assert may_be_refused(case, theirs), (refusal, theirs)  # noqa: PT017 - it is legal or not
            seen["refused"] += 1
            return
        assert not may_be_refused(case, theirs), theirs
        assert walked(schedule, case.most) == (theirs.windows, theirs.outcome)
        seen.update({case.kind.value: 1, theirs.outcome.value: 1, "windows": len(theirs.windows)})
        seen["over a change"] += over_a_change(case, theirs.windows)

    law()
    print(dict(seen))  # noqa: T201 - shown with -s
    assert seen["windows"] > 10_000
    assert seen["over a change"] > 60
    assert all(seen[each] > 0 for each in ("cron", "preset", "delta", "refused", "stuck", "ended", "goes_on"))


def over_a_change(case: Case, windows: tuple[Window, ...]) -> bool:
    return any(window.contains(change.at) for window in windows for change in changes(case.timezone))


@st.composite
def spans(draw: st.DrawFn) -> tuple[Case, datetime, datetime]:
    """A cron and a span of instants around its start."""
    case = draw(cases((Kind.CRON, Kind.CRON, Kind.PRESET)))
    after, length = (st.integers(-60, 10 * 60) | st.integers(0, 10 * 1440) for _ in range(2))
    from_ = instant(case.start, case.timezone).add(minutes=draw(after))
    return case, from_, from_.add(minutes=draw(length), days=draw(st.sampled_from([0, 3, 400])))


def test_the_windows_of_a_span_are_those_of_the_whole_walk(timetables: Timetables) -> None:
    """Begun in the middle, the walk gives Airflow's windows that start inside the span."""
    seen: Counter[str] = Counter()

    @examples(60)
    @given(spans())
    def law(drawn: tuple[Case, datetime, datetime]) -> None:
        case, from_, until = drawn
        theirs = timetables.walk(case)
        if theirs.outcome in (Outcome.RAISED, Outcome.STUCK) or not theirs.windows:
            return
        if theirs.outcome is Outcome.GOES_ON:
            until = min(until, theirs.windows[-1].start)
        expected = [window for window in theirs.windows if from_ <= window.start < until]
        assert list(schedule_of(case).windows(from_, until)) == expected
        seen["windows"] += len(expected)

    law()
    print(dict(seen))  # noqa: T201 - shown with -s
    assert seen["windows"] > 200


def test_keys_and_airflows_windows_belong_together(timetables: Timetables) -> None:
    """Every key's window is one of Airflow's and gives the key back; every window of Airflow's has a key
    unless it is among the keyless ones, or near a clock change that Airflow does not get past."""
    seen: Counter[str] = Counter()

    @examples(80)
    @given(cases((Kind.CRON, Kind.CRON, Kind.PRESET), most=MOST_KEYS, longest_lead=HOUR).map(around))
    @example(
        around(Case(Kind.CRON, "*/15 2 * * 7", "America/St_Johns", "2013-03-10T02:00:00", None, MOST_KEYS))
    )
    def law(case: Case) -> None:
        theirs = timetables.walk(case)
        if theirs.outcome is Outcome.RAISED:
            return
        schedule = schedule_of(case)
        try:
            partitions = partitioned(schedule)
        except ScheduleRefused as refusal:
            assert no_partitions(schedule, theirs, refusal), (refusal, theirs)  # noqa: PT017 - as above
            seen[f"refused: {refusal.reason[:30]}"] += 1
            return
        seen.update(pair_off(partitions, theirs))

    law()
    print(dict(seen))  # noqa: T201 - shown with -s
    assert seen["paired"] > 1_000


def around(case: Case) -> Case:
    """Begun before the clock change and ended two days or two years later: what partitions a schedule has that
    begins or ends inside a change is not claimed here."""
    before, after = (30 * HOUR, 700) if seldom(str(case.schedule)) else (8 * HOUR, 2)
    start = datetime.fromisoformat(case.start) - before
    return replace(case, start=start.isoformat(), end=(start + timedelta(days=after)).isoformat())


def seldom(cron: str) -> bool:
    """Whether a cron fires at one time of the day."""
    minute, hour, *_ = PRESETS.get(cron, cron).split()
    return minute.isdigit() and hour.isdigit()


def pair_off(partitions: PartitionedSchedule, theirs: Walk) -> Counter[str]:
    """Pairs the keys with Airflow's windows as far as Airflow's were asked for."""
    keys = windows_of_keys(partitions)
    last = theirs.windows[-1].start if theirs.windows and theirs.outcome is not Outcome.ENDED else None
    ours = {key: window for key, window in keys.items() if last is None or window.start <= last}
    if theirs.outcome is Outcome.STUCK:
        assert partitions.impassable
    assert all(earlier.end <= later.start for earlier, later in pairwise(keys.values()))
    assert [window for window in ours.values() if window not in theirs.windows] == []
    assert [partitions.key_of(window) for window in ours.values()] == list(ours)
    missing = set(theirs.windows) - set(ours.values())
    keyless = missing & set(partitions.keyless_windows)
    assert [window for window in sorted(missing - keyless) if not impassable(partitions, window)] == []
    return Counter({"paired": len(ours), "keyless": len(keyless), "impassable": len(missing - keyless)})


def windows_of_keys(partitions: PartitionedSchedule) -> dict[str, Window]:
    """The window of each key that has one; without one are only keys near an impassable clock change."""
    found = {}
    for key in definition_of(partitions).get_partition_keys(datetime(2060, 1, 1, tzinfo=timezone.utc))[
        : MOST_KEYS + 20
    ]:
        try:
            found[key] = partitions.window_of(key)
        except DoesNotAdvance:
            assert partitions.impassable, key
    return found


def impassable(partitions: PartitionedSchedule, window: Window) -> bool:
    try:
        partitions.key_of(window)
    except DoesNotAdvance:
        return bool(partitions.impassable)
    return False


def no_partitions(schedule: Schedule, theirs: Walk, refusal: ScheduleRefused) -> bool:
    """Whether the reason for which partitions are refused holds."""
    if "can have a partition" in refusal.reason:
        near = timedelta(days=2)
        begun = schedule.start
        return any(begun - near < change.at < begun + near for change in changes(schedule.timezone))
    if "ends before its first window" in refusal.reason:
        return not theirs.windows
    if "fraction of an hour" in refusal.reason:
        return schedule.cron.endswith(" * * * *") and moves_by_part_of_an_hour(schedule)
    if "cannot express" in refusal.reason:
        return not is_valid_cron_schedule(schedule.cron)
    if "fails around" in refusal.reason or "do not meet" in refusal.reason:
        return has_a_change_that_dagster_does_not_expect(schedule)
    return False


def has_a_change_that_dagster_does_not_expect(schedule: Schedule) -> bool:
    """Whether a clock near the schedule moves by anything but an hour, or off the hour:
    `apply_post_transition` of `dagster/_utils/schedules.py` assumes that none does."""
    reach = timedelta(days=60)
    last = schedule.end or schedule.start + HORIZON
    near = (each for each in changes(schedule.timezone) if schedule.start - reach < each.at < last + reach)
    return any(each.eventful[0].minute != 0 or each.eventful[1] != 60 for each in near)


def moves_by_part_of_an_hour(schedule: Schedule) -> bool:
    """Whether the zone is off by different parts of an hour while the schedule runs, and today."""
    now, last = datetime.now(timezone.utc), schedule.end or schedule.start + HORIZON
    zone = schedule.timezone
    moments = [schedule.start, now, *(change.at for change in changes(zone))]
    near = [at for at in moments if schedule.start <= at <= last or at >= now]
    return len({offset(zone, at) % HOUR for at in near}) > 1
