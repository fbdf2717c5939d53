{{ config(unique_key='lot_id') }}
select lot_id, sold_at, price
from read_csv('../landing/lots.csv', columns = {'lot_id': 'integer', 'sold_at': 'timestamp', 'price': 'decimal(9, 2)'})
where sold_at >= '{{ var("since") }}' and sold_at < '{{ var("until") }}'
