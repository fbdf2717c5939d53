"""Ticks: the instants at which a trigger is due, each with a partition of its own and none with a length."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import dagster as dg
import pendulum
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context
from hypothesis import given, settings
from hypothesis import strategies as st

from dagster_defs.adapters.dagster.partitions import definition_of, partitioned
from dagster_defs.errors import (
    BadWindowList,
    DoesNotAdvance,
    HasNoWindows,
    InvalidWindow,
    ScheduleRefused,
    TemplateRefused,
    Unaligned,
)
from dagster_defs.windows import (
    Bound,
    EventKind,
    EventSchedule,
    ListedPartitions,
    ListedSchedule,
    OccasionKind,
    PartitionVars,
    Schedule,
    TemplateContext,
    Tick,
    TickPartitions,
    TickSchedule,
    VariableTemplate,
    Window,
    WindowList,
    about,
    compile_template,
    scheduled_between,
    share_time,
    widest,
)
from tests.windows.test_oracle import CRONS, ZONES

NY = "America/New_York"
PLAIN_CRONS = sorted({"0 6 * * *", "30 2 * * *", "15,45 2 * * *", "0 * * * *", "*/20 * * * *", "0 */6 * * *",
                      "0 9 * * MON-FRI", "30 1 1 * *", *CRONS})  # fmt: skip
STARTS = st.datetimes(datetime(2024, 1, 1), datetime(2024, 11, 20)).map(  # noqa: DTZ001 - wall clock, as in a DAG file
    lambda at: at.replace(microsecond=0)
)


def at(text: str) -> pendulum.DateTime:
    return pendulum.instance(datetime.fromisoformat(text)).in_timezone("UTC")


def daily(
    cron: str = "0 6 * * *", zone: str = "UTC", start: str = "2024-03-01", end: str | None = None
) -> TickPartitions:
    return partitioned(TickSchedule.of(cron, zone, start, end))


def offered(partitions: TickPartitions, now: datetime) -> list[str]:
    """The partitions that Dagster offers at that time."""
    with partition_loading_context(now):
        return list(definition_of(partitions).get_partition_keys())


def walked(schedule: TickSchedule, until: datetime) -> tuple[list[pendulum.DateTime], bool]:
    """As Airflow's trigger walks: `align_to_next` of the start, then one `next_boundary` after another; and whether it
    came back to an earlier one. `test_oracle3` proves that Airflow 3.3 does."""
    ticks: list[pendulum.DateTime] = []
    tick = schedule.align_to_next(schedule.start)
    while tick < until:
        if ticks and tick <= ticks[-1]:
            return ticks, True
        ticks.append(tick)
        tick = schedule.next_boundary(tick)
    return ticks, False


@settings(max_examples=60, deadline=None)
@given(cron=st.sampled_from(PLAIN_CRONS), zone=st.sampled_from(ZONES), start=STARTS, days=st.integers(2, 12))
def test_every_tick_has_a_partition_and_every_partition_a_tick(
    cron: str, zone: str, start: datetime, days: int
) -> None:
    """Across clock changes: the keys differ, each leads back to its tick, and all ticks of the walk have one, except
    those that are listed as keyless."""
    try:
        partitions = partitioned(TickSchedule.of(cron, zone, start))
    except ScheduleRefused:
        return
    schedule = partitions.schedule
    until = schedule.start.add(days=days)
    expected, came_back = walked(schedule, until)
    try:
        own = list(schedule.windows(until=until))
    except DoesNotAdvance:
        assert came_back
        return
    assert [tick.at for tick in own] == expected
    keyed = [tick for tick in own if tick not in partitions.keyless_windows]
    keys = [partitions.key_of(tick) for tick in keyed]
    assert len({*keys}) == len(keys)
    assert [partitions.window_of(key) for key in keys] == keyed
    if keyed:
        assert partitions.windows_between(keys[0], keys[-1]) == keyed
        assert set(keys) <= {*offered(partitions, keyed[-1].at)}


@settings(max_examples=30, deadline=None)
@given(
    cron=st.sampled_from(["0 6 * * *", "0 */6 * * *", "30 4 * * 1", "0 * * * *"]),
    zone=st.sampled_from(["UTC", NY, "Asia/Kolkata"]),
    start=STARTS,
    n=st.integers(1, 30),
)
def test_a_partition_is_there_as_soon_as_its_tick_is_over(
    cron: str, zone: str, start: datetime, n: int
) -> None:
    """Not one period later, and not a second before. Only the very first is offered by Dagster before it is over."""
    partitions = partitioned(TickSchedule.of(cron, zone, start))
    ticks = partitions.schedule.windows()
    for _ in range(n):
        next(ticks)
    tick = next(ticks)
    if tick in partitions.keyless_windows:
        return
    key = partitions.key_of(tick)
    assert offered(partitions, tick.at)[-1] == key
    assert key not in offered(partitions, tick.at - timedelta(seconds=1))


def test_the_last_partition_is_that_of_the_dags_end() -> None:
    """The end is included, and nothing is offered beyond it."""
    partitions = daily(end="2024-03-03T06:00")
    assert offered(partitions, at("2024-03-20T00:00:00+00:00")) == ["2024-03-01", "2024-03-02", "2024-03-03"]
    assert offered(partitions, at("2024-03-02T06:00:00+00:00")) == ["2024-03-01", "2024-03-02"]


def test_the_hour_that_occurs_twice_has_two_keys() -> None:
    """Minutes and offset are in the key where a day has several ticks."""
    partitions = daily("0 * * * *", NY, "2024-11-03T00:00", "2024-11-03T02:00")
    assert offered(partitions, at("2024-11-04T00:00:00+00:00")) == [
        "2024-11-03T00:00-0400",
        "2024-11-03T01:00-0400",
        "2024-11-03T01:00-0500",
        "2024-11-03T02:00-0500",
    ]


def test_a_tick_inside_a_gap_is_airflows() -> None:
    """On the day without 02:30 Airflow's tick is at 03:30 and Dagster's at 03:00: the tick is Airflow's."""
    partitions = daily("30 2 * * *", NY, "2024-03-09")
    assert partitions.window_of("2024-03-10") == Tick(at("2024-03-10T07:30:00+00:00"))


