"""The only code that touches the outside: dbt, Airflow, Dagster's instance, warehouses, processes."""
