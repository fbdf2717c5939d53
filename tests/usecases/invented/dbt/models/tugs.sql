select call_id, 'tugs' as kind, '{{ var("region") }}' as region from {{ ref('stg_calls') }}
