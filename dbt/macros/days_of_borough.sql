{# The days of one borough: what the models borough_* have in common. #}
{% macro days_of_borough(borough) -%}
select
    trip_date,
    trips,
    rejected_trips,
    total_amount,
    cast(total_amount / nullif(trips, 0) as decimal(18, 4)) as average_total_amount
from {{ ref('daily_metrics') }}
where pickup_borough = '{{ borough }}'
{%- endmacro %}
