-- One batch is one hour, replaced as a whole; dbt filters stg_trips_utc by its event time.
{{
    config(
        materialized='incremental',
        incremental_strategy='microbatch',
        event_time='pickup_hour_utc',
        begin='2023-11-01',
        batch_size='hour',
        concurrent_batches=false,
        on_schema_change='fail',
        tags=['hourly']
    )
}}

with trips_in_batch as (
    select
        pickup_location_id,
        fare_amount,
        tip_amount,
        total_amount,
        is_valid,
        cast(pickup_at as date) as trip_date,
        date_trunc('hour', pickup_at_utc) as pickup_hour_utc
    from {{ ref('stg_trips_utc') }}
),

zones as (
    select
        location_id,
        borough
    from {{ ref('stg_zones') }}
),

trips_with_borough as (
    select
        trips_in_batch.pickup_hour_utc,
        trips_in_batch.trip_date,
        trips_in_batch.fare_amount,
        trips_in_batch.tip_amount,
        trips_in_batch.total_amount,
        trips_in_batch.is_valid,
        coalesce(zones.borough, 'Unknown') as pickup_borough
    from trips_in_batch
    left join zones on trips_in_batch.pickup_location_id = zones.location_id
)

select
    pickup_hour_utc,
    trip_date,
    pickup_borough,
    cast(sum(case when is_valid then 1 else 0 end) as bigint) as trips,
    cast(sum(case when is_valid then 0 else 1 end) as bigint) as rejected_trips,
    cast(sum(case when is_valid then fare_amount else 0 end) as decimal(18, 2)) as fare_amount,
    cast(sum(case when is_valid then tip_amount else 0 end) as decimal(18, 2)) as tip_amount,
    cast(sum(case when is_valid then total_amount else 0 end) as decimal(18, 2)) as total_amount
from trips_with_borough
group by pickup_hour_utc, trip_date, pickup_borough
