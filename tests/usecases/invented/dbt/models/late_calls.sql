select call_id, 'late_calls' as kind, '{{ var("region") }}' as region from {{ ref('stg_calls') }}
