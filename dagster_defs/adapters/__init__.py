"""The only code that touches the outside world: dbt, Airflow, Dagster's instance, warehouses, processes."""
