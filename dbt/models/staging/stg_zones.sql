-- Built by two tasks on purpose: dbt_zones keeps it fresh, dbt_daily must not depend on that having run.
{{ config(tags=['zones', 'daily']) }}

select
    cast(LocationID as integer) as location_id,
    cast(Borough as varchar) as borough,
    cast(Zone as varchar) as zone_name,
    cast(service_zone as varchar) as service_zone
from {{ source('raw', 'zones') }}
