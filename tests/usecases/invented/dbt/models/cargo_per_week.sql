select call_id, sum(tonnes) as tonnes, '{{ var("week", "none") }}' as week from {{ ref('stg_cargo') }} group by all
