{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='day') }}

select calendar.day, number as order_number, 5 + hash(calendar.day || ' ' || number) % 90 as amount
from {{ ref('calendar') }} as calendar, range(1, 8) as those (number)
where calendar.day >= '{{ var("from_day") }}' and calendar.day < '{{ var("to_day") }}'
