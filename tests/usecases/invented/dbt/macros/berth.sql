{% macro berth_prefix() %}{{ env_var('BERTH_PREFIX', 'B') }}{% endmacro %}
