"""Makes a landing folder as TLC would fill it: one Parquet file for each month and the zone table.

The same month always has the same rows: every value is a function of the month, the row's number and the
column, through MD5, whose values no library upgrade changes.

The dirt is that of the real files, and the models must cope with it:

* a twelfth of the trips has no passenger count, rate code or surcharges;
* about one total in a hundred is negative (a refund) and a few are zero;
* some pickups lie outside the month: late rows of the month before, the first minutes of the next one, and
  meters that believe it is 2002 or 2009;
* about one trip in 300 is delivered twice, in every column;
* times are wall-clock times: on the spring-forward day none is in the missing hour, and on the fall-back day
  a trip may end before it began.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa

from include import settings
from include.files import replacing, write_parquet
from include.schemas import TRIPS
from include.zone_table import zones

TRIPS_PER_MONTH = 75_000
ZONES_FILE = "taxi_zone_lookup.csv"

# How many of 100 trips start in each hour of a day.
_HOURS = (2, 1, 1, 1, 1, 1, 2, 4, 5, 5, 5, 5, 5, 5, 6, 6, 6, 7, 8, 7, 6, 5, 4, 2)


def trips_file(month: str) -> str:
    return f"yellow_tripdata_{month}.parquet"


def generate(landing_dir: Path, months: Sequence[str] = settings.MONTHS) -> list[Path]:
    """Fills the folder with the zone table and those months; returns the paths of all of them.

    A file that is there already is left as it is, so real TLC files can lie beside generated ones.
    Raises `BadMonth` before anything is written.
    """
    for month in months:
        settings.parse_month(month)
    zone_file = landing_dir / ZONES_FILE
    if not zone_file.exists():
        _write_zones(zone_file)
    paths = [zone_file]
    for month in months:
        path = landing_dir / trips_file(month)
        if not path.exists():
            write_parquet(trips(month), path)
        paths.append(path)
    return paths


def trips(month: str, count: int = TRIPS_PER_MONTH) -> pa.Table:
    """One month of trips in the published schema; the duplicates come on top of `count`."""
    calendar = _Calendar.of(month)
    with duckdb.connect(":memory:") as connection:
        connection.execute(_RANDOM_MACRO)
        return (
            connection.sql(
                _TRIPS_SQL,
                params={
                    "month": month,
                    "count": count,
                    "days": calendar.days,
                    "month_start": calendar.start,
                    "next_month_start": calendar.next_start,
                    "change_day": calendar.change_day,
                    "change_at": calendar.change_at,
                    "shift_seconds": calendar.shift_seconds,
                    "hours": [hour for hour, weight in enumerate(_HOURS) for _ in range(weight)],
                    "pickups": [zone.location_id for zone in zones() for _ in range(zone.pickup_weight)],
                },
            )
            .to_arrow_table()
            .cast(TRIPS)
        )


@dataclass(frozen=True, slots=True)
class _Calendar:
    """A New York month in wall-clock times that pretend the offset of its first midnight holds throughout.

    From `change_at` on, the true wall clock is `shift_seconds` ahead (an hour, or minus an hour); a month
    without a clock change has a shift of 0.
    """

    start: datetime
    next_start: datetime
    change_at: datetime
    shift_seconds: int

    @property
    def days(self) -> int:
        return (self.next_start - self.start).days

    @property
    def change_day(self) -> int:
        """The number of the day on which the clocks change, from 0."""
        return (self.change_at - self.start).days

    @classmethod
    def of(cls, month: str) -> _Calendar:
        first = settings.parse_month(month)
        start = datetime(first.year, first.month, 1)  # noqa: DTZ001 -- wall-clock times are the point
        next_start = (start + timedelta(days=31)).replace(day=1)
        before = _offset(start)
        shift = int((_offset(next_start) - before).total_seconds())
        change_at = next_start
        if shift:
            # The first hour, counted with the month's first offset, at which another offset holds.
            hours = int((next_start - start).total_seconds()) // 3600
            change_at = next(
                moment
                for moment in (start + timedelta(hours=hour) for hour in range(hours))
                if _offset_of_instant(moment - before) != before
            )
        return cls(start, next_start, change_at, shift)


def _offset(wall_clock: datetime) -> timedelta:
    return wall_clock.replace(tzinfo=ZoneInfo(settings.TIME_ZONE)).utcoffset() or timedelta()


def _offset_of_instant(utc: datetime) -> timedelta:
    aware = utc.replace(tzinfo=ZoneInfo("UTC")).astimezone(ZoneInfo(settings.TIME_ZONE))
    return aware.utcoffset() or timedelta()


def _write_zones(path: Path) -> None:
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
        writer.writerow(["LocationID", "Borough", "Zone", "service_zone"])
        writer.writerows((zone.location_id, zone.borough, zone.zone, zone.service_zone) for zone in zones())


# A number in [0, 1) for each (month, row, name).
_RANDOM_MACRO = """
create temp macro chance(month, i, name) as
    (md5_number_lower(concat(month, ':', name, ':', i)) >> 11)::double / 9007199254740992.0
