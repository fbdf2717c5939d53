"""The estate's business code. Airflow and Dagster both call it, so it imports neither."""
