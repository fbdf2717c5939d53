{# A New York wall-clock time without an offset. The word "timestamp" means that on DuckDB and PostgreSQL; on Snowflake an account may map it to another type. #}
{% macro wall_clock(expression) -%}
    {{ return(adapter.dispatch('wall_clock', 'taxi')(expression)) }}
{%- endmacro %}

{% macro default__wall_clock(expression) -%}
    cast({{ expression }} as timestamp)
{%- endmacro %}

{% macro snowflake__wall_clock(expression) -%}
    cast({{ expression }} as timestamp_ntz)
{%- endmacro %}
