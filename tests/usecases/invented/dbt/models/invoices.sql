select call_id, 'invoices' as kind, '{{ var("region") }}' as region from {{ ref('stg_calls') }}
