{{ config(tags=['daily']) }}

with delivered_trips as (
    select
        cast(VendorID as integer) as vendor_id,
        {{ wall_clock('tpep_pickup_datetime') }} as pickup_at,
        {{ wall_clock('tpep_dropoff_datetime') }} as dropoff_at,
        cast(passenger_count as integer) as passenger_count,
        cast(trip_distance as decimal(18, 2)) as distance_miles,
        cast(RatecodeID as integer) as rate_code_id,
        cast(store_and_fwd_flag as varchar) as store_and_fwd_flag,
        cast(PULocationID as integer) as pickup_location_id,
        cast(DOLocationID as integer) as dropoff_location_id,
        cast(payment_type as integer) as payment_type,
        cast(fare_amount as decimal(18, 2)) as fare_amount,
        cast(extra as decimal(18, 2)) as extra_amount,
        cast(mta_tax as decimal(18, 2)) as mta_tax_amount,
        cast(tip_amount as decimal(18, 2)) as tip_amount,
        cast(tolls_amount as decimal(18, 2)) as tolls_amount,
        cast(improvement_surcharge as decimal(18, 2)) as improvement_surcharge_amount,
        cast(total_amount as decimal(18, 2)) as total_amount,
        cast(congestion_surcharge as decimal(18, 2)) as congestion_surcharge_amount,
        cast(Airport_fee as decimal(18, 2)) as airport_fee_amount
    from {{ source('raw', 'trips') }}
),

-- A trip that was delivered twice is the same in every column; a refund differs in its sign and stays.
distinct_trips as (
    select distinct
        vendor_id,
        pickup_at,
        dropoff_at,
        passenger_count,
        distance_miles,
        rate_code_id,
        store_and_fwd_flag,
        pickup_location_id,
        dropoff_location_id,
        payment_type,
        fare_amount,
        extra_amount,
        mta_tax_amount,
        tip_amount,
        tolls_amount,
        improvement_surcharge_amount,
        total_amount,
        congestion_surcharge_amount,
        airport_fee_amount
    from delivered_trips
)

select
    vendor_id,
    pickup_at,
    dropoff_at,
    passenger_count,
    distance_miles,
    rate_code_id,
    store_and_fwd_flag,
    pickup_location_id,
    dropoff_location_id,
    payment_type,
    fare_amount,
    extra_amount,
    mta_tax_amount,
    tip_amount,
    tolls_amount,
    improvement_surcharge_amount,
    total_amount,
    congestion_surcharge_amount,
    airport_fee_amount,
    -- Wall-clock times: in the night when the clocks go back, a trip may seem to end up to an hour before it began.
    coalesce(
        total_amount > 0
        and distance_miles >= 0
        and dropoff_at > pickup_at - interval '1 hour',
        false
    ) as is_valid
from distinct_trips
