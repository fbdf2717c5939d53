-- The trips of all zones together are the valid trips whose zone is known: the join neither loses nor doubles one.
with counted_trips as (
    select sum(trips) as trips
    from {{ ref('location_metrics') }}
),

valid_trips as (
    select count(*) as trips
    from {{ ref('stg_trips') }} as stg_trips
    inner join {{ ref('stg_zones') }} as stg_zones
        on stg_trips.pickup_location_id = stg_zones.location_id
    where stg_trips.is_valid
)

select
    counted_trips.trips as counted,
    valid_trips.trips as expected
from counted_trips
cross join valid_trips
where counted_trips.trips <> valid_trips.trips
