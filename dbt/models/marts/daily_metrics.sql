-- The key is the day alone: a re-run replaces a day as a whole, so a borough that no longer has trips does not linger.
{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='trip_date',
        on_schema_change='fail',
        tags=['daily']
    )
}}

with trips_in_window as (
    select
        cast(pickup_at as date) as trip_date,
        pickup_location_id,
        passenger_count,
        distance_miles,
        fare_amount,
        tip_amount,
        total_amount,
        is_valid
    from {{ ref('stg_trips') }}
    where
        pickup_at >= {{ wall_clock("'" ~ var('min_date') ~ "'") }}
        and pickup_at < {{ wall_clock("'" ~ var('max_date') ~ "'") }}
),

zones as (
    select
        location_id,
        borough
    from {{ ref('stg_zones') }}
),

trips_with_borough as (
    select
        trips_in_window.trip_date,
        trips_in_window.passenger_count,
        trips_in_window.distance_miles,
        trips_in_window.fare_amount,
        trips_in_window.tip_amount,
        trips_in_window.total_amount,
        trips_in_window.is_valid,
        coalesce(zones.borough, 'Unknown') as pickup_borough
    from trips_in_window
    left join zones on trips_in_window.pickup_location_id = zones.location_id
)

select
    trip_date,
    pickup_borough,
    cast(sum(case when is_valid then 1 else 0 end) as bigint) as trips,
    cast(sum(case when is_valid then 0 else 1 end) as bigint) as rejected_trips,
    cast(sum(case when is_valid then coalesce(passenger_count, 0) else 0 end) as bigint) as passengers,
    cast(sum(case when is_valid then distance_miles else 0 end) as decimal(18, 2)) as distance_miles,
    cast(sum(case when is_valid then fare_amount else 0 end) as decimal(18, 2)) as fare_amount,
    cast(sum(case when is_valid then tip_amount else 0 end) as decimal(18, 2)) as tip_amount,
    cast(sum(case when is_valid then total_amount else 0 end) as decimal(18, 2)) as total_amount
from trips_with_borough
group by trip_date, pickup_borough
