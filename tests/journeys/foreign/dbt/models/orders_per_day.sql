select cast(o.ordered_at as date) as day, count(*) as orders, sum(o.amount) as amount
from {{ ref('stg_orders') }} as o
inner join {{ ref('stg_customers') }} as c on o.customer_id = c.customer_id
where o.ordered_at >= '{{ var("from_day") }}' and o.ordered_at < '{{ var("to_day") }}'
group by 1
