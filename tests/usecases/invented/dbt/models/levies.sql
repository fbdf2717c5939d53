select call_id, 'levies' as kind, '{{ var("region") }}' as region from {{ ref('stg_calls') }}