def test_a_tick_is_no_window_and_a_window_no_tick() -> None:
    """Whatever asks for the partition of the other kind is refused, and so is a template."""
    ticks, windows = daily(), partitioned(Schedule.of("0 6 * * *", "UTC", "2024-03-01"))
    tick = ticks.window_of("2024-03-05")
    window = windows.window_of("2024-03-05")
    assert (tick.start, tick.end, window.start) == (tick.at, tick.at, tick.at)
    for partitions, other in ((ticks, window), (windows, tick)):
        with pytest.raises(Unaligned):
            partitions.key_of(other)
        variables = PartitionVars([VariableTemplate("d", "{{ ds }}")], partitions, "dag", "task")
        with pytest.raises(Unaligned, match="neither stands for the other"):
            variables.for_window(other)
    event = EventSchedule(EventKind.MANUAL)
    with pytest.raises(HasNoWindows):
        PartitionVars([VariableTemplate("d", "{{ ds }}")], event, "dag", "task").for_window(tick)
    assert [about(each) for each in (ticks, windows, event)] == [
        OccasionKind.TICK,
        OccasionKind.WINDOW,
        OccasionKind.EVENT,
    ]


def test_an_interval_is_one_or_the_other() -> None:
    """Equal bounds are a tick, whoever wrote them; a naive time is neither."""
    start, end = "2024-03-01T06:00:00+00:00", "2024-03-02T06:00:00+00:00"
    assert scheduled_between(start, start) == Tick(at(start)) == scheduled_between(at(start), at(start))
    # The same instant, in another way.
    assert scheduled_between("2024-03-09T06:00:00-05:00", "2024-03-09T11:00:00+00:00") == Tick(
        at("2024-03-09T11:00:00+00:00")
    )
    assert scheduled_between(start, end) == Window.between(start, end)
    for wrong in ("2024-03-01T06:00:00", "yesterday"):
        with pytest.raises(InvalidWindow):
            scheduled_between(wrong, wrong)
    with pytest.raises(InvalidWindow):
        Tick(datetime(2024, 3, 1))  # type: ignore[arg-type]  # noqa: DTZ001 - that is the point
    with pytest.raises(InvalidWindow):
        scheduled_between(end, start)


