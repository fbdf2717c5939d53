{# dbt-postgres merges the rows of a batch by a key, so that a row which a re-run no longer makes would stay. Here a batch
   is replaced as a whole, as on the other warehouses. dbt looks for this name in the project first. #}
{% macro postgres__get_incremental_microbatch_sql(arg_dict) -%}
    {%- set columns = get_quoted_csv(arg_dict["dest_columns"] | map(attribute="name")) -%}
    {%- set time = config.get("event_time") -%}
    delete from {{ arg_dict["target_relation"] }}
    where
        {{ time }} >= {{ wall_clock("'" ~ model.batch.event_time_start.strftime("%Y-%m-%d %H:%M:%S") ~ "'") }}
        and {{ time }} < {{ wall_clock("'" ~ model.batch.event_time_end.strftime("%Y-%m-%d %H:%M:%S") ~ "'") }};
    insert into {{ arg_dict["target_relation"] }} ({{ columns }})
    select {{ columns }}
    from {{ arg_dict["temp_relation"] }}
{%- endmacro %}
