select call_id, 'moorings' as kind, '{{ var("region") }}' as region from {{ ref('stg_calls') }}
