{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='day') }}

select
    calendar.day,
    number as shelf,
    case when calendar.is_weekend then 0 else hash(calendar.day || ' ' || number) % 5 end as taken
from {{ ref('calendar') }} as calendar, range(1, 4) as those (number)
where calendar.day >= '{{ var("from_day") }}' and calendar.day < '{{ var("to_day") }}'
