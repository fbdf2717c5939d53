{{ config(materialized='incremental', unique_key='hour', incremental_strategy='delete+insert') }}
select date_trunc('hour', arrived_at) as hour, count(*) as calls from {{ ref('stg_calls') }}
where arrived_at >= '{{ var("min_time") }}' and arrived_at < '{{ var("max_time") }}'
group by all
