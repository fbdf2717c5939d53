select call_id, 'fees' as kind, '{{ var("region") }}' as region from {{ ref('stg_calls') }}
