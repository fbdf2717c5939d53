{{ config(tags=['daily']) }}

with valid_trips as (
    select
        pickup_location_id,
        distance_miles,
        tip_amount,
        total_amount
    from {{ ref('stg_trips') }}
    where is_valid
),

trips_of_location as (
    select
        pickup_location_id,
        count(*) as trips,
        sum(distance_miles) as distance_miles,
        sum(tip_amount) as tip_amount,
        sum(total_amount) as total_amount
    from valid_trips
    group by pickup_location_id
),

zones as (
    select
        location_id,
        borough,
        zone_name
    from {{ ref('stg_zones') }}
)

select
    zones.location_id,
    zones.borough,
    zones.zone_name,
    cast(coalesce(trips_of_location.trips, 0) as bigint) as trips,
    cast(coalesce(trips_of_location.distance_miles, 0) as decimal(18, 2)) as distance_miles,
    cast(coalesce(trips_of_location.tip_amount, 0) as decimal(18, 2)) as tip_amount,
    cast(coalesce(trips_of_location.total_amount, 0) as decimal(18, 2)) as total_amount,
    cast(trips_of_location.total_amount / nullif(trips_of_location.trips, 0) as decimal(18, 4)) as average_total_amount
from zones
left join trips_of_location on zones.location_id = trips_of_location.pickup_location_id
