{{ config(materialized='incremental', unique_key=['day', 'port_id'], incremental_strategy='delete+insert') }}
select arrived_at::date as day, port_id, count(*) as calls from {{ ref('stg_calls') }}
where arrived_at >= '{{ var("min_time") }}' and arrived_at < '{{ var("max_time") }}'
group by all
