"""Echoes: what Airflow is told of what Dagster has run of retired DAGs."""
