{{ config(unique_key='day') }}
with orders as (
    select order_id, day, lot_id, kilos
    from read_csv(
        '../landing/orders_*.csv',
        columns = {'order_id': 'integer', 'day': 'date', 'lot_id': 'integer', 'kilos': 'integer'}
    )
    where day >= '{{ var("first_day") }}' and day < '{{ var("next_day") }}'
)
select orders.day, count(*) as orders, sum(orders.kilos) as kilos, sum(orders.kilos * lots.price) as worth
from orders
inner join {{ ref('lots') }} as lots on orders.lot_id = lots.lot_id
group by orders.day