INSTANTS = st.integers(0, 6).map(lambda hour: pendulum.datetime(2024, 3, 1, hour))
SCHEDULED = st.one_of(
    INSTANTS.map(Tick),
    st.tuples(INSTANTS, INSTANTS).filter(lambda pair: pair[0] < pair[1]).map(lambda pair: Window(*pair)),
)


@given(one=SCHEDULED, other=SCHEDULED)
def test_sharing_time_is_what_instants_say(one: Window | Tick, other: Window | Tick) -> None:
    """A tick is a point and a window half-open: two share time if some instant is in both."""

    def instants(each: Window | Tick) -> set[int]:
        minutes = range(0, 7 * 60, 30)
        base = pendulum.datetime(2024, 3, 1)
        if isinstance(each, Tick):
            return {minute for minute in minutes if base.add(minutes=minute) == each.at}
        return {minute for minute in minutes if each.contains(base.add(minutes=minute))}

    assert share_time(one, other) is bool(instants(one) & instants(other)) is share_time(other, one)


def test_lineage_between_ticks_and_windows_is_that_of_a_point() -> None:
    """A tick depends on the window that it lies in, and on the same tick of another schedule only."""
    six, hourly = daily(), partitioned(Schedule.of("@hourly", "UTC", "2024-03-01"))
    tick = six.window_of("2024-03-02")
    assert hourly.keys_over(tick) == ["2024-03-02T06:00+0000"]
    assert six.keys_over(hourly.window_of("2024-03-02T06:00+0000")) == ["2024-03-02"]
    assert six.keys_over(hourly.window_of("2024-03-02T05:00+0000")) == []
    assert six.keys_over(Window.between("2024-03-01T06:00:00+00:00", "2024-03-03T06:00:00+00:00")) == [
        "2024-03-01",
        "2024-03-02",
    ]
    assert daily("0 6,18 * * *").keys_over(tick) == ["2024-03-02T06:00+0000"]
    assert daily("0 7 * * *").keys_over(tick) == []


def test_the_ticks_beside_a_tick() -> None:
    """The one before and the one after, as a window has its neighbours."""
    partitions = daily("0 9 * * MON-FRI")
    friday = partitions.window_of("2024-03-08")
    assert [tick.at.date().isoformat() for tick in partitions.beside(friday, friday)] == [
        "2024-03-07",
        "2024-03-11",
    ]


def test_what_is_over() -> None:
    """A tick is over at its instant; the next one is the one after it."""
    schedule = daily().schedule
    now = at("2024-03-05T06:00:00+00:00")
    assert next(iter(schedule.ended_by(now))) == Tick(now)
    assert next(iter(schedule.ended_by(now - timedelta(seconds=1)))) == Tick(now.subtract(days=1))
    assert next(iter(schedule.ending_after(now))) == Tick(now.add(days=1))
    windows = Schedule.of("0 6 * * *", "UTC", "2024-03-01")
    assert next(iter(windows.ended_by(now))).end == now


def test_units_of_one_dag_are_joined_and_others_are_not() -> None:
    """Ticks and windows of the same cron recur differently."""
    early, late = daily(start="2024-02-01"), daily()
    windows = partitioned(Schedule.of("0 6 * * *", "UTC", "2024-01-01"))
    assert widest(late, [early, windows]).schedule.start == early.schedule.start


CONTEXT = TemplateContext(daily().schedule, "orders", "load", {"days": 3})


def rendered(text: str) -> str:
    tick = daily("0 22 * * *", NY).window_of("2024-03-05")
    return compile_template(text, {"days": 3}, about=OccasionKind.TICK).render(tick, CONTEXT)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ ds }} {{ ds_nodash }}", "2024-03-06 20240306"),
        ("{{ ts }} {{ ts_nodash }}", "2024-03-06T03:00:00+00:00 20240306T030000"),
        ("{{ ts_nodash_with_tz }}", "20240306T030000+0000"),
        ("{{ data_interval_start == data_interval_end == logical_date }}", "True"),
        (
            "{{ dag_run.data_interval_start | ds }} {{ dag_run.logical_date | ts }}",
            "2024-03-06 2024-03-06T03:00:00+00:00",
        ),
        ("{{ run_id }}", "scheduled__2024-03-06T03:00:00+00:00"),
        ("{{ macros.ds_add(ds, -params.days) }}", "2024-03-03"),
        ("{{ task_instance_key_str }}", "orders__load__20240306"),
    ],
)
def test_templates_of_a_tick(text: str, value: str) -> None:
    """Start, end and logical date are the tick; `ds` is its date in UTC."""
    assert rendered(text) == value


