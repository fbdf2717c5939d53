"""`parity init`: what a Dagster project needs to adopt an Airflow estate, written where it is missing."""
