-- Days and boroughs that claim an amount although no valid trip was made.

select
    trip_date,
    pickup_borough,
    total_amount
from {{ ref('daily_metrics') }}
where trips = 0 and total_amount <> 0