@pytest.mark.parametrize(
    "name",
    ["execution_date", "next_ds", "prev_ds_nodash", "next_execution_date", "yesterday_ds", "tomorrow_ds",
     "dag_run.execution_date", "dag_run.run_type", "dag_run.external_trigger"],
)  # fmt: skip
def test_names_that_airflow_3_no_longer_has(name: str) -> None:
    """They are refused with that reason, when the unit loads."""
    with pytest.raises(TemplateRefused, match="Airflow 3, whose runs are about ticks") as refused:
        rendered(f"{{{{ {name} }}}}")
    assert refused.value.needs == name
    assert compile_template(f"{{{{ {name} }}}}")  # of a window


def test_bounds_are_the_variables() -> None:
    """A comparison is bounded by what dbt gets, and a run takes one tick."""
    variables = PartitionVars(
        [
            VariableTemplate("from", "{{ macros.ds_add(ds, -1) }}", Bound.LOWER),
            VariableTemplate("to", "{{ ds }}", Bound.UPPER),
        ],
        daily(),
        "dag",
        "task",
    )
    tick = daily().window_of("2024-03-05")
    assert variables.bounds_in(variables.for_window(tick)) == {
        Bound.LOWER: "2024-03-04",
        Bound.UPPER: "2024-03-05",
    }
    assert not variables.can_range


def ticks_at(*hours: int) -> WindowList:
    first = pendulum.datetime(2024, 3, 1)
    listed = tuple(Tick(first.add(hours=hour)) for hour in hours)
    return WindowList(first, first.add(days=2), listed, of_ticks=True)


def test_a_list_of_ticks() -> None:
    """As with several crons: each tick has its key, and the document reads back."""
    listed = ticks_at(6, 18, 30)
    assert WindowList.of_document(listed.as_document()) == listed
    partitions = ListedPartitions(ListedSchedule.listing(listed, NY))
    keys = ["2024-03-01T01:00:00-0500", "2024-03-01T13:00:00-0500", "2024-03-02T01:00:00-0500"]
    assert partitions.keys == keys
    assert isinstance(definition_of(partitions), dg.StaticPartitionsDefinition)
    assert about(partitions) is OccasionKind.TICK
    for key, tick in zip(keys, listed.windows, strict=True):
        assert partitions.window_of(key) == tick
        assert partitions.key_of(tick) == key
        assert partitions.window_containing(tick.start) == tick
        assert partitions.keys_over(tick) == [key]
    assert list(partitions.beside(listed.windows[1], listed.windows[1])) == [
        listed.windows[0],
        listed.windows[2],
    ]
    with pytest.raises(Unaligned):
        partitions.window_containing(listed.windows[0].start.add(minutes=1))
    now = listed.windows[1].start
    assert next(iter(partitions.schedule.ended_by(now))) == listed.windows[1]
    assert next(iter(partitions.schedule.ending_after(now))) == listed.windows[2]


def test_lists_of_two_kinds_do_not_mix() -> None:
    """Neither within a list nor when a newer inventory has another kind of runs."""
    listed = ticks_at(6)
    window = Window.between("2024-03-01T06:00:00+00:00", "2024-03-02T06:00:00+00:00")
    with pytest.raises(BadWindowList, match="in a list of ticks"):
        WindowList(listed.since, listed.until, (window,), of_ticks=True)
    with pytest.raises(BadWindowList, match="in a list of windows"):
        WindowList(listed.since, listed.until, listed.windows)
    with pytest.raises(BadWindowList, match="Airflow's runs are about ticks now"):
        WindowList(listed.since, listed.until, (window,)).extended(listed)


def test_a_delta_counts_its_ticks_from_the_start() -> None:
    """As a trigger of Airflow 3 does; one that no cron expresses is listed instead."""
    schedule = TickSchedule.every(timedelta(hours=6), datetime(2024, 3, 1, 5, tzinfo=timezone.utc))
    assert [tick.at.hour for tick, _ in zip(schedule.windows(), range(4), strict=False)] == [5, 11, 17, 23]
    with pytest.raises(ScheduleRefused):
        TickSchedule.every(timedelta(hours=5), datetime(2024, 3, 1, tzinfo=timezone.utc))
