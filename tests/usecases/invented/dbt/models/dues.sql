select call_id, 'dues' as kind, '{{ var("region") }}' as region from {{ ref('stg_calls') }}
