"""The in-Airflow half of the hand-over. It must not import dagster: only dagster-airlift's in-Airflow part."""
