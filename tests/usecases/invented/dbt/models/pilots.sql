select call_id, 'pilots' as kind, '{{ var("region") }}' as region from {{ ref('stg_calls') }}
