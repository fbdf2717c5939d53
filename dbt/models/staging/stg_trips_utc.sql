{{ config(tags=['hourly'], event_time='pickup_at_utc') }}

with trips as (
    select
        pickup_at,
        pickup_location_id,
        fare_amount,
        tip_amount,
        total_amount,
        is_valid,
        {{ new_york_to_utc('pickup_at') }} as by_the_warehouse,
        -- As if the clocks had not changed since the day before.
        {{ new_york_to_utc("pickup_at - interval '1 day'") }} + interval '1 day' as by_the_day_before
    from {{ ref('stg_trips') }}
)

select
    pickup_at,
    {{ event_time(
        'case when ' ~ utc_to_new_york('by_the_day_before') ~ ' = pickup_at or '
        ~ utc_to_new_york('by_the_warehouse') ~ ' <> pickup_at '
        ~ 'then by_the_day_before else by_the_warehouse end'
    ) }} as pickup_at_utc,
    pickup_location_id,
    fare_amount,
    tip_amount,
    total_amount,
    is_valid
from trips
