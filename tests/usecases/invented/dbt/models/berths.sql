select call_id, '{{ berth_prefix() }}' || port_id as berth from {{ ref('stg_calls') }}
