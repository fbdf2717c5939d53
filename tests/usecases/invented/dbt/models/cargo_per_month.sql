select call_id, sum(tonnes) as tonnes, '{{ env_var("MONTH_LABEL", "none") }}' as label
from {{ ref('stg_cargo') }} group by all