"""

_TRIPS_SQL = """
with chances as (
    select
        i,
        chance($month, i, 'oddity') as oddity,
        chance($month, i, 'second') as second,
        chance($month, i, 'gap') < 0.083 as has_gaps,
        chance($month, i, 'duration') as duration,
        chance($month, i, 'speed') as speed,
        chance($month, i, 'party') as party,
        chance($month, i, 'paid') as paid,
        chance($month, i, 'tip') as tip,
        chance($month, i, 'refund') as refund,
        floor(chance($month, i, 'day') * $days)::integer as day,
        $hours[1 + floor(chance($month, i, 'hour') * len($hours))::integer] as hour,
        $pickups[1 + floor(chance($month, i, 'from') * len($pickups))::integer] as pickup_zone,
        $pickups[1 + floor(chance($month, i, 'to') * len($pickups))::integer] as dropoff_zone,
        case when chance($month, i, 'vendor') < 0.74 then 2 else 1 end as vendor
    from range($count) as numbers (i)
),
drives as (
    select
        *,
        -- The change day is 23 or 25 hours long; the days after it begin earlier or later on this clock.
        $month_start::timestamp + to_days(day)
            - to_seconds(case when day > $change_day then $shift_seconds else 0 end)
            + to_seconds(floor(
                (hour + second) * (86400 - case when day = $change_day then $shift_seconds else 0 end) / 24
            )) as steady_pickup_at,
        floor(120 - 720 * ln(1 - duration))::integer as seconds,
        steady_pickup_at + to_seconds(seconds) as steady_dropoff_at
    from chances
),
wall_clock as (
    select
        *,
        steady_pickup_at + to_seconds(
            case when steady_pickup_at >= $change_at::timestamp then $shift_seconds else 0 end
        ) as true_pickup_at,
        steady_dropoff_at + to_seconds(
            case when steady_dropoff_at >= $change_at::timestamp then $shift_seconds else 0 end
        ) as true_dropoff_at
    from drives
),
moved as (
    select
        *,
        -- Late rows, early rows, and meters with a wrong clock: the whole trip moves.
        case
            when oddity < 0.0020
                then -(true_pickup_at - $month_start::timestamp) - to_seconds(1 + floor(second * 259200))
            when oddity < 0.0024
                then ($next_month_start::timestamp - true_pickup_at) + to_seconds(floor(second * 900))
            when oddity < 0.00245 then timestamp '2002-12-31 22:10:00' - true_pickup_at
            when oddity < 0.00250 then timestamp '2009-01-01 00:30:00' - true_pickup_at
            else to_seconds(0)
        end as move,
        round(0.3 + seconds / 3600.0 * (8 + 12 * speed), 2) as distance,
        case when 132 in (pickup_zone, dropoff_zone) and speed < 0.6 then 2 else 1 end as rate_code
    from wall_clock
),
priced as (
    select
        *,
        case when rate_code = 2 then 70.0 else round(3 + 2.1 * distance + seconds / 150.0, 1) end as fare,
        case when hour between 16 and 19 then 2.5 when hour >= 20 or hour < 6 then 1.0 else 0.0 end as extra,
        case when speed > 0.94 then 6.94 else 0.0 end as tolls,
        case when pickup_zone in (132, 138) then 1.75 else 0.0 end as airport,
        case
            when refund < 0.002 then 0.0 -- voided
            when refund < 0.012 then -1.0 -- refunded
            else 1.0
        end as sign
    from moved
),
tipped as (
    select
        *,
        case when has_gaps or paid >= 0.78 then 0.0 else round(fare * (0.1 + 0.2 * tip), 2) end as tip_paid
    from priced
),
delivered as (
    select
        i,
        vendor as VendorID,
        true_pickup_at + move as tpep_pickup_datetime,
        true_dropoff_at + move as tpep_dropoff_datetime,
        case
            when has_gaps then null
            when party < 0.01 then 0
            when party < 0.75 then 1
            when party < 0.90 then 2
            else 3 + floor((party - 0.90) * 40)
        end as passenger_count,
        distance as trip_distance,
        case when not has_gaps then rate_code end as RatecodeID,
        case when not has_gaps then if(party > 0.994, 'Y', 'N') end as store_and_fwd_flag,
        pickup_zone as PULocationID,
        dropoff_zone as DOLocationID,
        case
            when has_gaps then 0
            when refund < 0.012 then 4
            when paid < 0.78 then 1
            when paid < 0.97 then 2
            else 3
        end as payment_type,
        sign * fare as fare_amount,
        sign * extra as extra,
        sign * 0.5 as mta_tax,
        sign * tip_paid as tip_amount,
        sign * tolls as tolls_amount,
        sign * 1.0 as improvement_surcharge,
        -- A gap hides the surcharges from their columns, not from the total.
        sign * round(fare + extra + 0.5 + tip_paid + tolls + 1.0 + 2.5 + airport, 2) as total_amount,
        case when not has_gaps then sign * 2.5 end as congestion_surcharge,
        case when not has_gaps then sign * airport end as Airport_fee
    from tipped
)
select * exclude (i, copy)
from (
    select *, 1 as copy from delivered
    union all
    select *, 2 as copy from delivered where chance($month, i, 'twice') < 0.0033
)
order by i, copy
"""
