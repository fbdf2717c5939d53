{# A New York wall-clock time as the same moment in UTC, without an offset. What a warehouse makes of the repeated hour
   and of the missing one differs: stg_trips_utc decides it. #}
{% macro new_york_to_utc(expression) -%}
    {{ return(adapter.dispatch('new_york_to_utc', 'taxi')(expression)) }}
{%- endmacro %}

{% macro default__new_york_to_utc(expression) -%}
    timezone('UTC', timezone('America/New_York', {{ expression }}))
{%- endmacro %}

{% macro snowflake__new_york_to_utc(expression) -%}
    convert_timezone('America/New_York', 'UTC', {{ expression }})
{%- endmacro %}

{# The way back, which has one answer always. #}
{% macro utc_to_new_york(expression) -%}
    {{ return(adapter.dispatch('utc_to_new_york', 'taxi')(expression)) }}
{%- endmacro %}

{% macro default__utc_to_new_york(expression) -%}
    timezone('America/New_York', timezone('UTC', {{ expression }}))
{%- endmacro %}

{% macro snowflake__utc_to_new_york(expression) -%}
    convert_timezone('UTC', 'America/New_York', {{ expression }})
{%- endmacro %}

{# A UTC time without an offset as the type that dbt's microbatch filter is compared with. dbt-snowflake writes its
   bounds as timestamp_tz, and Snowflake would read a plain timestamp beside them in the session's time zone. #}
{% macro event_time(expression) -%}
    {{ return(adapter.dispatch('event_time', 'taxi')(expression)) }}
{%- endmacro %}

{% macro default__event_time(expression) -%}
    {{ expression }}
{%- endmacro %}

{% macro snowflake__event_time(expression) -%}
    dateadd(
        'microsecond',
        datediff('microsecond', cast('1970-01-01 00:00:00' as timestamp_ntz), {{ expression }}),
        cast('1970-01-01 00:00:00 +00:00' as timestamp_tz)
    )
{%- endmacro %}
