{% snapshot vessels_history %}
{{ config(unique_key='vessel_id', strategy='check', check_cols='all', target_schema='main') }}
select * from {{ ref('stg_vessels') }}
{% endsnapshot %}
