"""Move a dbt estate from Airflow to Dagster, one task at a time, with proof and a way back."""
